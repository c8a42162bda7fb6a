import { afterEach, describe, expect, it } from "vitest";
import { ClockSkewError, type Ledger } from "../../../src/ledger/index.ts";
import { eventually } from "../../support/server.ts";
import {
  after,
  allTransactions,
  CREDIT,
  day,
  LedgerStage,
  refusal,
  TODAY,
  transactionOf,
} from "./ledger-stage.ts";

let stage: LedgerStage;

afterEach(() => stage[Symbol.asyncDispose]());

const asset = CREDIT;

/** The ledger `main`, written by processes whose clocks are off the stage's by so many milliseconds. */
async function processes(...offsets: readonly number[]): Promise<readonly Ledger[]> {
  stage = new LedgerStage();
  await (await stage.ledgers()).create("main", { bucket: "eu" });
  return Promise.all(offsets.map((offset) => stage.other({ now: () => stage.nowMs + offset })));
}

const grant = (of: Ledger, more: { at?: Date; amount?: bigint } = {}) =>
  of.grant({ to: "alice", asset, amount: 10n, ...more });
const spend = (of: Ledger, amount: bigint, at?: Date) =>
  of.spend({ from: "alice", asset, amount, at });

describe("the time of a decision", () => {
  it("L19 never decreases along a journal, whatever the clocks of its writers say", async () => {
    const writers = await processes(0, 4_000, -4_000, 1_000);
    const decided: number[] = [];
    for (let round = 0; round < 20; round++) {
      const writer = writers[(round * 7) % writers.length] ?? writers[0];
      if (writer === undefined) throw new Error("no writer");
      decided.push((await grant(writer)).decidedAt.getTime());
      stage.nowMs += 300;
    }
    expect(decided).toEqual(decided.toSorted((a, b) => a - b));
    expect(new Set(decided).size).toBeLessThan(20);
    const recorded = await allTransactions(await stage.other());
    expect(recorded.map(({ decidedAt }) => decidedAt.getTime())).toEqual(decided);
  });

  it("L19 is the writer's clock where that is ahead, and the ledger's last decision where it is not", async () => {
    const [fast, slow] = (await processes(4_000, -1_000)) as [Ledger, Ledger];
    const now = new Date(stage.nowMs);
    expect((await grant(fast)).decidedAt).toEqual(after(now, 4_000));
    expect((await grant(slow)).decidedAt).toEqual(after(now, 4_000));
    stage.nowMs += 6_000;
    expect((await grant(slow)).decidedAt).toEqual(after(now, 5_000));
  });

  it("L19 does not decrease when a clock is set back", async () => {
    const [writer] = (await processes(0)) as [Ledger];
    const first = await grant(writer);
    stage.nowMs -= 3_600_000;
    const second = await grant(writer);
    expect(second.decidedAt).toEqual(first.decidedAt);
    expect((await transactionOf(writer, second)).at).toEqual(first.decidedAt);
  });
});

describe("the effective time", () => {
  it("L19 may lie in the past, and rules lots only", async () => {
    const [ledger] = (await processes(0)) as [Ledger];
    const granted = await grant(ledger, { at: day(10) });
    expect(granted.decidedAt).toEqual(day(TODAY));
    const spent = await transactionOf(ledger, await spend(ledger, 4n, day(20)));
    expect([spent.at, spent.decidedAt]).toEqual([day(20), day(TODAY)]);
    // what was granted after it is not there for it
    await grant(ledger, { at: day(30), amount: 90n });
    expect(await refusal(spend(ledger, 7n, day(20)))).toMatchObject({ available: 6n });
  });

  it("L19 in the past does not get around a hold of now", async () => {
    const [ledger] = (await processes(0)) as [Ledger];
    await grant(ledger, { at: day(10) });
    const expiresAt = day(TODAY + 1);
    const hold = await ledger.hold({ from: "alice", asset, amount: 8n, expiresAt });
    expect(await refusal(spend(ledger, 3n, day(20)))).toMatchObject({ available: 2n });
    await ledger.capture(hold.id, undefined, { at: day(20) });
    expect(await ledger.balance("alice", asset)).toBe(2n);
  });

  it("L19 in the future does not end a hold", async () => {
    const [ledger] = (await processes(0)) as [Ledger];
    await grant(ledger, { at: day(10) });
    const expiresAt = day(TODAY + 1);
    await ledger.hold({ from: "alice", asset, amount: 8n, expiresAt });
    expect(await refusal(spend(ledger, 3n, day(TODAY + 2)))).toMatchObject({ available: 2n });
  });
});

describe("two processes whose clocks differ by up to 5 s", () => {
  const expiresIn = 1_000;

  it.each([
    [5_000, 0],
    [0, 5_000],
    [2_500, -2_500],
  ])(
    "L19 never let funds be spent that a hold then captures (clocks at %i and %i ms)",
    async (spenderOffset, captorOffset) => {
      const [spender, captor] = (await processes(spenderOffset, captorOffset)) as [Ledger, Ledger];
      for (let step = 0; step < 12; step++) {
        await grant(captor, { at: day(10) });
        const before = await captor.balance("alice", asset, { fresh: true });
        const expiresAt = new Date(stage.nowMs + 5_000 + expiresIn);
        const hold = await captor.hold({ from: "alice", asset, amount: before, expiresAt });
        // around the instant of its end, by one clock or the other
        stage.nowMs += step * 1_000;
        const inTurn = step % 2 === 0;
        const spending = spend(spender, before);
        if (inTurn) await Promise.allSettled([spending]);
        const [spent, captured] = await Promise.allSettled([spending, captor.capture(hold.id)]);
        expect([spent.status, captured.status]).not.toEqual(["fulfilled", "fulfilled"]);
        const left = await captor.balance("alice", asset, { fresh: true });
        expect(left).toBe(
          spent.status === "fulfilled" || captured.status === "fulfilled" ? 0n : before,
        );
        stage.nowMs += 20_000;
      }
    },
  );

  it("L19 agree on when a hold has ended, once one of them has decided after it", async () => {
    const [fast, slow] = (await processes(5_000, 0)) as [Ledger, Ledger];
    await grant(slow, { at: day(10) });
    const expiresAt = new Date(stage.nowMs + 6_000);
    const hold = await slow.hold({ from: "alice", asset, amount: 10n, expiresAt });
    stage.nowMs += 2_000;
    await spend(fast, 10n);
    // by the slow clock there are 4 seconds left
    expect(await refusal(slow.capture(hold.id))).toMatchObject({
      code: "hold_ended",
      how: "expired",
    });
    expect(await slow.holds("alice")).toEqual([]);
  });
});

describe("a clock that is too far off the server's", () => {
  it.each([6_000, -6_000, 3_600_000])(
    "is ClockSkewError for what is written, in milliseconds and with its limit (%i ms)",
    async (offset) => {
      stage = new LedgerStage();
      const right = await stage.ledgers({ now: Date.now, maxClockSkewMs: 5_000 });
      await right.create("main", { bucket: "eu" });
      const ledger = await right.open("main");
      await grant(ledger);
      const skewed = await stage.other({ now: () => Date.now() + offset, maxClockSkewMs: 5_000 });
      // reading is not forbidden
      expect(await skewed.balance("alice", asset)).toBe(10n);
      for (const command of [
        () => grant(skewed),
        () => skewed.openAccount("alice", { frozen: true }),
        () =>
          skewed.hold({ from: "alice", asset, amount: 1n, expiresAt: new Date(Date.now() + 9e9) }),
      ]) {
        const error = await refusal(command());
        expect(error).toBeInstanceOf(ClockSkewError);
        expect(error).toMatchObject({ code: "clock_skew", maxSkewMs: 5_000 });
        if (error instanceof ClockSkewError)
          expect(Math.abs(error.skewMs - offset)).toBeLessThan(1_000);
      }
      await ledger.refresh();
      expect(ledger.version).toBe(2);
    },
  );

  it("is none within the limit, 5 s unless told otherwise", async () => {
    stage = new LedgerStage();
    const own = { now: () => Date.now() + 4_000, maxClockSkewMs: undefined };
    const ledgers = await stage.ledgers(own);
    await ledgers.create("main", { bucket: "eu" });
    await grant(await ledgers.open("main"));
    const strict = await stage.other({ ...own, maxClockSkewMs: 1_000 });
    expect(await refusal(grant(strict))).toBeInstanceOf(ClockSkewError);
    const wrong = await stage.other({ now: () => Date.now() + 7_000, maxClockSkewMs: undefined });
    expect(await refusal(grant(wrong))).toMatchObject({ maxSkewMs: 5_000 });
  });

  it("is noticed when it jumps, before anything is decided by it", async () => {
    stage = new LedgerStage();
    let offset = 0;
    const ledgers = await stage.ledgers({ now: () => Date.now() + offset, maxClockSkewMs: 5_000 });
    await ledgers.create("main", { bucket: "eu" });
    const ledger = await ledgers.open("main");
    await grant(ledger);
    offset = 3_600_000;
    expect(await refusal(grant(ledger))).toBeInstanceOf(ClockSkewError);
    offset = 0;
    // and found right again when it has been mended
    await eventually(() => grant(ledger).then(() => true), { timeoutMs: 20_000 });
    const [last] = (await allTransactions(ledger)).slice(-1);
    expect((last?.decidedAt.getTime() ?? 0) - Date.now()).toBeLessThan(60_000);
  }, 30_000);
});
