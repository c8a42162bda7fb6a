import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ExpectedVersion } from "../../../src/index.ts";
import { eventually } from "../../support/server.ts";
import { answerTo, publishTo } from "../../support/wire.ts";
import {
  account,
  type Account,
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
const carol = account("carol");

beforeEach(async () => {
  stage = await Stage.open();
  store = await stage.store({ ackTimeoutMs: 60 });
});

afterEach(() => stage[Symbol.asyncDispose]());

type Entry = Parameters<BankStore["appendAll"]>[0][number];

function entry(actor: Account, expectedVersion: ExpectedVersion, count = 1): Entry {
  return { actor, events: deposits(count), expectedVersion };
}

async function stored(): Promise<number[]> {
  return Promise.all([alice, bob, carol].map((actor) => stage.external.latestVersion(actor)));
}

describe("an appendAll that lands between the looks at its actors", () => {
  const expectations = [
    [1, 1],
    ["any", "any"],
    [1, "exists"],
  ] as const;

  describe.each(expectations)("expecting %s and %s", (ofAlice, ofBob) => {
    it.each([
      [alice, bob],
      [bob, alice],
    ])(
      "V13 an appendAll that lands between the looks at its actors is stored once",
      async (early, late) => {
        await write(store, alice, 1);
        await write(store, bob, 1);
        const batch = stage.wire.hold(publishTo(/^cache_[^.]+\.account\./));
        const lateLook = stage.wire.hold(publishTo(stage.headRequest(late)));
        const earlyAnswer = stage.wire.hold(answerTo(stage.headRequest(early)));
        const appending = store.appendAll([entry(alice, ofAlice), entry(bob, ofBob)]);
        await Promise.all([earlyAnswer.reached(), lateLook.reached()]);
        batch.release();
        await eventually(async () => expect(await stored()).toEqual([2, 2, 0]));
        earlyAnswer.release();
        lateLook.release();
        const results = await appending;
        expect(results.map(({ version, replayed }) => [version, replayed])).toEqual([
          [2, false],
          [2, false],
        ]);
        expect(results.map(({ position }) => position)).toEqual([3, 4]);
        expect([alice, bob].map((actor) => store.cachedVersion(actor))).toEqual([2, 2]);
        expect(await versions(stage.external, alice)).toEqual([1, 2]);
        expect(await versions(stage.external, bob)).toEqual([1, 2]);
      },
    );
  });
});

describe("an appendAll that is repeated with its commit id", () => {
  const options = { commitId: "transfer" };

  it.each<[string, ExpectedVersion, ExpectedVersion, ExpectedVersion]>([
    ["any, by all", "any", "any", "any"],
    ["exists, by all", "exists", "exists", "exists"],
    ["a version, by the first", 1, "any", "exists"],
    ["a version, by the last", "exists", "any", 1],
    ["versions and any", 1, "any", 1],
  ])("V13 is stored once where it expects %s", async (_, ofAlice, ofBob, ofCarol) => {
    for (const actor of [alice, bob, carol]) await write(store, actor, 1);
    const entries = [entry(alice, ofAlice, 2), entry(bob, ofBob), entry(carol, ofCarol, 3)];
    const first = await store.appendAll(entries, options);
    const again = first.map((result) => ({ ...result, replayed: true }));
    expect(await store.appendAll(entries, options)).toEqual(again);
    for (const actor of [alice, bob, carol]) await write(stage.external, actor, 60);
    expect(await store.appendAll(entries, options)).toEqual(again);
    const other = await stage.store();
    expect(await other.appendAll(entries.toReversed(), options)).toEqual(again.toReversed());
    expect(await stored()).toEqual([63, 62, 64]);
  });

  it("V13 is stored once where its actors had no events before", async () => {
    const entries = [entry(alice, "any"), entry(bob, "none")];
    const first = await store.appendAll(entries, options);
    const again = first.map((result) => ({ ...result, replayed: true }));
    expect(await store.appendAll(entries, options)).toEqual(again);
    const other = await stage.store();
    expect(await other.appendAll(entries, options)).toEqual(again);
    expect(await stored()).toEqual([1, 1, 0]);
  });

  it("V13 is stored once by two processes at the same time, where it expects nothing", async () => {
    const stores = [store, await stage.store(), await stage.store(), stage.external];
    for (let round = 0; round < 10; round++) {
      const commitId = `round-${round}`;
      const entries = [entry(alice, "any"), entry(bob, "any")];
      const results = await Promise.all(stores.map((one) => one.appendAll(entries, { commitId })));
      expect(new Set(results.map((all) => all.map(({ position }) => position).join())).size).toBe(
        1,
      );
    }
    expect(await stored()).toEqual([10, 10, 0]);
  });

  it.each<[string, ExpectedVersion, ExpectedVersion]>([
    ["any", "any", "any"],
    ["a version and any", "any", 1],
  ])("V13 is refused with other events, where it expects %s", async (_, ofAlice, ofBob) => {
    await write(store, alice, 1);
    await write(store, bob, 1);
    await store.appendAll([entry(alice, ofAlice), entry(bob, ofBob)], options);
    const others = [entry(alice, ofAlice, 2), entry(bob, ofBob)];
    const error = await rejection(store.appendAll(others, options));
    expect(error).toMatchObject({ code: "commit_id_reused", actor: alice, position: 3 });
    expect(await stored()).toEqual([2, 2, 0]);
  });

  it.each<ExpectedVersion>(["any", 1])(
    "V13 is refused for other actors, where it expects %s",
    async (expected) => {
      for (const actor of [alice, bob, carol]) await write(store, actor, 1);
      await store.appendAll([entry(alice, expected), entry(bob, expected)], options);
      const others = [entry(alice, expected), entry(carol, expected)];
      const error = await rejection(store.appendAll(others, options));
      expect(error).toMatchObject({ code: "commit_id_reused", actor: alice });
      expect(await stored()).toEqual([2, 2, 1]);
    },
  );
});
