import { ClosedError, InvalidArgumentError } from "../errors.ts";
import { uniqueIds } from "../internal/unique-ids.ts";
import { within } from "../internal/within.ts";
import type { Bucket, BucketEntry } from "../nats/bucket.ts";
import { LeaseLostError } from "./errors.ts";
import { LeaseEntry, MAX_TTL_MS, type StandingLease } from "./lease-entry.ts";
import { LeaseHolding, type LeaseTerms, recordOf } from "./lease-holding.ts";

/** Which lease, and who contends for it. */
export interface LeaseOptions {
  /** Key of the lease in the bucket, which holds nothing else. */
  readonly key: string;
  /** Id of this contender, unlike any other's. */
  readonly holder: string;
  /** How long the lease outlives its last renewal. Renewed three times as often. @default 3000 */
  readonly ttlMs?: number | undefined;
}

/** A record that others wrote, and when it is too old. */
interface Watched {
  readonly sequence: number;
  /** By `performance.now()`. */
  readonly expiresAt: number;
}

const DEFAULT_TTL_MS = 3_000;
const MIN_TTL_MS = 100;

/**
 * Tells contenders in any number of processes which one of them is to work. One of them holds it at a time, unless a
 * process stands still for longer than `ttlMs` at the wrong moment: so what must not happen twice needs a fence of its own,
 * as the checkpoint has. A contender that dies is replaced after about `ttlMs`, one that releases it at once.
 *
 * Nobody compares clocks: a contender takes over what has not changed for `ttlMs` by its own clock.
 *
 * @example
 * const lease = new Lease(bucket, { key: "mailer.lease", holder: id });
 * await lease.acquire(signal);
 * await work(lease.lost);
 * await lease.close();
 */
export class Lease {
  readonly #entry: LeaseEntry;
  readonly #terms: LeaseTerms;
  readonly #closed = new AbortController();
  #holding: LeaseHolding | undefined;

  /** @throws {InvalidArgumentError} */
  constructor(bucket: Bucket, { key, holder, ttlMs = DEFAULT_TTL_MS }: LeaseOptions) {
    checkLeaseMs("ttlMs", ttlMs);
    this.#entry = new LeaseEntry(bucket, key, ttlMs);
    this.#terms = { holder, ttlMs, nextRenewal: uniqueIds() };
  }

  /**
   * Aborts with a {@link LeaseLostError} when what was acquired is held no more: given up, taken by another, or not renewed
   * for so long that another may have taken it. Each {@link acquire} makes a new one.
   */
  get lost(): AbortSignal {
    return this.#holding?.lost ?? AbortSignal.abort(this.#lostError());
  }

  /**
   * Looks at the clock, which a timer does only when the process gets to it.
   *
   * @throws {LeaseLostError}
   */
  assertHeld(): void {
    if (this.#holding === undefined) throw this.#lostError();
    this.#holding.assertHeld();
  }

  /**
   * Waits until this contender holds the lease. One call at a time.
   *
   * @throws {ClosedError}, {StreamNotFoundError} without the bucket, {ServerRefusedError}; the signal's reason
   */
  async acquire(signal?: AbortSignal): Promise<void> {
    const closed = this.#closed.signal;
    const ended = signal === undefined ? closed : AbortSignal.any([closed, signal]);
    let standing = await this.#entry.read(ended);
    let watched: Watched | undefined;
    const watch = new Watch(this.#entry);
    try {
      for (;;) {
        if (watched?.sequence !== standing.sequence) watched = this.#watch(standing);
        const leftMs = watched.expiresAt - performance.now();
        if (leftMs > 0) {
          standing = (await watch.next(standing, leftMs, ended)) ?? standing;
          continue;
        }
        if (await this.#take(standing.sequence, ended)) break;
        standing = await this.#entry.read(ended);
      }
    } finally {
      await watch.close();
    }
    if (!ended.aborted) return;
    await this.release();
    throw ended.reason;
  }

  /** Gives it up, so that another one takes it at once. Without effect where it is not held. */
  async release(): Promise<void> {
    const holding = this.#holding;
    if (holding === undefined) return;
    this.#holding = undefined;
    holding.end();
    const { holder, ttlMs } = this.#terms;
    // Where that fails, it runs out by itself.
    await this.#entry.clear(holder, AbortSignal.timeout(ttlMs)).catch(() => {});
  }

  /** Gives it up, and ends a running {@link acquire}. Safe to call again. */
  async close(): Promise<void> {
    this.#closed.abort(new ClosedError("the lease"));
    await this.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What nobody holds, or this contender held before, needs no waiting for. */
  #watch({ sequence, record }: StandingLease): Watched {
    const taken = record !== undefined && record.holder !== this.#terms.holder;
    return { sequence, expiresAt: taken ? performance.now() + record.ttlMs : 0 };
  }

  async #take(expectedSequence: number, signal: AbortSignal): Promise<boolean> {
    const sentAt = performance.now();
    const sequence = await this.#entry.write(recordOf(this.#terms), expectedSequence, signal);
    if (sequence === undefined) return false;
    this.#holding?.end();
    this.#holding = new LeaseHolding(this.#entry, this.#terms, sequence, sentAt);
    return true;
  }

  #lostError(): LeaseLostError {
    return new LeaseLostError(this.#entry.key, this.#terms.holder);
  }
}

/**
 * Checks how long a lease is to outlive its last renewal.
 *
 * @param option its name for whoever gave it
 * @throws {InvalidArgumentError}
 */
export function checkLeaseMs(option: string, ms: number): number {
  if (Number.isSafeInteger(ms) && ms >= MIN_TTL_MS && ms <= MAX_TTL_MS) return ms;
  const expected = `a whole number from ${MIN_TTL_MS} to ${MAX_TTL_MS}`;
  throw new InvalidArgumentError(option, expected, ms);
}

/** Follows what others write. It only wakes: whatever it misses, taking over asks the leader. */
class Watch {
  readonly #entry: LeaseEntry;
  #changes: AsyncIterableIterator<readonly BucketEntry[]> | undefined;
  #arriving: Promise<readonly BucketEntry[] | undefined> | undefined;

  constructor(entry: LeaseEntry) {
    this.#entry = entry;
  }

  /** The newest change; undefined where none came in time. */
  async next(
    { sequence }: StandingLease,
    ms: number,
    signal: AbortSignal,
  ): Promise<StandingLease | undefined> {
    this.#changes ??= this.#entry.changes(sequence);
    this.#arriving ??= this.#changes.next().then(
      ({ value }) => value,
      // Without it, the time that the record has left is waited for.
      () => new Promise<undefined>(() => {}),
    );
    const entries = await within(this.#arriving, ms, signal);
    const newest = entries?.at(-1);
    if (newest === undefined) return undefined;
    this.#arriving = undefined;
    return newest.sequence > sequence ? this.#entry.parse(newest) : undefined;
  }

  async close(): Promise<void> {
    await this.#changes?.return?.();
  }
}
