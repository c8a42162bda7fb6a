import { Slots } from "./slots.ts";

/** How often those who wait are compared with the clock: one timer for all. */
const SWEEP_MS = 25;
/** What a wait rejects with that its deadline ended: the caller knows what to say. */
export const LATE: unique symbol = Symbol("late");

/** Slots for which nobody waits beyond a deadline. A free one costs no timer, and none runs while nobody waits. */
export class TimedSlots {
  readonly #slots: Slots;
  #timer: NodeJS.Timeout | undefined;

  constructor(limit: number) {
    this.#slots = new Slots(limit);
  }

  get limit(): number {
    return this.#slots.limit;
  }

  tryTake(): boolean {
    return this.#slots.tryTake();
  }

  /**
   * Waits for a slot; rejects with {@link LATE} when the deadline comes first.
   *
   * @param deadline by `performance.now()`
   */
  take(signal: AbortSignal | undefined, deadline: number): Promise<void> {
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP_MS);
    return this.#slots.take(signal, deadline);
  }

  /** Hands the slot to the next in line, or frees it. */
  release(): void {
    this.#slots.release();
  }

  #sweep(): void {
    if (this.#slots.waiting > 0) {
      this.#slots.dismissLate(performance.now(), LATE);
      return;
    }
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
