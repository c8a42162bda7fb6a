import { WaitingLine } from "./waiting-line.ts";

/**
 * One lock a key, granted in the order of asking; keys never wait for each other. Taking a free lock is synchronous
 * and allocates nothing, so that uncontended keys cost a map entry.
 */
export class KeyedMutex {
  readonly #held = new Map<string, WaitingLine | undefined>();

  /** Number of keys held now. */
  get size(): number {
    return this.#held.size;
  }

  /** Takes the lock if it is free. */
  tryLock(key: string): boolean {
    if (this.#held.has(key)) return false;
    this.#held.set(key, undefined);
    return true;
  }

  /**
   * Waits for the lock; a wait given up by `signal` does not hold up those behind.
   *
   * @param deadline when {@link dismissLate} ends the wait. @default never
   */
  lock(key: string, signal?: AbortSignal, deadline?: number): Promise<void> {
    if (this.tryLock(key)) return Promise.resolve();
    let line = this.#held.get(key);
    if (line === undefined) {
      line = new WaitingLine();
      this.#held.set(key, line);
    }
    return line.wait(signal, deadline);
  }

  /** Gives the lock to the next in line, or frees it. */
  unlock(key: string): void {
    const line = this.#held.get(key);
    if (line === undefined || !line.callNext()) this.#held.delete(key);
  }

  /** Turns away with `reason` whoever's deadline is not behind `now`. */
  dismissLate(now: number, reason: unknown): void {
    for (const line of this.#held.values()) line?.dismissLate(now, reason);
  }
}
