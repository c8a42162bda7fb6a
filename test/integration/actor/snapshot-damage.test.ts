import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ActorSnapshotMessage } from "../../../src/actor/index.ts";
import { pack } from "../../../src/store/packing.ts";
import { eventually } from "../../support/server.ts";
import { answerTo, publishTo } from "../../support/wire.ts";
import { listenTo } from "../store/listening.ts";
import { account, accountKind, deposit, evolveAccount } from "./actor-account.ts";
import { ActorStage } from "./actor-stage.ts";

let stage: ActorStage;
let told: readonly ActorSnapshotMessage[];
const alice = account("alice");
const notThere = "its commit does not stand in the stream";

beforeEach(async () => {
  stage = await ActorStage.open();
  told = listenTo<ActorSnapshotMessage>("annal:actor:snapshot", stage.stream);
});

afterEach(() => stage[Symbol.asyncDispose]());

/** Writes deposits past all hosts, and a snapshot behind them. */
async function withSnapshot(kind = accountKind()): Promise<void> {
  await stage.write(alice, 1, 2, 3);
  const host = await stage.host({ kind });
  await host.load(alice);
  await host.close();
  expect(await stage.snapshotsWritten()).toBe(1);
}

/** What a fresh host takes the actor for, which must be what the stream says. */
async function expectTruth(): Promise<void> {
  const host = await stage.host();
  const { state, version } = await host.load(alice);
  expect({ state, version }).toEqual(await stage.truth(alice));
  const after = await host.send(alice, deposit(1_000));
  expect(after).toMatchObject({ version: version + 1, state: { balance: state.balance + 1_000 } });
  await host.close();
}

describe("what is no snapshot in the bucket", () => {
  const good = [1, 1, 3, 3, "c", 5, [], { balance: 6, count: 3 }];
  it.each([
    ["random bytes", Uint8Array.from({ length: 300 }, (_, at) => (at * 151) % 256)],
    ["nothing", new Uint8Array(0)],
    ["text", new TextEncoder().encode("balance: 1000000")],
    ["another value", pack({ balance: 1_000_000 })],
    ["a list that is too short", pack([1, 1])],
    ["a snapshot with something behind it", Buffer.concat([pack(good), pack(0)])],
    ["half a snapshot", pack(good).subarray(0, 12)],
    ["a snapshot without a position", pack([1, 1, 3, "3", "c", 5, [], { balance: 6, count: 3 }])],
    ["a snapshot of half a version", pack([1, 1, 2.5, 3, "c", 5, [], { balance: 6, count: 3 }])],
    ["a snapshot with half a ring", pack([1, 1, 3, 3, "c", 5, [5], { balance: 6, count: 3 }])],
    ["a snapshot without a schema version", pack([1, null, 3, 3, "c", 5, [], {}])],
  ])("is ignored, said, and replaced: %s", async (_, bytes) => {
    await withSnapshot();
    await stage.put(alice, bytes);
    await expectTruth();
    expect(told.slice(1).map(({ what }) => what)).toEqual(["ignored", "written"]);
    await expectTruth();
    expect(told.slice(3)).toMatchObject([{ what: "restored", version: 4 }, { what: "written" }]);
  });

  it("is left alone where a newer release wrote it", async () => {
    await withSnapshot();
    await stage.put(alice, pack([2, "whatever comes"]));
    await expectTruth();
    expect(told.slice(1)).toMatchObject([{ what: "ignored", reason: "a newer format, 2" }]);
  });

  it("is ignored where its commit is not the actor's", async () => {
    await withSnapshot();
    await stage.write(account("bob"), 1);
    await stage.write(alice, 4);
    await stage.put(alice, pack([1, 1, 3, 4, "bobs", 5, [], { balance: 1_000, count: 3 }]));
    await expectTruth();
    expect(told[1]).toMatchObject({ what: "ignored", reason: notThere });
  });

  it("is ignored where it was deleted", async () => {
    await withSnapshot();
    await stage.delete(alice);
    await expectTruth();
    expect(told.slice(1).map(({ what }) => what)).toEqual(["written"]);
  });
});

describe("a snapshot whose stream was recreated", () => {
  it.each([
    ["other commits at the same positions", [10, 20, 30]],
    ["more commits", [10, 20, 30, 40, 50]],
    ["fewer commits", [10]],
    ["no commits", []],
    ["one commit less and others after it", [1, 2]],
  ])("is ignored: it holds %s", async (_, amounts) => {
    await withSnapshot();
    await stage.recreate();
    await eventually(async () => (await stage.external.latestVersion(alice)) === 0);
    await stage.write(alice, ...amounts);
    await expectTruth();
    expect(told[1]).toMatchObject({ what: "ignored", version: 3, reason: notThere });
    expect(told.at(-1)).toMatchObject({ what: "written", version: amounts.length + 1 });
  });

  it("is forgotten by hosts that have the actor in memory", async () => {
    const host = await stage.host();
    for (let at = 0; at < 3; at++) await host.send(alice, deposit(5));
    await stage.recreate();
    await eventually(async () => (await stage.external.latestVersion(alice)) === 0);
    await stage.write(alice, 10, 20, 30, 40);
    expect(await host.state(alice)).toEqual({ balance: 100, count: 4 });
    const { state, version } = await host.send(alice, deposit(1));
    expect({ state, version }).toEqual({ state: { balance: 101, count: 5 }, version: 5 });
  });
});

describe("a snapshot whose state is of a wrong shape", () => {
  const strict = accountKind({
    evolve(state, event) {
      if (typeof state.balance !== "number") throw new TypeError("no balance");
      return evolveAccount(state, event);
    },
  });
  const careless = accountKind({
    snapshot: { version: 1, encode: ({ balance }) => ({ amount: balance }), decode: () => never() },
  });

  function never(): never {
    throw new Error("this one only writes");
  }

  it("is ignored where evolve throws on top of it, and from the start it does not", async () => {
    await withSnapshot(careless);
    await stage.write(alice, 4);
    const host = await stage.host({ kind: strict });
    expect(await host.load(alice)).toMatchObject({ state: { balance: 10, count: 4 }, version: 4 });
    expect(told[1]).toMatchObject({
      what: "ignored",
      version: 3,
      reason: expect.stringContaining("no balance"),
    });
    await host.close();
    expect(told.at(-1)).toMatchObject({ what: "written", version: 4 });
  });

  it("is ignored where decode throws", async () => {
    await withSnapshot(careless);
    const host = await stage.host({ kind: careless });
    expect(await host.load(alice)).toMatchObject({ state: { balance: 6, count: 3 }, version: 3 });
    expect(told[1]).toMatchObject({ what: "ignored", reason: "this one only writes" });
  });
});

describe("a bucket that is in trouble", () => {
  it("may be deleted while hosts run: commands go on, and it is made anew", async () => {
    const host = await stage.host({ kind: accountKind({ snapshot: { version: 1, every: 2 } }) });
    for (let at = 0; at < 4; at++) await host.send(alice, deposit());
    await eventually(() => host.status().snapshotsWaiting === 0);
    await stage.admin.streams.delete(`KV_${stage.bucket}`);
    await stage.write(account("bob"), 5);
    expect(await host.load(account("bob"))).toMatchObject({ version: 1 });
    let version = 4;
    for (; version < 20; version++) {
      expect(await host.send(alice, deposit())).toMatchObject({ version: version + 1 });
    }
    // it is left alone for some seconds
    await eventually(
      async () => {
        await host.send(alice, deposit());
        version++;
        return (await stage.snapshotsWritten()) > 0;
      },
      { timeoutMs: 20_000 },
    );
    expect((await stage.truth(alice)).version).toBe(version);
    await host.close();
    const other = await stage.host();
    expect(await stage.askedBy(() => other.load(alice))).toMatchObject({ commits: 0 });
  });

  it("that gives no answer keeps a load waiting for a second only, and one load only", async () => {
    await withSnapshot();
    await stage.write(account("bob"), 5);
    const host = await stage.host();
    const lost = stage.wire.drop(publishTo(stage.snapshotRequest(alice)), 1_000);
    expect(await host.load(alice)).toMatchObject({ version: 3 });
    expect(lost.frames.length).toBeGreaterThan(0);
    expect(told.at(-1)).toMatchObject({ what: "ignored" });
    lost.stop();
    const asked = await stage.askedBy(() => host.load(account("bob")));
    expect(asked).toMatchObject({ heads: 1, snapshots: 0 });
  });

  it("that is too slow for a hurried caller is asked again for others", async () => {
    await withSnapshot();
    const host = await stage.host();
    const held = stage.wire.hold(answerTo(stage.snapshotRequest(alice)));
    for (let again = 0; again < 3; again++) {
      await host.load(alice, { timeoutMs: 1 }).catch(() => {});
    }
    held.release();
    const bob = account("bob");
    await stage.write(bob, 5);
    const asked = await stage.askedBy(() => host.load(bob));
    expect(asked).toMatchObject({ heads: 1, snapshots: 1 });
  });

  it("that gives no answer leaves a command time to read the stream", async () => {
    await withSnapshot();
    const host = await stage.host();
    const held = stage.wire.hold(answerTo(stage.snapshotRequest(alice)));
    const sent = await host.send(alice, deposit(4), { timeoutMs: 900 });
    expect(sent).toMatchObject({ state: { balance: 10 }, version: 4 });
    expect(held.frames.length).toBeGreaterThan(0);
  });

  it("that takes no snapshots keeps no command waiting", async () => {
    const host = await stage.host({ kind: accountKind({ snapshot: { version: 1, every: 1 } }) });
    stage.wire.drop(answerTo(stage.snapshotSubject(alice)), 1_000);
    for (let version = 1; version <= 5; version++) {
      expect(await host.send(alice, deposit())).toMatchObject({ version });
    }
    expect(told.filter(({ what }) => what === "written")).toEqual([]);
  });
});
