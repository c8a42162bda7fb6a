import { ClosedError, OverloadedError } from "../errors.ts";
import { deferred, type Deferred } from "../internal/deferred.ts";
import { KeyedMutex } from "../internal/keyed-mutex.ts";
import { Slots } from "../internal/slots.ts";

/** The server takes 50 open batches a stream from all its clients; a process keeps well below. */
const MAX_BATCHES_IN_FLIGHT = 8;
/** How often those who wait are compared with the clock: one timer for all. */
const SWEEP_MS = 25;
/** What a wait rejects with that its deadline ended: the caller knows what to say. */
const LATE: unique symbol = Symbol("late");

/**
 * Who may append when: one at a time for each actor, in the order of asking, and a bounded number at once. Locks are
 * taken before the slot, so that those who wait for an actor do not keep others from the server.
 */
export class Turns {
  readonly mutex: KeyedMutex = new KeyedMutex();
  readonly #slots: Slots;
  readonly #batchSlots = new Slots(MAX_BATCHES_IN_FLIGHT);
  readonly #maxWaiting: number;
  #held = 0;
  #waiting = 0;
  #closed = false;
  #idle: Deferred<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

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
   * Waits for a turn with one actor.
   *
   * @param deadline by `performance.now()`
   * @throws {OverloadedError} if too many wait already, {ClosedError}, the signal's reason, {@link LATE}
   */
  take(subject: string, signal: AbortSignal | undefined, deadline: number): Promise<void> {
    return this.#take([subject], undefined, signal, deadline);
  }

  /**
   * The same for a batch with several actors. To keep two of them from waiting for each other, all callers name their
   * actors in one order.
   */
  takeAll(
    subjects: readonly string[],
    signal: AbortSignal | undefined,
    deadline: number,
  ): Promise<void> {
    return this.#take(subjects, this.#batchSlots, signal, deadline);
  }

  /** Gives the turn with one actor back. */
  release(subject: string): void {
    this.#slots.release();
    this.mutex.unlock(subject);
    this.#held--;
    this.#tellIdle();
  }

  /** Gives the turn of a batch back. */
  releaseAll(subjects: readonly string[]): void {
    this.#batchSlots.release();
    this.#slots.release();
    for (const subject of subjects) this.mutex.unlock(subject);
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

  async #take(
    subjects: readonly string[],
    batchSlots: Slots | undefined,
    signal: AbortSignal | undefined,
    deadline: number,
  ): Promise<void> {
    if (this.#closed) throw new ClosedError("the store");
    if (this.#waiting >= this.#maxWaiting) {
      throw new OverloadedError("maxQueuedAppends", this.#maxWaiting);
    }
    this.#waiting++;
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP_MS);
    let locked = 0;
    let inBatch = false;
    let hasSlot = false;
    try {
      for (const subject of subjects) {
        if (!this.mutex.tryLock(subject)) await this.mutex.lock(subject, signal, deadline);
        locked++;
      }
      if (batchSlots?.tryTake() === false) await batchSlots.take(signal, deadline);
      inBatch = true;
      if (!this.#slots.tryTake()) await this.#slots.take(signal, deadline);
      hasSlot = true;
      signal?.throwIfAborted();
      this.#held++;
    } catch (error) {
      if (hasSlot) this.#slots.release();
      if (inBatch) batchSlots?.release();
      for (const subject of subjects.slice(0, locked)) this.mutex.unlock(subject);
      throw error;
    } finally {
      this.#waiting--;
      this.#tellIdle();
    }
  }

  #sweep(): void {
    if (this.#waiting === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    const now = performance.now();
    this.mutex.dismissLate(now, LATE);
    this.#slots.dismissLate(now, LATE);
    this.#batchSlots.dismissLate(now, LATE);
  }

  #tellIdle(): void {
    if (this.#idle !== undefined && this.size === 0) this.#idle.resolve();
  }
}

/** Waits for a turn; `late` makes the error where the deadline came first. */
export async function inTime(turn: Promise<void>, late: () => Error): Promise<void> {
  try {
    await turn;
  } catch (error) {
    throw error === LATE ? late() : error;
  }
}
