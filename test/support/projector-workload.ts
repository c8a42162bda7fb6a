import { setTimeout as delay } from "node:timers/promises";
import type { EventStore } from "../../src/index.ts";
import { appendSteps, randomSteps, type Script } from "./projector-sums.ts";

const CHUNK_STEPS = 40;
const AHEAD_EVENTS = 400;
const LOOK_EVERY_MS = 5;

/** Appends random steps while a projector runs, never more than it can catch up with. */
export class Workload {
  readonly #store: EventStore<Script>;
  readonly #seed: number;
  readonly #applied: () => number;
  readonly #running: Promise<void>;
  #appended = 0;
  #stopped = false;

  /** @param applied how far the projector is known to be */
  constructor(store: EventStore<Script>, seed: number, applied: () => number) {
    this.#store = store;
    this.#seed = seed;
    this.#applied = applied;
    this.#running = this.#run();
    this.#running.catch(() => {});
  }

  /** Events appended so far. */
  get appended(): number {
    return this.#appended;
  }

  /** @throws what an append threw */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let chunk = 0; !this.#stopped; chunk++) {
      await appendSteps(this.#store, randomSteps(CHUNK_STEPS, this.#seed + chunk));
      this.#appended += CHUNK_STEPS;
      while (!this.#stopped && this.#appended > this.#applied() + AHEAD_EVENTS) {
        await delay(LOOK_EVERY_MS);
      }
    }
  }
}

/** Numbers from 0 below 1, the same ones for the same seed (the generator of Numerical Recipes). */
export function randomFrom(seed: number): () => number {
  let state = (seed ^ 0x9e3779b9) >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
