import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { DecideContext } from "../../../src/actor/index.ts";
import {
  AppendTooLargeError,
  InvalidArgumentError,
  VersionConflictError,
} from "../../../src/index.ts";
import { publishTo } from "../../support/wire.ts";
import {
  account,
  type AccountDefinition,
  accountKind,
  decideAccount,
  deposit,
  deposited,
  InsufficientFunds,
  transfer,
  withdraw,
} from "./actor-account.ts";
import { type AccountHost, ActorStage, refusal } from "./actor-stage.ts";

let stage: ActorStage;
const alice = account("alice");
const bob = account("bob");

beforeEach(async () => {
  stage = await ActorStage.open();
});

afterEach(() => stage[Symbol.asyncDispose]());

/** A host whose decisions are this one. */
function hostDeciding(decide: AccountDefinition["decide"]): Promise<AccountHost> {
  return stage.host({ kind: accountKind({ decide }) });
}

describe("a decision that appends to several actors", () => {
  it("is stored as a whole, in one append", async () => {
    const host = await stage.host();
    await host.send(alice, deposit(50));
    const sent = await host.send(alice, transfer("bob", 20), { metadata: { why: "test" } });
    expect(sent).toMatchObject({ version: 2, state: { balance: 30, count: 2 }, position: 2 });
    expect(sent.events).toMatchObject([
      { type: "Withdrawn", version: 2, metadata: { why: "test" } },
    ]);
    const [there] = await stage.external.readLast(bob, 1);
    expect(there).toMatchObject({ version: 1, position: 3, metadata: { why: "test" } });
    expect(await host.state(bob)).toEqual({ balance: 20, count: 1 });
  });

  it("may be of many actors and events", async () => {
    const host = await hostDeciding((_, __, context) => {
      for (let at = 0; at < 50; at++) {
        context.append({ actor: account(`other-${at}`), events: deposited(at, at) });
      }
      return deposited(1, 2, 3);
    });
    expect(await host.send(alice, deposit())).toMatchObject({ version: 3, state: { balance: 6 } });
    expect(await host.state(account("other-49"))).toEqual({ balance: 98, count: 2 });
  });

  it("is not stored at all where one of its events cannot be", async () => {
    const host = await hostDeciding((_, __, context) => {
      context.append({
        actor: bob,
        events: [{ type: "Deposited", data: { amount: NaN, f() {} } }] as never,
      });
      return deposited(1);
    });
    expect(await refusal(host.send(alice, deposit()))).toMatchObject({
      code: "unserialisable_value",
    });
    expect(await stage.truth(alice)).toMatchObject({ version: 0 });
    expect(await stage.truth(bob)).toMatchObject({ version: 0 });
  });

  it("is decided again where another writer was faster on its own actor", async () => {
    const host = await stage.host();
    await host.send(alice, deposit(50));
    await host.send(bob, deposit(1));
    const held = stage.wire.hold(publishTo(stage.subject(alice)));
    const sending = host.send(alice, transfer("bob", 50));
    await held.reached();
    await stage.write(alice, -10);
    held.release();
    expect(await refusal(sending)).toMatchObject({ balance: 40 });
    expect(host.status()).toMatchObject({ conflicts: 1 });
    expect(await host.send(alice, transfer("bob", 40))).toMatchObject({ state: { balance: 0 } });
    expect(await stage.truth(bob)).toMatchObject({ state: { balance: 41 }, version: 2 });
  });

  it("does not mind what has become of the other one", async () => {
    const host = await stage.host();
    await host.send(alice, deposit(50));
    await host.send(bob, deposit(1));
    await stage.write(bob, 5, 5);
    expect(await host.send(alice, transfer("bob", 20))).toMatchObject({ version: 2 });
    expect(await host.state(bob)).toEqual({ balance: 31, count: 4 });
  });

  it("fails with the other's conflict where it states what that one must be like", async () => {
    const host = await hostDeciding((_, __, context) => {
      context.append({ actor: bob, events: deposited(5), expectedVersion: 1 });
      return deposited(1);
    });
    await stage.write(bob, 1, 1);
    const error = await refusal(host.send(alice, deposit()));
    expect(error).toBeInstanceOf(VersionConflictError);
    expect(error).toMatchObject({ actor: bob, expectedVersion: 1, actualVersion: 2 });
    expect(host.status()).toMatchObject({ conflicts: 0 });
    expect(await stage.truth(alice)).toMatchObject({ version: 0 });
    expect(await stage.truth(bob)).toMatchObject({ version: 2 });
  });

  it.each(["aaa", "zzz"])(
    "is decided again where the other's conflict (%s) comes of its own old state",
    async (other) => {
      const decide: AccountDefinition["decide"] = (_, { count }, context) => {
        const next = account(`${other}-${count + 1}`);
        context.append({ actor: next, events: deposited(5), expectedVersion: "none" });
        return deposited(1);
      };
      const [ahead, behind] = [await hostDeciding(decide), await hostDeciding(decide)];
      await ahead.send(alice, deposit());
      await behind.load(alice);
      await ahead.send(alice, deposit());
      expect(await behind.send(alice, deposit())).toMatchObject({ version: 3, replayed: false });
      expect(behind.status()).toMatchObject({ conflicts: 1 });
      const commandId = "fourth";
      const first = await ahead.send(alice, deposit(), { commandId });
      const again = await behind.send(alice, deposit(), { commandId });
      expect(again).toEqual({ ...first, replayed: true });
      expect(await stage.truth(alice)).toMatchObject({ version: 4 });
      expect(await stage.truth(account(`${other}-5`))).toMatchObject({ version: 0 });
    },
  );

  it("is stored where the other one is as it must be", async () => {
    const host = await hostDeciding((_, __, context) => {
      context.append({ actor: bob, events: deposited(5), expectedVersion: "none" });
      return deposited(1);
    });
    expect(await host.send(alice, deposit())).toMatchObject({ version: 1 });
    expect(await refusal(host.send(alice, deposit()))).toMatchObject({ code: "version_conflict" });
    expect(await stage.truth(bob)).toMatchObject({ version: 1 });
  });

  it("may go both ways at the same time without loss", async () => {
    const hosts = [
      await stage.host({ maxConflicts: 1_000 }),
      await stage.host({ maxConflicts: 1_000 }),
    ];
    await stage.write(alice, 500);
    await stage.write(bob, 500);
    const sent = hosts.flatMap((host) =>
      Array.from({ length: 15 }, () => [
        host.send(alice, transfer("bob", 3)),
        host.send(bob, transfer("alice", 2)),
      ]).flat(),
    );
    await Promise.all(sent);
    expect(await stage.truth(alice)).toEqual({ state: { balance: 470, count: 61 }, version: 61 });
    expect(await stage.truth(bob)).toEqual({ state: { balance: 530, count: 61 }, version: 61 });
    for (const host of hosts) expect(await host.state(bob)).toEqual({ balance: 530, count: 61 });
  });
});

describe("the other actor", () => {
  it("goes on in memory without a read where it lies idle there", async () => {
    const host = await stage.host();
    await host.send(alice, deposit(50));
    await host.send(bob, deposit(1));
    await host.send(alice, transfer("bob", 20));
    const asked = await stage.askedBy(async () => {
      const { state, version } = await host.send(bob, withdraw(21));
      expect({ state, version }).toEqual({ state: { balance: 0, count: 3 }, version: 3 });
    });
    expect(asked).toEqual({ appends: 1, heads: 0, commits: 0, snapshots: 0 });
    expect(host.status()).toMatchObject({ conflicts: 0, commandsRunning: 0 });
  });

  it("catches up where it was busy", async () => {
    const host = await stage.host();
    await host.send(alice, deposit(50));
    await host.send(bob, deposit(1));
    const held = stage.wire.hold(publishTo(stage.headRequest(bob)));
    const looking = host.load(bob);
    await held.reached();
    await host.send(alice, transfer("bob", 20));
    held.release();
    await looking;
    expect(await host.send(bob, withdraw(21))).toMatchObject({ version: 3, state: { balance: 0 } });
    expect(host.status()).toMatchObject({ conflicts: 0 });
  });

  it("catches up where it had missed something before", async () => {
    const host = await stage.host();
    await host.send(alice, deposit(50));
    await host.send(bob, deposit(1));
    await stage.write(bob, 7);
    await host.send(alice, transfer("bob", 20));
    expect(await host.send(bob, withdraw(28))).toMatchObject({ version: 4, state: { balance: 0 } });
    expect(host.status()).toMatchObject({ conflicts: 0 });
  });

  it("does not go on in memory where it was purged and made anew up to the same version", async () => {
    const host = await stage.host();
    await host.send(alice, deposit(50));
    await host.send(bob, deposit(1_000));
    await stage.admin.streams.purge(stage.stream, { filter: stage.subject(bob) });
    await stage.write(bob, 1);
    await host.send(alice, transfer("bob", 10));
    const truth = { state: { balance: 11, count: 2 }, version: 2 };
    expect(await stage.truth(bob)).toEqual(truth);
    expect(await host.load(bob)).toMatchObject(truth);
    expect(await refusal(host.send(bob, withdraw(900)))).toEqual(new InsufficientFunds(11));
    await host.close();
    const fresh = await stage.host();
    expect(await fresh.load(bob)).toMatchObject(truth);
  });

  it("stays out of memory where it was", async () => {
    const host = await stage.host();
    await host.send(alice, deposit(50));
    await host.send(alice, transfer("bob", 20));
    expect(host.status().actorsInMemory).toBe(1);
  });

  it("that cannot take its event is not concerned in memory only: its next command says so", async () => {
    const kind = accountKind({
      evolve(state, event) {
        if (event.data.amount === 13) throw new Error("13");
        return { balance: state.balance + event.data.amount, count: state.count + 1 };
      },
      decide(command, state, context) {
        if (command.type === "Transfer") context.append({ actor: bob, events: deposited(13) });
        return command.type === "Transfer" ? deposited(1) : decideAccount(command, state, context);
      },
    });
    const host = await stage.host({ kind });
    await host.send(bob, deposit(1));
    expect(await host.send(alice, transfer("bob"))).toMatchObject({ version: 1 });
    expect(await refusal(host.send(bob, deposit(1)))).toMatchObject({
      code: "evolve_failed",
      actor: bob,
      version: 2,
      stored: true,
    });
  });
});

describe("what is no decision over several actors", () => {
  it("is one without an event of its own", async () => {
    const host = await hostDeciding((_, __, context) => {
      context.append({ actor: bob, events: deposited(5) });
      return [];
    });
    const error = await refusal(host.send(alice, deposit()));
    expect(error).toMatchObject({ code: "invalid_decision", actor: alice });
    expect(host.status()).toMatchObject({ rejected: 0 });
    expect(await stage.truth(bob)).toMatchObject({ version: 0 });
  });

  it.each([
    ["itself", () => ({ actor: alice, events: deposited(1) }), "actor"],
    ["no events", () => ({ actor: bob, events: [] }), "events"],
    ["events that are no list", () => ({ actor: bob, events: "x" }), "events"],
    [
      "a version that is none",
      () => ({ actor: bob, events: deposited(1), expectedVersion: "bogus" }),
      "expectedVersion",
    ],
    [
      "half a version",
      () => ({ actor: bob, events: deposited(1), expectedVersion: 1.5 }),
      "expectedVersion",
    ],
    ["no actor", () => ({ actor: { type: "account" }, events: deposited(1) }), undefined],
  ])("is one with %s", async (_, entry, argument) => {
    const host = await hostDeciding((__, ___, context) => {
      context.append(entry() as never);
      return deposited(1);
    });
    const error = await refusal(host.send(alice, deposit()));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    if (argument !== undefined) expect(error).toMatchObject({ argument });
    expect(await stage.truth(alice)).toMatchObject({ version: 0 });
  });

  it("is one with an actor twice", async () => {
    const host = await hostDeciding((_, __, context) => {
      context.append({ actor: bob, events: deposited(1) });
      context.append({ actor: account("bob"), events: deposited(1) });
      return deposited(1);
    });
    expect(await refusal(host.send(alice, deposit()))).toMatchObject({ argument: "actor" });
  });

  it("is one of more than 1,000 actors: nothing is sent", async () => {
    const host = await hostDeciding((_, __, context) => {
      for (let at = 0; at < 1_000; at++) {
        context.append({ actor: account(`other-${at}`), events: deposited(1) });
      }
      return deposited(1);
    });
    const error = await refusal(host.send(alice, deposit()));
    expect(error).toBeInstanceOf(AppendTooLargeError);
    expect(stage.asked()).toMatchObject({ appends: 0 });
    expect(await stage.truth(alice)).toMatchObject({ version: 0 });
  });

  it("is one that appends when decide is over", async () => {
    const kept: DecideContext[] = [];
    const host = await hostDeciding((_, __, context) => {
      kept.push(context);
      return deposited(1);
    });
    await host.send(alice, deposit());
    const late = (): void => kept[0]?.append({ actor: bob, events: deposited(1) });
    expect(late).toThrow(expect.objectContaining({ code: "invalid_decision" }));
    expect(await stage.truth(bob)).toMatchObject({ version: 0 });
  });
});
