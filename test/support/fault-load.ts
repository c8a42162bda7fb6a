import {
  type Acknowledged,
  acknowledged,
  appendOne,
  counted,
  counter,
  type CountingStore,
} from "./fault-store.ts";
import { eventually } from "./server.ts";

/** Appends one after the other in lanes, each at the version that the one before gave, until it is told to stop. */
export class Load {
  readonly done: Acknowledged[] = [];
  /** What ended a lane. */
  readonly failures: unknown[] = [];
  readonly #lanes: readonly Promise<void>[];
  #stopped = false;

  constructor(lanes: number, step: (lane: number, version: number) => Promise<Acknowledged[]>) {
    const run = async (lane: number): Promise<void> => {
      for (let version = 0; !this.#stopped; version++) {
        this.done.push(...(await step(lane, version)));
      }
    };
    this.#lanes = Array.from({ length: lanes }, (_, lane) =>
      run(lane).catch((error: unknown) => void this.failures.push(error)),
    );
  }

  /** Waits until `count` more appends are acknowledged. */
  async progress(count: number, timeoutMs = 20_000): Promise<void> {
    const wanted = this.done.length + count;
    await eventually(() => this.failures.length > 0 || this.done.length >= wanted, { timeoutMs });
    if (this.failures.length > 0) throw this.failures[0];
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#lanes);
  }
}

/** Many actors, one event each time. */
export function appendLoad(store: CountingStore, lanes = 40): Load {
  return new Load(lanes, async (lane, version) => {
    const id = `actor-${lane}`;
    return [acknowledged(id, await appendOne(store, id, version))];
  });
}

/** Batches over three actors each. */
export function batchLoad(store: CountingStore, lanes = 6): Load {
  return new Load(lanes, async (lane, version) => {
    const ids = [0, 1, 2].map((n) => `actor-${lane}-${n}`);
    const results = await store.appendAll(
      ids.map((id) => ({
        actor: counter(id),
        events: [counted("batch", version + 1)],
        expectedVersion: version,
      })),
    );
    return results.map((result, at) => acknowledged(ids[at] ?? "", result));
  });
}
