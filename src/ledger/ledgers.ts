import { ClosedError, InvalidArgumentError } from "../errors.ts";
import { abortable } from "../internal/abort.ts";
import { releaseAll } from "../internal/release-all.ts";
import type { EventMap } from "../store/event.ts";
import type { EventStore } from "../store/event-store.ts";
import { internalsOf } from "../store/internals.ts";
import { count } from "../store/options.ts";
import { LedgerDirectory, type WriteOptions } from "./directory.ts";
import { LedgerEngines } from "./directory-engines.ts";
import type { LedgerListOptions, PageOptions } from "./directory-pages.ts";
import { LedgerEngine } from "./engine.ts";
import { type LedgerEngineOptions, resolveEngineOptions } from "./engine-options.ts";
import { LedgerNotFoundError } from "./errors.ts";
import { Ledger } from "./ledger.ts";
import {
  type BucketInfo,
  type LedgerInfo,
  ledgerMetadata,
  type NewLedgerSettings,
  newLedger,
} from "./ledger-info.ts";
import { checkName } from "./names.ts";
import type { Page } from "./transaction.ts";

/** How a process works with ledgers. */
export interface LedgersOptions extends LedgerEngineOptions {
  /**
   * How long what was read of a ledger may be used without asking again, in milliseconds; zero or less: not at all. What
   * this process changes is seen at once; what others change, within a network delay while it follows them, and after
   * this time at the latest. @default 60_000
   */
  readonly openCacheTtlMs?: number | undefined;
  /** How long reading a ledger may take, whoever waits for it. @default 30_000 */
  readonly loadTimeoutMs?: number | undefined;
  /** Hear of what other processes change in the directory. @default true */
  readonly follow?: boolean | undefined;
}

/** What a new ledger is like. */
export interface CreateLedgerOptions extends WriteOptions {
  /** Ledgers of one bucket are deleted and restored together; the first one creates it. */
  readonly bucket: string;
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  /** Fixed for good. */
  readonly settings?: NewLedgerSettings | undefined;
  /**
   * Identifies the call: where its outcome was unknown, repeating it with the same id gives its first result, and not
   * that the ledger exists. 1 to 120 printable ASCII characters without spaces. @default a new one
   */
  readonly commitId?: string | undefined;
}

/** What may be asked of the directory by those who are not to change it; `Ledgers` is one. */
export interface LedgerReader {
  describe(name: string, options?: OpenLedgerOptions): Promise<LedgerInfo>;
  list(options?: LedgerListOptions): Promise<Page<LedgerInfo>>;
  listBuckets(options?: PageOptions): Promise<Page<BucketInfo>>;
}

/** What may end the wait for a ledger; others who wait for it go on. */
export interface OpenLedgerOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * The ledgers of a store's stream.
 *
 * @example
 * const ledgers = await Ledgers.open(store, { openCacheTtlMs: 60_000 });
 * await ledgers.create("main", { bucket: "eu", metadata: { owner: "ops" } });
 * const ledger = await ledgers.open("main");
 */
export class Ledgers implements LedgerReader {
  readonly #directory: LedgerDirectory;
  readonly #engines: LedgerEngines<LedgerEngine>;
  #closing: Promise<void> | undefined;

  private constructor(directory: LedgerDirectory, engines: LedgerEngines<LedgerEngine>) {
    this.#directory = directory;
    this.#engines = engines;
  }

  /**
   * Begins to work with the ledgers of a store, which must be closed after them. Asks nothing yet.
   *
   * @throws {InvalidArgumentError}
   */
  static async open<Events extends EventMap>(
    store: EventStore<Events>,
    options: LedgersOptions = {},
  ): Promise<Ledgers> {
    const { openCacheTtlMs: ttlMs = 60_000, loadTimeoutMs = 30_000, follow = true } = options;
    if (typeof ttlMs !== "number" || Number.isNaN(ttlMs)) {
      throw new InvalidArgumentError("openCacheTtlMs", "a number of milliseconds", ttlMs);
    }
    if (typeof follow !== "boolean") {
      throw new InvalidArgumentError("follow", "true or false", follow);
    }
    const internals = internalsOf(store);
    const settings = resolveEngineOptions(options, store.stream);
    const directory = new LedgerDirectory(store, internals, {
      ttlMs,
      loadTimeoutMs: count("loadTimeoutMs", loadTimeoutMs, 1),
      follow,
      now: () => performance.now(),
      wallClock: settings.now,
    });
    const engines = new LedgerEngines<LedgerEngine>((info) =>
      LedgerEngine.start(store, info, options),
    );
    return new Ledgers(directory, engines);
  }

  /** Whether this process hears of what others change in the directory, now; always false without `follow`. */
  get following(): boolean {
    return this.#directory.following;
  }

  /**
   * Creates a ledger, and its bucket with the first one.
   *
   * @throws {LedgerExistsError} in any bucket, also in a deleted one
   * @throws {LedgerBucketNotFoundError} the bucket is deleted
   * @throws {AppendOutcomeUnknownError} repeat the call with the same `commitId`
   * @throws {InvalidArgumentError}, {UnserialisableValueError}, {AppendTooLargeError}; else as an append
   */
  async create(name: string, options: CreateLedgerOptions): Promise<LedgerInfo> {
    this.#assertOpen();
    const { bucket, metadata, settings, commitId } = options;
    const ledger = newLedger(name, bucket, metadata, settings);
    return this.#directory.create(ledger, commitId, writeOptions(options));
  }

  /** A ledger's settings and metadata, as {@link open} would find them. @throws {LedgerNotFoundError} */
  async describe(name: string, options: OpenLedgerOptions = {}): Promise<LedgerInfo> {
    this.#assertOpen();
    return this.#directory.describe(checkName("name", name), options.signal);
  }

  /**
   * Opens a ledger. What is opened works until its bucket is deleted, as soon as this process knows; and again after it was
   * restored.
   *
   * @throws {LedgerNotFoundError}, {ReadTimeoutError}
   */
  async open(name: string, options: OpenLedgerOptions = {}): Promise<Ledger> {
    this.#assertOpen();
    const { signal } = options;
    const { info, bucket } = await this.#directory.open(checkName("name", name), signal);
    const engine = await abortable(this.#engines.get(info), signal);
    const assertUsable = (): void => {
      this.#assertOpen();
      if (engine.isClosed && !engine.hasFailed) throw new ClosedError(`ledger "${info.name}"`);
      if (bucket.deleted) {
        throw new LedgerNotFoundError(info.name, `its bucket "${info.bucket}" was deleted`);
      }
    };
    assertUsable();
    return new Ledger(info, engine, assertUsable);
  }

  /**
   * Lets go of a ledger that is not needed for now, with the memory that its state takes; commands that were sent before
   * are waited for. What was opened of it stops working; opening it again loads it again.
   */
  async closeLedger(name: string): Promise<void> {
    this.#assertOpen();
    await this.#engines.drop(checkName("name", name));
  }

  /** Sets keys of a ledger's metadata; others stay as they are. @throws {LedgerNotFoundError}; else as {@link create} */
  async setMetadata(
    name: string,
    metadata: Readonly<Record<string, unknown>>,
    options: WriteOptions = {},
  ): Promise<LedgerInfo> {
    this.#assertOpen();
    const set = ledgerMetadata(metadata);
    return this.#directory.setMetadata(checkName("name", name), set, writeOptions(options));
  }

  /** Removes keys of a ledger's metadata, if they are there. @throws {LedgerNotFoundError}; else as {@link create} */
  async deleteMetadata(
    name: string,
    keys: string | readonly string[],
    options: WriteOptions = {},
  ): Promise<LedgerInfo> {
    this.#assertOpen();
    const list = [keys].flat();
    for (const key of list) {
      if (typeof key !== "string") throw new InvalidArgumentError("keys", "keys of metadata", key);
    }
    return this.#directory.deleteMetadata(checkName("name", name), list, writeOptions(options));
  }

  /**
   * Deletes a bucket and all its ledgers, until it is restored: none of them can be opened, changed or listed, and what
   * was opened stops working. Their names stay taken.
   *
   * @throws {LedgerBucketNotFoundError} nobody has created it, or it is deleted already; else as an append
   */
  async deleteBucket(bucket: string, options: WriteOptions = {}): Promise<void> {
    this.#assertOpen();
    return this.#directory.deleteBucket(checkName("bucket", bucket), writeOptions(options));
  }

  /** Brings a deleted bucket back, as it was. @throws {LedgerBucketNotFoundError} nobody has created it; else as an append */
  async restoreBucket(bucket: string, options: WriteOptions = {}): Promise<void> {
    this.#assertOpen();
    return this.#directory.restoreBucket(checkName("bucket", bucket), writeOptions(options));
  }

  /** Ledgers in the order of their names, those of deleted buckets left out. Always asked of the server. */
  async list(options: LedgerListOptions = {}): Promise<Page<LedgerInfo>> {
    this.#assertOpen();
    return this.#directory.list(options);
  }

  /** Buckets in the order of their names, deleted ones too. Always asked of the server. */
  async listBuckets(options: PageOptions = {}): Promise<Page<BucketInfo>> {
    this.#assertOpen();
    return this.#directory.listBuckets(options);
  }

  /** Closes all ledgers; the store stays open. Safe to call again; all calls end together. */
  close(): Promise<void> {
    this.#closing ??= releaseAll([() => this.#engines.close(), () => this.#directory.close()]);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new ClosedError("the ledgers");
  }
}

/** @throws {InvalidArgumentError} */
function writeOptions({ timeoutMs, signal }: WriteOptions): WriteOptions {
  if (timeoutMs !== undefined) count("timeoutMs", timeoutMs, 1);
  return { timeoutMs, signal };
}
