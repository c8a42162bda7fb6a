import { jetstreamManager } from "@nats-io/jetstream";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import {
  type AppendMessage,
  type CacheMessage,
  type ConflictMessage,
  EventStore,
  type ReadMessage,
  type ReconnectMessage,
  type RetryMessage,
} from "../../../src/index.ts";
import { eventually } from "../../support/server.ts";
import { collect, failureOf, notes, openConnection, openStore, take } from "./bank.ts";
import { listenTo } from "./listening.ts";

const alice = { type: "account", id: "alice" } as const;
const bob = { type: "account", id: "bob" } as const;

function subjectOf(store: EventStore, id: string): string {
  return `${store.stream.toLowerCase()}.account.${id}`;
}

describe("annal:append", () => {
  it("tells of an append that was stored and of one that was not", async () => {
    const store = await openStore();
    const told = listenTo<AppendMessage>("annal:append", store.stream);
    await store.append(alice, notes(1, 2), { expectedVersion: 0, commitId: "one" });
    const error = await failureOf(
      store.append(alice, notes(3), { expectedVersion: 0, commitId: "two" }),
    );
    const common = {
      stream: store.stream,
      subjects: [subjectOf(store, "alice")],
      durationMs: expect.any(Number),
    };
    expect(told).toEqual([
      { ...common, commitId: "one", events: 2, position: 1, error: undefined },
      { ...common, commitId: "two", events: 1, position: undefined, error },
    ]);
    expect(told[0]?.durationMs).toBeGreaterThan(0);
  });

  it("tells of an appendAll once, with all its actors and the last position", async () => {
    const store = await openStore();
    const told = listenTo<AppendMessage>("annal:append", store.stream);
    const entries = [alice, bob].map((actor) => ({
      actor,
      events: notes(1, 2),
      expectedVersion: 0,
    }));
    await store.appendAll(entries, { commitId: "all" });
    expect(told).toMatchObject([{ commitId: "all", events: 4, position: 2, error: undefined }]);
    expect(told[0]?.subjects).toEqual([subjectOf(store, "alice"), subjectOf(store, "bob")]);
  });
});

describe("annal:read", () => {
  it("tells of reads of an actor and of the stream, to their end or not", async () => {
    const store = await openStore();
    await store.append(alice, notes(1, 2), { expectedVersion: 0 });
    await store.append(alice, notes(3), { expectedVersion: 2 });
    const told = listenTo<ReadMessage>("annal:read", store.stream);
    await collect(store.read(alice));
    await take(store.read(alice), 1);
    await store.readLast(alice, 1);
    await collect(store.readAll());
    await collect(store.readCommits({ limit: 1 }));
    const subject = subjectOf(store, "alice");
    expect(told.map((message) => [message.subject, message.commits])).toEqual([
      [subject, 2],
      [subject, 1],
      [subject, 1],
      [undefined, 2],
      [undefined, 1],
    ]);
    expect(told[0]).toEqual({
      stream: store.stream,
      subject,
      commits: 2,
      durationMs: expect.any(Number),
      error: undefined,
    });
    for (const { durationMs } of told) expect(durationMs).toBeGreaterThan(0);
  });

  it("tells what ended a read", async () => {
    const store = await openStore();
    await store.append(alice, notes(1), { expectedVersion: 0 });
    const told = listenTo<ReadMessage>("annal:read", store.stream);
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    await failureOf(collect(store.read(alice, { signal })));
    await failureOf(collect(store.readAll({ signal })));
    const values = store.readAll();
    await values.next();
    await store.close();
    const closed = await failureOf(values.next());
    expect(closed).toMatchObject({ code: "closed" });
    expect(told.map(({ error }) => error)).toEqual([reason, reason, closed]);
  });

  it("counts what the consumer waits, and not what it does between", async () => {
    const store = await openStore();
    await store.append(alice, notes(1, 2), { expectedVersion: 0 });
    await store.append(alice, notes(3), { expectedVersion: 2 });
    const told = listenTo<ReadMessage>("annal:read", store.stream);
    const age = 1e9;
    let later = 0;
    const now = performance.now.bind(performance);
    const clock = vi.spyOn(performance, "now").mockImplementation(() => now() + later);
    onTestFinished(() => clock.mockRestore());
    for (const read of [() => store.read(alice), () => store.readAll()]) {
      for await (const _ of read()) later += age;
      for await (const _ of read()) {
        later += age;
        break;
      }
    }
    expect(told).toHaveLength(4);
    for (const { durationMs } of told) {
      expect(durationMs).toBeGreaterThan(0);
      expect(durationMs).toBeLessThan(age);
    }
  });
});

describe("annal:conflict", () => {
  it("tells who was expected where, and whether the store tries again", async () => {
    const store = await openStore();
    const other = await openStore({ stream: store.stream });
    await store.append(alice, notes(1), { expectedVersion: 0 });
    await other.append(alice, notes(2), { expectedVersion: 1 });
    const told = listenTo<ConflictMessage>("annal:conflict", store.stream);
    await failureOf(store.append(alice, notes(3), { expectedVersion: 1 }));
    await other.append(alice, notes(3), { expectedVersion: 2 });
    await store.append(alice, notes(4), { expectedVersion: "any" });
    const common = { stream: store.stream, subject: subjectOf(store, "alice") };
    expect(told).toEqual([
      { ...common, expectedVersion: 1, actualVersion: 2, retried: false },
      { ...common, expectedVersion: "any", actualVersion: 3, retried: true },
    ]);
  });

  it("names the actor of an appendAll", async () => {
    const store = await openStore();
    await store.append(bob, notes(1), { expectedVersion: 0 });
    const told = listenTo<ConflictMessage>("annal:conflict", store.stream);
    const entries = [alice, bob].map((actor) => ({
      actor,
      events: notes(1),
      expectedVersion: 0,
    }));
    await failureOf(store.appendAll(entries));
    expect(told).toMatchObject([{ subject: subjectOf(store, "bob"), actualVersion: 1 }]);
  });
});

describe("annal:cache", () => {
  it("tells hits and misses of appends", async () => {
    const store = await openStore();
    const told = listenTo<CacheMessage>("annal:cache", store.stream);
    await store.append(alice, notes(1), { expectedVersion: "any" });
    await store.append(alice, notes(2), { expectedVersion: "any" });
    const common = { stream: store.stream, subject: subjectOf(store, "alice") };
    expect(told).toEqual([
      { ...common, what: "miss" },
      { ...common, what: "hit" },
    ]);
  });

  it("tells that the whole cache is distrusted, and nothing of one actor", async () => {
    const store = await openStore();
    await store.append(alice, notes(1), { expectedVersion: 0 });
    const told = listenTo<CacheMessage>("annal:cache", store.stream);
    const manager = await jetstreamManager(await openConnection(), { checkAPI: false });
    const { config } = await manager.streams.info(store.stream);
    await manager.streams.delete(store.stream);
    await manager.streams.add(config);
    const message = { stream: store.stream, subject: undefined, what: "distrusted" };
    await eventually(() => expect(told).toContainEqual(message));
  });

  it("tells that a head was lowered", async () => {
    const store = await openStore();
    await store.append(alice, notes(1), { expectedVersion: 0 });
    const told = listenTo<CacheMessage>("annal:cache", store.stream);
    const manager = await jetstreamManager(await openConnection(), { checkAPI: false });
    const subject = subjectOf(store, "alice");
    await manager.streams.purge(store.stream, { filter: subject });
    expect(await store.latestVersion(alice)).toBe(0);
    expect(told).toContainEqual({ stream: store.stream, subject, what: "lowered" });
    expect(store.cachedVersion(alice)).toBeUndefined();
  });
});

describe("annal:retry", () => {
  it("tells that an append was sent again, and that a read was", async () => {
    const store = await openStore({ readTimeoutMs: 400 });
    const other = await openStore({ stream: store.stream });
    await store.append(alice, notes(1), { expectedVersion: 0 });
    await other.append(alice, notes(2), { expectedVersion: 1 });
    const told = listenTo<RetryMessage>("annal:retry", store.stream);
    await store.append(alice, notes(3), { expectedVersion: "any" });
    expect(told).toEqual([
      {
        stream: store.stream,
        what: "append",
        attempt: 1,
        outcome: "race",
        reason: expect.any(String),
      },
    ]);
    const manager = await jetstreamManager(await openConnection(), { checkAPI: false });
    await manager.streams.delete(store.stream);
    const error = await failureOf(collect(store.read(alice)));
    expect(error).toMatchObject({ code: "jetstream_unavailable" });
    expect(told).toContainEqual({
      stream: store.stream,
      what: "read",
      attempt: 2,
      reason: expect.any(String),
    });
  });

  it("is silent where a conflict is simply reported", async () => {
    const store = await openStore();
    const other = await openStore({ stream: store.stream });
    await store.append(alice, notes(1), { expectedVersion: 0 });
    await other.append(alice, notes(2), { expectedVersion: 1 });
    const told = listenTo<RetryMessage>("annal:retry", store.stream);
    await failureOf(store.append(alice, notes(3), { expectedVersion: 1 }));
    expect(told).toEqual([]);
  });
});

describe("annal:reconnect", () => {
  it("tells that the connection was lost and came back, and readers that were set up anew", async () => {
    const nc = await openConnection();
    const stream = (await openStore()).stream;
    const store = await EventStore.open(nc, { stream });
    const live = store.subscribe();
    const running = collect(live);
    await live.caughtUp;
    const told = listenTo<ReconnectMessage>("annal:reconnect", stream);
    await nc.reconnect();
    await eventually(() => {
      const what = told.map((message) => message.what);
      expect(what.slice(0, 1)).toEqual(["disconnected"]);
      expect(what).toContain("reconnected");
      expect(what).toContain("reader_recreated");
    });
    expect(told[0]).toEqual({ stream, what: "disconnected", reason: undefined });
    await store.append(alice, notes(1), { expectedVersion: 0 });
    await store.close();
    expect((await running).length).toBeLessThanOrEqual(1);
  });
});
