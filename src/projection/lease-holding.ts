import { sleep } from "../internal/backoff.ts";
import { LeaseLostError } from "./errors.ts";
import type { LeaseEntry, LeaseRecord } from "./lease-entry.ts";

/** Who holds a lease, and how it is renewed. */
export interface LeaseTerms {
  readonly holder: string;
  readonly ttlMs: number;
  /** Makes an id that was never used. */
  readonly nextRenewal: () => string;
}

/** What a contender writes to take or to renew the lease. */
export function recordOf({ holder, ttlMs, nextRenewal }: LeaseTerms): LeaseRecord {
  return { holder, ttlMs, renewal: nextRenewal() };
}

/** Renewals in the time that a lease lives without one. */
const RENEWALS_PER_TTL = 3;

/**
 * A lease that is held, from its taking to its end. It counts from the moment at which the last renewal was sent, others
 * count from when they saw it: so it ends here before it ends for them, whatever their clocks show.
 */
export class LeaseHolding {
  readonly #entry: LeaseEntry;
  readonly #terms: LeaseTerms;
  readonly #over = new AbortController();
  #sequence: number;
  #endsAt = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param sentAt when the record was sent that stands at `sequence`, by `performance.now()` */
  constructor(entry: LeaseEntry, terms: LeaseTerms, sequence: number, sentAt: number) {
    this.#entry = entry;
    this.#terms = terms;
    this.#sequence = sequence;
    this.#extend(sentAt);
    // Whatever ends the renewing, the lease is no longer sure.
    this.#renew().catch(() => this.end());
  }

  /** Aborts when the lease is not held any more. */
  get lost(): AbortSignal {
    return this.#over.signal;
  }

  /** @throws {LeaseLostError} also where its time is over and the timer was not served yet */
  assertHeld(): void {
    if (performance.now() >= this.#endsAt) this.end();
    this.#over.signal.throwIfAborted();
  }

  /** It is held no more, and not renewed. Safe to call again. */
  end(): void {
    clearTimeout(this.#timer);
    this.#over.abort(new LeaseLostError(this.#entry.key, this.#terms.holder));
  }

  async #renew(): Promise<void> {
    for (;;) {
      await sleep(this.#terms.ttlMs / RENEWALS_PER_TTL, this.lost);
      const sentAt = performance.now();
      const sequence = await this.#entry.write(recordOf(this.#terms), this.#sequence, this.lost);
      if (sequence === undefined) return this.end();
      this.#sequence = sequence;
      if (!this.lost.aborted) this.#extend(sentAt);
    }
  }

  #extend(sentAt: number): void {
    this.#endsAt = sentAt + this.#terms.ttlMs;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.end(), Math.max(0, this.#endsAt - performance.now()));
  }
}
