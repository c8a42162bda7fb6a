import { LruMap } from "../internal/lru-map.ts";
import type { BucketRecord } from "./directory-log.ts";

/** What this process knows of a bucket; who holds it sees what is learned later. */
export interface KnownBucket {
  readonly version: number;
  readonly deleted: boolean;
}

interface Knowledge {
  version: number;
  deleted: boolean;
}

/**
 * Which buckets are known to be deleted, so that what was opened before stops working. Later versions of a bucket win, in
 * whatever order they are learned.
 */
export class KnownBuckets {
  /** Those that somebody looks at for good: buckets of opened ledgers. */
  readonly #kept = new Map<string, Knowledge>();
  /** Those of ledgers that were loaded. */
  readonly #passing: LruMap<string, Knowledge>;

  constructor(maxPassing: number) {
    this.#passing = new LruMap(maxPassing);
  }

  /** Names of those that are kept. */
  get names(): readonly string[] {
    return [...this.#kept.keys()];
  }

  /** Takes note of the bucket from now on, for a while at least. */
  watch(bucket: string): KnownBucket {
    const known = this.#find(bucket) ?? { version: 0, deleted: false };
    if (!this.#kept.has(bucket)) this.#passing.set(bucket, known);
    return known;
  }

  /** Takes note of it for good. */
  keep(bucket: string): KnownBucket {
    const known = this.#find(bucket) ?? { version: 0, deleted: false };
    this.#passing.delete(bucket);
    this.#kept.set(bucket, known);
    return known;
  }

  /** Of a bucket that nobody has asked to take note of, nothing is remembered. */
  learn(bucket: string, { version, deleted }: BucketRecord): void {
    const known = this.#find(bucket);
    if (known === undefined || version < known.version) return;
    known.version = version;
    known.deleted = deleted;
  }

  /** The stream is another one: what is learned from now on counts, whatever its version. */
  forget(): void {
    for (const known of this.#kept.values()) known.version = 0;
    for (const [, known] of this.#passing.entries()) known.version = 0;
  }

  #find(bucket: string): Knowledge | undefined {
    return this.#kept.get(bucket) ?? this.#passing.get(bucket);
  }
}
