import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { LoadMessage } from "../../../src/actor/index.ts";
import { answerTo } from "../../support/wire.ts";
import { listenTo } from "../store/listening.ts";
import { account, accountKind, deposit } from "./actor-account.ts";
import { ActorStage } from "./actor-stage.ts";

let stage: ActorStage;
const alice = account("alice");

beforeEach(async () => {
  stage = await ActorStage.open();
});

afterEach(() => stage[Symbol.asyncDispose]());

/** Writes events past all hosts, and a snapshot behind them. */
async function withSnapshot(...amounts: readonly number[]): Promise<void> {
  await stage.write(alice, ...amounts);
  const host = await stage.host();
  await host.load(alice);
  await host.close();
  expect(await stage.snapshotsWritten()).toBe(1);
}

describe("the state of an actor that is not in memory", () => {
  it("is its initial state where it has no events", async () => {
    const host = await stage.host();
    const asked = await stage.askedBy(async () => {
      expect(await host.load(alice)).toEqual({
        state: { balance: 0, count: 0 },
        version: 0,
        position: 0,
      });
    });
    expect(asked).toEqual({ appends: 0, heads: 1, commits: 0, snapshots: 1 });
  });

  it("is made of the stream where there is no snapshot", async () => {
    await stage.write(alice, 1, 2, 3, 4);
    const host = await stage.host();
    const loads = listenTo<LoadMessage>("tracing:annal:actor:load:asyncEnd", stage.stream);
    stage.wire.reset();
    expect(await host.load(alice)).toEqual({
      state: { balance: 10, count: 4 },
      version: 4,
      position: 4,
    });
    expect(stage.asked()).toEqual({ appends: 0, heads: 1, commits: 3, snapshots: 1 });
    expect(loads).toMatchObject([{ why: "cold", snapshotVersion: 0, commits: 4, version: 4 }]);
  });

  it("is what other hosts have made of it", async () => {
    const one = await stage.host();
    for (let at = 1; at <= 40; at++) await one.send(alice, deposit(at));
    const other = await stage.host();
    expect(await other.load(alice)).toMatchObject({
      state: { balance: 820, count: 40 },
      version: 40,
    });
  });

  it("takes one round trip where the snapshot has an empty tail", async () => {
    await withSnapshot(1, 2, 3, 4, 5);
    const host = await stage.host();
    const loads = listenTo<LoadMessage>("tracing:annal:actor:load:asyncEnd", stage.stream);
    const answers = stage.wire.hold(answerTo(/DIRECT\.GET/));
    const loading = host.load(alice);
    // both are asked before either is answered
    await answers.reached(2);
    expect(stage.asked()).toEqual({ appends: 0, heads: 1, commits: 0, snapshots: 1 });
    answers.release();
    expect(await loading).toEqual({ state: { balance: 15, count: 5 }, version: 5, position: 5 });
    expect(stage.asked()).toEqual({ appends: 0, heads: 1, commits: 0, snapshots: 1 });
    expect(loads).toMatchObject([{ why: "cold", snapshotVersion: 5, commits: 0, version: 5 }]);
  });

  it("takes two round trips where the snapshot has a short tail", async () => {
    await withSnapshot(1, 2, 3, 4, 5);
    await stage.write(alice, 10, 20, 30);
    const host = await stage.host();
    const loads = listenTo<LoadMessage>("tracing:annal:actor:load:asyncEnd", stage.stream);
    const first = stage.wire.hold(answerTo(/DIRECT\.GET/));
    const loading = host.load(alice);
    await first.reached(2);
    const second = stage.wire.hold(answerTo(/DIRECT\.GET/));
    first.release();
    // the commits behind the snapshot but the head, and the one that it stands on
    await second.reached(3);
    second.release();
    expect(await loading).toMatchObject({ state: { balance: 75, count: 8 }, version: 8 });
    expect(stage.asked()).toEqual({ appends: 0, heads: 1, commits: 3, snapshots: 1 });
    expect(loads).toMatchObject([{ why: "cold", snapshotVersion: 5, commits: 3, version: 8 }]);
  });

  it("reads no more than the tail, however long the history is", async () => {
    await withSnapshot(...Array.from({ length: 60 }, () => 1));
    await stage.write(alice, 5);
    const host = await stage.host();
    const asked = await stage.askedBy(() => host.load(alice));
    expect(asked).toEqual({ appends: 0, heads: 1, commits: 1, snapshots: 1 });
  });

  it("is loaded once for all commands that were sent to it", async () => {
    await withSnapshot(1, 2);
    const host = await stage.host();
    const asked = await stage.askedBy(() =>
      Promise.all([1, 2, 3, 4].map((amount) => host.send(alice, deposit(amount)))),
    );
    expect(asked).toEqual({ appends: 4, heads: 1, commits: 0, snapshots: 1 });
  });

  it("is loaded without a question for a snapshot where its type has none", async () => {
    await withSnapshot(1, 2);
    const host = await stage.host({ kind: accountKind({ snapshot: undefined }) });
    const asked = await stage.askedBy(() => host.load(alice));
    expect(asked).toEqual({ appends: 0, heads: 1, commits: 1, snapshots: 0 });
  });

  it("goes with ids of any characters", async () => {
    const odd = account("a b.c/ü=*>");
    const one = await stage.host();
    await one.send(odd, deposit(4));
    await one.close();
    expect(await stage.snapshotsWritten()).toBe(1);
    const host = await stage.host();
    const asked = await stage.askedBy(async () => {
      expect(await host.state(odd)).toEqual({ balance: 4, count: 1 });
    });
    expect(asked).toEqual({ appends: 0, heads: 1, commits: 0, snapshots: 1 });
  });

  it("is read again by the next command where reading it failed", async () => {
    await stage.write(alice, 1, 2);
    const host = await stage.host({ store: { readTimeoutMs: 100 } });
    const lost = stage.wire.drop(answerTo(stage.headRequest(alice)), 100);
    await expect(host.send(alice, deposit())).rejects.toMatchObject({ code: "read_timeout" });
    lost.stop();
    expect(await host.send(alice, deposit(4))).toMatchObject({ state: { balance: 7 }, version: 3 });
  });
});
