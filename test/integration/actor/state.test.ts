import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { InvalidArgumentError, ReadTimeoutError } from "../../../src/index.ts";
import { publishTo } from "../../support/wire.ts";
import { account, deposit, deposited } from "./actor-account.ts";
import { ActorStage, refusal } from "./actor-stage.ts";

let stage: ActorStage;
const alice = account("alice");

beforeEach(async () => {
  stage = await ActorStage.open();
});

afterEach(() => stage[Symbol.asyncDispose]());

describe("the state of an actor now", () => {
  it("is asked for anew, with one request, and shows what others have appended", async () => {
    const host = await stage.host();
    await host.send(alice, deposit(5));
    const asked = await stage.askedBy(() => host.state(alice));
    expect(asked).toEqual({ appends: 0, heads: 1, commits: 0, snapshots: 0 });
    await stage.write(alice, 7);
    expect(await host.load(alice)).toEqual({
      state: { balance: 12, count: 2 },
      version: 2,
      position: 2,
    });
  });

  it("is what the host knows where it need not be fresh", async () => {
    const host = await stage.host();
    await host.send(alice, deposit(5));
    await stage.write(alice, 7);
    const asked = await stage.askedBy(async () => {
      expect(await host.state(alice, { fresh: false })).toEqual({ balance: 5, count: 1 });
    });
    expect(asked).toEqual({ appends: 0, heads: 0, commits: 0, snapshots: 0 });
    // what it does not know it reads
    const other = await stage.host();
    expect(await other.state(alice, { fresh: false })).toEqual({ balance: 12, count: 2 });
  });

  it("comes after the commands that were sent before", async () => {
    const host = await stage.host();
    const sent = [host.send(alice, deposit(5)), host.send(alice, deposit(6))];
    expect(await host.load(alice)).toMatchObject({ version: 2, state: { balance: 11 } });
    await Promise.all(sent);
  });

  it("shares its request with those who wait behind it", async () => {
    const host = await stage.host();
    await host.send(alice, deposit(5));
    const asked = await stage.askedBy(() =>
      Promise.all(Array.from({ length: 20 }, () => host.load(alice))),
    );
    expect(asked.heads).toBeGreaterThan(0);
    expect(asked.heads).toBeLessThanOrEqual(2);
  });
});

describe("an earlier state of an actor", () => {
  it("is what its events up to a version make of it, also within a commit", async () => {
    await stage.external.append(alice, deposited(1, 2, 3), { expectedVersion: 0 });
    await stage.external.append(alice, deposited(4, 5), { expectedVersion: 3 });
    const host = await stage.host();
    const balances = [0, 1, 3, 6, 10, 15];
    for (const [version, balance] of balances.entries()) {
      expect(await host.load(alice, { version })).toEqual({
        state: { balance, count: version },
        version,
        position: version === 0 ? 0 : version <= 3 ? 1 : 2,
      });
    }
  });

  it("is what the actor was at a time", async () => {
    await stage.write(alice, 1, 2, 3);
    const [first, second] = await stage.external.readLast(alice, 3);
    const host = await stage.host();
    const at = (date: Date | undefined): Promise<unknown> => host.state(alice, { at: date });
    expect(await at(new Date(0))).toEqual({ balance: 0, count: 0 });
    const before = new Date((first?.recordedAt.getTime() ?? 0) - 1);
    expect(await at(before)).toEqual({ balance: 0, count: 0 });
    const after = (await at(second?.recordedAt)) as { readonly count: number };
    expect(after.count).toBeGreaterThanOrEqual(2);
    expect(await at(new Date(Date.now() + 60_000))).toEqual({ balance: 6, count: 3 });
  });

  it("is made of the stream, whatever is in memory, which it leaves as it is", async () => {
    const host = await stage.host();
    for (const amount of [1, 2, 3]) await host.send(alice, deposit(amount));
    expect(await host.state(alice, { version: 2 })).toEqual({ balance: 3, count: 2 });
    expect(await host.send(alice, deposit(4))).toMatchObject({
      version: 4,
      state: { balance: 10 },
    });
  });

  it("does not wait for commands that are running", async () => {
    const host = await stage.host();
    await host.send(alice, deposit(1));
    const held = stage.wire.hold(publishTo(stage.subject(alice)));
    const running = host.send(alice, deposit(2));
    await held.reached();
    expect(await host.state(alice, { version: 1 })).toEqual({ balance: 1, count: 1 });
    held.release();
    await running;
  });

  it("that it has not reached is refused", async () => {
    await stage.write(alice, 1);
    const host = await stage.host();
    const error = await refusal(host.load(alice, { version: 2 }));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error).toMatchObject({ argument: "version" });
    expect(await refusal(host.load(account("nobody"), { version: 1 }))).toMatchObject({
      argument: "version",
    });
  });

  it.each([
    [{ version: -1 }, "version"],
    [{ version: 1.5 }, "version"],
    [{ at: new Date(Number.NaN) }, "at"],
    [{ at: 5 as unknown as Date }, "at"],
    [{ at: new Date(), version: 1 }, "at"],
  ])("is not to be had with %j", async (options, argument) => {
    const host = await stage.host();
    expect(await refusal(host.load(alice, options))).toMatchObject({ argument });
    expect(stage.asked().heads).toBe(0);
  });
});

describe("a state that cannot be read", () => {
  it("fails in time, and may be asked for again", async () => {
    await stage.write(alice, 1);
    const host = await stage.host();
    const lost = stage.wire.drop(publishTo(stage.headRequest(alice)), 1_000);
    expect(await refusal(host.load(alice, { timeoutMs: 80 }))).toBeInstanceOf(ReadTimeoutError);
    const past = await refusal(host.load(alice, { version: 1, timeoutMs: 80 }));
    expect(past).toBeInstanceOf(ReadTimeoutError);
    lost.stop();
    expect(await host.load(alice)).toMatchObject({ version: 1 });
  });

  it("may be given up", async () => {
    await stage.write(alice, 1);
    const host = await stage.host();
    const held = stage.wire.hold(publishTo(stage.headRequest(alice)));
    const giveUp = new AbortController();
    const { signal } = giveUp;
    const looks = [host.load(alice, { signal }), host.load(alice, { signal, version: 1 })];
    const refusals = looks.map((look) => refusal(look));
    await held.reached(2);
    const reason = new Error("enough");
    giveUp.abort(reason);
    expect(await Promise.all(refusals)).toEqual([reason, reason]);
    held.release();
    expect(await host.load(alice)).toMatchObject({ version: 1 });
  });
});
