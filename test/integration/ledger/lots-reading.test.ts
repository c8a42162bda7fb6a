import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DEFAULT_SETTINGS, type Ledger, WORLD } from "../../../src/ledger/index.ts";
import {
  after,
  CREDIT,
  day,
  everythingOf,
  LedgerStage,
  lotsOf,
  refusal,
  TODAY,
  transactionOf,
} from "./ledger-stage.ts";

let stage: LedgerStage;
let ledger: Ledger;

beforeEach(async () => {
  ({ stage, ledger } = await LedgerStage.create());
});

afterEach(() => stage[Symbol.asyncDispose]());

const asset = CREDIT;

async function grant(to: string, amount: bigint, expiresAt: Date | null = null): Promise<void> {
  await ledger.grant({ to, asset, amount, expiresAt, at: day(1) });
}

describe("balance", () => {
  it("L16 is what has not expired at the instant, less debt", async () => {
    await grant("alice", 10n);
    await grant("alice", 20n, day(150));
    await grant("alice", 40n, day(200));
    const at = (instant: Date): Promise<bigint> => ledger.balance("alice", asset, { at: instant });
    expect(await ledger.balance("alice", asset)).toBe(70n);
    expect(await at(after(day(150), -1))).toBe(70n);
    expect(await at(day(150))).toBe(50n);
    expect(await at(day(200))).toBe(10n);
    stage.nowMs = day(150).getTime();
    expect(await ledger.balance("alice", asset)).toBe(50n);
  });

  it("L16 is below zero where debt is left when lots expire", async () => {
    await ledger.openAccount("alice", { overdraft: 100n });
    await ledger.spend({ from: "alice", asset, amount: 30n });
    // what is granted for later does not cover the debt of now once it has expired
    await ledger.grant({ to: "alice", asset, amount: 50n, expiresAt: day(150) });
    expect(await ledger.balance("alice", asset)).toBe(20n);
    expect(await ledger.balance("alice", asset, { at: day(150) })).toBe(0n);
    await ledger.spend({ from: "alice", asset, amount: 60n, at: day(150) });
    expect(await ledger.balance("alice", asset, { at: day(150) })).toBe(-60n);
  });

  it("L16 is 0 for accounts and assets that nobody knows, and reading makes none known", async () => {
    await grant("alice", 10n);
    for (const at of [undefined, day(0), day(500)]) {
      expect(await ledger.balance("nobody", asset, { at })).toBe(0n);
      expect(await ledger.balance("alice", "GOLD", { at })).toBe(0n);
    }
    expect(await ledger.details("nobody", asset)).toEqual({ total: 0n, debt: 0n, details: [] });
    expect(await ledger.lots("nobody", asset)).toEqual([]);
    expect(await ledger.holds("nobody")).toEqual([]);
    expect(await ledger.available("nobody", asset)).toBe(0n);
    expect(await ledger.account("nobody")).toBeUndefined();
    expect(await ledger.count({ asset })).toBe(2);
  });

  it("L16 of a past instant moves only what counts as expired", async () => {
    await grant("alice", 10n, day(50));
    await ledger.grant({ to: "alice", asset, amount: 20n, at: day(80) });
    await ledger.spend({ from: "alice", asset, amount: 5n, at: day(90) });
    // day 20: what was granted on day 80 counts, and what was spent on day 90 does not
    expect(await ledger.balance("alice", asset, { at: day(20) })).toBe(25n);
    expect(await ledger.balanceAsOf("alice", asset, { effectiveBefore: day(20) })).toBe(10n);
    expect(await ledger.balanceAsOf("alice", asset, { effectiveBefore: day(60) })).toBe(0n);
    expect(await ledger.balanceAsOf("alice", asset, { effectiveBefore: day(85) })).toBe(20n);
    expect(await ledger.balanceAsOf("alice", asset, { effectiveBefore: day(95) })).toBe(15n);
    // effective at the instant is not effective before it
    expect(await ledger.balanceAsOf("alice", asset, { effectiveBefore: day(90) })).toBe(20n);
  });

  it("L16 as of a position is what stood there then", async () => {
    const positions: number[] = [];
    const keep = ({ position }: { readonly position: number }): number => positions.push(position);
    keep(await ledger.grant({ to: "alice", asset, amount: 10n, expiresAt: day(150) }));
    keep(await ledger.spend({ from: "alice", to: "bob", asset, amount: 4n }));
    // posted late for an earlier time: what stood at the position before does not change
    keep(await ledger.grant({ to: "alice", asset, amount: 100n, at: day(10) }));
    const at = day(TODAY);
    const asOf = (account: string, position: number, instant: Date = at): Promise<bigint> =>
      ledger.balanceAsOf(account, asset, { position, at: instant });
    const [first = 0, second = 0, third = 0] = positions;
    for (const [position, alice, bob] of [
      [first - 1, 0n, 0n],
      [first, 10n, 0n],
      [second, 6n, 4n],
      [third, 106n, 4n],
      [third + 1_000, 106n, 4n],
    ] as const) {
      expect(await asOf("alice", position)).toBe(alice);
      expect(await asOf("bob", position)).toBe(bob);
      expect(await asOf(WORLD, position)).toBe(-alice - bob);
    }
    expect(await asOf("alice", third, day(150))).toBe(100n);
    expect(await asOf("bob", third, day(150))).toBe(0n);
    expect(await asOf("nobody", third)).toBe(0n);
  });

  it("L16 as of a position asks what had expired when that was stored, if it is not told", async () => {
    const now = Date.now();
    const [past, future] = [new Date(now - 60_000), new Date(now + 3_600_000)];
    const { position } = await ledger.post({
      at: new Date(now - 120_000),
      postings: [past, future].map((expiresAt) => ({
        source: WORLD,
        destination: "alice",
        asset,
        amount: 5n,
        expiresAt,
      })),
    });
    expect(await ledger.balanceAsOf("alice", asset, { position })).toBe(5n);
  });

  it("L16 and all other reads write nothing", async () => {
    await grant("alice", 10n, day(50));
    await grant("alice", 1n);
    await ledger.hold({
      from: "alice",
      asset,
      amount: 1n,
      expiresAt: new Date(Date.now() + 60_000),
    });
    const before = ledger.version;
    const position = (await ledger.transactions()).items[0]?.position ?? 0;
    await everythingOf(ledger, ["alice", "nobody"]);
    for (const at of [undefined, day(0), day(500)]) {
      await ledger.balance("alice", asset, { at, fresh: true });
      await ledger.balances({ asset, at, fresh: true });
      await ledger.trialBalance({ at, fresh: true });
    }
    await ledger.balanceAsOf("alice", asset, { position });
    await ledger.refresh();
    expect(ledger.version).toBe(before);
    const store = await stage.store();
    expect(await store.latestVersion({ type: "journal", id: "main" })).toBe(before);
  });
});

describe("an account without lots", () => {
  it("L16a keeps a running sum with the same rules for funds", async () => {
    await ledger.openAccount("till", { lots: false });
    await ledger.grant({ to: "till", asset, amount: 10n, expiresAt: day(TODAY + 1) });
    await ledger.spend({ from: "till", asset, amount: 4n });
    const error = await refusal(ledger.spend({ from: "till", asset, amount: 7n }));
    expect(error).toMatchObject({ code: "insufficient_funds", needed: 7n, available: 6n });
    const partial = { onShortfall: "partial" } as const;
    expect((await ledger.spend({ from: "till", asset, amount: 7n }, partial)).amounts).toEqual([
      6n,
    ]);
    await ledger.openAccount("till", { overdraft: 5n });
    await ledger.spend({ from: "till", asset, amount: 5n });
    for (const reader of [ledger, await stage.other()]) {
      expect(await reader.balance("till", asset)).toBe(-5n);
      expect(await reader.available("till", asset)).toBe(0n);
    }
    await ledger.grant({ to: "till", asset, amount: 8n });
    expect(await ledger.balance("till", asset)).toBe(3n);
  });

  it("L16a has nothing that expires, and costs no lots in the journal", async () => {
    await ledger.openAccount("till", { lots: false });
    await ledger.openAccount("safe", { lots: false });
    await ledger.grant({ to: "till", asset, amount: 10n, expiresAt: day(TODAY + 1) });
    const { id } = await ledger.transfer({
      from: "till",
      asset,
      to: [{ account: "safe", amount: 4n, expiresAt: day(TODAY + 1) }],
    });
    const { postings } = await transactionOf(ledger, { id });
    expect(postings).toMatchObject([
      { drained: undefined, made: undefined, borrowed: 0n, repaid: 0n },
    ]);
    expect(await ledger.lots("till", asset)).toEqual([]);
    expect(await ledger.balance("till", asset, { at: day(500) })).toBe(6n);
    expect(await ledger.details("till", asset)).toEqual({
      total: 6n,
      debt: 0n,
      details: [{ expiresAt: null, amount: 6n }],
    });
  });

  it("L16a gives lots to an account that keeps them, expiring as asked", async () => {
    await ledger.openAccount("till", { lots: false });
    await ledger.grant({ to: "till", asset, amount: 10n });
    const item = { account: "alice", amount: 4n, expiresAt: day(200) };
    await ledger.transfer({ from: "till", asset, to: [item] });
    expect(await lotsOf(ledger, "alice")).toEqual([[0, 4n, day(200)]]);
  });

  it("L16a is what all accounts are in a ledger that was created so", async () => {
    const accounts = { ...DEFAULT_SETTINGS.accounts, lots: false };
    const created = await LedgerStage.create({ accounts });
    await using plain = created.stage;
    await created.ledger.grant({ to: "alice", asset, amount: 4n });
    expect(await created.ledger.lots("alice", asset)).toEqual([]);
    expect(await created.ledger.account("alice")).toMatchObject({ lots: false });
    expect(await (await plain.other()).balance("alice", asset)).toBe(4n);
  });
});

describe("lots and details", () => {
  it("L17 shows lots by grant, and funds by expiry: never-expiring first, then ascending", async () => {
    await grant("alice", 1n, day(300));
    await grant("alice", 2n);
    await grant("alice", 4n, day(200));
    await grant("alice", 8n, day(300));
    await grant("alice", 16n, day(50));
    await grant("alice", 32n);
    expect((await lotsOf(ledger, "alice")).map(([, remaining]) => remaining)).toEqual([
      1n,
      2n,
      4n,
      8n,
      16n,
      32n,
    ]);
    expect(await ledger.details("alice", asset)).toEqual({
      total: 47n,
      debt: 0n,
      details: [
        { expiresAt: null, amount: 34n },
        { expiresAt: day(200), amount: 4n },
        { expiresAt: day(300), amount: 9n },
      ],
    });
    expect(await ledger.balance("alice", asset)).toBe(47n);
  });

  it("L17 leaves empty lots out of the details, which sum up to the balance at any instant", async () => {
    await grant("alice", 5n, day(150));
    await grant("alice", 5n, day(200));
    await ledger.spend({ from: "alice", asset, amount: 5n });
    const { details } = await ledger.details("alice", asset);
    expect(details).toEqual([{ expiresAt: day(200), amount: 5n }]);
    await ledger.openAccount("alice", { overdraft: 50n });
    await ledger.spend({ from: "alice", asset, amount: 25n });
    for (const at of [day(0), day(TODAY), day(199), day(200)]) {
      const of = await ledger.details("alice", asset, { at });
      expect(of.details.reduce((sum, { amount }) => sum + amount, -of.debt)).toBe(of.total);
      expect(of.total).toBe(await ledger.balance("alice", asset, { at }));
    }
  });
});

describe("balances", () => {
  const names = ["a", "a:1", "a:2", "b:1", "b:2", "b:3"];

  beforeEach(async () => {
    for (const [at, name] of names.entries()) await grant(name, BigInt(at + 1), day(TODAY + at));
    await ledger.spend({ from: "b:3", asset, amount: 6n });
  });

  const query = { asset, min: 0n, at: day(TODAY) };

  it("L18 lists accounts in their order, with what they have at the instant", async () => {
    const { items, cursor } = await ledger.balances(query);
    expect(items.map(({ account, balance }) => [account, balance])).toEqual([
      ["a", 0n],
      ["a:1", 2n],
      ["a:2", 3n],
      ["b:1", 4n],
      ["b:2", 5n],
      ["b:3", 0n],
    ]);
    expect(cursor).toBeUndefined();
    expect(items[0]).toEqual({ account: "a", asset, balance: 0n });
  });

  it.each([
    [0n, 6],
    [1n, 4],
    [3n, 3],
    [5n, 1],
    [6n, 0],
  ] as const)(
    "L18 takes min %d inclusive, and counts as many as it lists",
    async (min, expected) => {
      const { items } = await ledger.balances({ ...query, min });
      expect(items).toHaveLength(expected);
      for (const { balance } of items) expect(balance >= min).toBe(true);
      expect(await ledger.count({ ...query, min })).toBe(expected);
    },
  );

  it("L18 lists accounts below zero only without min, or with a lower one", async () => {
    const all = (await ledger.balances({ asset, at: day(TODAY) })).items;
    expect(all.map(({ account }) => account)).toEqual([...names, WORLD]);
    expect(await ledger.count({ asset, at: day(TODAY) })).toBe(7);
    expect(await ledger.count({ ...query, min: -15n })).toBe(7);
    expect(await ledger.count({ ...query, min: -14n })).toBe(6);
  });

  it.each([
    ["a", 3],
    ["a:", 2],
    ["b:2", 1],
    ["c", 0],
    ["", 6],
  ] as const)("L18 lists accounts whose names begin with %s", async (prefix, expected) => {
    const { items } = await ledger.balances({ ...query, prefix });
    expect(items).toHaveLength(expected);
    for (const { account } of items) expect(account.startsWith(prefix)).toBe(true);
    expect(await ledger.count({ ...query, prefix })).toBe(expected);
  });

  it.each([1, 2, 3, 4, 5, 6, 7])("L18 pages by %i: a cursor iff there is more", async (limit) => {
    const seen: string[] = [];
    let pages = 0;
    let after: string | undefined;
    do {
      const { items, cursor } = await ledger.balances({ ...query, limit, after });
      expect(items.length).toBe(Math.min(limit, names.length - seen.length));
      seen.push(...items.map(({ account }) => account));
      after = cursor;
      pages++;
      expect(cursor === undefined).toBe(seen.length === names.length);
    } while (after !== undefined);
    expect(seen).toEqual(names);
    expect(pages).toBe(Math.ceil(names.length / limit));
  });

  it("L18 goes on behind a cursor whatever came before it meanwhile", async () => {
    const { cursor } = await ledger.balances({ ...query, limit: 2 });
    await grant("a:0", 1n);
    await grant("a:3", 1n);
    const { items } = await ledger.balances({ ...query, after: cursor });
    expect(items.map(({ account }) => account)).toEqual(["a:2", "a:3", "b:1", "b:2", "b:3"]);
  });
});
