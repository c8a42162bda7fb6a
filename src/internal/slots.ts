import { WaitingLine } from "./waiting-line.ts";

/** A bounded number of slots; taking a free one is synchronous, others wait in line. */
export class Slots {
  readonly limit: number;
  readonly #line = new WaitingLine();
  #taken = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get taken(): number {
    return this.#taken;
  }

  get waiting(): number {
    return this.#line.length;
  }

  tryTake(): boolean {
    if (this.#taken >= this.limit) return false;
    this.#taken++;
    return true;
  }

  /** @param deadline when {@link dismissLate} ends the wait. @default never */
  take(signal?: AbortSignal, deadline?: number): Promise<void> {
    return this.tryTake() ? Promise.resolve() : this.#line.wait(signal, deadline);
  }

  /** Turns away with `reason` whoever's deadline is not behind `now`. */
  dismissLate(now: number, reason: unknown): void {
    this.#line.dismissLate(now, reason);
  }

  /** Hands the slot to the next in line, or frees it. */
  release(): void {
    if (!this.#line.callNext()) this.#taken--;
  }
}
