import { describe, expect, it } from "vitest";
import {
  ClosedError,
  EventStore,
  InvalidArgumentError,
  ReadTimeoutError,
} from "../../../src/index.ts";
import { freshStream, natsUrl } from "../../support/server.ts";
import { collect, failureOf, notes, openConnection, openStore } from "./bank.ts";

const alice = { type: "account", id: "alice" } as const;

describe("close", () => {
  it("lets appends finish that run or wait, and refuses new ones at once", async () => {
    const store = await openStore({ maxInFlight: 3 });
    const appends = Array.from({ length: 50 }, (_, n) =>
      store.append({ type: "account", id: `n${n % 10}` }, notes(n), { expectedVersion: "any" }),
    );
    const closing = store.close();
    const late = failureOf(store.append(alice, notes(1), { expectedVersion: 0 }));
    expect(await late).toBeInstanceOf(ClosedError);
    await closing;
    const settled = await Promise.allSettled(appends);
    expect(settled.map(({ status }) => status)).toEqual(
      Array.from({ length: 50 }, () => "fulfilled"),
    );
    const other = await openStore({ stream: store.stream });
    expect(await other.head()).toBe(50);
  });

  it("may be called again, and all calls end together", async () => {
    const store = await openStore();
    await Promise.all([store.close(), store.close()]);
    await store.close();
    expect(store.health().connected).toBe(false);
  });

  it("is what `await using` does", async () => {
    let kept: EventStore | undefined;
    {
      await using store = await EventStore.connect({ servers: natsUrl(), stream: freshStream() });
      await store.append(alice, notes(1), { expectedVersion: 0 });
      kept = store;
    }
    expect(await failureOf(kept.latestVersion(alice))).toBeInstanceOf(ClosedError);
  });

  it("makes every call fail with ClosedError", async () => {
    const store = await openStore();
    await store.append(alice, notes(1), { expectedVersion: 0 });
    const lazy = store.read(alice);
    await store.close();
    const attempts = [
      () => store.append(alice, notes(2), { expectedVersion: 1 }),
      () => store.appendAll([{ actor: alice, events: notes(2), expectedVersion: 1 }]),
      () => collect(lazy),
      () => collect(store.read(alice)),
      () => store.readLast(alice, 1),
      () => store.latestVersion(alice),
      () => store.exists(alice),
      () => store.head(),
      () => collect(store.actors()),
      () => collect(store.readAll()),
      () => collect(store.readCommits()),
      () => store.subscribe(),
      () => store.subscribeCommits(),
      () => store.waitFor(1),
    ];
    for (const attempt of attempts) {
      const error = await failureOf(attempt);
      expect(error).toBeInstanceOf(ClosedError);
      expect(error).toMatchObject({ code: "closed" });
    }
    expect(store.health()).toMatchObject({ connected: false, server: undefined });
  });

  it("leaves a borrowed connection open, and nothing of the store on it", async () => {
    const nc = await openConnection();
    const store = await EventStore.open(nc, { stream: freshStream(), follow: true });
    await store.append(alice, notes(1), { expectedVersion: 0 });
    const live = store.subscribe();
    await collect(store.readAll());
    await store.close();
    expect(await collect(live)).toEqual([]);
    expect(nc.isClosed()).toBe(false);
    const echo = nc.subscribe("lifecycle.echo", { max: 1 });
    nc.publish("lifecycle.echo", "still there");
    for await (const message of echo) expect(message.string()).toBe("still there");
    const again = await EventStore.open(nc, { stream: store.stream });
    expect(await again.latestVersion(alice)).toBe(1);
    await again.close();
  });

  it("of one of two stores on a borrowed connection leaves the other alone", async () => {
    const nc = await openConnection();
    const stream = freshStream();
    const one = await EventStore.open(nc, { stream });
    const two = await EventStore.open(nc, { stream });
    const live = two.subscribe();
    await live.caughtUp;
    await one.close();
    await two.append(alice, notes(1), { expectedVersion: 0 });
    for await (const event of live) {
      expect(event.version).toBe(1);
      break;
    }
    await two.close();
  });

  it("of the borrowed connection by its owner ends calls and subscriptions with ClosedError", async () => {
    const nc = await openConnection();
    const store = await EventStore.open(nc, { stream: freshStream() });
    const live = store.subscribe();
    await live.caughtUp;
    const running = collect(live);
    running.catch(() => {});
    await nc.close();
    expect(await failureOf(running)).toBeInstanceOf(ClosedError);
    const append = store.append(alice, notes(1), { expectedVersion: 0 });
    expect(await failureOf(append)).toBeInstanceOf(ClosedError);
    expect(await failureOf(collect(store.read(alice)))).toBeInstanceOf(ClosedError);
    await store.close();
    expect(await failureOf(EventStore.open(nc, { stream: "S" }))).toBeInstanceOf(ClosedError);
  });
});

describe("waitFor", () => {
  it("resolves when the position is there, also one that is still to come", async () => {
    const store = await openStore();
    const other = await openStore({ stream: store.stream });
    await store.waitFor(0);
    const waiting = other.waitFor(2);
    await store.append(alice, notes(1), { expectedVersion: 0 });
    const { position } = await store.append(alice, notes(2), { expectedVersion: 1 });
    await waiting;
    await other.waitFor(position);
    expect(await other.latestVersion(alice)).toBe(2);
  });

  it("gives up after its time, or by its signal", async () => {
    const store = await openStore();
    const late = await failureOf(store.waitFor(1, { timeoutMs: 50 }));
    expect(late).toBeInstanceOf(ReadTimeoutError);
    expect(late).toMatchObject({ code: "read_timeout" });
    const controller = new AbortController();
    const reason = new Error("enough");
    const waiting = store.waitFor(1, { signal: controller.signal });
    controller.abort(reason);
    expect(await failureOf(waiting)).toBe(reason);
  });

  it.each([-1, 1.5, Number.NaN])("refuses position %d", async (position) => {
    const store = await openStore();
    expect(await failureOf(store.waitFor(position))).toBeInstanceOf(InvalidArgumentError);
  });
});

describe("health", () => {
  it("says how the store is", async () => {
    const store = await openStore();
    await store.append(alice, notes(1), { expectedVersion: 0 });
    expect(store.health()).toEqual({
      connected: true,
      server: expect.stringMatching(/:\d+$/),
      serverVersion: expect.stringMatching(/^2\.\d+\.\d+/),
      stream: store.stream,
      replicas: 1,
      settingsProblems: [],
      following: false,
      appendsInFlight: 0,
      cachedActors: 1,
    });
  });
});
