import { ClosedError, OverloadedError } from "../errors.ts";
import { deferred, type Deferred } from "../internal/deferred.ts";
import { KeyedMutex } from "../internal/keyed-mutex.ts";
import { Slots } from "../internal/slots.ts";

/**
 * Who may append when: one at a time for each actor, in the order of asking, and a bounded number at once. Locks are
 * taken before the slot, so that those who wait for an actor do not keep others from the server.
 */
export class Turns {
  readonly mutex: KeyedMutex = new KeyedMutex();
  readonly #slots: Slots;
  readonly #maxWaiting: number;
  #held = 0;
  #waiting = 0;
  #closed = false;
  #idle: Deferred<void> | undefined;

  constructor(maxInFlight: number, maxWaiting: number) {
    this.#slots = new Slots(maxInFlight);
    this.#maxWaiting = maxWaiting;
  }

  /** Those who have or wait for a turn. */
  get size(): number {
    return this.#held + this.#waiting;
  }

  /** Takes a turn if that needs no waiting. */
  tryTake(subject: string): boolean {
    if (this.#closed || !this.mutex.tryLock(subject)) return false;
    if (this.#slots.tryTake()) {
      this.#held++;
      return true;
    }
    this.mutex.unlock(subject);
    return false;
  }

  /**
   * Waits for a turn with several actors. To keep two of them from waiting for each other, all callers name their
   * actors in one order.
   *
   * @throws {OverloadedError} if too many wait already, {ClosedError}, the signal's reason
   */
  async take(subjects: readonly string[], signal: AbortSignal | undefined): Promise<void> {
    if (this.#closed) throw new ClosedError("the store");
    if (this.#waiting >= this.#maxWaiting) {
      throw new OverloadedError("maxQueuedAppends", this.#maxWaiting);
    }
    this.#waiting++;
    let locked = 0;
    try {
      for (const subject of subjects) {
        if (!this.mutex.tryLock(subject)) await this.mutex.lock(subject, signal);
        locked++;
      }
      if (!this.#slots.tryTake()) await this.#slots.take(signal);
      if (signal?.aborted === true) this.#slots.release();
      signal?.throwIfAborted();
      this.#held++;
    } catch (error) {
      for (const subject of subjects.slice(0, locked)) this.mutex.unlock(subject);
      throw error;
    } finally {
      this.#waiting--;
      this.#tellIdle();
    }
  }

  /** Gives a turn back. */
  release(subjects: readonly string[]): void {
    for (const subject of subjects.slice(1)) this.mutex.unlock(subject);
    for (const subject of subjects.slice(0, 1)) this.releaseOne(subject);
  }

  /** Gives the turn with one actor back. */
  releaseOne(subject: string): void {
    this.#slots.release();
    this.mutex.unlock(subject);
    this.#held--;
    this.#tellIdle();
  }

  /** Gives nobody a turn any more, but to those who wait; resolves when all are done. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.size === 0) return;
    this.#idle ??= deferred();
    await this.#idle.promise;
  }

  #tellIdle(): void {
    if (this.#idle !== undefined && this.size === 0) this.#idle.resolve();
  }
}
