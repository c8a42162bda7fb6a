import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { DecideMessage, LoadMessage, SendMessage } from "../../../src/actor/index.ts";
import { publishTo } from "../../support/wire.ts";
import { listenTo } from "../store/listening.ts";
import { account, deposit, InsufficientFunds, transfer, withdraw } from "./actor-account.ts";
import { ActorStage, refusal } from "./actor-stage.ts";

let stage: ActorStage;
const alice = account("alice");
const bob = account("bob");

beforeEach(async () => {
  stage = await ActorStage.open();
});

afterEach(() => stage[Symbol.asyncDispose]());

function sends(when: "start" | "asyncEnd" | "error"): readonly SendMessage[] {
  return listenTo<SendMessage>(`tracing:annal:actor:send:${when}`, stage.stream);
}

/** Has the commits of all commands carry a header. */
function addHeader(name: string, value: string): void {
  const add = (message: unknown): void => {
    const { stream, headers } = message as SendMessage;
    if (stream === stage.stream) headers[name] = value;
  };
  subscribe("tracing:annal:actor:send:start", add);
  onTestFinished(() => {
    unsubscribe("tracing:annal:actor:send:start", add);
  });
}

describe("annal:actor:send", () => {
  it("says what came of a command", async () => {
    const host = await stage.host();
    const [started, ended] = [sends("start"), sends("asyncEnd")];
    await host.send(alice, deposit(5), { commandId: "c" });
    await host.send(alice, deposit(5), { commandId: "c" });
    await host.send(alice, { type: "RaiseTo", balance: 1 });
    const { stream } = stage;
    const common = { stream, actor: alice, version: 1, waitedMs: expect.any(Number) };
    const sent = { ...common, command: "Deposit", commandId: "c", events: 1, position: 1 };
    expect(ended).toMatchObject([
      { ...sent, warm: false, replayed: false },
      { ...sent, warm: true, replayed: true },
      { ...common, command: "RaiseTo", warm: true, events: 0, position: undefined },
    ]);
    expect(started).toHaveLength(3);
    expect(started[0]).toBe(ended[0]);
  });

  it("says why a command failed, and how often it was decided again", async () => {
    const host = await stage.host();
    const [failed, ended] = [sends("error"), sends("asyncEnd")];
    await host.send(alice, deposit(5));
    expect(await refusal(host.send(alice, withdraw(9)))).toBeInstanceOf(InsufficientFunds);
    expect(failed).toMatchObject([{ command: "Withdraw", error: new InsufficientFunds(5) }]);
    const held = stage.wire.hold(publishTo(stage.subject(alice)));
    const sending = host.send(alice, deposit(1));
    await held.reached();
    await stage.write(alice, 1);
    held.release();
    await sending;
    expect(ended[2]).toMatchObject({ conflicts: 1, version: 3 });
  });

  it("says how long a command waited for its turn", async () => {
    const host = await stage.host();
    const ended = sends("asyncEnd");
    await Promise.all([host.send(alice, deposit(1)), host.send(alice, deposit(2))]);
    const [first = -1, second = -1] = ended.map(({ waitedMs }) => waitedMs);
    expect(second).toBeGreaterThan(first);
  });

  it("lets its listeners add headers to the commits, which the caller's win over", async () => {
    const host = await stage.host();
    addHeader("traceparent", "00-trace");
    await host.send(alice, deposit(5));
    await host.send(alice, deposit(5), { headers: { traceparent: "00-own", "X-Mine": "1" } });
    await host.send(alice, transfer("bob", 1));
    const all = [...stage.wire.published].filter(({ subject }) =>
      [alice, bob].some((actor) => stage.subject(actor) === subject),
    );
    expect(all.map(({ headers }) => headers.get("traceparent"))).toEqual([
      "00-trace",
      "00-own",
      "00-trace",
      "00-trace",
    ]);
    expect(all[1]?.headers.get("X-Mine")).toBe("1");
  });
});

describe("annal:actor:load", () => {
  it("says why and how much was read", async () => {
    const host = await stage.host();
    const ended = listenTo<LoadMessage>("tracing:annal:actor:load:asyncEnd", stage.stream);
    await stage.write(alice, 1, 2);
    await host.load(alice);
    // nothing is read where nothing has changed
    await host.load(alice);
    await stage.write(alice, 3, 4, 5);
    await host.load(alice);
    await host.load(alice, { version: 4 });
    const { stream } = stage;
    expect(ended).toMatchObject([
      { stream, actor: alice, why: "cold", commits: 2, version: 2, snapshotVersion: 0 },
      { stream, actor: alice, why: "catch_up", commits: 3, version: 5 },
      { stream, actor: alice, why: "past", commits: 4, version: 4 },
    ]);
  });
});

describe("annal:actor:decide", () => {
  it("says of each run on which version it was and how many events came of it", async () => {
    const host = await stage.host();
    const ended = listenTo<DecideMessage>("tracing:annal:actor:decide:end", stage.stream);
    await host.send(alice, deposit(5));
    const held = stage.wire.hold(publishTo(stage.subject(alice)));
    const sending = host.send(alice, withdraw(5));
    await held.reached();
    await stage.write(alice, -1);
    held.release();
    expect(await refusal(sending)).toBeInstanceOf(InsufficientFunds);
    const withdrawal = { actor: alice, command: "Withdraw", stream: stage.stream };
    expect(ended).toMatchObject([
      { command: "Deposit", version: 0, attempt: 1, events: 1 },
      { ...withdrawal, version: 1, attempt: 1, events: 1 },
      { ...withdrawal, version: 2, attempt: 2, events: 0 },
    ]);
  });
});

describe("the status of a host", () => {
  it("counts what it has met", async () => {
    const host = await stage.host();
    expect(host.status()).toEqual({
      actorsInMemory: 0,
      commandsRunning: 0,
      commandsWaiting: 0,
      snapshotsWaiting: 0,
      commands: 0,
      rejected: 0,
      conflicts: 0,
      replayed: 0,
    });
    await host.send(alice, deposit(5), { commandId: "c" });
    await host.send(alice, deposit(5), { commandId: "c" });
    await refusal(host.send(alice, withdraw(50)));
    expect(host.status()).toMatchObject({
      actorsInMemory: 1,
      commands: 3,
      rejected: 1,
      conflicts: 0,
      replayed: 1,
    });
  });
});
