import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ActorHost, type ActorHostOptions, type SendOptions } from "../../../src/actor/index.ts";
import { InvalidArgumentError } from "../../../src/index.ts";
import { publishTo } from "../../support/wire.ts";
import { account, accountKind, decideAccount, deposit, withdraw } from "./actor-account.ts";
import { ActorStage, refusal } from "./actor-stage.ts";

let stage: ActorStage;
const alice = account("alice");
const bob = account("bob");

beforeEach(async () => {
  stage = await ActorStage.open();
});

afterEach(() => stage[Symbol.asyncDispose]());

describe("a command", () => {
  it("gives the state, the version, the events and where they are stored", async () => {
    const host = await stage.host();
    await host.send(alice, deposit(10));
    const sent = await host.send(alice, withdraw(3), { commandId: "w1" });
    expect(sent).toEqual({
      state: { balance: 7, count: 2 },
      version: 2,
      events: [{ type: "Withdrawn", data: { amount: 3 }, version: 2, metadata: {} }],
      position: 2,
      commitId: "w1",
      replayed: false,
    });
    expect(await stage.truth(alice)).toEqual({ state: { balance: 7, count: 2 }, version: 2 });
    expect((await stage.commitIds(alice))[1]).toBe("w1");
  });

  it("of several events makes one commit of them", async () => {
    const kind = accountKind({
      decide: () => [1, 2, 3].map((amount) => ({ type: "Deposited", data: { amount } })),
    });
    const host = await stage.host({ kind });
    const { version, events, state } = await host.send(alice, deposit());
    expect(version).toBe(3);
    expect(events.map((event) => event.version)).toEqual([1, 2, 3]);
    expect(state).toEqual({ balance: 6, count: 3 });
    expect(await stage.commitIds(alice)).toHaveLength(1);
  });

  it("that comes to nothing gives the state as it is, and stores nothing", async () => {
    const host = await stage.host();
    await host.send(alice, deposit(10));
    const nothing = await host.send(alice, { type: "RaiseTo", balance: 5 }, { commandId: "r" });
    expect(nothing).toEqual({
      state: { balance: 10, count: 1 },
      version: 1,
      events: [],
      position: undefined,
      commitId: undefined,
      replayed: false,
    });
    expect(await stage.truth(alice)).toMatchObject({ version: 1 });
  });

  it("puts its metadata, its headers and its correlation into the commit", async () => {
    const host = await stage.host();
    const { events } = await host.send(alice, deposit(), {
      metadata: { by: "test" },
      correlationId: "c1",
      causationId: "c2",
      headers: { "X-Test": "yes" },
    });
    const metadata = { by: "test", correlationId: "c1", causationId: "c2" };
    expect(events[0]?.metadata).toEqual(metadata);
    const sent = stage.wire.published.find((frame) => frame.subject === stage.subject(alice));
    expect(sent?.headers.get("X-Test")).toBe("yes");
    const [stored] = await stage.external.readLast(alice, 1);
    expect(stored?.metadata).toEqual(metadata);
  });

  it("without an id gets a commit id of its own", async () => {
    const host = await stage.host();
    const ids = [await host.send(alice, deposit()), await host.send(alice, deposit())].map(
      ({ commitId }) => commitId,
    );
    expect(new Set(ids).size).toBe(2);
    expect(await stage.commitIds(alice)).toEqual(ids);
  });
});

describe("commands of one actor", () => {
  it("are decided one after the other in the order of sending", async () => {
    const host = await stage.host();
    const sent = Array.from({ length: 200 }, (_, at) => host.send(alice, deposit(at)));
    const results = await Promise.all(sent);
    expect(results.map(({ version }) => version)).toEqual(results.map((_, at) => at + 1));
    const amounts: number[] = [];
    for await (const event of stage.external.read(alice)) amounts.push(event.data.amount);
    expect(amounts).toEqual(results.map((_, at) => at));
    expect(host.status()).toMatchObject({ commands: 200, conflicts: 0, commandsWaiting: 0 });
  });

  it("do not begin before the one before has ended", async () => {
    const decided: number[] = [];
    const kind = accountKind({
      decide(command, state, context) {
        decided.push(context.version);
        return decideAccount(command, state, context);
      },
    });
    const host = await stage.host({ kind });
    await host.send(alice, deposit());
    const held = stage.wire.hold(publishTo(stage.subject(alice)));
    const two = [host.send(alice, deposit()), host.send(alice, deposit())];
    await held.reached();
    expect(host.status()).toMatchObject({ commandsRunning: 1, commandsWaiting: 1 });
    expect(decided).toEqual([0, 1]);
    held.release();
    await Promise.all(two);
    expect(decided).toEqual([0, 1, 2]);
  });

  it("do not keep those of another actor waiting", async () => {
    const host = await stage.host();
    const held = stage.wire.hold(publishTo(stage.subject(alice)));
    const waiting = host.send(alice, deposit());
    await held.reached();
    expect(await host.send(bob, deposit())).toMatchObject({ version: 1 });
    held.release();
    expect(await waiting).toMatchObject({ version: 1 });
  });

  it("go on after one that fails", async () => {
    const host = await stage.host();
    const [one, two, three] = await Promise.allSettled([
      host.send(alice, deposit(1)),
      host.send(alice, withdraw(5)),
      host.send(alice, deposit(2)),
    ]);
    expect([one.status, two.status, three.status]).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(await stage.truth(alice)).toEqual({ state: { balance: 3, count: 2 }, version: 2 });
    expect(host.status()).toMatchObject({ commands: 3, rejected: 1 });
  });
});

describe("what a host does not take", () => {
  it("are actors of a type that it does not host, and ids that are none", async () => {
    const host = await stage.host();
    const order = { type: "order", id: "1" } as unknown as typeof alice;
    const wrong = await refusal(host.send(order, deposit()));
    expect(wrong).toBeInstanceOf(InvalidArgumentError);
    expect(wrong).toMatchObject({ argument: "actor.type" });
    expect(String(wrong)).toContain("account");
    expect(await refusal(host.load(order, { version: 0 }))).toMatchObject({
      argument: "actor.type",
    });
    expect(await refusal(host.send(account(""), deposit()))).toBeInstanceOf(InvalidArgumentError);
    expect(stage.asked()).toEqual({ appends: 0, heads: 0, commits: 0, snapshots: 0 });
    expect(host.status()).toMatchObject({ commands: 0, actorsInMemory: 0 });
  });

  it.each([
    "",
    "with space",
    `~${"x".repeat(18)}`,
    `~${"x".repeat(18)}/3`,
    "c@0123456789abcd/0",
    "x".repeat(106),
    "naïve",
    7,
  ])("is the command id %j", async (commandId) => {
    const host = await stage.host();
    const options = { commandId } as SendOptions;
    const error = await refusal(host.send(alice, deposit(), options));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error).toMatchObject({ argument: "commandId" });
    expect(stage.asked()).toMatchObject({ appends: 0, heads: 0 });
  });

  it("is a time limit that is none", async () => {
    const host = await stage.host();
    const error = await refusal(host.send(alice, deposit(), { timeoutMs: 0 }));
    expect(error).toMatchObject({ argument: "timeoutMs" });
    expect(await refusal(host.load(alice, { timeoutMs: -1 }))).toMatchObject({
      argument: "timeoutMs",
    });
  });

  it.each([
    { idleMs: 0 },
    { maxActors: 0 },
    { maxMailbox: 1.5 },
    { maxCommands: -1 },
    { commandTimeoutMs: Number.NaN },
    { maxConflicts: -1 },
    { verifyRejections: "yes" },
    { now: 5 },
  ])("is an option such as %j", async (option) => {
    const [name = ""] = Object.keys(option);
    const wrong = option as ActorHostOptions;
    const error = await refusal(ActorHost.start(stage.external, [accountKind()], wrong));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error).toMatchObject({ argument: name });
  });

  it("are no types, and a type twice", async () => {
    const { external } = stage;
    expect(await refusal(ActorHost.start(external, []))).toMatchObject({ argument: "kinds" });
    const twice = ActorHost.start(external, [accountKind(), accountKind()]);
    expect(await refusal(twice)).toMatchObject({ argument: "kinds" });
  });

  it("is a start that was given up", async () => {
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    expect(await refusal(ActorHost.start(stage.external, [accountKind()], { signal }))).toBe(
      reason,
    );
  });
});
