import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type AppendOptions,
  TooManyConflictsError,
  VersionConflictError,
} from "../../../src/index.ts";
import { publishTo } from "../../support/wire.ts";
import {
  account,
  type BankStore,
  deposits,
  rejection,
  Stage,
  versions,
  write,
} from "./version-cache-stage.ts";

type Expected = AppendOptions["expectedVersion"];

let stage: Stage;
const alice = account("alice");
const bob = account("bob");

beforeEach(async () => {
  stage = await Stage.open();
});

afterEach(() => stage[Symbol.asyncDispose]());

/** Appends through a store in which nothing, less, or more than the truth is cached; all must be refused alike. */
async function expectRefused(store: BankStore, expected: Expected, actual: number): Promise<void> {
  const before = await stage.external.head();
  const error = await rejection(store.append(alice, deposits(), { expectedVersion: expected }));
  expect(error).toBeInstanceOf(VersionConflictError);
  expect(error).toMatchObject({ actor: alice, expectedVersion: expected, actualVersion: actual });
  expect(await stage.external.head()).toBe(before);
}

/** Every expected version that an actor at version 3 does not meet. */
const wrongAtThree: readonly Expected[] = [0, 1, 2, 4, 5, 1_000, "none"];

describe("V9 an append with a wrong expected version is refused, whatever the cache holds", () => {
  it("V9 where the cache is right", async () => {
    const store = await stage.store();
    await write(store, alice, 3);
    for (const expected of wrongAtThree) await expectRefused(store, expected, 3);
    expect(store.cachedVersion(alice)).toBe(3);
  });

  it("V9 where the cache has nothing", async () => {
    await write(stage.external, alice, 3);
    for (const expected of wrongAtThree) {
      const store = await stage.store();
      await expectRefused(store, expected, 3);
      expect(store.cachedVersion(alice)).toBe(3);
    }
  });

  it("V9 where the cache is too low", async () => {
    for (const expected of wrongAtThree) {
      const actor = account(`low-${expected}`);
      const store = await stage.store();
      await write(store, actor, 1);
      await write(stage.external, actor, 2);
      const error = await rejection(store.append(actor, deposits(), { expectedVersion: expected }));
      expect(error).toBeInstanceOf(VersionConflictError);
      expect(error).toMatchObject({ expectedVersion: expected, actualVersion: 3 });
      expect(store.cachedVersion(actor)).toBe(3);
    }
  });

  it("V9 and the right one is accepted, whatever the cache holds", async () => {
    const store = await stage.store();
    await write(store, alice, 1);
    await write(stage.external, alice, 2);
    const tooLow = await store.append(alice, deposits(), { expectedVersion: 3 });
    expect(tooLow.version).toBe(4);
    const empty = await stage.store();
    expect((await empty.append(alice, deposits(), { expectedVersion: 4 })).version).toBe(5);
    expect(await versions(store, alice)).toEqual([1, 2, 3, 4, 5]);
  });

  it("V9 an actor without events refuses every other expectation", async () => {
    const store = await stage.store();
    for (const expected of [1, 7, "exists"] as const) await expectRefused(store, expected, 0);
    expect(store.cachedVersion(alice)).toBeUndefined();
  });
});

describe("V9 a cached version that is too high is found out and corrected", () => {
  it.each([3, 4, "exists"] as const)(
    "V9 after an actor was purged an append with %s is refused, and the cache knows",
    async (expected) => {
      const store = await stage.store();
      await write(store, alice, 3);
      await write(store, bob, 1);
      await stage.admin.streams.purge(stage.stream, { filter: stage.subject(alice) });
      expect(store.cachedVersion(alice)).toBe(3);
      await expectRefused(store, expected, 0);
      expect(store.cachedVersion(alice)).toBeUndefined();
      expect((await store.append(alice, deposits(), { expectedVersion: "none" })).version).toBe(1);
    },
  );

  it("V9 after an actor was purged a first append is accepted", async () => {
    const store = await stage.store();
    await write(store, alice, 3);
    await write(store, bob, 1);
    await stage.admin.streams.purge(stage.stream, { filter: stage.subject(alice) });
    expect((await store.append(alice, deposits(), { expectedVersion: "none" })).version).toBe(1);
    expect(await versions(store, alice)).toEqual([1]);
    expect(await versions(store, bob)).toEqual([1]);
  });

  it("V9 after the actor that wrote last was purged it is the same: that is no rollback", async () => {
    const store = await stage.store();
    await write(store, bob, 1);
    await store.append(alice, deposits(3), { expectedVersion: 0 });
    await stage.admin.streams.purge(stage.stream, { filter: stage.subject(alice) });
    expect((await store.append(alice, deposits(), { expectedVersion: "none" })).version).toBe(1);
    expect((await store.append(bob, deposits(), { expectedVersion: 1 })).version).toBe(2);
  });

  it("V9 latestVersion corrects it too", async () => {
    const store = await stage.store();
    await write(store, alice, 3);
    await write(store, bob, 1);
    await stage.admin.streams.purge(stage.stream, { filter: stage.subject(alice) });
    expect(await store.latestVersion(alice)).toBe(0);
    expect(store.cachedVersion(alice)).toBeUndefined();
    expect(store.cachedVersion(bob)).toBe(1);
  });

  it("V9 a purged actor that others wrote again to the same version is not appended to blindly", async () => {
    const store = await stage.store();
    await write(store, alice, 2);
    await write(store, bob, 1);
    await stage.admin.streams.purge(stage.stream, { filter: stage.subject(alice) });
    await write(stage.external, alice, 2);
    expect(await store.latestVersion(alice)).toBe(2);
    expect((await store.append(alice, deposits(), { expectedVersion: 2 })).version).toBe(3);
    expect(await versions(stage.external, alice)).toEqual([1, 2, 3]);
  });
});

describe("V11 on a conflict nothing is retried behind the caller's back", () => {
  it.each([2, "exists"] as const)("V11 with expected version %s", async (expected) => {
    const store = await stage.store();
    await write(store, alice, 2);
    await write(stage.external, alice, 1);
    stage.wire.reset();
    await expectRefused(store, expected, 3);
    expect(stage.asked()).toMatchObject({ appends: 1, heads: 1 });
  });

  it.each([0, "none"] as const)("V11 with expected version %s", async (expected) => {
    await write(stage.external, alice, 3);
    const store = await stage.store();
    await expectRefused(store, expected, 3);
    expect(stage.asked()).toMatchObject({ appends: 1, heads: 1 });
  });

  it("V11 except for any, which is retried on the head that was found", async () => {
    const store = await stage.store();
    await write(store, alice, 2);
    await write(stage.external, alice, 3);
    const asked = await stage.askedBy(() => write(store, alice, 1));
    expect(asked).toMatchObject({ appends: 2, heads: 1 });
    expect(await versions(stage.external, alice)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("V11 and any gives up after maxConflictRetries", async () => {
    const store = await stage.store({ maxConflictRetries: 3 });
    await write(store, alice, 1);
    stage.wire.reset();
    const lost = rejection(store.append(alice, deposits(), { expectedVersion: "any" }));
    let held = stage.wire.hold(publishTo(stage.subject(alice)));
    for (let attempt = 1; attempt <= 4; attempt++) {
      await held.reached();
      await write(stage.external, alice, 1);
      const arrived = held;
      held = stage.wire.hold(publishTo(stage.subject(alice)));
      arrived.release();
    }
    const error = await lost;
    expect(error).toBeInstanceOf(TooManyConflictsError);
    expect(error).toMatchObject({ actor: alice, attempts: 4 });
    expect(held.frames).toEqual([]);
    expect(stage.asked()).toMatchObject({ appends: 4, heads: 4 });
    expect(await versions(stage.external, alice)).toEqual([1, 2, 3, 4, 5]);
  });

  it("V11 appendAll is not retried either", async () => {
    const store = await stage.store();
    await write(store, alice, 2);
    await write(store, bob, 1);
    await write(stage.external, alice, 1);
    stage.wire.reset();
    const error = await rejection(
      store.appendAll([
        { actor: bob, events: deposits(), expectedVersion: 1 },
        { actor: alice, events: deposits(), expectedVersion: 2 },
      ]),
    );
    expect(error).toMatchObject({ actor: alice, expectedVersion: 2, actualVersion: 3 });
    expect(stage.asked().appends).toBe(2);
    expect(await versions(stage.external, bob)).toEqual([1]);
  });
});
