import { type Backoff, backoffMs, sleep } from "../internal/backoff.ts";
import type { Bucket, BucketEntry } from "../nats/bucket.ts";
import type { ReadBounds } from "../nats/direct.ts";
import { CHECKPOINT_KEY } from "./checkpoint-writer.ts";
import { CorruptStateError } from "./errors.ts";
import { keyChunks } from "./key-chunks.ts";
import type { ValueFormat } from "./plain-value.ts";
import type { EntriesOptions, StateEntry, WatchedEntry } from "./state-backend.ts";
import { bucketKeyOf, parseBucketKey, splitStateKey, type StateKey } from "./state-key.ts";
import { decodeValue } from "./value-codec.ts";

/** Header of an entry: the place of the event that changed it last, `<position>.<index>`. */
export const POSITION_HEADER = "Annal-Position";

const LAGGING: Backoff = { firstMs: 2, maxMs: 100 };
const MAX_LAGGING_ANSWERS = 8;
/** Few, because their values must fit into what the server sends in one answer. */
const ENTRIES_AT_ONCE = 256;

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
    for await (const page of this.#bucket.keyPages({ prefix: table, after: start, signal })) {
      const keys = first === undefined ? page : page.filter((key) => key.startsWith(first));
      for await (const entry of this.#entriesAt(keys, signal)) {
        const key = parseBucketKey(entry.key);
        if (key === undefined) continue;
        const { id } = splitStateKey(key);
        yield { id, value: this.#valueOf(entry), position: positionOf(entry) };
        if (--left <= 0) return;
      }
      if (keys.length === 0 || keys.at(-1) !== page.at(-1)) return;
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
    return (await this.#fetch([bucketKey], bounds)).get(bucketKey);
  }

  /** What stands at the keys, without those that are deleted, in the order of the keys. */
  async *#entriesAt(
    keys: readonly string[],
    signal: AbortSignal | undefined,
  ): AsyncIterableIterator<BucketEntry> {
    for (const chunk of keyChunks(this.#bucket, keys, ENTRIES_AT_ONCE)) {
      const found = await this.#fetch(chunk, { timeoutMs: this.#timeoutMs, signal });
      for (const key of chunk) {
        const entry = found.get(key);
        if (entry !== undefined && !entry.deleted) yield entry;
      }
    }
  }

  /** What stands at the keys, not before what was seen; of one moment, unless the leader had to be asked. */
  async #fetch(
    keys: readonly string[],
    bounds: ReadBounds,
  ): Promise<ReadonlyMap<string, BucketEntry>> {
    const bucket = this.#bucket;
    if (!bucket.replicated) return bucket.fetch(keys, bounds);
    for (let attempt = 1; attempt <= MAX_LAGGING_ANSWERS; attempt++) {
      if (attempt > 1) await sleep(backoffMs(LAGGING, attempt - 1), bounds.signal);
      const found = await bucket.fetch([...keys, CHECKPOINT_KEY], bounds);
      const sequence = found.get(CHECKPOINT_KEY)?.sequence ?? 0;
      if (sequence < this.#seen) continue;
      this.#seen = sequence;
      return found;
    }
    // The replicas lag for long, or the bucket is not the one any more that was seen: the leader tells.
    const entries = await Promise.all(keys.map((key) => bucket.leaderGet(key, bounds)));
    return new Map(entries.flatMap((entry) => (entry === undefined ? [] : [[entry.key, entry]])));
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
