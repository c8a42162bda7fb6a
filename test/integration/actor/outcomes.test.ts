import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AppendOutcomeUnknownError } from "../../../src/index.ts";
import { eventually } from "../../support/server.ts";
import { answerTo, publishTo, type Wire } from "../../support/wire.ts";
import { account, deposit, InsufficientFunds, transfer, withdraw } from "./actor-account.ts";
import { type AccountHost, ActorStage, type Process, refusal } from "./actor-stage.ts";

let stage: ActorStage;
const alice = account("alice");
const bob = account("bob");
const commandId = "command-1";
const patient = { ackTimeoutMs: 60 } as const;
const hasty = { ackTimeoutMs: 50, readTimeoutMs: 100 } as const;

beforeEach(async () => {
  stage = await ActorStage.open();
});

afterEach(() => stage[Symbol.asyncDispose]());

/** A process with a wire of its own. */
async function onWire(store: {
  readonly ackTimeoutMs: number;
  readonly readTimeoutMs?: number;
}): Promise<Process & { readonly wire: Wire }> {
  const wire = await stage.ownWire();
  return { wire, ...(await stage.process({ wire, store })) };
}

/** Sends a command whose outcome stays unknown. */
async function leaveUnknown(host: AccountHost, amount: number): Promise<void> {
  const error = await refusal(host.send(alice, deposit(amount), { commandId, timeoutMs: 250 }));
  expect(error).toBeInstanceOf(AppendOutcomeUnknownError);
  expect(error).toMatchObject({ actor: alice, commitId: commandId });
}

describe("an ack that gets lost", () => {
  it.each([{}, { commandId }])("does not store a command twice: %j", async (options) => {
    const { host, wire } = await onWire(patient);
    await host.send(alice, deposit(1));
    wire.drop(answerTo(stage.subject(alice)));
    const sent = await host.send(alice, deposit(10), options);
    expect(sent).toMatchObject({ version: 2, state: { balance: 11 }, replayed: false });
    expect(await host.send(alice, deposit(1))).toMatchObject({ version: 3 });
    expect(await stage.truth(alice)).toMatchObject({ state: { balance: 12 }, version: 3 });
    expect(host.status()).toMatchObject({ conflicts: 0 });
  });

  it("does not move money twice between two actors", async () => {
    const { host, wire } = await onWire(patient);
    await host.send(alice, deposit(50));
    wire.drop(answerTo(new RegExp(`^${stage.stream.toLowerCase()}\\.account`)));
    const sent = await host.send(alice, transfer("bob", 20), { commandId });
    expect(sent).toMatchObject({ version: 2, state: { balance: 30 } });
    expect(await stage.truth(bob)).toMatchObject({ state: { balance: 20 }, version: 1 });
    expect(await host.send(bob, withdraw(20))).toMatchObject({ version: 2 });
  });

  it("and a rival that was stored behind it do not make it a conflict", async () => {
    const { host, wire } = await onWire(patient);
    await host.send(alice, deposit(1));
    const held = wire.hold(answerTo(stage.subject(alice)));
    const sending = host.send(alice, deposit(10));
    await held.reached();
    await stage.write(alice, 100);
    const sent = await sending;
    held.release();
    expect(sent).toMatchObject({ version: 2, state: { balance: 11 } });
    expect(await host.state(alice)).toEqual({ balance: 111, count: 3 });
    expect(await stage.truth(alice)).toMatchObject({ version: 3 });
  });
});

describe("a command of unknown outcome", () => {
  it("that was stored gives its result when it is sent again with its id", async () => {
    const { host, wire } = await onWire(hasty);
    await host.send(alice, deposit(1));
    const lost = wire.drop((frame) => answerTo(/./)(frame), 10_000);
    await leaveUnknown(host, 10);
    lost.stop();
    const again = await host.send(alice, deposit(10), { commandId });
    expect(again).toMatchObject({ version: 2, state: { balance: 11 }, replayed: true });
    expect(await stage.truth(alice)).toMatchObject({ state: { balance: 11 }, version: 2 });
  });

  it("that was not stored is decided when it is sent again with its id", async () => {
    const { host, wire } = await onWire(hasty);
    await host.send(alice, deposit(1));
    const lost = wire.drop(publishTo(stage.subject(alice)), 10_000);
    await leaveUnknown(host, 10);
    lost.stop();
    const again = await host.send(alice, deposit(10), { commandId });
    expect(again).toMatchObject({ version: 2, state: { balance: 11 }, replayed: false });
    expect(await stage.truth(alice)).toMatchObject({ state: { balance: 11 }, version: 2 });
  });

  it("that is stored later, while it is sent again, has one effect", async () => {
    const { host, wire } = await onWire(hasty);
    await host.send(alice, deposit(1));
    const late = wire.hold(publishTo(stage.subject(alice)));
    await leaveUnknown(host, 10);
    const again = host.send(alice, deposit(10), { commandId });
    await eventually(() => late.frames.length > 3);
    late.release();
    expect(await again).toMatchObject({ version: 2, state: { balance: 11 } });
    expect(await stage.truth(alice)).toMatchObject({ state: { balance: 11 }, version: 2 });
  });

  it("has one effect where another host gets it next", async () => {
    const { host, wire } = await onWire(hasty);
    const other = await stage.host();
    await host.send(alice, deposit(1));
    await other.load(alice);
    const late = wire.hold(publishTo(stage.subject(alice)));
    await leaveUnknown(host, 10);
    const first = await other.send(alice, deposit(10), { commandId });
    expect(first).toMatchObject({ version: 2, replayed: false });
    late.release();
    const again = await host.send(alice, deposit(10), { commandId });
    expect(again).toEqual({ ...first, replayed: true });
    expect(await stage.truth(alice)).toMatchObject({ state: { balance: 11 }, version: 2 });
  });

  it("makes the next command look at the head before it is decided", async () => {
    const { host, wire } = await onWire(hasty);
    await host.send(alice, deposit(1));
    const lost = wire.drop((frame) => answerTo(/./)(frame), 10_000);
    await leaveUnknown(host, 10);
    lost.stop();
    expect(await host.send(alice, withdraw(11))).toMatchObject({
      version: 3,
      state: { balance: 0 },
    });
    expect(host.status()).toMatchObject({ conflicts: 0, rejected: 0 });
    expect(await refusal(host.send(alice, withdraw(1)))).toEqual(new InsufficientFunds(0));
  });

  it("keeps its state out of the snapshots until it is known", async () => {
    const { host, wire } = await onWire(hasty);
    await host.send(alice, deposit(1));
    const lost = wire.drop((frame) => answerTo(stage.subject(alice))(frame), 10_000);
    const heads = wire.drop(answerTo(/DIRECT\.GET/), 10_000);
    await leaveUnknown(host, 10);
    lost.stop();
    heads.stop();
    await host.close();
    const other = await stage.host();
    expect(await other.state(alice)).toEqual({ balance: 11, count: 2 });
    expect(await other.send(alice, deposit(10), { commandId })).toMatchObject({ replayed: true });
  });

  it("lets the commands behind it go on", async () => {
    const { host, wire } = await onWire(hasty);
    await host.send(alice, deposit(1));
    const lost = wire.drop(publishTo(stage.subject(alice)), 10_000);
    const unknown = refusal(host.send(alice, deposit(10), { timeoutMs: 200 }));
    const behind = host.send(alice, deposit(5));
    expect(await unknown).toBeInstanceOf(AppendOutcomeUnknownError);
    lost.stop();
    expect(await behind).toMatchObject({ version: 2, state: { balance: 6 } });
    expect(await stage.truth(alice)).toMatchObject({ state: { balance: 6 }, version: 2 });
  });

  it("of several actors is stored wholly, and once", async () => {
    const { host, wire } = await onWire(hasty);
    await host.send(alice, deposit(50));
    await host.send(bob, deposit(1));
    const lost = wire.drop((frame) => answerTo(/./)(frame), 10_000);
    const options = { commandId, timeoutMs: 250 };
    const error = await refusal(host.send(alice, transfer("bob", 20), options));
    expect(error).toBeInstanceOf(AppendOutcomeUnknownError);
    lost.stop();
    const again = await host.send(alice, transfer("bob", 20), { commandId });
    expect(again).toMatchObject({ version: 2, state: { balance: 30 }, replayed: true });
    expect(await host.send(bob, withdraw(21))).toMatchObject({ version: 3, state: { balance: 0 } });
    expect(await stage.truth(alice)).toMatchObject({ version: 2 });
  });
});

describe("a connection that breaks", () => {
  it("does not lose or double what is on its way", async () => {
    const { host, wire } = await onWire(patient);
    await host.send(alice, deposit(1));
    const held = wire.hold(answerTo(stage.subject(alice)));
    const sending = Array.from({ length: 20 }, () => host.send(alice, deposit(1)));
    await held.reached();
    wire.cut();
    held.release();
    const results = await Promise.all(sending);
    expect(results.map(({ version }) => version)).toEqual(results.map((_, at) => at + 2));
    expect(await stage.truth(alice)).toMatchObject({ state: { balance: 21 }, version: 21 });
  });

  it("fails commands while nobody can be reached, and the host goes on afterwards", async () => {
    const { host, wire, store } = await onWire(hasty);
    await host.send(alice, deposit(1));
    wire.refuse();
    wire.cut();
    await eventually(() => !store.health().connected);
    const error = await refusal(host.send(alice, deposit(1), { timeoutMs: 100 }));
    expect(codeOf(error)).toBe("connection_failed");
    wire.accept();
    await eventually(() => store.health().connected);
    expect(await host.send(alice, deposit(1))).toMatchObject({ version: 2 });
  });
});

function codeOf(error: unknown): unknown {
  return typeof error === "object" && error !== null && "code" in error ? error.code : error;
}
