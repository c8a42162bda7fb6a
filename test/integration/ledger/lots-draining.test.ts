import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { InsufficientFundsError, type Ledger } from "../../../src/ledger/index.ts";
import {
  CREDIT,
  day,
  drainedBy,
  everythingOf,
  LedgerStage,
  lotsOf,
  refusal,
  transactionOf,
} from "./ledger-stage.ts";

let stage: LedgerStage;
let ledger: Ledger;

beforeEach(async () => {
  ({ stage, ledger } = await LedgerStage.create());
});

afterEach(() => stage[Symbol.asyncDispose]());

const asset = CREDIT;
const accounts = ["alice", "bob", "carol"];

/** Lots of these amounts, the oldest first; the first is made by entry `ledger.version + 1`. */
async function grant(to: string, ...amounts: readonly bigint[]): Promise<void> {
  for (const [at, amount] of amounts.entries())
    await ledger.grant({ to, asset, amount, at: day(at + 1) });
}

const spend = (amount: bigint) => ledger.spend({ from: "alice", asset, amount });

describe("draining", () => {
  it("L5 leaves a lot that was taken from in part in its place", async () => {
    await grant("alice", 10n, 20n);
    await spend(4n);
    expect(await lotsOf(ledger, "alice")).toEqual([
      [0, 6n, null],
      [0, 20n, null],
    ]);
    expect(drainedBy(await transactionOf(ledger, await spend(6n)))).toEqual(["2.0:6"]);
  });

  it("L5 spans lots in their order", async () => {
    await grant("alice", 10n, 20n, 30n);
    expect(drainedBy(await transactionOf(ledger, await spend(35n)))).toEqual([
      "2.0:10",
      "3.0:20",
      "4.0:5",
    ]);
    expect(await ledger.balance("alice", asset)).toBe(25n);
  });

  it("L5 lists drained lots with 0, in the same way after a rebuild; in memory they are gone", async () => {
    await grant("alice", 10n, 20n, 30n);
    await spend(35n);
    const listed = await ledger.lots("alice", asset);
    expect(listed.map(({ amount, remaining }) => [amount, remaining])).toEqual([
      [10n, 0n],
      [20n, 0n],
      [30n, 25n],
    ]);
    const rebuilt = await stage.other();
    expect(await rebuilt.lots("alice", asset)).toEqual(listed);
    for (const reader of [ledger, rebuilt])
      expect(await reader.lots("alice", asset, { live: true })).toEqual(listed.slice(2));
    // … nor does anything that happens later change it
    await spend(25n);
    expect((await ledger.lots("alice", asset)).map(({ remaining }) => remaining)).toEqual([
      0n,
      0n,
      0n,
    ]);
    expect(await ledger.lots("alice", asset, { live: true })).toEqual([]);
  });
});

describe("a shortfall", () => {
  it("L6 is refused, naming account, asset, what was needed and what was there; nothing changes", async () => {
    await grant("alice", 10n, 20n);
    await ledger.grant({ to: "alice", asset, amount: 500n, expiresAt: day(50), at: day(3) });
    const before = await everythingOf(ledger, accounts);
    const error = await refusal(spend(31n));
    expect(error).toBeInstanceOf(InsufficientFundsError);
    expect(error).toMatchObject({ account: "alice", asset, needed: 31n, available: 30n });
    expect(await everythingOf(ledger, accounts)).toBe(before);
    expect((await spend(30n)).amounts).toEqual([30n]);
  });

  it("L6 of one posting takes back all postings of its transaction", async () => {
    await grant("alice", 10n);
    const before = await everythingOf(ledger, accounts);
    const posting = { source: "alice", destination: "bob", asset, amount: 6n };
    const error = await refusal(
      ledger.post({ postings: [posting, { ...posting, destination: "carol" }] }),
    );
    expect(error).toMatchObject({ account: "alice", needed: 6n, available: 4n });
    expect(await everythingOf(ledger, accounts)).toBe(before);
    expect(await ledger.account("bob")).toBeUndefined();
    expect((await ledger.balances({ asset })).items.map(({ account }) => account)).toEqual([
      "alice",
      "world",
    ]);
  });

  it("L6 of an account that nobody knows has 0 available", async () => {
    expect(await refusal(spend(1n))).toMatchObject({ account: "alice", needed: 1n, available: 0n });
    expect(await ledger.account("alice")).toBeUndefined();
  });

  it('L6 takes what is there with onShortfall "partial", and records what was asked for', async () => {
    await grant("alice", 10n, 20n);
    const result = await ledger.transfer(
      {
        from: "alice",
        asset,
        to: [
          { account: "bob", amount: 25n },
          { account: "carol", amount: 25n },
        ],
      },
      { onShortfall: "partial" },
    );
    expect(result.amounts).toEqual([25n, 5n]);
    for (const reader of [ledger, await stage.other()]) {
      const { postings } = await transactionOf(reader, result);
      expect(postings.map(({ amount, asked }) => [amount, asked])).toEqual([
        [25n, 25n],
        [5n, 25n],
      ]);
      expect(await reader.balance("alice", asset)).toBe(0n);
      expect(await reader.balance("carol", asset)).toBe(5n);
    }
    for (const lot of await ledger.lots("alice", asset)) expect(lot.remaining).toBe(0n);
  });

  it('L6 of everything leaves a transaction that moved nothing, with onShortfall "partial"', async () => {
    const result = await ledger.spend(
      { from: "alice", asset, amount: 5n },
      { onShortfall: "partial" },
    );
    expect(result).toMatchObject({ amounts: [0n], replayed: false, version: 2 });
    for (const reader of [ledger, await stage.other()]) {
      const { postings } = await transactionOf(reader, result);
      expect(postings).toMatchObject([{ amount: 0n, asked: 5n }]);
      expect(await reader.balance("alice", asset)).toBe(0n);
      expect(await reader.lots("alice", asset)).toEqual([]);
      const nothing = { debits: 0n, credits: 0n, difference: 0n, expired: 0n };
      expect(await reader.trialBalance()).toEqual([{ asset, ...nothing }]);
      expect((await reader.transactions({ account: "alice" })).items).toHaveLength(1);
    }
  });
});

describe("debt", () => {
  it("L6 is what no lot covers, as far as the account's overdraft goes", async () => {
    await ledger.openAccount("alice", { overdraft: 50n });
    await grant("alice", 30n);
    expect(await ledger.available("alice", asset)).toBe(80n);
    const { postings } = await transactionOf(ledger, await spend(70n));
    expect(postings).toMatchObject([{ amount: 70n, borrowed: 40n, drained: [{ amount: 30n }] }]);
    expect(await ledger.balance("alice", asset)).toBe(-40n);
    expect(await ledger.details("alice", asset)).toEqual({ total: -40n, debt: 40n, details: [] });
    expect(await refusal(spend(11n))).toMatchObject({ needed: 11n, available: 10n });
    expect((await ledger.lots("alice", asset)).map(({ remaining }) => remaining)).toEqual([0n]);
    await spend(10n);
    expect(await ledger.balance("alice", asset)).toBe(-50n);
    expect(await ledger.available("alice", asset)).toBe(0n);
  });

  it("L6 is repaid by later credits before they become lots", async () => {
    await ledger.openAccount("alice", { overdraft: 50n });
    await spend(50n);
    const first = await ledger.grant({ to: "alice", asset, amount: 20n });
    expect((await transactionOf(ledger, first)).postings).toMatchObject([
      { repaid: 20n, made: [] },
    ]);
    expect(await ledger.lots("alice", asset)).toEqual([]);
    const expiresAt = day(200);
    const second = await ledger.grant({ to: "alice", asset, amount: 45n, expiresAt });
    const made = [{ lotIndex: 0, amount: 15n, expiresAt }];
    expect((await transactionOf(ledger, second)).postings).toMatchObject([{ repaid: 30n, made }]);
    for (const reader of [ledger, await stage.other()]) {
      expect(await reader.balance("alice", asset)).toBe(15n);
      expect(await reader.details("alice", asset)).toMatchObject({ debt: 0n, total: 15n });
      expect(await reader.balance("alice", asset, { at: expiresAt })).toBe(0n);
    }
  });

  it("L6 is not repaid by what had expired when it came", async () => {
    await ledger.openAccount("alice", { overdraft: 50n });
    await spend(50n);
    await ledger.grant({ to: "alice", asset, amount: 20n, at: day(50), expiresAt: day(50) });
    expect(await ledger.balance("alice", asset)).toBe(-50n);
  });

  it('L6 has no limit where the overdraft is "unlimited", which world has', async () => {
    await ledger.openAccount("alice", { overdraft: "unlimited" });
    await spend(2n ** 100n);
    expect(await ledger.balance("alice", asset)).toBe(-(2n ** 100n));
    expect(await ledger.available("alice", asset)).toBe("unlimited");
    expect(await ledger.available("world", asset)).toBe("unlimited");
    expect(await ledger.balance("world", asset)).toBe(2n ** 100n);
  });

  it('L6 is made up to the overdraft with onShortfall "partial"', async () => {
    await ledger.openAccount("alice", { overdraft: 50n });
    await grant("alice", 30n);
    const spent = await ledger.spend(
      { from: "alice", asset, amount: 100n },
      { onShortfall: "partial" },
    );
    expect(spent.amounts).toEqual([80n]);
    expect(await ledger.balance("alice", asset)).toBe(-50n);
  });
});

describe("several drains in one transaction", () => {
  const pay = (source: string, destination: string, amount: bigint) => ({
    source,
    destination,
    asset,
    amount,
  });

  it("L7 add up where they are of one account", async () => {
    await grant("alice", 10n, 10n);
    const paid = await ledger.post({
      postings: [pay("alice", "bob", 8n), pay("alice", "carol", 8n)],
    });
    const transaction = await transactionOf(ledger, paid);
    expect(drainedBy(transaction, 0)).toEqual(["2.0:8"]);
    expect(drainedBy(transaction, 1)).toEqual(["2.0:2", "3.0:6"]);
    expect(await ledger.balance("alice", asset)).toBe(4n);
  });

  it("L7 are refused where together they are more than there is", async () => {
    await grant("alice", 10n, 10n);
    const error = await refusal(
      ledger.post({ postings: [pay("alice", "bob", 12n), pay("alice", "bob", 12n)] }),
    );
    expect(error).toMatchObject({ account: "alice", needed: 12n, available: 8n });
    expect(await ledger.balance("alice", asset)).toBe(20n);
  });

  it("L7 do not touch each other where they are of different accounts or assets", async () => {
    await grant("alice", 10n);
    await grant("bob", 10n);
    await ledger.grant({ to: "alice", asset: "GOLD", amount: 3n, at: day(1) });
    const paid = await ledger.post({
      postings: [
        pay("alice", "carol", 10n),
        pay("bob", "carol", 10n),
        { ...pay("alice", "carol", 3n), asset: "GOLD" },
      ],
    });
    const transaction = await transactionOf(ledger, paid);
    const drained = [0, 1, 2].map((at) => drainedBy(transaction, at));
    expect(drained).toEqual([["2.0:10"], ["3.0:10"], ["4.0:3"]]);
  });

  it("L7 take what an earlier posting of the same transaction has brought", async () => {
    const through = [pay("world", "alice", 5n), pay("alice", "bob", 5n), pay("bob", "carol", 5n)];
    const paid = await ledger.post({ postings: through });
    expect(drainedBy(await transactionOf(ledger, paid), 2)).toEqual(["2.1:5"]);
    for (const reader of [ledger, await stage.other()])
      expect(await reader.balance("carol", asset)).toBe(5n);
  });
});
