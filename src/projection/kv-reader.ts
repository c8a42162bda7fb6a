import { type Backoff, backoffMs, sleep } from "../internal/backoff.ts";
import type { Bucket, BucketEntry } from "../nats/bucket.ts";
import { CHECKPOINT_KEY } from "./checkpoint-writer.ts";
import { CorruptStateError } from "./errors.ts";
import type { ValueFormat } from "./plain-value.ts";
import type { EntriesOptions, StateEntry, WatchedEntry } from "./state-backend.ts";
import { bucketKeyOf, parseBucketKey, splitStateKey, type StateKey } from "./state-key.ts";
import { decodeValue } from "./value-codec.ts";

/** Header of an entry: the place of the event that changed it last, `<position>.<index>`. */
export const POSITION_HEADER = "Annal-Position";

const LAGGING: Backoff = { firstMs: 2, maxMs: 100 };
const MAX_LAGGING_ANSWERS = 8;

/** Reads the stored state of a projection. */
export class KvReader {
  readonly #bucket: Bucket;
  readonly #format: ValueFormat;
  readonly #timeoutMs: number;
  /** Sequence of the newest checkpoint that was seen. */
  #seen = 0;

  constructor(bucket: Bucket, format: ValueFormat, timeoutMs: number) {
    this.#bucket = bucket;
    this.#format = format;
    this.#timeoutMs = timeoutMs;
  }

  /** Later reads show at least what stood there with the checkpoint at this sequence. */
  seen(checkpointSequence: number): void {
    this.#seen = Math.max(this.#seen, checkpointSequence);
  }

  async read(key: StateKey, signal: AbortSignal | undefined): Promise<unknown> {
    const entry = await this.#entry(bucketKeyOf(key), signal);
    return entry === undefined || entry.deleted ? undefined : this.#valueOf(entry);
  }

  async *entries(table: string, options: EntriesOptions): AsyncIterableIterator<StateEntry> {
    const { prefix = "", after, limit = Number.POSITIVE_INFINITY, signal } = options;
    const first = prefix === "" ? undefined : bucketKeyOf(`${table}.${prefix}`);
    const behind = after === undefined ? undefined : bucketKeyOf(`${table}.${after}`);
    const start = first === undefined || (behind ?? "") >= first ? behind : keyBefore(first);
    let left = limit;
    if (left <= 0) return;
    const pages = this.#bucket.list({ prefix: table, after: start, signal });
    for await (const page of pages) {
      for (const entry of page) {
        if (first !== undefined && !entry.key.startsWith(first)) {
          if (entry.key > first) return;
          continue;
        }
        const key = parseBucketKey(entry.key);
        if (key === undefined) continue;
        yield {
          id: splitStateKey(key).id,
          value: this.#valueOf(entry),
          position: positionOf(entry),
        };
        if (--left <= 0) return;
      }
    }
  }

  async *watch(
    key: StateKey,
    signal: AbortSignal | undefined,
  ): AsyncIterableIterator<WatchedEntry> {
    const bucketKey = bucketKeyOf(key);
    const now = await this.#entry(bucketKey, signal);
    yield this.#watched(now);
    const fromSequence = (now?.sequence ?? 0) + 1;
    const changes = this.#bucket.entries({
      filter: bucketKey,
      fromSequence,
      until: "never",
      signal,
    });
    for await (const batch of changes) {
      const last = batch.at(-1);
      if (last !== undefined) yield this.#watched(last);
    }
  }

  /** What stands at a key, deletions included. */
  async #entry(
    bucketKey: string,
    signal: AbortSignal | undefined,
  ): Promise<BucketEntry | undefined> {
    const bounds = { timeoutMs: this.#timeoutMs, signal };
    if (!this.#bucket.replicated) return this.#bucket.get(bucketKey, bounds);
    for (let attempt = 1; ; attempt++) {
      const found = await this.#bucket.fetch([bucketKey, CHECKPOINT_KEY], bounds);
      const sequence = found.get(CHECKPOINT_KEY)?.sequence ?? 0;
      if (sequence >= this.#seen) {
        this.#seen = sequence;
        return found.get(bucketKey);
      }
      // The replicas lag for long, or the bucket is not the one any more that was seen: the leader tells.
      if (attempt === MAX_LAGGING_ANSWERS) return this.#bucket.leaderGet(bucketKey, bounds);
      await sleep(backoffMs(LAGGING, attempt), signal);
    }
  }

  #watched(entry: BucketEntry | undefined): WatchedEntry {
    if (entry === undefined) return { value: undefined, position: undefined };
    const value = entry.deleted ? undefined : this.#valueOf(entry);
    return { value, position: positionOf(entry) };
  }

  #valueOf(entry: BucketEntry): unknown {
    return readEntry(this.#bucket.name, entry, this.#format);
  }
}

/** The value of an entry. @throws {CorruptStateError} */
export function readEntry(bucket: string, entry: BucketEntry, format: ValueFormat): unknown {
  try {
    return decodeValue(entry.data, format);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CorruptStateError(bucket, entry.key, reason, { cause });
  }
}

/** The position in the header of an entry; undefined where a stranger wrote it. */
function positionOf(entry: BucketEntry): number | undefined {
  const text = /^(\d{1,16})\.\d{1,9}$/.exec(entry.headers.get(POSITION_HEADER) ?? "")?.[1];
  return text === undefined ? undefined : Number(text);
}

/** A text before `key` with no key of the bucket between the two. */
function keyBefore(key: string): string {
  const last = key.charCodeAt(key.length - 1);
  return `${key.slice(0, -1)}${String.fromCharCode(last - 1)}\u007F`;
}
