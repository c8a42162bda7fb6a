import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StreamRolledBackError } from "../../../src/index.ts";
import { eventually } from "../../support/server.ts";
import { deliveryOf, publishTo } from "../../support/wire.ts";
import {
  account,
  type BankStore,
  deposits,
  outcomeOf,
  rejection,
  Stage,
  write,
} from "./version-cache-stage.ts";

let stage: Stage;
let store: BankStore;
const alice = account("alice");
const bob = account("bob");

beforeEach(async () => {
  stage = await Stage.open();
  store = await stage.store();
  await write(store, bob, 1);
  await write(store, alice, 3);
});

afterEach(() => stage[Symbol.asyncDispose]());

/** Takes the store's connection away while `work` runs. */
async function disconnected(work: () => Promise<void>): Promise<void> {
  stage.wire.refuse();
  stage.wire.cut();
  await eventually(() => !store.health().connected);
  await work();
  stage.wire.accept();
  await eventually(() => store.health().connected);
}

/** Another history of the same shape: the same subjects, sequences and versions, other commit ids. */
async function recreateWithSameShape(): Promise<void> {
  await stage.recreate();
  await using writer = await stage.unwatchedStore();
  await write(writer, bob, 1);
  await write(writer, alice, 3);
}

async function storedVersion(): Promise<number> {
  await using reader = await stage.unwatchedStore();
  return await reader.latestVersion(alice);
}

interface Course {
  /** How an append ends at the version that was cached. */
  readonly first: string;
  /** Alice's version after that. */
  readonly stored: number;
  /** What the store says it is. */
  readonly latest: number;
  /** The version that an append at that one gives. */
  readonly next: number;
}

async function appendAgain(): Promise<Course> {
  const first = await outcomeOf(store.append(alice, deposits(), { expectedVersion: 3 }));
  const stored = await storedVersion();
  const latest = await store.latestVersion(alice);
  const next = await store.append(alice, deposits(), { expectedVersion: stored });
  return { first, stored, latest, next: next.version };
}

/** The warm store appends nothing at the version it has cached, says why once, and then works on what is there. */
function noticed(version: number): Course {
  const first = "StreamRolledBackError";
  return { first, stored: version, latest: version, next: version + 1 };
}

describe("V9 a stream that was deleted and created again while the store is connected", () => {
  it("V9 is noticed when it is empty", async () => {
    await stage.recreate();
    const error = await rejection(store.append(alice, deposits(), { expectedVersion: 3 }));
    expect(error).toMatchObject({ code: expect.stringMatching(/rolled_back|version_conflict/) });
    expect(await store.latestVersion(alice)).toBe(0);
    expect(store.cachedVersion(alice)).toBeUndefined();
    expect((await store.append(alice, deposits(), { expectedVersion: 0 })).version).toBe(1);
  });

  it("V9 is noticed when it holds another history of the same shape", async () => {
    await recreateWithSameShape();
    expect(await appendAgain()).toEqual(noticed(3));
  });

  it("V9 is noticed by the store's own look when the server's notice gets lost", async () => {
    const watchful = await stage.store({ identityCheckMs: 50 });
    await watchful.latestVersion(alice);
    stage.wire.hold(deliveryOf(/^\$JS\.EVENT\.ADVISORY\./));
    await recreateWithSameShape();
    await eventually(() => watchful.cachedVersion(alice) === undefined);
    const append = watchful.append(alice, deposits(), { expectedVersion: 3 });
    await expect(append).rejects.toThrow(StreamRolledBackError);
    expect(await storedVersion()).toBe(3);
  });

  it("V9 is noticed by latestVersion when the server's notice comes late", async () => {
    const notices = stage.wire.hold(deliveryOf(/^\$JS\.EVENT\.ADVISORY\./));
    await recreateWithSameShape();
    expect(await store.latestVersion(bob)).toBe(1);
    expect(await appendAgain()).toEqual(noticed(3));
    notices.release();
  });

  it("V9 is noticed by an append on its way, which is not sent again", async () => {
    const patient = await stage.store({ ackTimeoutMs: 100 });
    await patient.latestVersion(alice);
    const lost = stage.wire.drop(publishTo(stage.subject(alice)));
    const append = rejection(patient.append(alice, deposits(), { expectedVersion: 3 }));
    await lost.reached();
    await recreateWithSameShape();
    expect(await append).toBeInstanceOf(StreamRolledBackError);
    expect(await storedVersion()).toBe(3);
  });

  it("V9 is noticed by appendAll", async () => {
    await recreateWithSameShape();
    const both = [alice, bob].map((actor, at) => ({
      actor,
      events: deposits(),
      expectedVersion: at === 0 ? 3 : 1,
    }));
    await expect(store.appendAll(both)).rejects.toThrow(StreamRolledBackError);
    expect(await storedVersion()).toBe(3);
  });
});

describe("V9 a stream that was deleted and created again while the store is disconnected", () => {
  it("V9 is noticed when it is empty", async () => {
    await disconnected(() => stage.recreate());
    expect(await appendAgain()).toEqual(noticed(0));
  });

  it("V9 is noticed when it holds another history of the same shape", async () => {
    await disconnected(recreateWithSameShape);
    expect(await appendAgain()).toEqual(noticed(3));
  });

  it("V9 is noticed for every actor that was cached, also those that were not appended to since", async () => {
    await disconnected(recreateWithSameShape);
    expect(await appendAgain()).toEqual(noticed(3));
    const error = await rejection(store.append(bob, deposits(), { expectedVersion: 1 }));
    expect(error).toBeInstanceOf(StreamRolledBackError);
  });

  it("V9 is noticed when it holds a longer history", async () => {
    await disconnected(async () => {
      await recreateWithSameShape();
      await using writer = await stage.unwatchedStore();
      await write(writer, alice, 4);
    });
    expect(await appendAgain()).toEqual(noticed(7));
  });

  it("V9 is noticed by appends that wait for the connection", async () => {
    const appends: Promise<unknown>[] = [];
    await disconnected(async () => {
      appends.push(rejection(store.append(alice, deposits(), { expectedVersion: 3 })));
      await recreateWithSameShape();
    });
    expect(await appends[0]).toBeInstanceOf(StreamRolledBackError);
    expect(await storedVersion()).toBe(3);
  });

  it("V9 is noticed by the first append of a store that has seen nothing yet", async () => {
    store = await stage.store();
    const carol = account("carol");
    const lost = stage.wire.drop(publishTo(stage.subject(carol)));
    const append = outcomeOf(store.append(carol, deposits(), { expectedVersion: "none" }));
    await lost.reached();
    await disconnected(() => stage.recreate());
    expect(await append).toBe("StreamRolledBackError");
    expect(await stage.external.latestVersion(carol)).toBe(0);
  });

  it("V9 is no reason to refuse anything if the stream is the same", async () => {
    await disconnected(() => write(stage.external, bob, 2));
    expect((await store.append(alice, deposits(), { expectedVersion: 3 })).version).toBe(4);
    const error = await rejection(store.append(bob, deposits(), { expectedVersion: 1 }));
    expect(error).toMatchObject({ code: "version_conflict", actualVersion: 3 });
  });
});
