import { abortable } from "../internal/abort.ts";
import { sleep } from "../internal/backoff.ts";
import { type Deferred, deferred } from "../internal/deferred.ts";
import { isPassing } from "../nats/passing.ts";

interface Waiter {
  position: number;
  readonly reached: Deferred<void>;
}

/** Between two questions for the last position, so that thousands of waits cost few of them. */
const PAUSE_MS = 5;

/** Those who wait until everything up to a position has taken effect. */
export class PositionWaiters {
  readonly #askLast: (() => Promise<number>) | undefined;
  #waiters = new Set<Waiter>();
  #position = 0;
  #over: { readonly error: unknown } | undefined;
  /** Those who came since the last question. */
  #unasked = new Set<Waiter>();
  #asking = false;

  /** @param askLast gives the position of the last commit of interest: what stands behind it needs no waiting for */
  constructor(askLast: (() => Promise<number>) | undefined) {
    this.#askLast = askLast;
  }

  /** Resolves when everything of interest up to the position has taken effect. */
  async reached(position: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#over !== undefined) throw this.#over.error;
    if (position <= this.#position) return;
    const waiter: Waiter = { position, reached: deferred() };
    this.#waiters.add(waiter);
    if (this.#askLast !== undefined) {
      this.#unasked.add(waiter);
      if (!this.#asking) void this.#ask(this.#askLast);
    }
    try {
      await abortable(waiter.reached.promise, signal);
    } finally {
      this.#waiters.delete(waiter);
      this.#unasked.delete(waiter);
    }
  }

  /** Everything up to here has taken effect. */
  advance(position: number): void {
    this.#position = position;
    for (const waiter of this.#waiters) {
      if (waiter.position > position) continue;
      this.#waiters.delete(waiter);
      this.#unasked.delete(waiter);
      waiter.reached.resolve();
    }
  }

  /** Nothing more will take effect. */
  end(error: unknown): void {
    this.#over = { error };
    for (const { reached } of this.#waiters) reached.reject(error);
    this.#waiters.clear();
    this.#unasked.clear();
  }

  async #ask(askLast: () => Promise<number>): Promise<void> {
    this.#asking = true;
    while (this.#unasked.size > 0) {
      const asked = this.#unasked;
      this.#unasked = new Set();
      try {
        const last = await askLast();
        for (const waiter of asked) waiter.position = Math.min(waiter.position, last);
        this.advance(this.#position);
      } catch (error) {
        for (const waiter of asked) {
          if (!isPassing(error)) waiter.reached.reject(error);
          else if (this.#waiters.has(waiter)) this.#unasked.add(waiter);
        }
      }
      await sleep(PAUSE_MS);
    }
    this.#asking = false;
  }
}
