import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CommandTimeoutError } from "../../../src/actor/index.ts";
import { ClosedError } from "../../../src/index.ts";
import { eventually } from "../../support/server.ts";
import { answerTo, publishTo } from "../../support/wire.ts";
import { account, accountKind, deposit } from "./actor-account.ts";
import { ActorStage, refusal } from "./actor-stage.ts";

let stage: ActorStage;
const alice = account("alice");
const bob = account("bob");

beforeEach(async () => {
  stage = await ActorStage.open();
});

afterEach(() => stage[Symbol.asyncDispose]());

describe("actors in memory", () => {
  it("answer without a read, and leave when nobody has asked them for idleMs", async () => {
    const host = await stage.host({ idleMs: 300 });
    await host.send(alice, deposit(5));
    expect(host.status().actorsInMemory).toBe(1);
    const asked = await stage.askedBy(() => host.send(alice, deposit(5)));
    expect(asked).toEqual({ appends: 1, heads: 0, commits: 0, snapshots: 0 });
    await eventually(() => host.status().actorsInMemory === 0);
    stage.wire.reset();
    expect(await host.send(alice, deposit(5))).toMatchObject({
      state: { balance: 15 },
      version: 3,
    });
    expect(stage.asked()).toMatchObject({ appends: 1, heads: 1, snapshots: 1 });
  });

  it("stay while a command runs, however long", async () => {
    const host = await stage.host({ idleMs: 20 });
    const held = stage.wire.hold(publishTo(stage.subject(alice)));
    const running = host.send(alice, deposit(5));
    await held.reached();
    await host.send(bob, deposit(5));
    // bob, who came later, has left
    await eventually(() => host.status().actorsInMemory === 1);
    expect(host.status()).toMatchObject({ commandsRunning: 1 });
    held.release();
    expect(await running).toMatchObject({ version: 1 });
    await eventually(() => host.status().actorsInMemory === 0);
  });

  it("are maxActors at most: those leave that were used longest ago", async () => {
    const host = await stage.host({ maxActors: 3 });
    for (const id of ["a", "b", "c", "a", "d"]) await host.send(account(id), deposit());
    expect(host.status().actorsInMemory).toBe(3);
    const warm = await stage.askedBy(async () => {
      for (const id of ["a", "c", "d"]) await host.send(account(id), deposit());
    });
    expect(warm).toMatchObject({ appends: 3, heads: 0, snapshots: 0 });
    const cold = await stage.askedBy(() => host.send(account("b"), deposit()));
    expect(cold).toMatchObject({ appends: 1, heads: 1, snapshots: 1 });
    expect(host.status().actorsInMemory).toBe(3);
  });

  it("may be more while all of them are busy", async () => {
    const host = await stage.host({ maxActors: 1 });
    const held = stage.wire.hold(publishTo(stage.subject(alice)));
    const running = host.send(alice, deposit());
    await held.reached();
    expect(await host.send(bob, deposit())).toMatchObject({ version: 1 });
    held.release();
    await running;
    expect(await host.send(alice, deposit())).toMatchObject({ version: 2 });
    expect(await host.send(bob, deposit())).toMatchObject({ version: 2 });
  });

  it("are maxActors again once a burst on more of them is over", async () => {
    const host = await stage.host({ maxActors: 5 });
    const ids = Array.from({ length: 100 }, (_, at) => `burst-${at}`);
    await Promise.all(ids.map((id) => host.send(account(id), deposit())));
    await eventually(() => host.status().actorsInMemory === 5);
  });

  it("are not kept where they have no events and were only looked at", async () => {
    const host = await stage.host();
    const ids = Array.from({ length: 100 }, (_, at) => `unknown-${at}`);
    for (const { version } of await Promise.all(ids.map((id) => host.load(account(id))))) {
      expect(version).toBe(0);
    }
    expect(host.status().actorsInMemory).toBe(0);
  });

  it("are not found where only an earlier state was asked for", async () => {
    const host = await stage.host();
    await stage.write(alice, 1, 2);
    expect(await host.state(alice, { version: 1 })).toEqual({ balance: 1, count: 1 });
    expect(host.status().actorsInMemory).toBe(0);
  });
});

describe("closing a host", () => {
  it("ends what was sent before, and refuses what comes later", async () => {
    const { host, store } = await stage.process();
    const held = stage.wire.hold(publishTo(stage.subject(alice)));
    const sent = [host.send(alice, deposit(1)), host.send(alice, deposit(2))];
    await held.reached();
    let closed = false;
    const closing = host.close().then(() => (closed = true));
    expect(await refusal(host.send(alice, deposit()))).toBeInstanceOf(ClosedError);
    expect(await refusal(host.load(alice))).toBeInstanceOf(ClosedError);
    expect(closed).toBe(false);
    held.release();
    expect((await Promise.all(sent)).map(({ version }) => version)).toEqual([1, 2]);
    await closing;
    expect(host.status()).toMatchObject({ actorsInMemory: 0, snapshotsWaiting: 0 });
    expect(await stage.truth(alice)).toMatchObject({ version: 2 });
    // the store is its owner's
    expect(await store.latestVersion(alice)).toBe(2);
  });

  it("waits for a repetition whose earlier state is still read", async () => {
    const { host } = await stage.process({ kind: accountKind({ snapshot: undefined }) });
    const commandId = "c";
    const first = await host.send(alice, deposit(1), { commandId });
    for (let more = 0; more < 3; more++) await host.send(alice, deposit(1));
    const held = stage.wire.hold(answerTo(stage.headRequest(alice)));
    const repeated = host.send(alice, deposit(1), { commandId });
    await held.reached();
    let closed = false;
    const closing = host.close().then(() => (closed = true));
    await stage.external.latestVersion(alice);
    expect(closed).toBe(false);
    expect(host.status()).toMatchObject({ commandsRunning: 1 });
    held.release();
    expect(await repeated).toEqual({ ...first, replayed: true });
    await closing;
    expect(host.status()).toMatchObject({ commandsRunning: 0 });
  });

  it("refuses earlier states too", async () => {
    const host = await stage.host();
    await host.send(alice, deposit());
    await host.close();
    expect(await refusal(host.load(alice, { version: 1 }))).toBeInstanceOf(ClosedError);
    expect(await refusal(host.load(alice, { fresh: false }))).toBeInstanceOf(ClosedError);
  });

  it("may be asked for many times, and all of them end together", async () => {
    const host = await stage.host();
    const held = stage.wire.hold(publishTo(stage.subject(alice)));
    const sent = host.send(alice, deposit());
    await held.reached();
    const ended: number[] = [];
    const closing = [0, 1, 2].map((at) => host.close().then(() => ended.push(at)));
    expect(ended).toEqual([]);
    held.release();
    await sent;
    await Promise.all(closing);
    expect(new Set(ended)).toEqual(new Set([0, 1, 2]));
    await host[Symbol.asyncDispose]();
  });

  it("turns away those whose time is over while they wait, and ends", async () => {
    const host = await stage.host();
    const held = stage.wire.hold(publishTo(stage.subject(alice)));
    const running = host.send(alice, deposit());
    await held.reached();
    const late = refusal(host.send(alice, deposit(), { timeoutMs: 50 }));
    const closing = host.close();
    expect(await late).toBeInstanceOf(CommandTimeoutError);
    held.release();
    await running;
    await closing;
    expect(await stage.truth(alice)).toMatchObject({ version: 1 });
  });

  it("that has never been asked for anything is at once", async () => {
    const host = await stage.host();
    await host.close();
    expect(stage.asked()).toEqual({ appends: 0, heads: 0, commits: 0, snapshots: 0 });
  });
});
