import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Subscription } from "../../src/index.ts";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { StoreProcess } from "../support/fault-process.ts";
import { appendOne, counter, type CountingStore, openStore } from "../support/fault-store.ts";
import { eventually, freshStream } from "../support/server.ts";
import { deliveryOf, startWire, type Wire } from "../support/wire.ts";

let server: NatsServer;

beforeAll(async () => {
  server = await startServer({ sync: "default" });
});

afterAll(() => server.stop());

/** Counts readers that were set up anew. */
class Recreations implements Disposable {
  count = 0;
  readonly #take = (message: unknown): void => {
    if (typeof message !== "object" || message === null) return;
    const { what } = { what: "", ...message };
    if (what === "reader_recreated") this.count++;
  };

  constructor() {
    subscribe("annal:reconnect", this.#take);
  }

  [Symbol.dispose](): void {
    unsubscribe("annal:reconnect", this.#take);
  }
}

interface Seen {
  readonly position: number;
  readonly version: number;
  readonly actor: { readonly id: string };
}

/** What a subscription has delivered so far. */
function collect(subscription: Subscription<Seen>): { seen: Seen[]; done: Promise<void> } {
  const seen: Seen[] = [];
  const done = (async () => {
    for await (const event of subscription) seen.push(event);
  })();
  return { seen, done };
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at + 1);
}

const deliveries = (store: CountingStore) =>
  deliveryOf(new RegExp(`^${store.stream.toLowerCase()}\\.`));

const faults: readonly {
  readonly fault: string;
  readonly strike: (wire: Wire, store: CountingStore, recreations: Recreations) => Promise<void>;
}[] = [
  {
    fault: "its connection is cut",
    async strike(wire) {
      wire.cut();
    },
  },
  {
    fault: "the server cannot be reached for a while",
    async strike(wire) {
      wire.refuse();
      wire.cut();
      await eventually(() => wire.connections === 0);
      wire.accept();
    },
  },
  {
    fault: "deliveries get lost",
    async strike(wire, store) {
      await wire.drop(deliveries(store), 3).reached(3);
    },
  },
  {
    fault: "deliveries come late, after others",
    async strike(wire, store) {
      const late = wire.hold(deliveries(store));
      await late.reached(5);
      late.release();
    },
  },
  {
    fault: "nothing arrives for so long that it starts anew, and then all of it",
    async strike(wire, _store, recreations) {
      const before = recreations.count;
      const partition = wire.pause();
      await eventually(() => recreations.count > before, { timeoutMs: 20_000 });
      partition.release();
    },
  },
];

describe("a subscription while another process appends", () => {
  it.each(faults)(
    "has no gap and no repetition where $fault",
    async ({ strike }) => {
      const stream = freshStream();
      await using wire = await startWire(server.url);
      await using store = await openStore(wire.url, stream);
      await using writer = await StoreProcess.start("writer", server.url, stream);
      using recreations = new Recreations();
      const all = collect(store.subscribe());
      const one = collect(store.subscribe({ actor: counter("b") }));
      const commits: number[] = [];
      const byCommit = store.subscribeCommits({ actorType: "counter" });
      const reading = (async () => {
        for await (const { position } of byCommit) commits.push(position);
      })();
      const appends = 1_200;
      const filling = writer.run({ do: "fill", actors: ["a", "b", "c"], appends });
      for (let round = 1; round <= 2; round++) {
        await eventually(() => all.seen.length >= round * 150, { timeoutMs: 20_000 });
        await strike(wire, store, recreations);
      }
      expect((await filling).message).toBeUndefined();
      const complete = (): boolean =>
        all.seen.length >= appends && one.seen.length >= appends / 3 && commits.length >= appends;
      await eventually(complete, { timeoutMs: 30_000 });
      // behind all of them: whatever came twice came before this
      await appendOne(store, "b", appends / 3);
      const last = (): boolean =>
        all.seen.length > appends && one.seen.length > appends / 3 && commits.length > appends;
      await eventually(last, { timeoutMs: 10_000 });
      await store.close();
      await Promise.all([all.done, one.done, reading]);
      expect(all.seen.map(({ position }) => position)).toEqual(range(appends + 1));
      expect(commits).toEqual(range(appends + 1));
      expect(one.seen.map(({ version }) => version)).toEqual(range(appends / 3 + 1));
    },
    60_000,
  );
});
