import { CorruptStateError } from "../projection/errors.ts";
import { openBucket } from "../projection/open-state.ts";
import type { EventMap } from "../store/event.ts";
import type { EventStore } from "../store/event-store.ts";
import { internalsOf } from "../store/internals.ts";
import { count } from "../store/options.ts";
import { type LedgerSnapshotMessage, ledgerChannels } from "./diagnostics.ts";
import { CorruptSnapshotError } from "./errors.ts";
import { checkName } from "./names.ts";
import { readChunks } from "./snapshot-store-chunks.ts";
import {
  assertCheckpoint,
  type LedgerCheckpoint,
  type LedgerManifest,
} from "./snapshot-store-manifest.ts";
import {
  LedgerSnapshotWriter,
  type SnapshotPlace,
  type WriteOptions,
  type WriteOutcome,
} from "./snapshot-store-writer.ts";

export type { LedgerCheckpoint } from "./snapshot-store-manifest.ts";
export type { WriteOptions, WriteOutcome } from "./snapshot-store-writer.ts";

/** The state of a ledger as it was written. */
export interface LedgerSnapshot {
  readonly checkpoint: LedgerCheckpoint;
  /** As they were given to {@link SnapshotStore.write}, each with a buffer of its own. */
  readonly chunks: readonly Uint8Array[];
}

/** Where the snapshots of a ledger are kept. */
export interface SnapshotStoreOptions {
  /** Name of the NATS KV bucket, for the snapshots of all ledgers of the store; made where it is not there. */
  readonly bucket: string;
  readonly ledger: string;
  /** Journal entries behind the last snapshot, whoever wrote it, that are worth a new one. */
  readonly everyEntries: number;
  /** Wait for one answer of the server. */
  readonly requestTimeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

const ATTEMPTS = 2;

/**
 * The snapshots of one ledger: one that stands, and room for the next. What the chunks mean, and whether the commit of a
 * checkpoint still stands in the journal, is for the caller to know. Snapshots only save time.
 *
 * @example
 * const snapshots = await SnapshotStore.open(store, { bucket: "ledgers", ledger: "main", everyEntries: 100_000, requestTimeoutMs: 5_000 });
 * const restored = await snapshots.restore(signal);
 * if (restored !== undefined && !(await stands(restored.checkpoint))) snapshots.refuse(restored.checkpoint);
 */
export class SnapshotStore {
  readonly #place: SnapshotPlace;
  readonly #writer: LedgerSnapshotWriter;

  private constructor(place: SnapshotPlace) {
    this.#place = place;
    this.#writer = new LedgerSnapshotWriter(place);
  }

  /** @throws {InvalidArgumentError}; what keeps the bucket from being opened, as `Bucket.open`; the signal's reason */
  static async open<Events extends EventMap>(
    store: EventStore<Events>,
    options: SnapshotStoreOptions,
  ): Promise<SnapshotStore> {
    const ledger = checkName("ledger", options.ledger);
    const everyEntries = count("everyEntries", options.everyEntries, 1);
    const requestTimeoutMs = count("requestTimeoutMs", options.requestTimeoutMs, 1);
    const { signal } = options;
    const access = { timeoutMs: requestTimeoutMs, signal };
    const bucket = await openBucket(internalsOf(store), options.bucket, access);
    return new SnapshotStore({ bucket, ledger, everyEntries, requestTimeoutMs });
  }

  /**
   * The last snapshot, whole; undefined where there is none, and where it cannot be used or reached: then the channel
   * `annal:ledger:snapshot` says why.
   *
   * @throws the signal's reason
   */
  async restore(signal: AbortSignal): Promise<LedgerSnapshot | undefined> {
    const startedAt = performance.now();
    let version: number | undefined;
    let failure: unknown;
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      try {
        const standing = await this.#writer.standing(signal);
        if (standing === undefined) return undefined;
        const { manifest } = standing;
        if (manifest instanceof Error) throw this.#named(manifest);
        const { checkpoint, bytes } = manifest;
        version = checkpoint.version;
        const chunks = await this.#read(standing.sequence, manifest, signal);
        this.#tell("restored", startedAt, { version, chunks: chunks.length, bytes });
        return { checkpoint, chunks };
      } catch (error) {
        signal.throwIfAborted();
        failure = error;
      }
    }
    this.#tell("ignored", startedAt, { version, reason: reasonOf(failure) });
    return undefined;
  }

  /**
   * How far the last snapshot is, as the leader has it; its chunks are not looked at.
   *
   * @throws {SnapshotFormatError} it was written by a newer release; {CorruptSnapshotError} its manifest cannot be read;
   * what keeps it from asking the server; the signal's reason
   */
  async standing(signal: AbortSignal): Promise<LedgerCheckpoint | undefined> {
    const manifest = (await this.#writer.standing(signal))?.manifest;
    if (manifest instanceof Error) throw this.#named(manifest);
    return manifest?.checkpoint;
  }

  /**
   * The commit of a checkpoint, which this store gave, does not stand in the journal: a snapshot there may be replaced,
   * however far it is.
   */
  refuse(checkpoint: LedgerCheckpoint): void {
    this.#writer.refuse(checkpoint);
  }

  /**
   * Writes a snapshot. It is needless where one stands that is as far, or less than `everyEntries` behind, where another
   * process, or another call, is writing one, and where one stands that a newer release wrote.
   *
   * @param chunks of any size and number; they must not change until this settles
   * @throws what the chunks throw; {InvalidArgumentError} of the checkpoint; {CorruptSnapshotError} what tells writers
   * apart cannot be read; what keeps it from being written; the signal's reason
   */
  async write(
    checkpoint: LedgerCheckpoint,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    signal: AbortSignal,
    options: WriteOptions = {},
  ): Promise<WriteOutcome> {
    assertCheckpoint(checkpoint);
    if (options.everyEntries !== undefined) count("everyEntries", options.everyEntries, 1);
    const startedAt = performance.now();
    const { version } = checkpoint;
    try {
      const outcome = await this.#writer.write(checkpoint, chunks, signal, options);
      if (outcome.kind === "written") this.#tell("written", startedAt, { version, ...outcome });
      else this.#tell("dropped", startedAt, { version, reason: outcome.reason });
      return outcome;
    } catch (error) {
      const failure = this.#named(error);
      this.#tell("dropped", startedAt, { version, reason: reasonOf(failure) });
      throw failure;
    }
  }

  async #read(
    sequence: number,
    manifest: LedgerManifest,
    signal: AbortSignal,
  ): Promise<readonly Uint8Array[]> {
    const { bucket, ledger, requestTimeoutMs: timeoutMs } = this.#place;
    try {
      return await readChunks(bucket, ledger, manifest, { timeoutMs, signal });
    } catch (error) {
      // It may as well have been written over meanwhile: then another manifest stands there.
      if (error instanceof CorruptStateError) this.#writer.giveUp(sequence);
      throw this.#named(error);
    }
  }

  /** The same of a ledger. */
  #named(error: unknown): unknown {
    if (!(error instanceof CorruptStateError)) return error;
    const { ledger } = this.#place;
    const { bucket, key, reason } = error;
    return new CorruptSnapshotError({ ledger, bucket, key }, reason, { cause: error });
  }

  #tell(
    what: LedgerSnapshotMessage["what"],
    startedAt: number,
    of: Pick<LedgerSnapshotMessage, "version"> & Partial<LedgerSnapshotMessage>,
  ): void {
    if (!ledgerChannels.snapshot.hasSubscribers) return;
    const { version, chunks = 0, bytes = 0, reason } = of;
    const durationMs = performance.now() - startedAt;
    const { ledger } = this.#place;
    ledgerChannels.snapshot.publish({ ledger, what, version, chunks, bytes, durationMs, reason });
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
