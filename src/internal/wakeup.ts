import { type Deferred, deferred } from "./deferred.ts";

/** Lets one waiter sleep until somebody rouses it; who was roused while awake does not sleep the next time. */
export class Wakeup {
  #sleeper: Deferred<void> | undefined;
  #isDue = false;

  async wait(): Promise<void> {
    if (!this.#isDue) {
      this.#sleeper = deferred();
      await this.#sleeper.promise;
    }
    this.#isDue = false;
  }

  rouse(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#sleeper?.resolve();
    this.#sleeper = undefined;
  }
}
