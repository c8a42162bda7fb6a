import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "../../support/server.ts";
import {
  account,
  type BankStore,
  deposits,
  rejection,
  Stage,
  versions,
  write,
} from "./version-cache-stage.ts";

let stage: Stage;
let store: BankStore;
const alice = account("alice");
const bob = account("bob");

beforeEach(async () => {
  stage = await Stage.open();
  await write(stage.external, alice, 3);
  store = await stage.store();
});

afterEach(() => stage[Symbol.asyncDispose]());

/** The append at `version` finds the head in the cache. */
async function expectOneRoundTrip(version: number): Promise<void> {
  const asked = await stage.askedBy(() =>
    store.append(alice, deposits(), { expectedVersion: version }),
  );
  expect(asked).toEqual({ appends: 1, heads: 0, others: 0 });
}

describe("V6 the cache is refreshed by every fetch that shows an actor's head", () => {
  it("V6 by latestVersion", async () => {
    expect(await store.latestVersion(alice)).toBe(3);
    expect(store.cachedVersion(alice)).toBe(3);
    await expectOneRoundTrip(3);
  });

  it("V6 by a read to the end", async () => {
    expect(await versions(store, alice)).toEqual([1, 2, 3]);
    expect(store.cachedVersion(alice)).toBe(3);
    await expectOneRoundTrip(3);
  });

  it("V6 by readLast, and again when others have written", async () => {
    await store.readLast(alice, 3);
    expect(store.cachedVersion(alice)).toBe(3);
    await write(stage.external, alice, 2);
    const events = await store.readLast(alice, 5);
    expect(events.at(-1)?.version).toBe(5);
    expect(store.cachedVersion(alice)).toBe(5);
    await expectOneRoundTrip(5);
  });

  it("V6 by a conflict", async () => {
    await store.latestVersion(alice);
    await write(stage.external, alice, 1);
    const refused = await rejection(store.append(alice, deposits(), { expectedVersion: 3 }));
    expect(refused).toMatchObject({ actualVersion: 4 });
    expect(store.cachedVersion(alice)).toBe(4);
    await expectOneRoundTrip(4);
  });

  it("V6 by a conflict of a first append", async () => {
    const refused = await rejection(store.append(alice, deposits(), { expectedVersion: "none" }));
    expect(refused).toMatchObject({ expectedVersion: "none", actualVersion: 3 });
    expect(store.cachedVersion(alice)).toBe(3);
    await expectOneRoundTrip(3);
  });

  it("V6 by a cold append, also one that is refused", async () => {
    const refused = await rejection(store.append(alice, deposits(), { expectedVersion: 9 }));
    expect(refused).toMatchObject({ expectedVersion: 9, actualVersion: 3 });
    expect(store.cachedVersion(alice)).toBe(3);
    await expectOneRoundTrip(3);
  });

  it("V6 by appendAll, stored or refused", async () => {
    const entry = (expectedVersion: number) => [
      { actor: alice, events: deposits(), expectedVersion },
      { actor: bob, events: deposits(2), expectedVersion: "none" as const },
    ];
    await rejection(store.appendAll(entry(2)));
    expect(store.cachedVersion(alice)).toBe(3);
    await store.appendAll(entry(3));
    expect(store.cachedVersion(alice)).toBe(4);
    expect(store.cachedVersion(bob)).toBe(2);
    await expectOneRoundTrip(4);
  });
});

describe("V6 events that pass by in a subscription", () => {
  it("V6 create no entries while it catches up", async () => {
    await write(stage.external, bob, 4);
    const live = store.subscribe();
    let seen = 0;
    for await (const _event of live) if (++seen === 7) break;
    expect(store.health().cachedActors).toBe(0);
  });

  it("V6 push no live entry out while it catches up", async () => {
    const small = await stage.store({ cacheMaxActors: 1 });
    await small.latestVersion(alice);
    for (const id of ["a", "b", "c", "d"]) await write(stage.external, account(id), 1);
    const live = small.subscribe();
    let seen = 0;
    for await (const _event of live) if (++seen === 7) break;
    expect(small.cachedVersion(alice)).toBe(3);
  });

  it("V6 refresh entries that exist while it catches up", async () => {
    await store.latestVersion(alice);
    await write(stage.external, alice, 2);
    await write(stage.external, bob, 1);
    const live = store.subscribe();
    for await (const event of live) if (event.actor.id === "bob") break;
    expect(store.cachedVersion(alice)).toBe(5);
    expect(store.cachedVersion(bob)).toBeUndefined();
    await expectOneRoundTrip(5);
  });

  it("V6 never lower an entry: a catch-up passes old commits", async () => {
    await store.latestVersion(alice);
    const live = store.subscribe();
    for await (const event of live) {
      expect(store.cachedVersion(alice)).toBe(3);
      if (event.version === 3) break;
    }
    await expectOneRoundTrip(3);
  });

  it("V6 create and refresh entries when it is live", async () => {
    const live = store.subscribe({ after: "now" });
    const reading = (async () => {
      for await (const event of live) if (event.version === 5) break;
    })();
    await live.caughtUp;
    expect(store.health().cachedActors).toBe(0);
    await write(stage.external, bob, 2);
    await eventually(() => store.cachedVersion(bob) === 2);
    await write(stage.external, alice, 2);
    await reading;
    expect(store.cachedVersion(alice)).toBe(5);
    await expectOneRoundTrip(5);
  });

  it("V6 refresh nothing that the subscription's filter leaves out", async () => {
    await store.latestVersion(alice);
    const live = store.subscribe({ actor: bob });
    await write(stage.external, alice, 1);
    await write(stage.external, bob, 1);
    for await (const _event of live) break;
    expect(store.cachedVersion(alice)).toBe(3);
  });
});
