import { setTimeout as delay } from "node:timers/promises";
import { jetstreamManager } from "@nats-io/jetstream";
import { describe, expect, it } from "vitest";
import {
  ClosedError,
  EventStore,
  InvalidArgumentError,
  type RecordedEvent,
  type StreamReadOptions,
} from "../../../src/index.ts";
import { collect, failureOf, notes, openConnection, openStore, take, untyped } from "./bank.ts";

const alice = { type: "account", id: "alice" } as const;
const bob = { type: "account", id: "bob" } as const;
const order = { type: "order", id: "7" } as const;

/** Alice 1 2, bob 3, order 4 5 6, alice 7: numbers in the order of the stream. */
async function sevenEvents(): Promise<EventStore> {
  const store = await openStore();
  await store.append(alice, notes(1, 2), { expectedVersion: 0 });
  await store.append(bob, notes(3), { expectedVersion: 0 });
  await store.append(order, notes(4, 5, 6), { expectedVersion: 0 });
  await store.append(alice, notes(7), { expectedVersion: 2 });
  return store;
}

function numberOf({ data }: RecordedEvent): unknown {
  return typeof data === "object" && data !== null && "n" in data ? data.n : data;
}

async function read(store: EventStore, options: StreamReadOptions): Promise<unknown[]> {
  return (await collect(store.readAll(options))).map(numberOf);
}

describe("readAll", () => {
  it.each<[StreamReadOptions, number[]]>([
    [{}, [1, 2, 3, 4, 5, 6, 7]],
    [{ limit: 0 }, []],
    [{ limit: 1 }, [1]],
    [{ limit: 5 }, [1, 2, 3, 4, 5]],
    [{ actorType: "account" }, [1, 2, 3, 7]],
    [{ actorType: "order", limit: 2 }, [4, 5]],
    [{ actorType: "nothing" }, []],
    [{ actor: alice }, [1, 2, 7]],
    [{ actor: bob }, [3]],
    [{ actor: { type: "account", id: "*" } }, []],
    [{ maxBufferedCommits: 1 }, [1, 2, 3, 4, 5, 6, 7]],
  ])("gives with %j the events %j, in the order of the stream", async (options, expected) => {
    const store = await sevenEvents();
    expect(await read(store, options)).toEqual(expected);
  });

  it("goes on behind any event's cursor, also in the middle of a commit", async () => {
    const store = await sevenEvents();
    const events = await collect(store.readAll());
    for (const [at, { cursor }] of events.entries()) {
      const rest = events.slice(at + 1);
      expect(await collect(store.readAll({ after: cursor }))).toEqual(rest);
      const accounts = rest.filter(({ actor }) => actor.type === "account");
      expect(await collect(store.readAll({ after: cursor, actorType: "account" }))).toEqual(
        accounts,
      );
      expect(await collect(store.readAll({ after: cursor, limit: 1 }))).toEqual(rest.slice(0, 1));
    }
  });

  it("goes on behind the cursor of an append's result", async () => {
    const store = await sevenEvents();
    const { cursor } = await store.append(bob, notes(8, 9), { expectedVersion: 1 });
    expect(await read(store, { after: cursor })).toEqual([]);
    await store.append(bob, notes(10), { expectedVersion: 3 });
    expect(await read(store, { after: cursor })).toEqual([10]);
  });

  it("begins with the first commit that was stored at or after a time", async () => {
    const store = await openStore();
    for (let n = 0; n < 6; n++) {
      const { cursor } = await store.append(alice, notes(n), { expectedVersion: n });
      const [event] = await store.readLast(alice, 1);
      expect(event?.cursor).toBe(cursor);
      // The next commit's millisecond must be another one.
      const stored = event?.recordedAt.getTime() ?? 0;
      while (Date.now() <= stored + 1) await delay(1);
    }
    const events = await collect(store.readAll());
    for (const [at, { recordedAt }] of events.entries()) {
      expect(await read(store, { since: recordedAt })).toEqual(events.slice(at).map(numberOf));
    }
    expect(await read(store, { since: new Date(Date.now() + 3_600_000) })).toEqual([]);
    expect(await read(store, { since: new Date(0), actor: alice, limit: 2 })).toEqual([0, 1]);
  });

  it("ends at the head of the start, though others go on appending", async () => {
    const store = await sevenEvents();
    const seen: unknown[] = [];
    for await (const event of store.readAll({ maxBufferedCommits: 1 })) {
      seen.push(numberOf(event));
      await store.append(bob, notes(100), { expectedVersion: "any" });
    }
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  it("ends at once on an empty stream", async () => {
    const store = await openStore();
    expect(await read(store, {})).toEqual([]);
    expect(await collect(store.readCommits())).toEqual([]);
  });

  it("may be left, and leaves no consumer behind", async () => {
    const store = await sevenEvents();
    expect(await take(store.readAll(), 2)).toHaveLength(2);
    const nc = await openConnection();
    const manager = await jetstreamManager(nc, { checkAPI: false });
    const { state } = await manager.streams.info(store.stream);
    expect(state.consumer_count).toBe(0);
  });

  it("never takes the end of a closed store for the end of the stream", async () => {
    const writer = await openStore();
    const many = Array.from({ length: 300 }, (_, n) =>
      writer.append(alice, notes(n), { expectedVersion: n }),
    );
    await Promise.all(many);
    const store = await EventStore.open(await openConnection(), { stream: writer.stream });
    const error = await failureOf(async () => {
      for await (const { version } of store.readAll({ maxBufferedCommits: 4 })) {
        if (version === 1) await store.close();
      }
    });
    expect(error).toBeInstanceOf(ClosedError);
    const other = await EventStore.open(await openConnection(), { stream: writer.stream });
    const ofActor = await failureOf(async () => {
      for await (const { version } of other.read(alice)) if (version === 1) await other.close();
    });
    expect(ofActor).toBeInstanceOf(ClosedError);
  });

  it("stops with the signal's reason, before and in the middle", async () => {
    const store = await sevenEvents();
    const reason = new Error("enough");
    const before = store.readAll({ signal: AbortSignal.abort(reason) });
    expect(await failureOf(collect(before))).toBe(reason);
    const controller = new AbortController();
    const { signal } = controller;
    const middle = await failureOf(async () => {
      for await (const event of store.readAll({ signal, maxBufferedCommits: 1 })) {
        if (numberOf(event) === 1) controller.abort(reason);
      }
    });
    expect(middle).toBe(reason);
  });

  it.each<[unknown, string]>([
    [{ after: "nonsense" }, "after"],
    [{ after: 5 }, "after"],
    [{ after: "0.1.abc" }, "after"],
    [{ since: new Date(Number.NaN) }, "since"],
    [{ since: 5 }, "since"],
    [{ since: new Date(), after: "1.1.abc" }, "since"],
    [{ actor: alice, actorType: "account" }, "actorType"],
    [{ actorType: "a.*" }, "actorType"],
    [{ actor: { type: "account" } }, "actor.id"],
    [{ limit: -1 }, "limit"],
    [{ maxBufferedCommits: 0 }, "maxBufferedCommits"],
  ])("refuses %j", async (options, argument) => {
    const store = await openStore();
    const given = untyped<StreamReadOptions>(options);
    const error = await failureOf(() => collect(store.readAll(given)));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error).toMatchObject({ argument });
  });
});

describe("readCommits", () => {
  it("gives whole commits with their first and last versions", async () => {
    const store = await sevenEvents();
    const commits = await collect(store.readCommits());
    expect(commits).toMatchObject([
      { actor: alice, position: 1, firstVersion: 1, version: 2, metadata: {} },
      { actor: bob, position: 2, firstVersion: 1, version: 1 },
      { actor: order, position: 3, firstVersion: 1, version: 3 },
      { actor: alice, position: 4, firstVersion: 3, version: 3 },
    ]);
    expect(commits.flatMap(({ events }) => events)).toEqual(await collect(store.readAll()));
    expect(commits.map(({ cursor }) => cursor)).toEqual(
      commits.map(({ events }) => events.at(-1)?.cursor),
    );
    expect(await collect(store.readCommits({ limit: 2 }))).toEqual(commits.slice(0, 2));
    expect(await collect(store.readCommits({ actorType: "order" }))).toEqual(commits.slice(2, 3));
    const after = commits[1]?.cursor ?? "";
    expect(await collect(store.readCommits({ after }))).toEqual(commits.slice(2));
  });

  it("gives the rest of a commit behind a cursor in its middle", async () => {
    const store = await sevenEvents();
    const events = await collect(store.readAll());
    const [first] = await collect(store.readCommits({ after: events[3]?.cursor, limit: 1 }));
    expect(first).toMatchObject({ actor: order, position: 3, version: 3 });
    expect(first?.events.map(numberOf)).toEqual([5, 6]);
  });

  it("calls the first event that it gives the first, also behind a cursor in a commit's middle", async () => {
    const store = await sevenEvents();
    const events = await collect(store.readAll());
    const [first] = await collect(store.readCommits({ after: events[3]?.cursor, limit: 1 }));
    expect(first?.firstVersion).toBe(first?.events[0]?.version);
  });
});
