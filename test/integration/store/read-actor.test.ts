import { describe, expect, it } from "vitest";
import { type EventStore, InvalidArgumentError, type ReadOptions } from "../../../src/index.ts";
import { collect, failureOf, notes, openStore, take, untyped } from "./bank.ts";

const alice = { type: "account", id: "alice" } as const;

/** Versions 1 to 10 in commits of 1, 2, 3 and 4 events, another actor's commits between them. */
async function tenVersions(): Promise<EventStore> {
  const store = await openStore();
  let version = 0;
  for (const count of [1, 2, 3, 4]) {
    const numbers = Array.from({ length: count }, (_, at) => version + at + 1);
    await store.append(alice, notes(...numbers), { expectedVersion: version });
    await store.append({ type: "account", id: "bob" }, notes(count), { expectedVersion: "any" });
    version += count;
  }
  return store;
}

function range(from: number, to: number): number[] {
  const step = from <= to ? 1 : -1;
  return Array.from({ length: Math.abs(to - from) + 1 }, (_, at) => from + at * step);
}

describe("read", () => {
  it.each<[ReadOptions, number[]]>([
    [{}, range(1, 10)],
    [{ fromVersion: 3 }, range(3, 10)],
    [{ fromVersion: 10 }, [10]],
    [{ fromVersion: 11 }, []],
    [{ toVersion: 0 }, []],
    [{ toVersion: 5 }, range(1, 5)],
    [{ toVersion: 99 }, range(1, 10)],
    [{ fromVersion: 5, toVersion: 5 }, [5]],
    [{ fromVersion: 6, toVersion: 5 }, []],
    [{ limit: 0 }, []],
    [{ limit: 2 }, [1, 2]],
    [{ fromVersion: 5, limit: 4 }, range(5, 8)],
    [{ fromVersion: 2, toVersion: 3, limit: 9 }, [2, 3]],
    [{ direction: "backwards" }, range(10, 1)],
    [{ direction: "backwards", limit: 3 }, range(10, 8)],
    [{ direction: "backwards", toVersion: 6 }, range(6, 1)],
    [{ direction: "backwards", fromVersion: 8 }, range(10, 8)],
    [{ direction: "backwards", fromVersion: 2, toVersion: 5, limit: 3 }, range(5, 3)],
    [{ direction: "backwards", toVersion: 99, limit: 1 }, [10]],
    [{ direction: "backwards", limit: 0 }, []],
    [{ direction: "backwards", fromVersion: 11 }, []],
  ])("gives with %j versions %j", async (options, versions) => {
    const store = await tenVersions();
    const events = await collect(store.read(alice, options));
    expect(events.map(({ version }) => version)).toEqual(versions);
    expect(events.map(({ data }) => data)).toEqual(versions.map((n) => ({ n })));
  });

  it("gives nothing of an actor without events", async () => {
    const store = await openStore();
    expect(await collect(store.read(alice))).toEqual([]);
    expect(await collect(store.read(alice, { direction: "backwards" }))).toEqual([]);
  });

  it("ends at the version that the actor had when the iteration started", async () => {
    const store = await tenVersions();
    const seen: number[] = [];
    for await (const { version } of store.read(alice)) {
      seen.push(version);
      if (version === 1) await store.append(alice, notes(11), { expectedVersion: 10 });
    }
    expect(seen).toEqual(range(1, 10));
  });

  it("may be left in the middle, and read again", async () => {
    const store = await tenVersions();
    expect(await take(store.read(alice), 3)).toHaveLength(3);
    expect(await collect(store.read(alice))).toHaveLength(10);
  });

  it("stops with the signal's reason", async () => {
    const store = await tenVersions();
    const reason = new Error("enough");
    const before = store.read(alice, { signal: AbortSignal.abort(reason) });
    expect(await failureOf(collect(before))).toBe(reason);
  });

  it.each<[unknown, string]>([
    [{ fromVersion: 0 }, "fromVersion"],
    [{ fromVersion: 1.5 }, "fromVersion"],
    [{ toVersion: -1 }, "toVersion"],
    [{ limit: -1 }, "limit"],
    [{ limit: Number.NaN }, "limit"],
    [{ direction: "up" }, "direction"],
  ])("refuses %j", async (options, argument) => {
    const store = await openStore();
    const error = await failureOf(() => collect(store.read(alice, untyped<ReadOptions>(options))));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error).toMatchObject({ argument });
  });
});

describe("readLast", () => {
  it("gives the last events, oldest first", async () => {
    const store = await tenVersions();
    const versions = async (count: number) =>
      (await store.readLast(alice, count)).map(({ version }) => version);
    expect(await versions(0)).toEqual([]);
    expect(await versions(1)).toEqual([10]);
    expect(await versions(5)).toEqual(range(6, 10));
    expect(await versions(99)).toEqual(range(1, 10));
    expect(await store.readLast({ type: "account", id: "nobody" }, 5)).toEqual([]);
    expect(await failureOf(store.readLast(alice, -1))).toMatchObject({ argument: "count" });
  });
});

describe("an actor's state is asked of the server", () => {
  it("by latestVersion and exists, which see what other processes append", async () => {
    const store = await tenVersions();
    const other = await openStore({ stream: store.stream });
    expect(await other.latestVersion(alice)).toBe(10);
    expect(await other.exists(alice)).toBe(true);
    expect(await other.exists({ type: "account", id: "nobody" })).toBe(false);
    expect(await other.latestVersion({ type: "order", id: "alice" })).toBe(0);
    await other.append(alice, notes(11), { expectedVersion: 10 });
    expect(await store.latestVersion(alice)).toBe(11);
    expect(store.cachedVersion(alice)).toBe(11);
  });

  it("by head, which is the position of the last commit", async () => {
    const store = await openStore();
    expect(await store.head()).toBe(0);
    const { position } = await store.append(alice, notes(1, 2), { expectedVersion: 0 });
    expect(await store.head()).toBe(position);
  });
});

describe("actors", () => {
  it("are listed once each, by type, behind an actor, up to a limit", async () => {
    const store = await openStore();
    for (const id of ["b", "a.1", "c"]) {
      for (const type of ["order", "account"]) {
        await store.append({ type, id }, notes(1), { expectedVersion: 0 });
        await store.append({ type, id }, notes(2), { expectedVersion: 1 });
      }
    }
    const names = async (options?: Parameters<typeof store.actors>[0]) =>
      (await collect(store.actors(options))).map(({ type, id }) => `${type}/${id}`);
    const all = ["account/a.1", "account/b", "account/c", "order/a.1", "order/b", "order/c"];
    expect(await names()).toEqual(all);
    expect(await names({ type: "order" })).toEqual(all.slice(3));
    expect(await names({ type: "nothing" })).toEqual([]);
    expect(await names({ limit: 2 })).toEqual(all.slice(0, 2));
    expect(await names({ limit: 0 })).toEqual([]);
    expect(await names({ after: { type: "account", id: "b" } })).toEqual(all.slice(2));
    expect(await names({ after: { type: "account", id: "aa" }, limit: 1 })).toEqual(["account/b"]);
    expect(await names({ type: "order", after: { type: "order", id: "b" } })).toEqual(["order/c"]);
  });

  it("refuses a type that is none and a limit below zero", async () => {
    const store = await openStore();
    expect(await failureOf(collect(store.actors({ type: "a.*" })))).toMatchObject({
      argument: "type",
    });
    expect(await failureOf(collect(store.actors({ limit: -1 })))).toMatchObject({
      argument: "limit",
    });
  });
});
