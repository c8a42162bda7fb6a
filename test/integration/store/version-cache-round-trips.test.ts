import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { VersionConflictError } from "../../../src/index.ts";
import { publishTo } from "../../support/wire.ts";
import { account, deposits, rejection, Stage, versions, write } from "./version-cache-stage.ts";

let stage: Stage;
const alice = account("alice");

beforeEach(async () => {
  stage = await Stage.open();
});

afterEach(() => stage[Symbol.asyncDispose]());

describe("the version cache saves round trips", () => {
  it("V1 consecutive appends by one writer read nothing: one round trip each, counted", async () => {
    const store = await stage.store();
    const asked = await stage.askedBy(async () => {
      await store.append(alice, deposits(), { expectedVersion: "none" });
      await store.append(alice, deposits(3), { expectedVersion: 1 });
      await store.append(alice, deposits(), { expectedVersion: "exists" });
      for (let version = 5; version < 40; version++) {
        const result = await store.append(alice, deposits(), { expectedVersion: version });
        expect(result.version).toBe(version + 1);
      }
      await store.append(alice, deposits(), { expectedVersion: "any" });
    });
    expect(asked).toEqual({ appends: 39, heads: 0, others: 0 });
    expect(await versions(store, alice)).toHaveLength(41);
  });

  it("V2 latestVersion always asks the server; after an external write it returns the actual version", async () => {
    const store = await stage.store();
    await write(store, alice, 2);
    for (let time = 0; time < 3; time++) {
      const asked = await stage.askedBy(async () => {
        expect(await store.latestVersion(alice)).toBe(2);
      });
      expect(asked).toEqual({ appends: 0, heads: 1, others: 0 });
    }
    await stage.external.append(alice, deposits(3), { expectedVersion: 2 });
    expect(store.cachedVersion(alice)).toBe(2);
    expect(await store.latestVersion(alice)).toBe(5);
  });

  it("V3 on finding an external write the cache is repopulated with what was fetched", async () => {
    const store = await stage.store();
    await write(store, alice, 2);
    await write(stage.external, alice, 1);
    await store.latestVersion(alice);
    expect(store.cachedVersion(alice)).toBe(3);
    await write(stage.external, alice, 1);
    const refused = store.append(alice, deposits(), { expectedVersion: 3 });
    await expect(refused).rejects.toThrow(VersionConflictError);
    expect(store.cachedVersion(alice)).toBe(4);
  });

  it("V4 a second latestVersion returns the same, and cachedVersion shows it without asking", async () => {
    const store = await stage.store();
    await write(stage.external, alice, 4);
    expect(store.cachedVersion(alice)).toBeUndefined();
    expect(await store.latestVersion(alice)).toBe(4);
    expect(store.cachedVersion(alice)).toBe(4);
    expect(await store.latestVersion(alice)).toBe(4);
    const asked = await stage.askedBy(async () => {
      expect(store.cachedVersion(alice)).toBe(4);
      expect(store.health().cachedActors).toBe(1);
    });
    expect(asked).toEqual({ appends: 0, heads: 0, others: 0 });
  });

  it("V5 the append after an external write was found needs no further read", async () => {
    const store = await stage.store();
    await write(store, alice, 2);
    await write(stage.external, alice, 3);
    await store.latestVersion(alice);
    const afterLook = await stage.askedBy(() =>
      store.append(alice, deposits(), { expectedVersion: 5 }),
    );
    expect(afterLook).toEqual({ appends: 1, heads: 0, others: 0 });

    await write(stage.external, alice, 1);
    const conflict = await rejection(store.append(alice, deposits(), { expectedVersion: 6 }));
    expect(conflict).toMatchObject({ expectedVersion: 6, actualVersion: 7 });
    const afterConflict = await stage.askedBy(() =>
      store.append(alice, deposits(), { expectedVersion: 7 }),
    );
    expect(afterConflict).toEqual({ appends: 1, heads: 0, others: 0 });
    expect(await versions(stage.external, alice)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it("V17 the latest version is found by the last message of the subject, not by reading the history", async () => {
    await write(stage.external, alice, 150);
    const store = await stage.store();
    expect(await store.latestVersion(alice)).toBe(150);
    expect(stage.wire.published.map(({ subject }) => subject)).toEqual([stage.headRequest(alice)]);
    const cold = await stage.store();
    const asked = await stage.askedBy(() =>
      cold.append(alice, deposits(), { expectedVersion: 150 }),
    );
    expect(asked).toEqual({ appends: 1, heads: 1, others: 0 });
  });

  it("V18 an unknown actor has version 0; an external first write is then seen", async () => {
    const store = await stage.store();
    expect(await store.latestVersion(alice)).toBe(0);
    expect(await store.exists(alice)).toBe(false);
    expect(store.cachedVersion(alice)).toBeUndefined();
    await stage.external.append(alice, deposits(2), { expectedVersion: "none" });
    const refused = await rejection(store.append(alice, deposits(), { expectedVersion: "none" }));
    expect(refused).toMatchObject({ expectedVersion: "none", actualVersion: 2 });
    expect(await store.latestVersion(alice)).toBe(2);
    const result = await store.append(alice, deposits(), { expectedVersion: 2 });
    expect(result.version).toBe(3);
  });

  it("V19 the cache is bounded: the least recently used leaves, at the price of one read", async () => {
    const store = await stage.store({ cacheMaxActors: 2 });
    const [a, b, c] = [account("a"), account("b"), account("c")];
    await write(store, a, 2);
    await write(store, b, 2);
    await write(store, a, 1);
    await write(store, c, 2);
    expect(store.health().cachedActors).toBe(2);
    expect([a, b, c].map((actor) => store.cachedVersion(actor))).toEqual([3, undefined, 2]);
    const kept = await stage.askedBy(() => store.append(a, deposits(), { expectedVersion: 3 }));
    expect(kept).toEqual({ appends: 1, heads: 0, others: 0 });
    const evicted = await stage.askedBy(() => store.append(b, deposits(), { expectedVersion: 2 }));
    expect(evicted).toEqual({ appends: 1, heads: 1, others: 0 });
    expect([a, b, c].map((actor) => store.cachedVersion(actor))).toEqual([4, 3, undefined]);
    for (const actor of [a, b, c]) {
      const found = await versions(store, actor);
      expect(found).toEqual(found.map((_, at) => at + 1));
    }
    expect(store.health().cachedActors).toBe(2);
  });
});

describe("V21 cache size 0 turns the cache off", () => {
  it("V21 everything still works and each append reads first", async () => {
    const store = await stage.store({ cacheMaxActors: 0 });
    for (let version = 0; version < 5; version++) {
      const asked = await stage.askedBy(() =>
        store.append(alice, deposits(), { expectedVersion: version }),
      );
      expect(asked).toEqual({ appends: 1, heads: 1, others: 0 });
    }
    const any = await stage.askedBy(() => write(store, alice, 1));
    expect(any).toEqual({ appends: 1, heads: 1, others: 0 });
    await write(stage.external, alice, 1);
    const refused = await rejection(store.append(alice, deposits(), { expectedVersion: 6 }));
    expect(refused).toMatchObject({ expectedVersion: 6, actualVersion: 7 });
    await store.appendAll([
      { actor: alice, events: deposits(), expectedVersion: 7 },
      { actor: account("bob"), events: deposits(), expectedVersion: "none" },
    ]);
    expect(await store.latestVersion(alice)).toBe(8);
    expect(await versions(store, alice)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it("V21 an append that meets another writer between its read and its publish is refused", async () => {
    const store = await stage.store({ cacheMaxActors: 0 });
    await write(store, alice, 2);
    const held = stage.wire.hold(publishTo(stage.subject(alice)));
    const append = rejection(store.append(alice, deposits(), { expectedVersion: 2 }));
    await held.reached();
    await write(stage.external, alice, 1);
    held.release();
    expect(await append).toMatchObject({ expectedVersion: 2, actualVersion: 3 });
  });

  it("V21 no bookkeeping remains, whatever was done", async () => {
    const store = await stage.store({ cacheMaxActors: 0 });
    const live = store.subscribe({ after: "now" });
    await write(store, alice, 2);
    await rejection(store.append(alice, deposits(), { expectedVersion: 7 }));
    await store.latestVersion(alice);
    await versions(store, alice);
    for await (const event of live) if (event.version === 2) break;
    expect(store.cachedVersion(alice)).toBeUndefined();
    expect(store.health()).toMatchObject({ cachedActors: 0, appendsInFlight: 0 });
  });

  it("V21 follow has nothing to keep fresh, so it reads nothing", async () => {
    const store = await stage.store({ cacheMaxActors: 0, follow: true });
    await write(stage.external, alice, 2);
    await store.latestVersion(alice);
    await store.close();
    expect(stage.wire.count(/CONSUMER/)).toBe(0);
  });
});
