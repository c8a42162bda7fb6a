import { InvalidArgumentError } from "../errors.ts";
import { count } from "../store/options.ts";
import type { ValueFormat } from "./plain-value.ts";

/** State in this process alone. Made by {@link memoryState}. */
export interface MemoryStateOptions {
  readonly kind: "memory";
  /** undefined = none are written. */
  readonly snapshot: SnapshotOptions | undefined;
}

/** Snapshots of state in memory, with all defaults filled in. */
export interface SnapshotOptions {
  readonly bucket: string;
  readonly everyEvents: number;
  readonly replicas: number | undefined;
  readonly requestTimeoutMs: number;
}

/** State in a NATS KV bucket, with all defaults filled in. Made by {@link kvState}. */
export interface KvStateOptions {
  readonly kind: "kv";
  readonly bucket: string;
  readonly values: ValueFormat;
  readonly generationEvents: number;
  readonly maxBatchBytes: number;
  readonly replicas: number | undefined;
  readonly requestTimeoutMs: number;
}

/** Where a projector keeps its state. */
export type StateOptions = MemoryStateOptions | KvStateOptions;

/** How to keep state in a NATS KV bucket. */
export interface KvStateSettings {
  /**
   * Name of the bucket, of letters, digits, `_` and `-`. Version n of the projection is kept in the bucket
   * `<bucket>_v<n>`; the entry `live` of `<bucket>` says which version readers are to use.
   */
  readonly bucket: string;
  /** How values are stored; JSON has no bigints, dates and bytes. @default "msgpack" */
  readonly values?: ValueFormat | undefined;
  /**
   * Events of a generation: the values that the last one to two generations of events touched are cached. Two
   * generations bound the memory. @default 100000
   */
  readonly generationEvents?: number | undefined;
  /** Bytes of an atomic batch at most. @default 8388608 */
  readonly maxBatchBytes?: number | undefined;
  /** Replicas of new buckets. @default those of the store's stream */
  readonly replicas?: number | undefined;
  /** Wait for one answer of the server. @default 5000 */
  readonly requestTimeoutMs?: number | undefined;
}

/** How to keep state in memory. */
export interface MemoryStateSettings {
  /** Keep snapshots, so that a start need not read the whole stream. @default none */
  readonly snapshot?: SnapshotSettings | undefined;
}

/** How to keep snapshots of state in memory. */
export interface SnapshotSettings {
  /**
   * Name of the NATS KV bucket, of letters, digits, `_` and `-`. The snapshots of version n of the projection are kept in
   * the bucket `<bucket>_v<n>`, for all processes that run it.
   */
  readonly bucket: string;
  /**
   * Applied events behind the last snapshot, whoever wrote it, after which the next one is written; also one when the
   * projector closes. Each is the whole state. @default 100000
   */
  readonly everyEvents?: number | undefined;
  /** Replicas of a new bucket. @default those of the store's stream */
  readonly replicas?: number | undefined;
  /** Wait for one answer of the server. @default 5000 */
  readonly requestTimeoutMs?: number | undefined;
}

/**
 * Keeps the state in memory: the fastest, for state that fits. It is built anew from the stream at each start, or, with
 * `snapshot`, from the last snapshot and what was appended since.
 *
 * Snapshots only save time. One that is damaged, or was made of a stream that has been rolled back since, is passed over;
 * one that cannot be written holds up nothing: the channel `annal:projection:snapshot` says so. Several processes may
 * keep the same projection in memory: they share the snapshots, and one of them writes each.
 *
 * @throws {InvalidArgumentError}
 * @example
 * const state = memoryState({ snapshot: { bucket: "balances" } });
 * const projector = await startProjector(store, balances, { state });
 */
export function memoryState(settings: MemoryStateSettings = {}): MemoryStateOptions {
  const { snapshot } = settings;
  if (snapshot === undefined) return { kind: "memory", snapshot: undefined };
  const { bucket, replicas } = snapshot;
  checkBucket("snapshot.bucket", bucket);
  return {
    kind: "memory",
    snapshot: {
      bucket,
      everyEvents: count("snapshot.everyEvents", snapshot.everyEvents ?? 100_000, 1),
      replicas: replicas === undefined ? undefined : count("snapshot.replicas", replicas, 1),
      requestTimeoutMs: count("snapshot.requestTimeoutMs", snapshot.requestTimeoutMs ?? 5_000, 1),
    },
  };
}

/**
 * Keeps the state in a NATS KV bucket, an entry a key, readable by any client of NATS: key `<table>.<id>` with every
 * byte of the id outside `[A-Za-z0-9_-]` as `=HH`.
 *
 * @throws {InvalidArgumentError}
 */
export function kvState(settings: KvStateSettings): KvStateOptions {
  const { bucket, values = "msgpack", replicas } = settings;
  checkBucket("bucket", bucket);
  if (values !== "msgpack" && values !== "json") {
    throw new InvalidArgumentError("values", '"msgpack" or "json"', values);
  }
  return {
    kind: "kv",
    bucket,
    values,
    generationEvents: count("generationEvents", settings.generationEvents ?? 100_000, 1),
    maxBatchBytes: count("maxBatchBytes", settings.maxBatchBytes ?? 8 << 20, 1_024),
    replicas: replicas === undefined ? undefined : count("replicas", replicas, 1),
    requestTimeoutMs: count("requestTimeoutMs", settings.requestTimeoutMs ?? 5_000, 1),
  };
}

function checkBucket(argument: string, bucket: unknown): void {
  if (typeof bucket === "string" && /^[A-Za-z0-9_-]{1,200}$/.test(bucket)) return;
  throw new InvalidArgumentError(argument, "a name of letters, digits, _ and -", bucket);
}
