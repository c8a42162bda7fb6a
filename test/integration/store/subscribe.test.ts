import { describe, expect, it } from "vitest";
import {
  ClosedError,
  EventStore,
  type RecordedEvent,
  type Subscription,
} from "../../../src/index.ts";
import { eventually } from "../../support/server.ts";
import { collect, failureOf, notes, openConnection, openStore, take } from "./bank.ts";

const alice = { type: "account", id: "alice" } as const;
const order = { type: "order", id: "7" } as const;

/** Follows a subscription in the background. */
function follow(live: Subscription<RecordedEvent>) {
  const seen: unknown[] = [];
  const running = (async () => {
    for await (const { data } of live) {
      seen.push(typeof data === "object" && data !== null && "n" in data ? data.n : data);
    }
  })();
  running.catch(() => {});
  return { seen, running };
}

async function appendAny(store: EventStore, ...numbers: number[]): Promise<string> {
  return (await store.append(alice, notes(...numbers), { expectedVersion: "any" })).cursor;
}

describe("a subscription", () => {
  it("catches up, says so, and follows", async () => {
    const store = await openStore();
    await appendAny(store, 1, 2);
    await appendAny(store, 3);
    const live = store.subscribe();
    expect(live.live).toBe(false);
    const { seen, running } = follow(live);
    await live.caughtUp;
    expect(live.live).toBe(true);
    expect(seen).toEqual([1, 2, 3]);
    await appendAny(store, 4);
    await store.append(order, notes(5), { expectedVersion: 0 });
    await eventually(() => expect(seen).toEqual([1, 2, 3, 4, 5]));
    await live.close();
    await running;
  });

  it("is caught up on an empty stream before anybody iterates it", async () => {
    const store = await openStore();
    const live = store.subscribe();
    await live.caughtUp;
    expect(live.live).toBe(true);
    await live.close();
  });

  it("is not caught up before the last event was dealt with", async () => {
    const store = await openStore();
    await appendAny(store, 1, 2);
    const live = store.subscribe();
    const iterator = live[Symbol.asyncIterator]();
    await iterator.next();
    await iterator.next();
    expect(live.live).toBe(false);
    const third = iterator.next();
    await live.caughtUp;
    await appendAny(store, 3);
    expect((await third).value).toMatchObject({ data: { n: 3 } });
    await live.close();
  });

  it("gives one type's events, or one actor's", async () => {
    const store = await openStore();
    await appendAny(store, 1);
    await store.append(order, notes(2), { expectedVersion: 0 });
    const orders = store.subscribe({ actorType: "order" });
    const ofAlice = store.subscribe({ actor: alice });
    const [byType, byActor] = [follow(orders), follow(ofAlice)];
    await Promise.all([orders.caughtUp, ofAlice.caughtUp]);
    await appendAny(store, 3);
    await store.append({ type: "account", id: "bob" }, notes(4), { expectedVersion: 0 });
    await store.append(order, notes(5), { expectedVersion: 1 });
    await eventually(() => {
      expect(byType.seen).toEqual([2, 5]);
      expect(byActor.seen).toEqual([1, 3]);
    });
    await Promise.all([orders.close(), ofAlice.close()]);
  });

  it("goes on behind a cursor, also in the middle of a commit", async () => {
    const store = await openStore();
    await appendAny(store, 1, 2, 3);
    const [first] = await take(store.subscribe(), 1);
    const live = store.subscribe({ after: first?.cursor });
    const { seen } = follow(live);
    await live.caughtUp;
    await appendAny(store, 4);
    await eventually(() => expect(seen).toEqual([2, 3, 4]));
    await live.close();
  });

  it("begins now with what is appended afterwards, or with what is not older than a time", async () => {
    const store = await openStore();
    await appendAny(store, 1);
    const now = store.subscribe({ after: "now" });
    const fromNow = follow(now);
    await now.caughtUp;
    const since = store.subscribe({ since: new Date(0) });
    const fromStart = follow(since);
    const later = store.subscribe({ since: new Date(Date.now() + 60_000) });
    await Promise.all([since.caughtUp, later.caughtUp]);
    await appendAny(store, 2);
    await eventually(() => {
      expect(fromNow.seen).toEqual([2]);
      expect(fromStart.seen).toEqual([1, 2]);
    });
    await Promise.all([now.close(), since.close(), later.close()]);
  });

  it("gives whole commits where it is asked for commits", async () => {
    const store = await openStore();
    await appendAny(store, 1, 2);
    const live = store.subscribeCommits();
    const [commit] = await take(live, 1);
    expect(commit).toMatchObject({ actor: alice, firstVersion: 1, version: 2, position: 1 });
    expect(commit?.events).toHaveLength(2);
  });

  it("ends quietly by close, also twice, and by leaving the loop", async () => {
    const store = await openStore();
    const live = store.subscribe();
    const { running } = follow(live);
    await live.caughtUp;
    await live.close();
    await live.close();
    await running;
    await appendAny(store, 1);
    const left = store.subscribe();
    expect(await take(left, 1)).toHaveLength(1);
    expect(await collect(left)).toEqual([]);
    await using disposed = store.subscribe();
    expect(disposed.live).toBe(false);
  });

  it("rejects caughtUp where it was closed before", async () => {
    const store = await openStore();
    await appendAny(store, 1);
    const live = store.subscribe();
    await live.close();
    await expect(live.caughtUp).rejects.toBeInstanceOf(ClosedError);
    expect(await collect(live)).toEqual([]);
  });

  it("ends with the signal's reason while it waits for more", async () => {
    const store = await openStore();
    const controller = new AbortController();
    const live = store.subscribe({ signal: controller.signal });
    const { running } = follow(live);
    await live.caughtUp;
    const reason = new Error("enough");
    controller.abort(reason);
    expect(await failureOf(running)).toBe(reason);
  });

  it("ends with the store", async () => {
    const store = await openStore();
    await appendAny(store, 1);
    const live = store.subscribe();
    const { running, seen } = follow(live);
    await live.caughtUp;
    await store.close();
    await running;
    expect(seen).toEqual([1]);
  });

  it("asks for no more than its bound while its reader is busy", async () => {
    const writer = await openStore();
    const total = 600;
    await Promise.all(
      Array.from({ length: total }, (_, n) =>
        writer.append({ type: "account", id: `n${n % 50}` }, notes(n), { expectedVersion: "any" }),
      ),
    );
    const nc = await openConnection();
    const store = await EventStore.open(nc, { stream: writer.stream });
    const live = store.subscribe({ maxBufferedCommits: 20 });
    let taken = 0;
    let most = 0;
    const start = nc.stats().inMsgs;
    for await (const event of live) {
      expect(event.position).toBe(++taken);
      if (taken % 10 === 0) {
        await nc.flush();
        await nc.flush();
        most = Math.max(most, nc.stats().inMsgs - start - taken);
      }
      if (taken === total) break;
    }
    expect(most).toBeLessThan(20 + 60);
    await store.close();
  });

  it("is one of several that each see everything, each at its own pace", async () => {
    const store = await openStore();
    const one = store.subscribe();
    const two = store.subscribe({ maxBufferedCommits: 1 });
    const fast = follow(one);
    const slow: number[] = [];
    const running = (async () => {
      for await (const { position } of two) {
        slow.push(position);
        await store.head();
      }
    })();
    await Promise.all(Array.from({ length: 100 }, (_, n) => appendAny(store, n)));
    await eventually(() => {
      expect(slow).toEqual(Array.from({ length: 100 }, (_, at) => at + 1));
      expect(fast.seen.toSorted((a, b) => Number(a) - Number(b))).toEqual(
        Array.from({ length: 100 }, (_, at) => at),
      );
    });
    await Promise.all([one.close(), two.close()]);
    await running;
  });
});
