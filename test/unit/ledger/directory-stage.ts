import { type Deferred, deferred } from "../../../src/internal/deferred.ts";
import { DirectoryCache, type DirectoryCacheOptions } from "../../../src/ledger/directory-cache.ts";

/** What is cached of a name. */
export interface Told {
  readonly bucket: string;
  readonly text: string;
}

/** A load that was begun and waits to be answered. */
export interface Load {
  readonly name: string;
  readonly signal: AbortSignal;
  answer(text: string, bucket?: string): void;
  fail(error: unknown): void;
}

/** A cache whose loads the test answers, and whose clock the test moves. */
export class CacheStage {
  readonly cache: DirectoryCache<Told>;
  /** Those that were begun, in order. */
  readonly loads: Load[] = [];
  nowMs = 0;
  /** Called whenever the clock is read. */
  onClock: () => void = () => {};
  readonly #begun: { readonly count: number; readonly done: Deferred<void> }[] = [];

  constructor(options: Partial<DirectoryCacheOptions<Told>> = {}) {
    this.cache = new DirectoryCache<Told>({
      ttlMs: 60_000,
      loadTimeoutMs: 30_000,
      now: () => {
        this.onClock();
        return this.nowMs;
      },
      load: (name, signal) => this.#load(name, signal),
      bucketOf: ({ bucket }) => bucket,
      ...options,
    });
  }

  /** Resolves when so many loads were begun. */
  async begun(count: number): Promise<void> {
    if (this.loads.length >= count) return;
    const done = deferred();
    this.#begun.push({ count, done });
    await done.promise;
  }

  /** The load with this number, from 0. */
  at(number: number): Load {
    const load = this.loads[number];
    if (load === undefined) throw new Error(`only ${this.loads.length} loads were begun`);
    return load;
  }

  /** Gets a name, and answers the load that this costs, if any. */
  async fill(name: string, text: string, bucket = "eu"): Promise<string> {
    const before = this.loads.length;
    const getting = this.cache.get(name);
    if (this.loads.length > before) this.at(before).answer(text, bucket);
    return (await getting).text;
  }

  #load(name: string, signal: AbortSignal): Promise<Told> {
    const told = deferred<Told>();
    this.loads.push({
      name,
      signal,
      answer: (text, bucket = "eu") => told.resolve({ bucket, text }),
      fail: (error) => told.reject(error),
    });
    for (const { count, done } of this.#begun) if (this.loads.length >= count) done.resolve();
    return told.promise;
  }
}
