import { abortable } from "../internal/abort.ts";
import { KeyedMutex } from "../internal/keyed-mutex.ts";
import { sameValue } from "../internal/same-value.ts";
import { uniqueIds } from "../internal/unique-ids.ts";
import type { ReadBounds } from "../nats/direct.ts";
import type { StoreInternals } from "../store/internals.ts";
import { type KnownBucket, KnownBuckets } from "./directory-buckets.ts";
import { DirectoryCache } from "./directory-cache.ts";
import {
  bucketActor,
  bucketDeleted,
  bucketRestored,
  type DirectoryEvent,
  ledgerActor,
  ledgerAdded,
  ledgerAfter,
  ledgerCreated,
  ledgerMetadataDeleted,
  ledgerMetadataSet,
} from "./directory-events.ts";
import { DirectoryFollower, type DirectoryListener } from "./directory-follower.ts";
import {
  type BucketRecord,
  type DirectoryEntry,
  DirectoryLog,
  type LedgerRecord,
} from "./directory-log.ts";
import {
  type LedgerListOptions,
  listBuckets,
  listLedgers,
  type PageOptions,
} from "./directory-pages.ts";
import { type DirectoryStore, DirectoryWrite } from "./directory-write.ts";
import { LedgerBucketNotFoundError, LedgerExistsError, LedgerNotFoundError } from "./errors.ts";
import {
  type BucketInfo,
  handOut,
  type LedgerInfo,
  ledgerInfo,
  type NewLedger,
} from "./ledger-info.ts";
import type { Page } from "./transaction.ts";

/** What a directory works with. */
export interface DirectoryOptions {
  readonly ttlMs: number;
  readonly loadTimeoutMs: number;
  readonly follow: boolean;
  /** A clock that never goes back, in milliseconds. */
  readonly now: () => number;
  /** Milliseconds since 1970. */
  readonly wallClock: () => number;
}

/** How a change of the directory may be cut short. */
export interface WriteOptions {
  /** How long it may take. @default the store's `appendTimeoutMs` */
  readonly timeoutMs?: number | undefined;
  /** Rejects with its reason when aborted; what was sent by then may be stored all the same. */
  readonly signal?: AbortSignal | undefined;
}

/** An opened ledger, and what is known of its bucket from then on. */
export interface OpenedEntry {
  readonly info: LedgerInfo;
  readonly bucket: KnownBucket;
}

const MAX_NAMES = 10_000;
/** Buckets that are read at once. */
const CHUNK = 64;

/** Which ledgers there are. All that changes it goes through here, and evicts what it has made stale. */
export class LedgerDirectory {
  readonly #store: DirectoryStore;
  readonly #internals: StoreInternals;
  readonly #wallClock: () => number;
  readonly #log: DirectoryLog;
  readonly #cache: DirectoryCache<DirectoryEntry>;
  readonly #buckets = new KnownBuckets(MAX_NAMES);
  readonly #mutex = new KeyedMutex();
  readonly #nextId = uniqueIds();
  readonly #follower: DirectoryFollower | undefined;

  constructor(store: DirectoryStore, internals: StoreInternals, options: DirectoryOptions) {
    const { ttlMs, loadTimeoutMs, now } = options;
    this.#store = store;
    this.#internals = internals;
    this.#wallClock = options.wallClock;
    this.#log = new DirectoryLog(internals);
    this.#cache = new DirectoryCache<DirectoryEntry>({
      ttlMs,
      loadTimeoutMs,
      now,
      maxNames: MAX_NAMES,
      load: (name, signal) => this.#load(name, { timeoutMs: loadTimeoutMs, signal }),
      bucketOf: ({ info }) => info.bucket,
    });
    internals.context.rollbackListeners.add(this.#onRollback);
    this.#follower = options.follow
      ? new DirectoryFollower(internals.context, this.#listener())
      : undefined;
  }

  /** Whether it hears of what other processes change, now. */
  get following(): boolean {
    return this.#follower?.following ?? false;
  }

  /** What it keeps account of. For inspection. */
  get cacheSize(): DirectoryCache<DirectoryEntry>["size"] {
    return this.#cache.size;
  }

  async close(): Promise<void> {
    this.#internals.context.rollbackListeners.delete(this.#onRollback);
    this.#cache.close();
    await this.#follower?.close();
  }

  /** @throws {LedgerNotFoundError} */
  async describe(name: string, signal?: AbortSignal): Promise<LedgerInfo> {
    return handOut((await this.#entry(name, signal)).info);
  }

  /** The same, for good: what is learned of its bucket later can be seen. @throws {LedgerNotFoundError} */
  async open(name: string, signal?: AbortSignal): Promise<OpenedEntry> {
    const { info, bucketVersion } = await this.#entry(name, signal);
    const bucket = this.#buckets.keep(info.bucket);
    this.#buckets.learn(info.bucket, { version: bucketVersion, deleted: false });
    return { info: handOut(info), bucket };
  }

  /**
   * @param commitId of an earlier call, where this one repeats it
   * @throws {LedgerExistsError}, {LedgerBucketNotFoundError}
   */
  async create(
    ledger: NewLedger,
    commitId: string = this.#nextId(),
    options: WriteOptions = {},
  ): Promise<LedgerInfo> {
    const write = this.#begin(bucketActor(ledger.bucket), options);
    const info = ledgerInfo({ ...ledger, createdAtMs: this.#wallClock() });
    return this.#change(
      write,
      () => this.#cache.evict(ledger.name),
      async () => {
        const [existing, bucket] = await Promise.all([
          this.#log.ledger(ledger.name, write.bounds()),
          this.#log.bucket(ledger.bucket, write.bounds()),
        ]);
        if (existing !== undefined) {
          return handOut(await this.#ownCreation(existing, ledger, commitId, write.bounds()));
        }
        assertNotDeleted(ledger.bucket, bucket);
        const created = entryOf(ledgerActor(ledger.name), ledgerCreated(info), 0);
        const added = entryOf(bucketActor(ledger.bucket), ledgerAdded(ledger), bucket.version);
        await write.send((timeoutMs) =>
          this.#store.appendAll([created, added], { commitId, timeoutMs }),
        );
        return handOut(info);
      },
    );
  }

  /** Sets keys; others stay. @throws {LedgerNotFoundError} */
  setMetadata(
    name: string,
    set: Readonly<Record<string, unknown>>,
    options: WriteOptions,
  ): Promise<LedgerInfo> {
    return this.#changeLedger(name, options, ({ info }) => {
      const changed = ledgerInfo({ ...info, metadata: { ...info.metadata, ...set } });
      return { info: changed, event: ledgerMetadataSet(changed, set) };
    });
  }

  /** Removes keys; those that are not there need not be. @throws {LedgerNotFoundError} */
  deleteMetadata(
    name: string,
    keys: readonly string[],
    options: WriteOptions,
  ): Promise<LedgerInfo> {
    return this.#changeLedger(name, options, ({ info }) => {
      const deleted = keys.filter((key) => Object.hasOwn(info.metadata, key));
      if (deleted.length === 0) return undefined;
      const left = Object.entries(info.metadata).filter(([key]) => !deleted.includes(key));
      const changed = ledgerInfo({ ...info, metadata: Object.fromEntries(left) });
      return { info: changed, event: ledgerMetadataDeleted(changed, deleted) };
    });
  }

  /** @throws {LedgerBucketNotFoundError} also of one that is deleted already */
  deleteBucket(bucket: string, options: WriteOptions): Promise<void> {
    return this.#changeBucket(bucket, options, (now) => {
      assertNotDeleted(bucket, now);
      return bucketDeleted();
    });
  }

  /** Nothing to do for a bucket that is not deleted. @throws {LedgerBucketNotFoundError} */
  restoreBucket(bucket: string, options: WriteOptions): Promise<void> {
    return this.#changeBucket(bucket, options, ({ deleted }) =>
      deleted ? bucketRestored() : undefined,
    );
  }

  /** Ledgers by name, those of deleted buckets left out; asked of the server each time. */
  list(options: LedgerListOptions): Promise<Page<LedgerInfo>> {
    const { readTimeoutMs } = this.#internals.context.limits;
    return listLedgers(this.#log, this.#cache, readTimeoutMs, options);
  }

  /** Buckets by name, the deleted ones too; asked of the server each time. */
  listBuckets(options: PageOptions): Promise<Page<BucketInfo>> {
    return listBuckets(this.#log, this.#internals.context.limits.readTimeoutMs, options);
  }

  async #entry(name: string, signal: AbortSignal | undefined): Promise<DirectoryEntry> {
    const entry = await this.#cache.get(name, signal);
    const { bucket } = entry.info;
    const known = this.#buckets.watch(bucket);
    if (known.deleted && known.version > entry.bucketVersion) throw inDeletedBucket(name, bucket);
    return entry;
  }

  async #load(name: string, bounds: ReadBounds): Promise<DirectoryEntry> {
    const { info, version } = await this.#existing(name, bounds);
    // Before its state is asked for: what is changed from here on is heard of.
    this.#buckets.watch(info.bucket);
    const bucket = await this.#log.bucket(info.bucket, bounds);
    this.#buckets.learn(info.bucket, bucket);
    if (bucket.deleted) throw inDeletedBucket(name, info.bucket);
    return { info, version, bucketVersion: bucket.version };
  }

  async #existing(name: string, bounds: ReadBounds): Promise<LedgerRecord> {
    const record = await this.#log.ledger(name, bounds);
    if (record === undefined) throw new LedgerNotFoundError(name, "nobody has created it");
    return record;
  }

  /** What an earlier call with the same commit id created. @throws {LedgerExistsError} it was another call */
  async #ownCreation(
    existing: LedgerRecord,
    asked: NewLedger,
    commitId: string,
    bounds: ReadBounds,
  ): Promise<LedgerInfo> {
    const creation = await this.#log.creation(existing, bounds);
    // The commits of an appendAll are numbered in the order of their subjects: bucket, ledger.
    if (creation?.commitId === `${commitId}/1`) {
      const info = ledgerAfter(creation);
      const { name, bucket, metadata, settings } = info;
      if (sameValue({ name, bucket, metadata, settings }, { ...asked })) return info;
    }
    throw new LedgerExistsError(asked.name, existing.info.bucket);
  }

  #changeLedger(
    name: string,
    options: WriteOptions,
    decide: (
      now: LedgerRecord,
    ) => { readonly info: LedgerInfo; readonly event: DirectoryEvent } | undefined,
  ): Promise<LedgerInfo> {
    const actor = ledgerActor(name);
    const write = this.#begin(actor, options);
    return this.#change(
      write,
      () => this.#cache.evict(name),
      async () => {
        const now = await this.#existing(name, write.bounds());
        const { deleted } = await this.#log.bucket(now.info.bucket, write.bounds());
        if (deleted) throw inDeletedBucket(name, now.info.bucket);
        const change = decide(now);
        if (change === undefined) return handOut(now.info);
        await write.send((timeoutMs) =>
          this.#store.append(actor, [change.event], { expectedVersion: now.version, timeoutMs }),
        );
        return handOut(change.info);
      },
    );
  }

  #changeBucket(
    bucket: string,
    options: WriteOptions,
    decide: (now: BucketRecord) => DirectoryEvent | undefined,
  ): Promise<void> {
    const actor = bucketActor(bucket);
    const write = this.#begin(actor, options);
    return this.#change(
      write,
      () => this.#cache.evictBucket(bucket),
      async () => {
        const now = await this.#log.bucket(bucket, write.bounds());
        if (now.version === 0) throw new LedgerBucketNotFoundError(bucket, "it has no ledgers");
        const event = decide(now);
        if (event === undefined) return this.#buckets.learn(bucket, now);
        const { version } = await write.send((timeoutMs) =>
          this.#store.append(actor, [event], { expectedVersion: now.version, timeoutMs }),
        );
        this.#buckets.learn(bucket, { version, deleted: !now.deleted });
      },
    );
  }

  #begin(
    actor: { readonly type: string; readonly id: string },
    options: WriteOptions,
  ): DirectoryWrite {
    const { appendTimeoutMs } = this.#internals.context.limits;
    return new DirectoryWrite(actor, options.timeoutMs ?? appendTimeoutMs, options.signal);
  }

  /**
   * Runs a change to its end, also when its caller has left. What it may have made stale is evicted when it is
   * acknowledged, and when its outcome is unknown, never before; a refused one evicts nothing.
   */
  #change<Result>(
    write: DirectoryWrite,
    evict: () => void,
    attempt: () => Promise<Result>,
  ): Promise<Result> {
    const evictIfStored = (error: unknown): never => {
      if (write.mayBeStored) evict();
      throw error;
    };
    const settled = write.run(this.#mutex, attempt).then((result) => {
      evict();
      return result;
    }, evictIfStored);
    return abortable(settled, write.signal).catch(evictIfStored);
  }

  #listener(): DirectoryListener {
    return {
      ledgerChanged: (name, version) => {
        this.#cache.evict(name, (entry) => entry.version < version);
      },
      bucketChanged: (bucket, now) => {
        this.#buckets.learn(bucket, now);
        this.#cache.evictBucket(bucket, (entry) => entry.bucketVersion < now.version);
      },
      missed: () => this.#cache.clear(),
      resume: (signal) => this.#relearn(signal),
    };
  }

  /** Asks how the buckets of opened ledgers are now. */
  async #relearn(signal: AbortSignal): Promise<void> {
    const { readTimeoutMs } = this.#internals.context.limits;
    const { names } = this.#buckets;
    for (let at = 0; at < names.length; at += CHUNK) {
      await Promise.all(
        names.slice(at, at + CHUNK).map(async (bucket) => {
          const now = await this.#log.bucket(bucket, { timeoutMs: readTimeoutMs, signal });
          this.#buckets.learn(bucket, now);
        }),
      );
    }
  }

  readonly #onRollback = (): void => {
    this.#cache.clear();
    this.#buckets.forget();
  };
}

function entryOf(
  actor: { readonly type: string; readonly id: string },
  event: DirectoryEvent,
  expectedVersion: number,
): Parameters<DirectoryStore["appendAll"]>[0][number] {
  return { actor, events: [event], expectedVersion };
}

function assertNotDeleted(bucket: string, { deleted }: BucketRecord): void {
  if (deleted) throw new LedgerBucketNotFoundError(bucket, "it was deleted; restore it first");
}

function inDeletedBucket(name: string, bucket: string): LedgerNotFoundError {
  return new LedgerNotFoundError(name, `its bucket "${bucket}" was deleted`);
}
