import { deferred, type Deferred } from "./deferred.ts";

/** First come, first served: callers wait in line until someone calls them up, or until they give up. */
export class WaitingLine {
  #waiting: (Deferred<void> | undefined)[] = [];
  /** Index in `#waiting` of the first who has not been called yet; what stands before is trimmed now and then. */
  #next = 0;
  /** How many places were trimmed off so far, so that a place number stays valid. */
  #trimmed = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Waits to be called up; a caller that gives up by `signal` leaves the line without holding it up. */
  wait(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const turn = deferred();
    const place = this.#trimmed + this.#waiting.length;
    this.#waiting.push(turn);
    this.#length++;
    if (signal === undefined) return turn.promise;
    const onAbort = (): void => {
      const at = place - this.#trimmed;
      if (at < this.#next || this.#waiting[at] !== turn) return;
      this.#waiting[at] = undefined;
      this.#length--;
      turn.reject(signal.reason);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    const done = (): void => signal.removeEventListener("abort", onAbort);
    turn.promise.then(done, done);
    return turn.promise;
  }

  /** Calls up the first in line; false when nobody waits. */
  callNext(): boolean {
    while (this.#next < this.#waiting.length) {
      const turn = this.#waiting[this.#next];
      this.#waiting[this.#next++] = undefined;
      this.#trim();
      if (turn === undefined) continue;
      this.#length--;
      turn.resolve();
      return true;
    }
    return false;
  }

  /** Turns everybody away with `reason`. */
  dismiss(reason: unknown): void {
    const waiting = this.#waiting;
    this.#trimmed += waiting.length;
    this.#waiting = [];
    this.#next = 0;
    this.#length = 0;
    for (const turn of waiting) turn?.reject(reason);
  }

  #trim(): void {
    if (this.#next < 64 || this.#next * 2 < this.#waiting.length) return;
    this.#waiting.splice(0, this.#next);
    this.#trimmed += this.#next;
    this.#next = 0;
  }
}
