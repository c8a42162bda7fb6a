import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ActorSnapshotMessage, DecideMessage } from "../../../src/actor/index.ts";
import { eventually } from "../../support/server.ts";
import { publishTo } from "../../support/wire.ts";
import { listenTo } from "../store/listening.ts";
import {
  account,
  accountKind,
  deposit,
  InsufficientFunds,
  transfer,
  withdraw,
} from "./actor-account.ts";
import { ActorStage, refusal } from "./actor-stage.ts";
import { collidingIds } from "./colliding-ids.ts";

let stage: ActorStage;
const alice = account("alice");
const bob = account("bob");
const commandId = "command-1";

beforeEach(async () => {
  stage = await ActorStage.open();
});

afterEach(() => stage[Symbol.asyncDispose]());

/** A host whose definition remembers so many commands. */
function remembering(rememberedCommands: number): ReturnType<typeof accountKind> {
  return accountKind({ rememberedCommands });
}

describe("a command that is repeated", () => {
  it("gives its first result, though the actor has gone on", async () => {
    const host = await stage.host();
    const first = await host.send(alice, deposit(10), { commandId });
    await host.send(alice, deposit(5));
    expect(await host.send(alice, deposit(10), { commandId })).toEqual({
      ...first,
      replayed: true,
    });
    expect(await stage.truth(alice)).toMatchObject({ version: 2 });
    expect(host.status()).toMatchObject({ commands: 3, replayed: 1 });
  });

  it("gives its first result though it would now be refused", async () => {
    const host = await stage.host();
    await host.send(alice, deposit(10));
    const first = await host.send(alice, withdraw(10), { commandId });
    const again = await host.send(alice, withdraw(10), { commandId });
    expect(again).toEqual({ ...first, replayed: true });
  });

  it("is told by its id, whatever it says", async () => {
    const host = await stage.host();
    await host.send(alice, deposit(10), { commandId });
    expect(await host.send(alice, deposit(99), { commandId })).toMatchObject({
      replayed: true,
      events: [{ data: { amount: 10 } }],
      state: { balance: 10 },
    });
    expect(await stage.truth(alice)).toMatchObject({ version: 1 });
  });

  it("is not decided, and asks for its commit alone", async () => {
    const host = await stage.host();
    await host.send(alice, deposit(10), { commandId });
    const decisions = listenTo<DecideMessage>("tracing:annal:actor:decide:end", stage.stream);
    const asked = await stage.askedBy(() => host.send(alice, deposit(10), { commandId }));
    expect(asked).toEqual({ appends: 0, heads: 0, commits: 1, snapshots: 0 });
    expect(decisions).toEqual([]);
  });

  it("gives its first result on another host, warm or cold, and after a restart", async () => {
    const one = await stage.host();
    const warm = await stage.host();
    await warm.send(alice, deposit(1));
    const first = await one.send(alice, deposit(10), { commandId });
    const replayed = { ...first, replayed: true };
    expect(await warm.send(alice, deposit(10), { commandId })).toEqual(replayed);
    const cold = await stage.host({ kind: accountKind({ snapshot: undefined }) });
    expect(await cold.send(alice, deposit(10), { commandId })).toEqual(replayed);
    await one.close();
    const restarted = await stage.host();
    expect(await restarted.send(alice, deposit(10), { commandId })).toEqual(replayed);
    expect(await stage.truth(alice)).toMatchObject({ version: 2 });
  });

  it("gives its first result where the actor was loaded from a snapshot", async () => {
    const one = await stage.host();
    const first = await one.send(alice, deposit(10), { commandId });
    for (let more = 0; more < 20; more++) await one.send(alice, deposit(1));
    await one.close();
    const told = listenTo<ActorSnapshotMessage>("annal:actor:snapshot", stage.stream);
    const two = await stage.host();
    const again = await two.send(alice, deposit(10), { commandId });
    expect(again).toEqual({ ...first, replayed: true });
    expect(told).toMatchObject([{ what: "restored", version: 21 }]);
    expect(await stage.truth(alice)).toMatchObject({ version: 21 });
  });

  it("is decided again where it lies further back than rememberedCommands", async () => {
    const host = await stage.host({ kind: remembering(3) });
    await host.send(alice, deposit(10), { commandId });
    for (const id of ["a", "b"]) await host.send(alice, deposit(1), { commandId: id });
    // those without an id take no place
    for (let more = 0; more < 5; more++) await host.send(alice, deposit(1));
    expect(await host.send(alice, deposit(10), { commandId })).toMatchObject({ replayed: true });
    await host.send(alice, deposit(1), { commandId: "c" });
    expect(await host.send(alice, deposit(10), { commandId })).toMatchObject({
      replayed: false,
      version: 10,
    });
    expect(await host.send(alice, deposit(1), { commandId: "b" })).toMatchObject({
      replayed: true,
    });
  });

  it("is remembered however many transfers come in, and appends without an id", async () => {
    const kind = remembering(3);
    const host = await stage.host({ kind });
    await host.send(alice, deposit(50));
    const first = await host.send(bob, deposit(10), { commandId });
    for (const id of ["t-1", "t-2", "t-3", "t-4"]) {
      await host.send(alice, transfer("bob", 1), { commandId: id });
    }
    await stage.write(bob, 1, 1, 1, 1);
    const cold = await stage.host({ kind: { ...kind, snapshot: undefined } });
    for (const each of [host, cold]) {
      expect(await each.send(bob, deposit(10), { commandId })).toEqual({
        ...first,
        replayed: true,
      });
    }
    expect(await stage.truth(bob)).toMatchObject({ version: 9 });
  });

  it("is remembered though the host failed to catch up in between, again and again", async () => {
    const kind = remembering(4);
    const host = await stage.host({ kind });
    const first = await host.send(alice, deposit(10), { commandId });
    const other = await stage.host({ kind });
    for (const id of ["a", "b"]) await other.send(alice, deposit(1), { commandId: id });
    const standing = `{"seq":${first.position}}`;
    const lost = stage.wire.drop(({ text }) => text === standing, 1_000);
    for (let again = 0; again < 4; again++) {
      const look = host.load(alice, { timeoutMs: 60 });
      expect(await refusal(look)).toMatchObject({ code: "read_timeout" });
    }
    lost.stop();
    expect(await host.send(alice, deposit(10), { commandId })).toEqual({
      ...first,
      replayed: true,
    });
    expect(await stage.truth(alice)).toMatchObject({ version: 3 });
  });

  it("that came to nothing, or was refused, is decided again", async () => {
    const host = await stage.host();
    const raise = { type: "RaiseTo", balance: 0 } as const;
    expect(await host.send(alice, raise, { commandId })).toMatchObject({ events: [] });
    const refused = await refusal(host.send(alice, withdraw(5), { commandId }));
    expect(refused).toEqual(new InsufficientFunds(0));
    await host.send(alice, deposit(5));
    expect(await host.send(alice, withdraw(5), { commandId })).toMatchObject({ replayed: false });
  });

  it("is not confused with another whose hash is the same", async () => {
    const [one, two] = collidingIds();
    const host = await stage.host();
    await host.send(alice, deposit(10), { commandId: one });
    const other = await host.send(alice, deposit(20), { commandId: two });
    expect(other).toMatchObject({ replayed: false, version: 2, state: { balance: 30 } });
    const again = { replayed: true, events: [{ data: { amount: 10 } }], version: 1 };
    expect(await host.send(alice, deposit(10), { commandId: one })).toMatchObject(again);
    expect(await host.send(alice, deposit(20), { commandId: two })).toEqual({
      ...other,
      replayed: true,
    });
    const fresh = await stage.host();
    expect(await fresh.send(alice, deposit(10), { commandId: one })).toMatchObject(again);
    expect(await stage.truth(alice)).toMatchObject({ version: 2 });
  });

  it("to another actor is a command of its own", async () => {
    const host = await stage.host();
    await host.send(alice, deposit(10), { commandId });
    expect(await host.send(bob, deposit(10), { commandId })).toMatchObject({ replayed: false });
  });
});

describe("one command id sent twice at the same moment", () => {
  it.each([64, 0])(
    "by two hosts has one effect (rememberedCommands: %i)",
    async (rememberedCommands) => {
      const kind = remembering(rememberedCommands);
      const hosts = [await stage.host({ kind }), await stage.host({ kind })];
      for (let round = 1; round <= 10; round++) {
        const id = `round-${round}`;
        for (const host of hosts) await host.load(alice);
        const held = stage.wire.hold(publishTo(stage.subject(alice)));
        const sent = hosts.map((host) => host.send(alice, deposit(round), { commandId: id }));
        await held.reached(2);
        held.release();
        const results = await Promise.all(sent);
        expect(results.map(({ version }) => version)).toEqual([round, round]);
        expect(results.map(({ replayed }) => replayed).sort(byTruth)).toEqual([false, true]);
      }
      expect(await stage.truth(alice)).toMatchObject({ version: 10, state: { balance: 55 } });
    },
  );

  it("by one host has one effect", async () => {
    const host = await stage.host();
    const results = await Promise.all(
      [1, 2, 3].map(() => host.send(alice, deposit(10), { commandId })),
    );
    expect(results.map(({ replayed }) => replayed)).toEqual([false, true, true]);
    expect(await stage.truth(alice)).toMatchObject({ version: 1 });
  });

  it.each([64, 0])(
    "has one effect where the two decide differently (rememberedCommands: %i)",
    async (rememberedCommands) => {
      const kind = accountKind({
        rememberedCommands,
        decide: (_command, _state, { receivedAt }) => [
          { type: "Deposited", data: { amount: receivedAt.getTime() } },
        ],
      });
      const one = await stage.host({ kind, now: () => 1_000 });
      const two = await stage.host({ kind, now: () => 2_000 });
      for (const host of [one, two]) await host.load(alice);
      const held = stage.wire.hold(publishTo(stage.subject(alice)));
      const sent = [one, two].map((host) => host.send(alice, deposit(), { commandId }));
      await held.reached(2);
      held.release();
      const [first, second] = await Promise.all(sent);
      expect(second?.events).toEqual(first?.events);
      expect([first?.replayed, second?.replayed].sort(byTruth)).toEqual([false, true]);
      expect(await stage.truth(alice)).toMatchObject({ version: 1 });
    },
  );

  it("has one effect where the slower finds the actor at a later version", async () => {
    const [one, two] = [await stage.host(), await stage.host()];
    for (const host of [one, two]) await host.load(alice);
    const held = stage.wire.hold(publishTo(stage.subject(alice)));
    const slow = two.send(alice, deposit(10), { commandId });
    await held.reached();
    await stage.external.append(alice, [{ type: "Deposited", data: { amount: 10 } }], {
      expectedVersion: 0,
      commitId: commandId,
    });
    await stage.write(alice, 1, 1, 1);
    held.release();
    expect(await slow).toMatchObject({ replayed: true, version: 1, state: { balance: 10 } });
    expect(await one.send(alice, deposit(10), { commandId })).toMatchObject({ version: 1 });
    expect(await stage.truth(alice)).toMatchObject({ version: 4 });
  });
});

describe("a command with appends to several actors that is repeated", () => {
  it("gives its first result, on the host and on others, and moves money once", async () => {
    const host = await stage.host();
    const other = await stage.host();
    await host.send(alice, deposit(50));
    await other.load(alice);
    const first = await host.send(alice, transfer("bob", 20), { commandId });
    expect(first).toMatchObject({ state: { balance: 30 }, version: 2, replayed: false });
    const again = { ...first, replayed: true };
    expect(await host.send(alice, transfer("bob", 20), { commandId })).toEqual(again);
    expect(await other.send(alice, transfer("bob", 20), { commandId })).toEqual(again);
    await host.close();
    const fresh = await stage.host();
    expect(await fresh.send(alice, transfer("bob", 20), { commandId })).toEqual(again);
    expect(await stage.truth(alice)).toMatchObject({ state: { balance: 30 }, version: 2 });
    expect(await stage.truth(bob)).toMatchObject({ state: { balance: 20 }, version: 1 });
  });

  it("by two hosts at the same moment moves money once", async () => {
    const hosts = [await stage.host(), await stage.host()];
    await stage.write(alice, 50);
    for (const host of hosts) await host.load(alice);
    const held = stage.wire.hold(publishTo(stage.subject(alice)));
    const sent = hosts.map((host) => host.send(alice, transfer("bob", 20), { commandId }));
    await held.reached(2);
    held.release();
    const results = await Promise.all(sent);
    expect(results.map(({ replayed }) => replayed).sort(byTruth)).toEqual([false, true]);
    expect(await stage.truth(alice)).toMatchObject({ state: { balance: 30 }, version: 2 });
    expect(await stage.truth(bob)).toMatchObject({ state: { balance: 20 }, version: 1 });
  });

  it.each(["aaa", "zzz"])(
    "gives its first result on a host that is behind and decides otherwise (to %s)",
    async (to) => {
      const kind = accountKind({
        decide(_command, _state, context) {
          const amount = context.receivedAt.getTime();
          context.append({ actor: account(to), events: [{ type: "Deposited", data: { amount } }] });
          return [{ type: "Withdrawn", data: { amount } }];
        },
      });
      const ahead = await stage.host({ kind, now: () => 1_000 });
      const behind = await stage.host({ kind, now: () => 2_000 });
      await stage.write(alice, 50);
      await behind.load(alice);
      const first = await ahead.send(alice, transfer(to), { commandId });
      const again = await behind.send(alice, transfer(to), { commandId });
      expect(again).toEqual({ ...first, replayed: true });
      expect(behind.status()).toMatchObject({ replayed: 1 });
      expect(await stage.truth(alice)).toMatchObject({ version: 2 });
      expect(await stage.truth(account(to))).toMatchObject({ version: 1 });
    },
  );

  it("sent to the other actor is a command of its own", async () => {
    const host = await stage.host();
    await host.send(alice, deposit(50));
    await host.send(alice, transfer("bob", 20), { commandId });
    const back = await host.send(bob, transfer("alice", 5), { commandId });
    expect(back).toMatchObject({ replayed: false, state: { balance: 15 }, version: 2 });
    const plain = await host.send(bob, deposit(1), { commandId });
    expect(plain).toMatchObject({ replayed: true, version: 2 });
    const fresh = await stage.host();
    expect(await fresh.send(bob, transfer("alice", 5), { commandId })).toEqual({
      ...back,
      replayed: true,
    });
    expect(await fresh.send(alice, transfer("bob", 20), { commandId })).toMatchObject({
      replayed: true,
      version: 2,
      state: { balance: 30 },
    });
    expect(await stage.truth(alice)).toMatchObject({ state: { balance: 35 }, version: 3 });
  });

  it("may have an id of 100 characters", async () => {
    const host = await stage.host();
    await host.send(alice, deposit(50));
    const long = "x".repeat(100);
    const first = await host.send(alice, transfer("bob", 20), { commandId: long });
    const again = await host.send(alice, transfer("bob", 20), { commandId: long });
    expect(again).toEqual({ ...first, replayed: true });
  });
});

describe("an idle host", () => {
  it("remembers commands of an actor that has left its memory and come back", async () => {
    const host = await stage.host({ idleMs: 30 });
    const first = await host.send(alice, deposit(10), { commandId });
    await eventually(() => host.status().actorsInMemory === 0);
    expect(await host.send(alice, deposit(10), { commandId })).toEqual({
      ...first,
      replayed: true,
    });
  });
});

function byTruth(a: boolean | undefined, b: boolean | undefined): number {
  return Number(a) - Number(b);
}
