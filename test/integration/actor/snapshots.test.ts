import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ActorSnapshotMessage, ActorHost, defineActor } from "../../../src/actor/index.ts";
import { eventually } from "../../support/server.ts";
import { publishTo } from "../../support/wire.ts";
import { listenTo } from "../store/listening.ts";
import { account, accountKind, type AccountKind, deposit } from "./actor-account.ts";
import { ActorStage } from "./actor-stage.ts";

let stage: ActorStage;
let told: readonly ActorSnapshotMessage[];
const alice = account("alice");
const balanceOf3 = { balance: 3, count: 3 };

beforeEach(async () => {
  stage = await ActorStage.open();
  told = listenTo<ActorSnapshotMessage>("annal:actor:snapshot", stage.stream);
});

afterEach(() => stage[Symbol.asyncDispose]());

function kindOf(snapshot: AccountKind["snapshot"]): AccountKind {
  return accountKind({ snapshot });
}

/** Versions of the snapshots that were written, in their order. */
function written(): (number | undefined)[] {
  return told.filter(({ what }) => what === "written").map(({ version }) => version);
}

/** Has a host with this definition send three deposits, and close. */
async function runOnce(kind: AccountKind): Promise<void> {
  const host = await stage.host({ kind });
  for (let at = 0; at < 3; at++) await host.send(alice, deposit());
  await host.close();
}

describe("a snapshot is written", () => {
  it("after so many commits", async () => {
    const host = await stage.host({ kind: kindOf({ every: 3, version: 1 }) });
    for (let version = 1; version <= 7; version++) {
      await host.send(alice, deposit());
      await eventually(() => host.status().snapshotsWaiting === 0);
    }
    expect(written()).toEqual([3, 6]);
    const other = await stage.host({ kind: kindOf({ every: 3, version: 1 }) });
    expect(await other.load(alice)).toMatchObject({ version: 7 });
    expect(told.at(-1)).toMatchObject({ what: "restored", version: 6, actor: alice });
  });

  it("after so many commits of others too, with the next one", async () => {
    const host = await stage.host({ kind: kindOf({ every: 5, version: 1 }) });
    await host.send(alice, deposit());
    await stage.write(alice, 1, 1, 1, 1, 1);
    expect(await host.send(alice, deposit())).toMatchObject({ version: 7 });
    await eventually(() => written().length > 0);
    expect(written()).toEqual([7]);
  });

  it("when an actor leaves memory, and when the host closes", async () => {
    const host = await stage.host({ idleMs: 30 });
    await host.send(alice, deposit());
    await eventually(() => written().length > 0);
    expect(written()).toEqual([1]);
    const other = await stage.host();
    await other.send(alice, deposit());
    await other.close();
    expect(written()).toEqual([1, 2]);
  });

  it("not where the one that stands is of the same version", async () => {
    await runOnce(accountKind());
    const host = await stage.host();
    await host.load(alice);
    await host.load(account("nobody"));
    await host.close();
    expect(written()).toEqual([3]);
  });

  it("not before its commit, and without keeping a command waiting", async () => {
    const host = await stage.host({ kind: kindOf({ every: 1, version: 1 }) });
    const held = stage.wire.hold(publishTo(stage.snapshotSubject(alice)));
    for (let version = 1; version <= 5; version++) {
      expect(await host.send(alice, deposit())).toMatchObject({ version });
    }
    expect(written()).toEqual([]);
    expect(host.status().snapshotsWaiting).toBeGreaterThan(0);
    held.release();
    await eventually(() => host.status().snapshotsWaiting === 0);
    expect(written().at(-1)).toBe(5);
    const other = await stage.host();
    expect(await stage.askedBy(() => other.load(alice))).toMatchObject({ commits: 0 });
  });

  it("not where the host has no bucket", async () => {
    const host = await stage.host({ snapshotBucket: false });
    await host.send(alice, deposit());
    expect(await host.load(alice)).toMatchObject({ version: 1 });
    await host.close();
    expect(told).toEqual([]);
    await expect(stage.snapshotsWritten()).rejects.toThrow();
  });

  it("into the bucket that the option names", async () => {
    const name = `${stage.stream}_elsewhere`;
    const host = await stage.host({ snapshotBucket: name });
    await host.send(alice, deposit());
    await host.close();
    expect((await stage.admin.streams.info(`KV_${name}`)).state.messages).toBe(1);
    await expect(stage.snapshotsWritten()).rejects.toThrow();
  });
});

describe("a snapshot of another schema version", () => {
  it("is ignored where it is older, and then replaced", async () => {
    await runOnce(kindOf({ version: 1 }));
    const newer = kindOf({ version: 2 });
    const host = await stage.host({ kind: newer });
    expect(await host.load(alice)).toMatchObject({ state: balanceOf3, version: 3 });
    expect(told.at(-1)).toMatchObject({ what: "ignored", reason: "an older version, 1" });
    await host.close();
    expect(written()).toEqual([3, 3]);
    const again = await stage.host({ kind: newer });
    expect(await stage.askedBy(() => again.load(alice))).toMatchObject({ commits: 0 });
    expect(told.at(-1)).toMatchObject({ what: "restored", version: 3 });
  });

  it("is ignored where it is newer, and not replaced", async () => {
    await runOnce(kindOf({ version: 2 }));
    const host = await stage.host({ kind: kindOf({ version: 1, every: 1 }) });
    expect(await host.load(alice)).toMatchObject({ state: balanceOf3, version: 3 });
    expect(told.at(-1)).toMatchObject({ what: "ignored", reason: "a newer version, 2" });
    await host.send(alice, deposit());
    await host.close();
    expect(written()).toEqual([3]);
    const newer = await stage.host({ kind: kindOf({ version: 2 }) });
    expect(await newer.load(alice)).toMatchObject({ version: 4 });
    expect(told.at(-1)).toMatchObject({ what: "restored", version: 3 });
  });
});

describe("a state", () => {
  it("that comes of a snapshot is frozen like any other", async () => {
    await runOnce(accountKind());
    const host = await stage.host();
    expect(Object.isFrozen(await host.state(alice))).toBe(true);
    expect(told.at(-1)).toMatchObject({ what: "restored", version: 3 });
  });

  it("is encoded for the snapshot and decoded again", async () => {
    const kind = kindOf({
      version: 1,
      encode: ({ balance, count }) => [balance, count, "encoded"],
      decode: (data) => {
        const [balance, count, mark] = data as [number, number, string];
        if (mark !== "encoded") throw new Error("not what encode made");
        return { balance, count };
      },
    });
    await runOnce(kind);
    const host = await stage.host({ kind });
    const asked = await stage.askedBy(async () => {
      expect(await host.state(alice)).toEqual(balanceOf3);
    });
    expect(asked).toMatchObject({ commits: 0, snapshots: 1 });
    expect(told.at(-1)).toMatchObject({ what: "restored" });
  });

  it("of a class goes through its hooks", async () => {
    const tags = defineActor({
      type: "account",
      initialState: new Set<number>(),
      decide: (amount: number) => [{ type: "Deposited", data: { amount } }],
      evolve: (
        state,
        event: { readonly type: "Deposited"; readonly data: { readonly amount: number } },
      ) => new Set([...state, event.data.amount]),
      snapshot: {
        version: 1,
        encode: (state: Set<number>) => [...state],
        decode: (data) => new Set(data as number[]),
      },
    });
    const one = await ActorHost.start(stage.external, [tags]);
    await one.send(alice, 7);
    await one.send(alice, 8);
    await one.close();
    const two = await ActorHost.start(stage.external, [tags]);
    expect(await two.state(alice)).toEqual(new Set([7, 8]));
    expect(told.at(-1)).toMatchObject({ what: "restored", version: 2 });
    await two.close();
  });

  it.each([
    ["too large for an entry", () => "x".repeat(2 << 20), /2097\d+ bytes, the limit is/],
    [
      "not to be encoded",
      () => {
        throw new Error("no way");
      },
      /no way/,
    ],
    ["not plain data", () => ({ f: () => 1 }), /function/],
  ])("that is %s gets no snapshot, and commands go on", async (_, encode, reason) => {
    let calls = 0;
    const kind = kindOf({
      version: 1,
      every: 2,
      // the initial state can be encoded: it is looked at when the actor is defined
      encode: (state) => (calls++ === 0 ? state : encode()),
      decode: () => ({ balance: 0, count: 0 }),
    });
    const host = await stage.host({ kind });
    for (let version = 1; version <= 4; version++) {
      expect(await host.send(alice, deposit())).toMatchObject({ version });
    }
    await host.close();
    const dropped = told.filter(({ what }) => what === "dropped");
    expect(dropped[0]).toMatchObject({ version: 2, reason: expect.stringMatching(reason) });
    // it is tried again, if at all, when the actor leaves memory
    expect(dropped.filter(({ version }) => version !== 2 && version !== 4)).toEqual([]);
    expect(dropped.length).toBeLessThanOrEqual(2);
    expect(written()).toEqual([]);
    const other = await stage.host();
    expect(await other.load(alice)).toMatchObject({ version: 4, state: { balance: 4 } });
  });
});
