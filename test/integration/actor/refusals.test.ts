import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { publishTo } from "../../support/wire.ts";
import { account, deposit, InsufficientFunds, withdraw } from "./actor-account.ts";
import { type AccountHost, ActorStage, type ProcessOptions, refusal } from "./actor-stage.ts";

let stage: ActorStage;
const alice = account("alice");
const raise = { type: "RaiseTo", balance: 60 } as const;

beforeEach(async () => {
  stage = await ActorStage.open();
});

afterEach(() => stage[Symbol.asyncDispose]());

/** Two hosts that know the actor with a balance of 50, of which only the first has deposited 50 more since. */
async function rivals(
  options: ProcessOptions = {},
): Promise<{ readonly ahead: AccountHost; readonly behind: AccountHost }> {
  const ahead = await stage.host(options);
  const behind = await stage.host(options);
  await ahead.send(alice, deposit(50));
  expect(await behind.state(alice)).toMatchObject({ balance: 50 });
  await ahead.send(alice, deposit(50));
  return { ahead, behind };
}

describe("a refusal", () => {
  it("is never false: a withdrawal through a host that does not know of the last deposit", async () => {
    const { behind } = await rivals();
    expect(await behind.send(alice, withdraw(80))).toMatchObject({
      state: { balance: 20 },
      version: 3,
    });
    expect(behind.status()).toMatchObject({ rejected: 0, conflicts: 1 });
  });

  it("speaks of current state where it stays one", async () => {
    const { behind } = await rivals();
    expect(await refusal(behind.send(alice, withdraw(200)))).toEqual(new InsufficientFunds(100));
    expect(behind.status()).toMatchObject({ rejected: 1, conflicts: 1 });
  });

  it("is given on what the host knows where verifyRejections is off", async () => {
    const { behind } = await rivals({ verifyRejections: false });
    const asked = await stage.askedBy(async () => {
      expect(await refusal(behind.send(alice, withdraw(80)))).toEqual(new InsufficientFunds(50));
    });
    expect(asked).toEqual({ appends: 0, heads: 0, commits: 0, snapshots: 0 });
  });

  it("is decided on at most maxConflicts newer states", async () => {
    const { ahead } = await rivals();
    const behind = await stage.host({ maxConflicts: 0 });
    await behind.load(alice);
    await ahead.send(alice, deposit(1));
    const error = await refusal(behind.send(alice, withdraw(500)));
    expect(error).toMatchObject({ code: "too_many_conflicts", attempts: 1 });
    expect(await refusal(behind.send(alice, withdraw(500)))).toEqual(new InsufficientFunds(101));
  });
});

describe("an empty decision", () => {
  it("is never false: a host that does not know of the last withdrawal", async () => {
    const { ahead, behind } = await rivals();
    await behind.load(alice);
    await ahead.send(alice, withdraw(90));
    expect(await behind.send(alice, raise)).toMatchObject({
      events: [{ data: { amount: 50 } }],
      state: { balance: 60 },
      version: 4,
    });
  });

  it("gives current state where it stays empty", async () => {
    const { behind } = await rivals();
    const same = { type: "RaiseTo", balance: 20 } as const;
    expect(await behind.send(alice, same)).toMatchObject({
      events: [],
      state: { balance: 100 },
      version: 2,
      position: undefined,
    });
  });

  it("is given on what the host knows where verifyRejections is off", async () => {
    const { ahead, behind } = await rivals({ verifyRejections: false });
    await behind.load(alice);
    await ahead.send(alice, withdraw(90));
    const nothing = await behind.send(alice, raise);
    expect(nothing).toMatchObject({ events: [], state: { balance: 100 }, version: 2 });
  });
});

describe("a verified refusal", () => {
  const nothing = { appends: 0, heads: 0, commits: 0, snapshots: 0 };

  it("takes one request where nothing has changed", async () => {
    const host = await stage.host();
    await host.send(alice, deposit(50));
    const refused = await stage.askedBy(() => refusal(host.send(alice, withdraw(80))));
    expect(refused).toEqual({ ...nothing, heads: 1 });
    const empty = await stage.askedBy(() => host.send(alice, { type: "RaiseTo", balance: 1 }));
    expect(empty).toEqual({ ...nothing, heads: 1 });
  });

  it("takes none beside the load of an actor that was not in memory", async () => {
    await stage.write(alice, 50);
    const host = await stage.host();
    const asked = await stage.askedBy(() => refusal(host.send(alice, withdraw(80))));
    expect(asked).toEqual({ ...nothing, heads: 1, snapshots: 1 });
  });

  it("takes none where an append of the host has shown the state since the command came", async () => {
    const host = await stage.host();
    await host.send(alice, deposit(50));
    const held = stage.wire.hold(publishTo(stage.subject(alice)));
    stage.wire.reset();
    const first = host.send(alice, deposit(1));
    const second = host.send(alice, deposit(1));
    const third = refusal(host.send(alice, withdraw(80)));
    await held.reached();
    held.release();
    await Promise.all([first, second]);
    expect(await third).toEqual(new InsufficientFunds(52));
    expect(stage.asked()).toEqual({ ...nothing, appends: 2 });
  });

  it("shares its request with those that waited behind it", async () => {
    const host = await stage.host();
    await host.send(alice, deposit(50));
    const asked = await stage.askedBy(() =>
      Promise.all(Array.from({ length: 20 }, () => refusal(host.send(alice, withdraw(80))))),
    );
    expect(asked.heads).toBeLessThanOrEqual(2);
    expect(asked.heads).toBeGreaterThan(0);
  });

  it("fails as a read does where the server gives no answer", async () => {
    const host = await stage.host({ store: { readTimeoutMs: 100 } });
    await host.send(alice, deposit(50));
    const lost = stage.wire.drop(publishTo(stage.headRequest(alice)), 1_000);
    const error = await refusal(host.send(alice, withdraw(80)));
    expect(error).toMatchObject({ code: "read_timeout" });
    lost.stop();
    expect(await refusal(host.send(alice, withdraw(80)))).toEqual(new InsufficientFunds(50));
  });
});
