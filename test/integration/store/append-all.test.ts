import { describe, expect, it } from "vitest";
import {
  type AppendEntry,
  AppendTooLargeError,
  type EventStore,
  InvalidArgumentError,
  VersionConflictError,
} from "../../../src/index.ts";
import { collect, failureOf, notes, openStore, untyped } from "./bank.ts";

const zoe = { type: "account", id: "zoe" } as const;
const bob = { type: "account", id: "bob" } as const;
const order = { type: "order", id: "7" } as const;

function entry(
  actor: { type: string; id: string },
  expectedVersion: AppendEntry["expectedVersion"],
  ...numbers: number[]
): AppendEntry {
  return { actor, events: notes(...numbers), expectedVersion };
}

async function versions(store: EventStore): Promise<number[]> {
  return Promise.all([zoe, bob, order].map((actor) => store.latestVersion(actor)));
}

describe("appendAll", () => {
  it("stores the commits of all actors side by side, and answers in the order of the entries", async () => {
    const store = await openStore();
    await store.append(bob, notes(0), { expectedVersion: 0 });
    const results = await store.appendAll(
      [entry(zoe, 0, 1, 2), entry(bob, 1, 3), entry(order, "none", 4, 5, 6)],
      { correlationId: "c-1", headers: { traceparent: "t" } },
    );
    expect(results.map(({ version }) => version)).toEqual([2, 2, 3]);
    expect(results.every(({ replayed }) => !replayed)).toBe(true);
    expect(new Set(results.map(({ position }) => position))).toEqual(new Set([2, 3, 4]));
    for (const [at, actor] of [zoe, bob, order].entries()) {
      const [event] = await store.readLast(actor, 1);
      expect(event).toMatchObject({
        position: results[at]?.position,
        commitId: results[at]?.commitId,
        cursor: results[at]?.cursor,
        metadata: { correlationId: "c-1" },
      });
    }
    const commits = (await collect(store.readCommits())).slice(1);
    expect(commits.map(({ headers }) => headers)).toEqual(
      Array.from({ length: 3 }, () => ({ traceparent: "t" })),
    );
  });

  it("gives events ids that are unique across its actors", async () => {
    const store = await openStore();
    await store.appendAll([entry(zoe, 0, 1, 2), entry(bob, 0, 3, 4), entry(order, 0, 5)]);
    const ids = (await collect(store.readAll())).map(({ id }) => id);
    expect(new Set(ids).size).toBe(5);
  });

  it("stores nothing where one actor is not where it was expected, and names that actor", async () => {
    const store = await openStore();
    await store.append(bob, notes(0), { expectedVersion: 0 });
    const error = await failureOf(
      store.appendAll([entry(zoe, 0, 1), entry(bob, 4, 2), entry(order, "any", 3)]),
    );
    expect(error).toBeInstanceOf(VersionConflictError);
    expect(error).toMatchObject({ actor: bob, expectedVersion: 4, actualVersion: 1 });
    expect(await versions(store)).toEqual([0, 1, 0]);
  });

  it("names the actor that another process has moved since it was cached", async () => {
    const store = await openStore();
    const other = await openStore({ stream: store.stream });
    await store.appendAll([entry(zoe, 0, 1), entry(bob, 0, 1), entry(order, 0, 1)]);
    await other.append(order, notes(2), { expectedVersion: 1 });
    const error = await failureOf(
      store.appendAll([entry(zoe, 1, 2), entry(bob, "any", 2), entry(order, 1, 2)]),
    );
    expect(error).toMatchObject({
      code: "version_conflict",
      actor: order,
      expectedVersion: 1,
      actualVersion: 2,
    });
    expect(await versions(store)).toEqual([1, 1, 2]);
  });

  it("tries again where only actors with 'any' have moved", async () => {
    const store = await openStore();
    const other = await openStore({ stream: store.stream });
    await store.appendAll([entry(zoe, 0, 1), entry(bob, 0, 1)]);
    await other.append(bob, notes(2), { expectedVersion: 1 });
    const results = await store.appendAll([entry(zoe, 1, 3), entry(bob, "any", 3)]);
    expect(results.map(({ version }) => version)).toEqual([2, 3]);
  });

  it("does not try again behind the caller's back where an actor with 'exists' has moved", async () => {
    const store = await openStore();
    const other = await openStore({ stream: store.stream });
    await store.appendAll([entry(zoe, 0, 1), entry(bob, 0, 1)]);
    await other.append(bob, notes(2), { expectedVersion: 1 });
    const append = () => store.appendAll([entry(zoe, 1, 3), entry(bob, "exists", 3)]);
    expect(await failureOf(append())).toMatchObject({
      code: "version_conflict",
      actor: bob,
      expectedVersion: "exists",
      actualVersion: 2,
    });
    expect((await append()).map(({ version }) => version)).toEqual([2, 3]);
  });

  it("lets one of two stores win where they race for two actors", async () => {
    const stores = [await openStore()];
    stores.push(await openStore({ stream: stores[0]?.stream ?? "" }));
    for (let version = 0; version < 20; version++) {
      const outcomes = await Promise.allSettled(
        stores.map((store, at) => {
          const entries = [entry(zoe, version, at), entry(bob, version, at)];
          return store.appendAll(at === 0 ? entries : entries.toReversed());
        }),
      );
      expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    }
    const [store] = stores;
    if (store === undefined) throw new Error("no store");
    expect(await versions(store)).toEqual([20, 20, 0]);
    const wins = async (actor: typeof zoe | typeof bob) =>
      (await collect(store.read(actor))).map(({ data }) => data);
    expect(await wins(zoe)).toEqual(await wins(bob));
  });

  it("runs many at once that share actors in other orders", async () => {
    const store = await openStore();
    const actors = [zoe, bob, order];
    await Promise.all(
      Array.from({ length: 30 }, (_, n) => {
        const turned = actors.map((_actor, at) => actors[(at + n) % 3] ?? zoe);
        return store.appendAll(turned.slice(0, 2).map((actor) => entry(actor, "any", n)));
      }),
    );
    expect(await versions(store)).toEqual([20, 20, 20]);
  });

  it("is repeatable by its commit id, also by another process and in another order", async () => {
    const store = await openStore();
    const entries = [entry(zoe, 0, 1, 2), entry(bob, "none", 3)];
    const stored = await store.appendAll(entries, { commitId: "transfer-1" });
    await store.append(zoe, notes(9), { expectedVersion: 2 });
    const again = await store.appendAll(entries, { commitId: "transfer-1" });
    expect(again).toEqual(stored.map((result) => ({ ...result, replayed: true })));
    const other = await openStore({ stream: store.stream });
    const turned = await other.appendAll(entries.toReversed(), { commitId: "transfer-1" });
    expect(turned).toEqual(again.toReversed());
    expect(await versions(store)).toEqual([3, 1, 0]);
  });

  it("refuses other events under a commit id that was used", async () => {
    const store = await openStore();
    await store.appendAll([entry(zoe, 0, 1), entry(bob, 0, 2)], { commitId: "t" });
    const error = await failureOf(
      store.appendAll([entry(zoe, 0, 1), entry(bob, 0, 5)], { commitId: "t" }),
    );
    expect(error).toMatchObject({ code: "commit_id_reused", actor: bob });
    expect(await versions(store)).toEqual([1, 1, 0]);
  });

  it("takes 1,000 actors, and refuses one more", async () => {
    const store = await openStore();
    const entries = Array.from({ length: 1_001 }, (_, n) =>
      entry({ type: "account", id: `n${n}` }, 0, n),
    );
    const error = await failureOf(store.appendAll(entries));
    expect(error).toBeInstanceOf(AppendTooLargeError);
    expect(error).toMatchObject({ size: 1_001, limit: 1_000, unit: "actors" });
    expect(await store.head()).toBe(0);
    const results = await store.appendAll(entries.slice(1));
    expect(results).toHaveLength(1_000);
    expect(await store.head()).toBe(1_000);
  });

  it("refuses more bytes than maxBatchBytes, with the sizes, and stores nothing", async () => {
    const store = await openStore({ maxBatchBytes: 10_000 });
    const big = (actor: typeof zoe | typeof bob, bytes: number): AppendEntry => ({
      actor,
      events: [{ type: "Noted", data: new Uint8Array(bytes) }],
      expectedVersion: 0,
    });
    const error = await failureOf(store.appendAll([big(zoe, 5_000), big(bob, 5_000)]));
    expect(error).toMatchObject({ code: "append_too_large", limit: 10_000, unit: "bytes" });
    expect(error instanceof AppendTooLargeError && error.size).toBeGreaterThan(10_100);
    expect(await store.head()).toBe(0);
    await store.appendAll([big(zoe, 4_500), big(bob, 4_500)]);
  });

  it("refuses one commit beyond max_payload", async () => {
    const store = await openStore();
    const events = [{ type: "Noted", data: new Uint8Array(1 << 20) }];
    const error = await failureOf(
      store.appendAll([entry(zoe, 0, 1), { actor: bob, events, expectedVersion: 0 }]),
    );
    expect(error).toMatchObject({ code: "append_too_large", limit: 1 << 20 });
    expect(await store.head()).toBe(0);
  });

  it.each<[string, unknown, string]>([
    ["no entries", [], "entries"],
    ["entries that are no list", { 0: entry(zoe, 0, 1) }, "entries"],
    ["an entry that is none", [null], "entries[0]"],
    ["an actor twice", [entry(zoe, 0, 1), entry(bob, 0, 1), entry(zoe, 1, 1)], "entries[2].actor"],
    ["no events", [entry(zoe, 0, 1), entry(bob, 0)], "entries[1].events"],
    ["no expected version", [entry(zoe, 0, 1), { actor: bob, events: notes(1) }], "entries[1].exp"],
    [
      "an event without type",
      [entry(zoe, 0, 1), { actor: bob, events: [{}], expectedVersion: 0 }],
      "entries[1].events[0].type",
    ],
  ])("refuses %s, and says where", async (_, entries, argument) => {
    const store = await openStore();
    const error = await failureOf(store.appendAll(untyped<AppendEntry[]>(entries)));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error).toMatchObject({ argument: expect.stringContaining(argument) });
    expect(await store.head()).toBe(0);
  });

  it("refuses a commit id that leaves no room for the number of the actor", async () => {
    const store = await openStore();
    const entries = [entry(zoe, 0, 1)];
    const error = await failureOf(store.appendAll(entries, { commitId: "x".repeat(121) }));
    expect(error).toMatchObject({ code: "invalid_argument", argument: "commitId" });
    await store.appendAll(entries, { commitId: "x".repeat(120) });
  });
});
