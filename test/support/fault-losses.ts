import { subscribe, unsubscribe } from "node:diagnostics_channel";

/** Counts the appends whose answer a lost connection took away: the proof that a crash met some of them. */
export class Losses implements Disposable {
  count = 0;

  constructor() {
    subscribe("annal:retry", this.#take);
  }

  [Symbol.dispose](): void {
    unsubscribe("annal:retry", this.#take);
  }

  readonly #take = (message: unknown): void => {
    if (typeof message !== "object" || message === null) return;
    const { what, reason } = { what: "", reason: "", ...message };
    if (what === "append" && reason === "disconnected") this.count++;
  };
}
