import { createHash } from "node:crypto";
import { toJson } from "../internal/json.ts";
import { uniqueIds } from "../internal/unique-ids.ts";
import type { Bucket, BucketEntry } from "../nats/bucket.ts";
import type { StoreInternals } from "../store/internals.ts";
import type { Owner } from "./bucket-identity.ts";
import {
  entryPlace,
  entryValue,
  type ExpectedPart,
  type ExpectedState,
  isDeadLetter,
  type Known,
} from "./check-expected.ts";
import { type Generations, TOMBSTONE } from "./generations.ts";
import { KvState } from "./kv-state.ts";
import { openBucket } from "./open-state.ts";
import type { StateBackend } from "./state-backend.ts";
import type { KvStateOptions } from "./state-options.ts";

/** How a scratch bucket is made. */
export interface ScratchParts {
  readonly internals: StoreInternals;
  /** Name of the bucket that is checked. */
  readonly bucket: string;
  readonly owner: Owner;
  /** What a projector's batches are bounded by. */
  readonly limits: StateBackend["limits"];
  readonly state: KvStateOptions;
  /** Keys of a part at most, about. */
  readonly maxKeys: number;
}

/** The expected state in a bucket of its own, which goes with it: for state that does not fit into memory. */
export class ExpectedInBucket implements ExpectedState {
  readonly format: StateBackend["format"];
  readonly limits: StateBackend["limits"];
  readonly cache: Generations;
  readonly maxFetchKeys = 900;
  readonly #bucket: Bucket;
  readonly #backend: KvState;
  readonly #parts: ScratchParts;
  #partCount = 1;

  private constructor(parts: ScratchParts, bucket: Bucket, backend: KvState, cache: Generations) {
    this.#parts = parts;
    this.#bucket = bucket;
    this.#backend = backend;
    this.cache = cache;
    this.format = backend.format;
    this.limits = parts.limits;
  }

  /** Makes the bucket; whoever does, must {@link close} it, or it stays. */
  static async open(parts: ScratchParts, signal: AbortSignal): Promise<ExpectedInBucket> {
    const { internals, owner, state } = parts;
    const { requestTimeoutMs: timeoutMs, generationEvents, maxBatchBytes } = state;
    const name = `${parts.bucket}_check_${uniqueIds()()}`;
    const bucket = await openBucket(internals, name, { replicas: 1, timeoutMs, signal });
    const bounds = { generationEvents, maxBatchBytes, requestTimeoutMs: timeoutMs };
    const backend = new KvState({ bucket, owner, ...bounds });
    try {
      const { cache } = await backend.claim(signal);
      return new ExpectedInBucket(parts, bucket, backend, cache);
    } catch (error) {
      await bucket.destroy();
      throw error;
    }
  }

  get partCount(): number {
    return this.#partCount;
  }

  fetch(...args: Parameters<StateBackend["fetch"]>): ReturnType<StateBackend["fetch"]> {
    return this.#backend.fetch(...args);
  }

  commit(...args: Parameters<StateBackend["commit"]>): ReturnType<StateBackend["commit"]> {
    return this.#backend.commit(...args);
  }

  async lookup(keys: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, Known>> {
    const timeoutMs = this.#parts.state.requestTimeoutMs;
    const found = new Map<string, Known>();
    for (const [key, entry] of await this.#bucket.fetch(keys, { timeoutMs, signal })) {
      const [position = 0, index = 0] = (entryPlace(entry) ?? "").split(".").map(Number);
      const cell = entry.deleted ? TOMBSTONE : entryValue(entry, this.format);
      found.set(key, { cell, position, index });
    }
    return found;
  }

  /** Each part reads the whole bucket once, and holds digests of its own entries only. */
  async *parts(signal: AbortSignal): AsyncIterableIterator<ExpectedPart> {
    const { messages } = await this.#bucket.state();
    this.#partCount = Math.max(1, Math.ceil(messages / this.#parts.maxKeys));
    for (let number = 0; number < this.#partCount; number++) {
      const part = new DigestedPart(number, this.#partCount);
      for await (const batch of this.#bucket.entries({ until: "head", signal })) {
        for (const entry of batch) if (part.holds(entry.key)) part.add(entry);
      }
      yield part;
    }
  }

  close(): Promise<void> {
    return this.#bucket.destroy();
  }
}

/** Bytes of a digest: enough that no two values have the same by chance. */
const DIGEST_BYTES = 16;

/** The entries of one part of the key space, as digests of what they must be. */
export class DigestedPart implements ExpectedPart {
  readonly #number: number;
  readonly #count: number;
  readonly #digests = new Map<string, string>();

  /** @param number from 0 */
  constructor(number: number, count: number) {
    this.#number = number;
    this.#count = count;
  }

  /** Takes an expected entry; of several of a key, the last. */
  add(entry: BucketEntry): void {
    const { key, deleted } = entry;
    if (key.startsWith("_") && !isDeadLetter(key)) return;
    if (deleted) this.#digests.delete(key);
    else this.#digests.set(key, digestOf(entry));
  }

  holds(key: string): boolean {
    return hashOf(key) % this.#count === this.#number;
  }

  matches(entry: BucketEntry): boolean {
    const expected = this.#digests.get(entry.key);
    this.#digests.delete(entry.key);
    return expected === (entry.deleted ? undefined : digestOf(entry));
  }

  unseen(): Iterable<string> {
    return this.#digests.keys();
  }
}

function digestOf(entry: BucketEntry): string {
  const data = isDeadLetter(entry.key) ? comparedText(entry) : entry.data;
  const hash = createHash("sha256")
    .update(`${entryPlace(entry)}\n`)
    .update(data)
    .digest();
  return hash.toString("latin1", 0, DIGEST_BYTES);
}

/** Not all of a dead letter is compared, so its bytes cannot be. */
function comparedText(entry: BucketEntry): string {
  try {
    return toJson(entryValue(entry, "json"));
  } catch {
    return "unreadable";
  }
}

/** A number of 32 bits that a key always has (FNV-1a). */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) {
    hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  }
  return hash >>> 0;
}
