import { describe, expect, it } from "vitest";
import { OverloadedError } from "../../../src/index.ts";
import { eventually } from "../../support/server.ts";
import { collect, failureOf, notes, openConnection, openStore } from "./bank.ts";

const alice = { type: "account", id: "alice" } as const;

function account(n: number): { type: "account"; id: string } {
  return { type: "account", id: `n${n}` };
}

describe("an aborted append", () => {
  const reason = new Error("the caller went home");

  it("is not sent where the signal was aborted before", async () => {
    const store = await openStore();
    const signal = AbortSignal.abort(reason);
    const options = { expectedVersion: 0, signal } as const;
    await expect(store.append(alice, notes(1), options)).rejects.toBe(reason);
    const entries = [{ actor: alice, events: notes(1), expectedVersion: 0 }] as const;
    await expect(store.appendAll(entries, { signal })).rejects.toBe(reason);
    expect(await store.head()).toBe(0);
    expect(store.health().appendsInFlight).toBe(0);
  });

  it("leaves the line while it waits for its actor, and holds up nobody behind it", async () => {
    const store = await openStore();
    const controller = new AbortController();
    const { signal } = controller;
    const before = store.append(alice, notes(1), { expectedVersion: "any" });
    const given = store.append(alice, notes(2), { expectedVersion: "any", signal });
    const behind = store.append(alice, notes(3), { expectedVersion: "any" });
    controller.abort(reason);
    await expect(given).rejects.toBe(reason);
    expect((await before).version).toBe(1);
    expect((await behind).version).toBe(2);
    const events = await collect(store.read(alice));
    expect(events.map(({ data }) => data)).toEqual([{ n: 1 }, { n: 3 }]);
  });

  it("leaves the line while it waits for a slot, and gives its actor's lock back", async () => {
    const store = await openStore({ maxInFlight: 1 });
    const controller = new AbortController();
    const { signal } = controller;
    const first = store.append(account(1), notes(1), { expectedVersion: 0 });
    const given = store.append(account(2), notes(2), { expectedVersion: 0, signal });
    controller.abort(reason);
    await expect(given).rejects.toBe(reason);
    await first;
    expect(await store.append(account(2), notes(3), { expectedVersion: 0 })).toMatchObject({
      version: 1,
    });
  });

  it("lets its caller go while it is in flight; what was sent may be stored, and the actor goes on", async () => {
    const store = await openStore();
    const controller = new AbortController();
    const { signal } = controller;
    const given = store.append(alice, notes(1), { expectedVersion: 0, signal });
    controller.abort(reason);
    await expect(given).rejects.toBe(reason);
    const after = await store.append(alice, notes(2), { expectedVersion: "any" });
    const events = await collect(store.read(alice));
    expect(events).toHaveLength(after.version);
    expect(events.at(-1)).toMatchObject({ data: { n: 2 } });
    await eventually(() => expect(store.health().appendsInFlight).toBe(0));
  });

  it("gives back all locks of an appendAll that waits for one of them", async () => {
    const store = await openStore();
    const controller = new AbortController();
    const { signal } = controller;
    const running = store.append(account(2), notes(1), { expectedVersion: 0 });
    const entries = [1, 2, 3].map((n) => ({
      actor: account(n),
      events: notes(n),
      expectedVersion: "any" as const,
    }));
    const given = store.appendAll(entries, { signal });
    controller.abort(reason);
    await expect(given).rejects.toBe(reason);
    await running;
    const results = await store.appendAll(entries);
    expect(results.map(({ version }) => version)).toEqual([1, 2, 1]);
  });

  it("leaves no listener on a signal that many appends share", async () => {
    const store = await openStore();
    let listeners = 0;
    const { signal } = new AbortController();
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--;
      remove(...args);
    };
    await Promise.all(
      [1, 2, 3].map((n) => store.append(alice, notes(n), { expectedVersion: "any", signal })),
    );
    await collect(store.read(alice, { signal }));
    expect(listeners).toBe(0);
  });
});

describe("maxInFlight", () => {
  it("keeps appends on their way to the server below the bound, and all are stored", async () => {
    const watcher = await openConnection();
    const inboxPrefix = `_INBOX_${Math.random().toString(36).slice(2)}`;
    const store = await openStore({ maxInFlight: 2, inboxPrefix });
    let onTheirWay = 0;
    let most = 0;
    watcher.subscribe(`${store.stream.toLowerCase()}.>`, {
      callback: () => {
        most = Math.max(most, ++onTheirWay);
      },
    });
    watcher.subscribe(`${inboxPrefix}.>`, {
      callback: (_, message) => {
        if (message.string().includes('"seq"')) onTheirWay--;
      },
    });
    await watcher.flush();
    const appends = Array.from({ length: 60 }, (_, n) =>
      store.append(account(n), notes(n), { expectedVersion: 0 }),
    );
    await Promise.all(appends);
    await watcher.flush();
    expect(onTheirWay).toBe(0);
    expect(most).toBe(2);
    expect(await store.head()).toBe(60);
  });

  it("counts each append once in health()", async () => {
    const store = await openStore({ maxInFlight: 2 });
    const appends = [1, 2, 3].map((n) =>
      store.append(account(n), notes(n), { expectedVersion: 0 }),
    );
    expect(store.health().appendsInFlight).toBe(3);
    await Promise.all(appends);
    expect(store.health().appendsInFlight).toBe(0);
  });
});

describe("maxQueuedAppends", () => {
  it("refuses what would wait beyond the bound, and nothing else", async () => {
    const store = await openStore({ maxInFlight: 2, maxQueuedAppends: 3 });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, n) =>
        store.append(account(n), notes(n), { expectedVersion: 0 }),
      ),
    );
    const refused = outcomes.flatMap((outcome) =>
      outcome.status === "rejected" ? [outcome.reason] : [],
    );
    for (const error of refused) {
      expect(error).toBeInstanceOf(OverloadedError);
      expect(error).toMatchObject({ code: "overloaded", option: "maxQueuedAppends", limit: 3 });
    }
    expect(refused).toHaveLength(5);
    expect(await store.head()).toBe(5);
    expect(await store.append(account(9), notes(9), { expectedVersion: 0 })).toMatchObject({
      version: 1,
    });
  });

  it("of 0 still lets appends through that need not wait", async () => {
    const store = await openStore({ maxQueuedAppends: 0 });
    const running = store.append(alice, notes(1), { expectedVersion: "any" });
    const error = await failureOf(store.append(alice, notes(2), { expectedVersion: "any" }));
    expect(error).toBeInstanceOf(OverloadedError);
    expect((await running).version).toBe(1);
  });
});
