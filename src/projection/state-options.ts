import { InvalidArgumentError } from "../errors.ts";
import { count } from "../store/options.ts";
import type { ValueFormat } from "./plain-value.ts";

/** State in this process alone. Made by {@link memoryState}. */
export interface MemoryStateOptions {
  readonly kind: "memory";
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
   * generations bound the memory. @default 50000
   */
  readonly generationEvents?: number | undefined;
  /** Bytes of an atomic batch at most. @default 8388608 */
  readonly maxBatchBytes?: number | undefined;
  /** Replicas of new buckets. @default those of the store's stream */
  readonly replicas?: number | undefined;
  /** Wait for one answer of the server. @default 5000 */
  readonly requestTimeoutMs?: number | undefined;
}

/** Keeps the state in memory, built anew from the stream at each start: the fastest, for state that fits. */
export function memoryState(): MemoryStateOptions {
  return { kind: "memory" };
}

/**
 * Keeps the state in a NATS KV bucket, an entry a key, readable by any client of NATS: key `<table>.<id>` with every
 * byte of the id outside `[A-Za-z0-9_-]` as `=HH`.
 *
 * @throws {InvalidArgumentError}
 */
export function kvState(settings: KvStateSettings): KvStateOptions {
  const { bucket, values = "msgpack", replicas } = settings;
  if (typeof bucket !== "string" || !/^[A-Za-z0-9_-]{1,200}$/.test(bucket)) {
    throw new InvalidArgumentError("bucket", "a name of letters, digits, _ and -", bucket);
  }
  if (values !== "msgpack" && values !== "json") {
    throw new InvalidArgumentError("values", '"msgpack" or "json"', values);
  }
  return {
    kind: "kv",
    bucket,
    values,
    generationEvents: count("generationEvents", settings.generationEvents ?? 50_000, 1),
    maxBatchBytes: count("maxBatchBytes", settings.maxBatchBytes ?? 8 << 20, 1_024),
    replicas: replicas === undefined ? undefined : count("replicas", replicas, 1),
    requestTimeoutMs: count("requestTimeoutMs", settings.requestTimeoutMs ?? 5_000, 1),
  };
}
