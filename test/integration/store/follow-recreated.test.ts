import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "../../support/server.ts";
import { deliveryOf } from "../../support/wire.ts";
import { account, type BankStore, Stage, write } from "./version-cache-stage.ts";

let stage: Stage;
let store: BankStore;
const alice = account("alice");
const bob = account("bob");

beforeEach(async () => {
  stage = await Stage.open();
  await write(stage.external, alice, 30);
  store = await stage.store({ follow: true });
  await eventually(() => store.health().following);
});

afterEach(() => stage[Symbol.asyncDispose]());

/** What another process appends to an actor that the store knows reaches its cache. */
async function expectToHear(): Promise<void> {
  await using writer = await stage.unwatchedStore();
  await eventually(async () => {
    expect(store.health().following).toBe(true);
    // What is known may still be given up once more, if the rollback was noticed only now.
    const version = await store.latestVersion(bob);
    await write(writer, bob, 1);
    expect(version).toBeGreaterThan(0);
    await eventually(() => expect(store.cachedVersion(bob)).toBe(version + 1), { timeoutMs: 200 });
  });
}

describe("a store that follows", () => {
  it("hears others again after its stream was created anew, and shorter", async () => {
    await stage.recreate();
    await eventually(() => store.cachedVersion(alice) === undefined);
    await expectToHear();
  });

  it("hears others again where nothing told it but its own look", async () => {
    const watchful = await stage.store({ follow: true, identityCheckMs: 50 });
    await watchful.latestVersion(alice);
    stage.wire.hold(deliveryOf(/^\$JS\.EVENT\.ADVISORY\./));
    await stage.recreate();
    await eventually(() => watchful.cachedVersion(alice) === undefined);
    store = watchful;
    await expectToHear();
  });

  it("hears others again after its stream was gone for a while, and says that it does not meanwhile", async () => {
    const settings = await stage.settings();
    await stage.admin.streams.delete(stage.stream);
    await eventually(() => !store.health().following);
    stage.wire.reset();
    await eventually(() => stage.wire.count(/\.STREAM\.INFO\./) > 3);
    expect(store.health().following).toBe(false);
    await stage.admin.streams.add(settings);
    await expectToHear();
  });

  it("is closed also while its stream is gone", async () => {
    await stage.admin.streams.delete(stage.stream);
    await eventually(() => !store.health().following);
    await store.close();
    expect(store.health().following).toBe(false);
  });
});
