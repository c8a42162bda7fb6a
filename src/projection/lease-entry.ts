import { type Backoff, backoffMs, sleep } from "../internal/backoff.ts";
import type { Bucket, BucketEntry } from "../nats/bucket.ts";
import { isPassing } from "../nats/passing.ts";
import type { PublishOutcome } from "../nats/publish.ts";
import { assertPassing } from "./put-until-known.ts";

/** What the holder of a lease writes. */
export interface LeaseRecord {
  /** Id of the holder, unlike any other contender's. */
  readonly holder: string;
  /** How long the holder may go without renewing it. */
  readonly ttlMs: number;
  /** Made anew for each renewal: by it the holder recognises its own write whose ack was lost. */
  readonly renewal: string;
}

/** A lease as it stands in its bucket. */
export interface StandingLease {
  /** Sequence of the entry; 0 where there never was one. */
  readonly sequence: number;
  /** undefined where nobody holds it. */
  readonly record: LeaseRecord | undefined;
}

/** The longest that a lease may be given without renewal. */
export const MAX_TTL_MS = 3_600_000;

const RETRY: Backoff = { firstMs: 10, maxMs: 250 };

/** The entry of a bucket that holds a lease. All tries go on until their outcome is known, or the signal aborts. */
export class LeaseEntry {
  readonly key: string;
  readonly #bucket: Bucket;
  readonly #ttlMs: number;
  readonly #attemptMs: number;

  /** @param ttlMs also what an entry counts for that is no readable record */
  constructor(bucket: Bucket, key: string, ttlMs: number) {
    this.key = key;
    this.#bucket = bucket;
    this.#ttlMs = ttlMs;
    this.#attemptMs = Math.ceil(ttlMs / 3);
  }

  /** As the leader has it. */
  async read(signal: AbortSignal): Promise<StandingLease> {
    for (let attempt = 1; ; attempt++) {
      try {
        const bounds = { timeoutMs: this.#attemptMs, signal };
        return this.parse(await this.#bucket.leaderGet(this.key, bounds));
      } catch (error) {
        signal.throwIfAborted();
        if (!isPassing(error)) throw error;
      }
      await sleep(backoffMs(RETRY, attempt), signal);
    }
  }

  /**
   * Writes a record, if nothing was written since the expected sequence.
   *
   * @returns the sequence of the entry; undefined where another one was faster
   */
  async write(
    record: LeaseRecord,
    expectedSequence: number,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const data = Buffer.from(JSON.stringify(record));
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      const stored = await this.#put(data, expectedSequence);
      if (stored !== undefined) return stored;
      // Not stored, or nobody knows: what stands there now tells.
      const standing = await this.read(signal);
      if (standing.record?.renewal === record.renewal) return standing.sequence;
      if (standing.sequence !== expectedSequence) return undefined;
      await sleep(backoffMs(RETRY, attempt), signal);
    }
  }

  /** Removes the record, if it is the holder's. */
  async clear(holder: string, signal: AbortSignal): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const { sequence, record } = await this.read(signal);
      if (record?.holder !== holder) return;
      if ((await this.#put(undefined, sequence)) !== undefined) return;
      await sleep(backoffMs(RETRY, attempt), signal);
    }
  }

  /** What is written behind a sequence, without end. */
  changes(behind: number): AsyncIterableIterator<readonly BucketEntry[]> {
    const selection = { filter: this.key, fromSequence: behind + 1, until: "never" } as const;
    return this.#bucket.entries(selection);
  }

  parse(entry: BucketEntry | undefined): StandingLease {
    if (entry === undefined) return { sequence: 0, record: undefined };
    const { sequence, deleted, data } = entry;
    if (deleted) return { sequence, record: undefined };
    const unreadable: LeaseRecord = { holder: "", ttlMs: this.#ttlMs, renewal: "" };
    return { sequence, record: parseRecord(data) ?? unreadable };
  }

  /** One attempt; undefined where it is not known to be stored. */
  async #put(data: Uint8Array | undefined, expected: number): Promise<number | undefined> {
    let outcome: PublishOutcome;
    try {
      outcome = await this.#bucket.put({ key: this.key, data }, expected, this.#attemptMs);
    } catch (error) {
      if (isPassing(error)) return undefined;
      throw error;
    }
    if (outcome.kind === "stored") return outcome.sequence;
    if (outcome.kind === "refused") assertPassing(outcome, this.#bucket);
    return undefined;
  }
}

function parseRecord(data: Uint8Array): LeaseRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(data).toString());
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { holder, ttlMs, renewal }: Readonly<Record<string, unknown>> = { ...value };
  const readable =
    typeof holder === "string" &&
    typeof renewal === "string" &&
    typeof ttlMs === "number" &&
    ttlMs > 0 &&
    ttlMs <= MAX_TTL_MS;
  return readable ? { holder, ttlMs, renewal } : undefined;
}
