import type { Command } from "./command.ts";

/** Decided commands that the queue may hold on to. */
const TRIMMED_AT = 1_024;

/** Commands that wait for their decision, in the order of their arrival. */
export class CommandQueue {
  #commands: Command[] = [];
  /** The first that waits. */
  #at = 0;

  get size(): number {
    return this.#commands.length - this.#at;
  }

  /** The one whose turn it is. */
  get next(): Command | undefined {
    return this.#commands[this.#at];
  }

  add(command: Command): void {
    this.#commands.push(command);
  }

  /** The next one is decided. */
  shift(): void {
    this.#at++;
    if (this.#at < Math.min(this.#commands.length, TRIMMED_AT)) return;
    this.#commands = this.#commands.slice(this.#at);
    this.#at = 0;
  }

  /** Some go before all that wait. */
  putBack(first: readonly Command[]): void {
    this.#commands = [...first, ...this.waiting()];
    this.#at = 0;
  }

  /** Those that wait, so many at most. */
  waiting(most: number = Number.POSITIVE_INFINITY): Command[] {
    return this.#commands.slice(this.#at, this.#at + most);
  }

  /** Whether each of them was told something already. */
  get isSettled(): boolean {
    return this.waiting().every(({ isSettled }) => isSettled);
  }

  /** Rejects those that have waited too long. */
  expire(ledger: string, cause: unknown): void {
    const now = performance.now();
    for (let at = this.#at; at < this.#commands.length; at++) {
      const command = this.#commands[at];
      if (command !== undefined && command.deadline <= now) command.expire(ledger, cause);
    }
  }
}
