import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CommandTimeoutError } from "../../../src/actor/index.ts";
import { OverloadedError } from "../../../src/index.ts";
import { eventually } from "../../support/server.ts";
import { answerTo, type Hold, publishTo } from "../../support/wire.ts";
import { account, accountKind, decideAccount, deposit } from "./actor-account.ts";
import { type AccountHost, ActorStage, refusal } from "./actor-stage.ts";

let stage: ActorStage;
const alice = account("alice");
const bob = account("bob");
let decided: string[];
const watched = accountKind({
  decide(command, state, context) {
    decided.push(context.commandId ?? "");
    return decideAccount(command, state, context);
  },
});

beforeEach(async () => {
  stage = await ActorStage.open();
  decided = [];
});

afterEach(() => stage[Symbol.asyncDispose]());

/** A command whose append is held at the wire. */
async function holdOne(
  host: AccountHost,
  actor = alice,
): Promise<{ readonly held: Hold; readonly running: Promise<unknown> }> {
  const held = stage.wire.hold(publishTo(stage.subject(actor)));
  const running = host.send(actor, deposit(), { commandId: `first-${actor.id}` });
  await held.reached();
  return { held, running };
}

describe("a mailbox", () => {
  it("takes as many as maxMailbox, and refuses more with the option's name", async () => {
    const host = await stage.host({ maxMailbox: 2 });
    const { held, running } = await holdOne(host);
    const waiting = [host.send(alice, deposit()), host.send(alice, deposit())];
    const error = await refusal(host.send(alice, deposit()));
    expect(error).toBeInstanceOf(OverloadedError);
    expect(error).toMatchObject({ option: "maxMailbox", limit: 2 });
    expect(await host.send(bob, deposit())).toMatchObject({ version: 1 });
    held.release();
    await Promise.all([running, ...waiting]);
    expect(await stage.truth(alice)).toMatchObject({ version: 3 });
    expect(await host.send(alice, deposit())).toMatchObject({ version: 4 });
  });

  it("takes its share of the maxCommands that run and wait in a host", async () => {
    const host = await stage.host({ maxCommands: 4 });
    const one = await holdOne(host);
    const two = await holdOne(host, bob);
    const waiting = [host.send(alice, deposit()), host.send(bob, deposit())];
    expect(host.status()).toMatchObject({ commandsRunning: 2, commandsWaiting: 2 });
    const error = await refusal(host.send(bob, deposit()));
    expect(error).toBeInstanceOf(OverloadedError);
    expect(error).toMatchObject({ option: "maxCommands", limit: 4 });
    one.held.release();
    two.held.release();
    await Promise.all([one.running, two.running, ...waiting]);
    expect(host.status()).toMatchObject({ commandsRunning: 0, commandsWaiting: 0 });
    expect(await host.send(bob, deposit())).toMatchObject({ version: 3 });
  });
});

describe("a repetition whose earlier state is read", () => {
  it("keeps no other command of its actor waiting, and counts towards maxCommands", async () => {
    const host = await stage.host({
      kind: accountKind({ snapshot: undefined }),
      maxCommands: 2,
    });
    const first = await host.send(alice, deposit(1), { commandId: "c" });
    await host.send(alice, deposit(1));
    const held = stage.wire.hold(answerTo(stage.headRequest(alice)));
    const again = (): Promise<unknown> => host.send(alice, deposit(1), { commandId: "c" });
    const one = again();
    await held.reached();
    expect(await host.send(alice, deposit(1))).toMatchObject({ version: 3 });
    const two = again();
    await held.reached(2);
    expect(host.status()).toMatchObject({ commandsRunning: 2, commandsWaiting: 0 });
    expect(await refusal(host.send(bob, deposit()))).toMatchObject({ option: "maxCommands" });
    held.release();
    for (const result of await Promise.all([one, two])) {
      expect(result).toEqual({ ...first, replayed: true });
    }
    expect(host.status()).toMatchObject({ commandsRunning: 0 });
    expect(await host.send(bob, deposit())).toMatchObject({ version: 1 });
  });
});

describe("a command whose time is over while it waits", () => {
  it("fails with CommandTimeoutError, and is not decided later", async () => {
    const host = await stage.host({ kind: watched });
    const { held, running } = await holdOne(host);
    const late = host.send(alice, deposit(100), { commandId: "late", timeoutMs: 40 });
    const patient = host.send(alice, deposit(10), { commandId: "patient" });
    const error = await refusal(late);
    expect(error).toBeInstanceOf(CommandTimeoutError);
    expect(error).toMatchObject({ code: "command_timeout", actor: alice, timeoutMs: 40 });
    held.release();
    await Promise.all([running, patient]);
    expect(decided).toEqual(["first-alice", "patient"]);
    expect(await stage.commitIds(alice)).toEqual(["first-alice", "patient"]);
  });

  it("fails by the host's commandTimeoutMs, and so does a look at the state", async () => {
    const host = await stage.host({ kind: watched, commandTimeoutMs: 60 });
    const held = stage.wire.hold(publishTo(stage.subject(alice)));
    const running = host.send(alice, deposit(), { timeoutMs: 10_000 });
    await held.reached();
    expect(await refusal(host.send(alice, deposit()))).toMatchObject({ timeoutMs: 60 });
    expect(await refusal(host.load(alice))).toBeInstanceOf(CommandTimeoutError);
    held.release();
    await running;
    expect(await stage.truth(alice)).toMatchObject({ version: 1 });
    expect(await host.send(alice, deposit())).toMatchObject({ version: 2 });
  });
});

describe("a command that is given up", () => {
  const reason = new Error("enough");

  it("before it is sent is not decided", async () => {
    const host = await stage.host({ kind: watched });
    const signal = AbortSignal.abort(reason);
    expect(await refusal(host.send(alice, deposit(), { signal }))).toBe(reason);
    expect(await refusal(host.load(alice, { signal }))).toBe(reason);
    expect(await refusal(host.load(alice, { signal, version: 0 }))).toBe(reason);
    expect(decided).toEqual([]);
    expect(stage.asked()).toEqual({ appends: 0, heads: 0, commits: 0, snapshots: 0 });
  });

  it("while it waits leaves the mailbox, and is not decided", async () => {
    const host = await stage.host({ kind: watched, maxMailbox: 1 });
    const { held, running } = await holdOne(host);
    const giveUp = new AbortController();
    const { signal } = giveUp;
    const given = refusal(host.send(alice, deposit(), { commandId: "given-up", signal }));
    const full = refusal(host.send(alice, deposit()));
    giveUp.abort(reason);
    expect(await given).toBe(reason);
    expect(await full).toBeInstanceOf(OverloadedError);
    const next = host.send(alice, deposit(), { commandId: "next" });
    held.release();
    await Promise.all([running, next]);
    expect(decided).toEqual(["first-alice", "next"]);
    expect(await stage.truth(alice)).toMatchObject({ version: 2 });
  });

  it("while its actor is loaded is not decided", async () => {
    const host = await stage.host({ kind: watched });
    await stage.write(alice, 1);
    const held = stage.wire.hold(answerTo(stage.headRequest(alice)));
    const giveUp = new AbortController();
    const { signal } = giveUp;
    const given = refusal(host.send(alice, deposit(), { commandId: "given-up", signal }));
    await held.reached();
    giveUp.abort(reason);
    expect(await given).toBe(reason);
    const next = host.send(alice, deposit(), { commandId: "next" });
    held.release();
    expect(await next).toMatchObject({ version: 2 });
    expect(decided).toEqual(["next"]);
  });

  it("while it is appended rejects at once, and is stored all the same", async () => {
    const host = await stage.host({ kind: watched });
    const held = stage.wire.hold(publishTo(stage.subject(alice)));
    const giveUp = new AbortController();
    const { signal } = giveUp;
    const given = refusal(host.send(alice, deposit(7), { commandId: "first", signal }));
    await held.reached();
    giveUp.abort(reason);
    expect(await given).toBe(reason);
    const next = host.send(alice, deposit(1), { commandId: "second" });
    expect(host.status()).toMatchObject({ commandsRunning: 1, commandsWaiting: 1 });
    held.release();
    expect(await next).toMatchObject({ state: { balance: 8 }, version: 2 });
    expect(await stage.commitIds(alice)).toEqual(["first", "second"]);
    expect(await host.send(alice, deposit(7), { commandId: "first" })).toMatchObject({
      replayed: true,
      version: 1,
    });
  });

  it("leaves no listener on its signal", async () => {
    const host = await stage.host();
    const { signal } = new AbortController();
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>): void => {
      listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>): void => {
      listeners--;
      remove(...args);
    };
    await Promise.all([1, 2, 3].map(() => host.send(alice, deposit(), { signal })));
    await eventually(() => listeners === 0);
  });
});
