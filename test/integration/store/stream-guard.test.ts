import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ReconnectMessage, RetryMessage } from "../../../src/index.ts";
import { internalsOf } from "../../../src/store/internals.ts";
import { eventually } from "../../support/server.ts";
import { deliveryOf, publishTo } from "../../support/wire.ts";
import { listenTo } from "./listening.ts";
import { account, type BankStore, deposits, Stage, write } from "./version-cache-stage.ts";

let stage: Stage;
let store: BankStore;
let told: readonly ReconnectMessage[];
const alice = account("alice");
const bob = account("bob");

beforeEach(async () => {
  stage = await Stage.open();
  store = await stage.store({ identityCheckMs: 20 });
  told = listenTo<ReconnectMessage>("annal:reconnect", stage.stream);
  await write(stage.external, bob, 1);
});

afterEach(() => stage[Symbol.asyncDispose]());

/** How many rollbacks the store has counted: on the channel, other stores of this process tell of the same stream. */
function rollbacks(): number {
  return internalsOf(store).context.guard.epoch;
}

async function purgeTold(): Promise<void> {
  await eventually(() => told.some(({ what }) => what === "purged"));
}

/** Waits until the store has looked once more from the start. */
async function looked(): Promise<void> {
  stage.wire.reset();
  await eventually(() => stage.wire.count(/\.STREAM\.INFO\./) > 2);
}

async function purge(): Promise<void> {
  await stage.admin.streams.purge(stage.stream, { filter: stage.subject(alice) });
}

describe("purging the actor that stands last in the stream", () => {
  it("ends no reader, and is told as what it is", async () => {
    await write(store, alice, 1);
    const live = store.subscribe({ actor: bob });
    const seen: number[] = [];
    const reading = (async () => {
      for await (const { version } of live) if (seen.push(version) === 2) break;
    })();
    await live.caughtUp;
    await purge();
    await purgeTold();
    await write(store, bob, 1);
    await reading;
    expect(seen).toEqual([1, 2]);
    await looked();
    expect(told.map(({ what }) => what)).toEqual(["purged"]);
    expect(rollbacks()).toBe(0);
  });

  it("V9 leaves a cached head that is found out by the server and corrected", async () => {
    await write(store, alice, 2);
    await purge();
    await purgeTold();
    await expect(store.append(alice, deposits(), { expectedVersion: 2 })).rejects.toMatchObject({
      code: "version_conflict",
      actualVersion: 0,
    });
    expect((await store.append(alice, deposits(), { expectedVersion: 0 })).version).toBe(1);
    expect(rollbacks()).toBe(0);
  });
});

describe("a stream that is gone, of which the server's notice got lost", () => {
  it("is believed to be gone once it was missed several times", async () => {
    const retries = listenTo<RetryMessage>("annal:retry", stage.stream);
    await write(store, alice, 1);
    stage.wire.hold(deliveryOf(/^\$JS\.EVENT\.ADVISORY\./));
    await stage.admin.streams.delete(stage.stream);
    await eventually(() => rollbacks() > 0, { timeoutMs: 10_000 });
    expect(store.cachedVersion(alice)).toBeUndefined();
    expect(retries.filter(({ reason }) => reason === "the stream was deleted").length).toBe(9);
  }, 15_000);
});

describe("one rollback is counted once", () => {
  it("where a look had begun before it", async () => {
    await write(store, alice, 1);
    const looks = stage.wire.hold(publishTo(/\.STREAM\.INFO\./));
    await looks.reached();
    await stage.recreate();
    await looks.reached(2);
    looks.release();
    await eventually(() => rollbacks() > 0);
    await looked();
    expect(rollbacks()).toBe(1);
  });

  it("where the stream was gone for a while before it was created anew", async () => {
    await write(store, alice, 1);
    const settings = await stage.settings();
    await stage.admin.streams.delete(stage.stream);
    await eventually(() => rollbacks() > 0);
    await looked();
    await stage.admin.streams.add(settings);
    await write(stage.external, alice, 1);
    expect(await store.latestVersion(alice)).toBe(1);
    await looked();
    expect(rollbacks()).toBe(1);
    expect(store.cachedVersion(alice)).toBe(1);
  });
});
