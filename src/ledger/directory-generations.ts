/** A place in the order of evictions: how many there were. */
export type Mark = number;

/**
 * When what was last evicted, in the order of evictions and not by a clock, so that a load can be asked whether anything
 * that concerns it was evicted since it began. At most `limit` records are kept; whose record was dropped counts as
 * evicted then, which costs a load of that age its place in the cache, and nothing else.
 */
export class Generations {
  readonly #limit: number;
  /** The one evicted longest ago first. */
  readonly #evicted = new Map<string, Mark>();
  #now: Mark = 0;
  /** What was marked before this has outlived its records. */
  #floor: Mark = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** To be taken before a load begins. */
  get mark(): Mark {
    return this.#now;
  }

  /** Names and buckets that it holds a record of. */
  get size(): number {
    return this.#evicted.size;
  }

  evictName(name: string): void {
    this.#record(nameKey(name));
  }

  evictBucket(bucket: string): void {
    this.#record(bucketKey(bucket));
  }

  evictAll(): void {
    this.#floor = ++this.#now;
    this.#evicted.clear();
  }

  /** Whether neither the name nor the bucket, nor everything, was evicted since the mark was taken. */
  isCurrent(mark: Mark, name: string, bucket: string): boolean {
    if (mark < this.#floor) return false;
    return this.#isBehind(mark, nameKey(name)) && this.#isBehind(mark, bucketKey(bucket));
  }

  #isBehind(mark: Mark, key: string): boolean {
    return (this.#evicted.get(key) ?? 0) <= mark;
  }

  #record(key: string): void {
    this.#evicted.delete(key);
    this.#evicted.set(key, ++this.#now);
    if (this.#evicted.size <= this.#limit) return;
    for (const [oldest, mark] of this.#evicted) {
      this.#evicted.delete(oldest);
      this.#floor = mark;
      return;
    }
  }
}

function nameKey(name: string): string {
  return `l ${name}`;
}

function bucketKey(bucket: string): string {
  return `b ${bucket}`;
}
