import { ClosedError, OverloadedError, ReadTimeoutError } from "../errors.ts";
import { abortable } from "../internal/abort.ts";
import { LruMap } from "../internal/lru-map.ts";
import { Slots } from "../internal/slots.ts";
import { Generations, type Mark } from "./directory-generations.ts";

/** What the cache works with. */
export interface DirectoryCacheOptions<Value> {
  /** Zero or less: nothing is stored, and nothing is kept account of. */
  readonly ttlMs: number;
  /** How long a load may take, its wait for a slot included. */
  readonly loadTimeoutMs: number;
  /** Names at most, and as many records of evictions. @default 10,000 */
  readonly maxNames?: number | undefined;
  /** Loads that ask at once. @default 64 */
  readonly maxLoadsInFlight?: number | undefined;
  /** Loads that may wait for their turn. @default 10,000 */
  readonly maxQueuedLoads?: number | undefined;
  /** A clock that never goes back, in milliseconds. */
  readonly now: () => number;
  /** Asks the server; `signal` aborts when the time is over. */
  readonly load: (name: string, signal: AbortSignal) => Promise<Value>;
  readonly bucketOf: (value: Value) => string;
}

/** When a load began: by the clock, and in the order of evictions. */
export interface LoadStart {
  readonly atMs: number;
  readonly mark: Mark;
}

interface Entry<Value> {
  readonly value: Value;
  readonly bucket: string;
  readonly startedAtMs: number;
}

/**
 * What was loaded of each name, for as long as it may be used. Callers of one name share one load; what was evicted while
 * it was being loaded is not stored, and is not given to who asks after the eviction. Callers share the values: they must
 * be such that nobody can change them, or be copied by whoever hands them out.
 */
export class DirectoryCache<Value> {
  readonly #options: DirectoryCacheOptions<Value>;
  readonly #generations: Generations;
  readonly #slots: Slots;
  readonly #maxQueuedLoads: number;
  /** Loads that who asks now may join. */
  readonly #loading = new Map<string, Promise<Value>>();
  /** Ends each load that runs or waits. */
  readonly #ends = new Set<AbortController>();
  #entries: LruMap<string, Entry<Value>>;
  #closed = false;

  constructor(options: DirectoryCacheOptions<Value>) {
    const { maxNames = 10_000, maxLoadsInFlight = 64, maxQueuedLoads = 10_000 } = options;
    this.#options = options;
    this.#generations = new Generations(maxNames);
    this.#entries = new LruMap(maxNames);
    this.#slots = new Slots(maxLoadsInFlight);
    this.#maxQueuedLoads = maxQueuedLoads;
  }

  get off(): boolean {
    return this.#options.ttlMs <= 0;
  }

  /** What it keeps account of. For inspection. */
  get size(): { readonly names: number; readonly loads: number; readonly evictions: number } {
    const { size: names } = this.#entries;
    return { names, loads: this.#loading.size, evictions: this.#generations.size };
  }

  /**
   * The value of a name, from the cache where it is there. A caller that is cancelled leaves with its own reason; the load
   * goes on for the others, and for the cache.
   *
   * @throws what the load throws, of which nothing is kept; {ReadTimeoutError}, {OverloadedError}, {ClosedError}
   */
  async get(name: string, signal?: AbortSignal): Promise<Value> {
    signal?.throwIfAborted();
    if (this.#closed) throw new ClosedError("the directory");
    if (this.off) {
      return abortable(
        this.#inSlot(name, (end) => this.#options.load(name, end)),
        signal,
      );
    }
    return this.#find(name) ?? abortable(this.#loading.get(name) ?? this.#begin(name), signal);
  }

  /** To be taken before anything is asked that is to be stored by {@link store}. */
  start(): LoadStart {
    return { atMs: this.#options.now(), mark: this.#generations.mark };
  }

  /** Takes what was loaded, unless it was evicted meanwhile or what is there was loaded later. */
  store(name: string, value: Value, { atMs, mark }: LoadStart): void {
    if (this.off) return;
    const bucket = this.#options.bucketOf(value);
    if (!this.#generations.isCurrent(mark, name, bucket)) return;
    const known = this.#entries.peek(name);
    if (known !== undefined && known.startedAtMs > atMs) return;
    this.#entries.set(name, { value, bucket, startedAtMs: atMs });
  }

  /**
   * To be called when a change of the name is acknowledged, or may have been made. No load that began before is stored
   * any more, and nobody joins it any more.
   *
   * @param isStale whether the value is from before the change; where it is not, it stays. @default it is
   */
  evict(name: string, isStale: (value: Value) => boolean = () => true): void {
    if (this.off) return;
    this.#generations.evictName(name);
    this.#loading.delete(name);
    const entry = this.#entries.peek(name);
    if (entry !== undefined && isStale(entry.value)) this.#entries.delete(name);
  }

  /** The same for all names of a bucket. Of what is being loaded nobody knows yet in which bucket it is. */
  evictBucket(bucket: string, isStale: (value: Value) => boolean = () => true): void {
    if (this.off) return;
    this.#generations.evictBucket(bucket);
    this.#loading.clear();
    for (const [name, entry] of this.#entries.entries()) {
      if (entry.bucket === bucket && isStale(entry.value)) this.#entries.delete(name);
    }
  }

  /** The same for everything. */
  clear(): void {
    if (this.off) return;
    this.#generations.evictAll();
    this.#loading.clear();
    this.#entries = new LruMap(this.#entries.capacity);
  }

  /** Ends all loads; nothing is loaded any more. */
  close(): void {
    this.#closed = true;
    for (const end of this.#ends) end.abort(new ClosedError("the directory"));
    this.clear();
  }

  /** What is there and has not expired. What has expired leaves, unless it was replaced since it was looked at. */
  #find(name: string): Value | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    if (this.#options.now() - entry.startedAtMs < this.#options.ttlMs) return entry.value;
    if (this.#entries.peek(name) === entry) this.#entries.delete(name);
    return undefined;
  }

  #begin(name: string): Promise<Value> {
    const loading = this.#inSlot(name, async (end) => {
      // While it waited for its turn, somebody else may have stored the name.
      const found = this.#find(name);
      if (found !== undefined) return found;
      const start = this.start();
      const value = await this.#options.load(name, end);
      this.store(name, value, start);
      return value;
    });
    this.#loading.set(name, loading);
    const done = (): void => {
      if (this.#loading.get(name) === loading) this.#loading.delete(name);
    };
    // Before any caller hears of the end: whoever asks next must not join a load that failed.
    loading.then(done, done);
    return loading;
  }

  /** Runs a load in its turn, with a deadline of its own. */
  async #inSlot(name: string, load: (end: AbortSignal) => Promise<Value>): Promise<Value> {
    const { loadTimeoutMs } = this.#options;
    const hasTurn = this.#slots.tryTake();
    if (!hasTurn && this.#slots.waiting >= this.#maxQueuedLoads) {
      throw new OverloadedError("maxQueuedLoads", this.#maxQueuedLoads);
    }
    const end = new AbortController();
    const late = new ReadTimeoutError(`ledger "${name}" was not loaded within ${loadTimeoutMs} ms`);
    const timer = setTimeout(() => end.abort(late), loadTimeoutMs);
    this.#ends.add(end);
    try {
      if (!hasTurn) await this.#slots.take(end.signal);
      try {
        return await abortable(load(end.signal), end.signal);
      } finally {
        this.#slots.release();
      }
    } finally {
      clearTimeout(timer);
      this.#ends.delete(end);
    }
  }
}
