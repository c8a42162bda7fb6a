import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { DecideContext } from "../../../src/actor/index.ts";
import { TooManyConflictsError } from "../../../src/index.ts";
import { eventually } from "../../support/server.ts";
import { publishTo } from "../../support/wire.ts";
import {
  account,
  accountKind,
  decideAccount,
  deposit,
  InsufficientFunds,
  withdraw,
} from "./actor-account.ts";
import { ActorStage, refusal } from "./actor-stage.ts";

let stage: ActorStage;
const alice = account("alice");
let runs: DecideContext[];
const watched = accountKind({
  decide(command, state, context) {
    runs.push(context);
    return decideAccount(command, state, context);
  },
});

beforeEach(async () => {
  stage = await ActorStage.open();
  runs = [];
});

afterEach(() => stage[Symbol.asyncDispose]());

/** Lets another writer be faster than the next appends of an actor, each time. */
async function beat(times: number): Promise<void> {
  let held = stage.wire.hold(publishTo(stage.subject(alice)));
  for (let at = 1; at <= times; at++) {
    await held.reached();
    await stage.write(alice, 1);
    const before = held;
    if (at < times) held = stage.wire.hold(publishTo(stage.subject(alice)));
    before.release();
  }
}

describe("several hosts of one actor", () => {
  it("decide each command on what the others have made of it", async () => {
    const hosts = await Promise.all([1, 2, 3].map(() => stage.host({ maxConflicts: 1_000 })));
    const sent = hosts.flatMap((host) =>
      Array.from({ length: 30 }, () => host.send(alice, deposit(1))),
    );
    const results = await Promise.all(sent);
    expect(new Set(results.map(({ version }) => version)).size).toBe(90);
    expect(results.every(({ state, version }) => state.balance === version)).toBe(true);
    expect(await stage.truth(alice)).toEqual({ state: { balance: 90, count: 90 }, version: 90 });
    const conflicts = hosts.map((host) => host.status().conflicts);
    expect(Math.max(...conflicts)).toBeGreaterThan(0);
  });

  it("never withdraw more than there is", async () => {
    await stage.write(alice, 25);
    const hosts = await Promise.all([1, 2, 3].map(() => stage.host({ maxConflicts: 1_000 })));
    const sent = hosts.flatMap((host) =>
      Array.from({ length: 20 }, () => host.send(alice, withdraw(1))),
    );
    const outcomes = await Promise.allSettled(sent);
    const refused = outcomes.filter(({ status }) => status === "rejected");
    expect(refused).toHaveLength(35);
    for (const { reason } of refused as PromiseRejectedResult[]) {
      expect(reason).toBeInstanceOf(InsufficientFunds);
    }
    expect(await stage.truth(alice)).toMatchObject({ state: { balance: 0 }, version: 26 });
  });
});

describe("a command that another writer was faster than", () => {
  it("is decided again on what that one left", async () => {
    const host = await stage.host({ kind: watched });
    await host.send(alice, deposit(10));
    const beating = beat(1);
    const sent = await host.send(alice, withdraw(4));
    await beating;
    expect(sent).toMatchObject({ version: 3, state: { balance: 7, count: 3 } });
    expect(sent.events).toMatchObject([{ type: "Withdrawn", version: 3 }]);
    expect(await stage.truth(alice)).toEqual({ state: { balance: 7, count: 3 }, version: 3 });
  });

  it("has the same time and id each time it is decided, and another version", async () => {
    let nowMs = 1_000_000;
    const host = await stage.host({ kind: watched, now: () => nowMs++ });
    await host.send(alice, deposit(10));
    const beating = beat(2);
    const sent = await host.send(alice, withdraw(3), { commandId: "w" });
    await beating;
    expect(sent).toMatchObject({ version: 4, state: { balance: 9, count: 4 } });
    const seen = runs.map(({ version, commandId, receivedAt, actor }) => ({
      version,
      commandId,
      at: receivedAt.getTime(),
      actor,
    }));
    const same = { commandId: "w", at: 1_000_001, actor: alice };
    expect(seen.slice(1)).toEqual([1, 2, 3].map((version) => ({ ...same, version })));
    expect(host.status()).toMatchObject({ commands: 2, conflicts: 2 });
  });

  it("is refused without a question where what it found is as young as the command", async () => {
    const host = await stage.host({ kind: watched });
    await host.send(alice, deposit(10));
    const held = stage.wire.hold(publishTo(stage.subject(alice)));
    stage.wire.reset();
    const sent = refusal(host.send(alice, withdraw(8)));
    await held.reached();
    await stage.write(alice, -5);
    held.release();
    expect(await sent).toMatchObject({ balance: 5 });
    expect(runs.map(({ version }) => version)).toEqual([0, 1, 2]);
    // the head is asked for by the refused append and by the catching up, and not once more
    expect(stage.asked().heads).toBeLessThanOrEqual(2);
  });

  it("fails after maxConflicts with TooManyConflictsError, and the actor goes on", async () => {
    const host = await stage.host({ kind: watched, maxConflicts: 3 });
    await host.send(alice, deposit(10));
    const beating = beat(4);
    const error = await refusal(host.send(alice, withdraw(1), { commandId: "w" }));
    await beating;
    expect(error).toBeInstanceOf(TooManyConflictsError);
    expect(error).toMatchObject({ actor: alice, attempts: 4, code: "too_many_conflicts" });
    expect(runs.map(({ version }) => version)).toEqual([0, 1, 2, 3, 4]);
    expect(host.status()).toMatchObject({ conflicts: 4, rejected: 0 });
    const { state, version } = await host.send(alice, withdraw(1), { commandId: "w" });
    expect({ state, version }).toEqual({ state: { balance: 13, count: 6 }, version: 6 });
    expect(await stage.truth(alice)).toEqual({ state, version });
  });

  it("is not decided again where maxConflicts is 0", async () => {
    const host = await stage.host({ kind: watched, maxConflicts: 0 });
    await host.send(alice, deposit(10));
    const beating = beat(1);
    const error = await refusal(host.send(alice, withdraw(1)));
    await beating;
    expect(error).toMatchObject({ attempts: 1 });
    expect(runs).toHaveLength(2);
  });
});

describe("what this process knows of other writers", () => {
  it("makes a host catch up before it decides: appends past it by the same store", async () => {
    const { host, store } = await stage.process({ kind: watched });
    await host.send(alice, deposit(10));
    await store.append(alice, [{ type: "Deposited", data: { amount: 5 } }], { expectedVersion: 1 });
    expect(await host.send(alice, withdraw(15))).toMatchObject({
      version: 3,
      state: { balance: 0 },
    });
    expect(runs.map(({ version }) => version)).toEqual([0, 2]);
    expect(host.status()).toMatchObject({ conflicts: 0 });
  });

  it("makes it catch up too where the store follows the stream", async () => {
    const { host, store } = await stage.process({ kind: watched, store: { follow: true } });
    await host.send(alice, deposit(10));
    await stage.write(alice, 5, 5);
    await eventually(() => store.cachedVersion(alice) === 3);
    expect(await host.send(alice, withdraw(20))).toMatchObject({
      version: 4,
      state: { balance: 0 },
    });
    expect(runs.map(({ version }) => version)).toEqual([0, 3]);
    expect(host.status()).toMatchObject({ conflicts: 0 });
  });

  it("brings an idle actor up to date before it is asked where the store follows the stream", async () => {
    const { host } = await stage.process({ store: { follow: true } });
    await host.send(alice, deposit(10));
    const versions: unknown[] = [];
    const onLoad = (message: unknown): void => {
      if (typeof message === "object" && message !== null && "version" in message) {
        versions.push(message.version);
      }
    };
    subscribe("tracing:annal:actor:load:asyncEnd", onLoad);
    try {
      await stage.write(alice, 5, 5);
      await eventually(() => versions.at(-1) === 3);
    } finally {
      unsubscribe("tracing:annal:actor:load:asyncEnd", onLoad);
    }
    const asked = await stage.askedBy(async () => {
      expect(await host.send(alice, withdraw(20))).toMatchObject({ state: { balance: 0 } });
    });
    expect(asked).toMatchObject({ appends: 1, heads: 0, commits: 0 });
    expect(host.status()).toMatchObject({ actorsInMemory: 1, conflicts: 0, commandsRunning: 0 });
  });
});
