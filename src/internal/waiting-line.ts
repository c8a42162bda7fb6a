import { onAbort } from "./abort.ts";

/** One object a caller, because thousands may wait: who it is, until when, and how to call it. */
class Waiter {
  readonly deadline: number;
  readonly turn: Promise<void>;
  resolve: () => void = nothing;
  reject: (reason: unknown) => void = nothing;

  constructor(deadline: number) {
    this.deadline = deadline;
    this.turn = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}

function nothing(): void {}

/** First come, first served: callers wait in line until someone calls them up, or until they give up. */
export class WaitingLine {
  #waiting: (Waiter | undefined)[] = [];
  /** Index in `#waiting` of the first who has not been called yet; what stands before is trimmed now and then. */
  #next = 0;
  /** How many places were trimmed off so far, so that a place number stays valid. */
  #trimmed = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /**
   * Waits to be called up; a caller that gives up by `signal` leaves the line without holding it up.
   *
   * @param deadline when {@link dismissLate} turns the caller away. @default never
   */
  wait(signal?: AbortSignal, deadline: number = Number.POSITIVE_INFINITY): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const waiter = new Waiter(deadline);
    const place = this.#trimmed + this.#waiting.length;
    this.#waiting.push(waiter);
    this.#length++;
    if (signal === undefined) return waiter.turn;
    const done = onAbort(signal, () => {
      const at = place - this.#trimmed;
      if (at < this.#next || this.#waiting[at] !== waiter) return;
      this.#waiting[at] = undefined;
      this.#length--;
      waiter.reject(signal.reason);
    });
    waiter.turn.then(done, done);
    return waiter.turn;
  }

  /** Calls up the first in line; false when nobody waits. */
  callNext(): boolean {
    while (this.#next < this.#waiting.length) {
      const waiter = this.#waiting[this.#next];
      this.#waiting[this.#next++] = undefined;
      this.#trim();
      if (waiter === undefined) continue;
      this.#length--;
      waiter.resolve();
      return true;
    }
    return false;
  }

  /** Turns away with `reason` whoever's deadline is not behind `now`. */
  dismissLate(now: number, reason: unknown): void {
    for (let at = this.#next; at < this.#waiting.length && this.#length > 0; at++) {
      const waiter = this.#waiting[at];
      if (waiter === undefined || waiter.deadline > now) continue;
      this.#waiting[at] = undefined;
      this.#length--;
      waiter.reject(reason);
    }
  }

  #trim(): void {
    if (this.#next < 64 || this.#next * 2 < this.#waiting.length) return;
    this.#waiting.splice(0, this.#next);
    this.#trimmed += this.#next;
    this.#next = 0;
  }
}
