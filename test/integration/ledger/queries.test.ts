import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Ledger, WORLD } from "../../../src/ledger/index.ts";
import { eventually } from "../../support/server.ts";
import {
  allTransactions,
  CREDIT,
  day,
  LedgerStage,
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

describe("a transaction by its id", () => {
  it("is all that was recorded of it", async () => {
    await ledger.grant({ to: "alice", asset, amount: 10n, expiresAt: day(200), at: day(1) });
    const at = day(50);
    const result = await ledger.post(
      {
        at,
        reference: "r",
        metadata: { n: 1 },
        postings: [{ source: "alice", destination: "bob", asset, amount: 4n }],
      },
      { idempotencyKey: "k" },
    );
    const expected = {
      id: result.id,
      position: result.position,
      index: 0,
      version: 3,
      at,
      decidedAt: day(TODAY),
      reference: "r",
      idempotencyKey: "k",
      metadata: { n: 1 },
      reverts: undefined,
      revertedBy: undefined,
      captures: undefined,
      postings: [
        {
          source: "alice",
          destination: "bob",
          asset,
          amount: 4n,
          asked: 4n,
          drained: [{ transactionVersion: 2, lotIndex: 0, amount: 4n, expiresAt: day(200) }],
          borrowed: 0n,
          made: [{ lotIndex: 0, amount: 4n, expiresAt: day(200) }],
          repaid: 0n,
        },
      ],
    };
    for (const reader of [ledger, await stage.other()])
      expect(await reader.transaction(result.id)).toEqual(expected);
  });

  it("is one read, however long the journal is", async () => {
    const { id } = await ledger.grant({ to: "alice", asset, amount: 1n });
    for (let time = 0; time < 30; time++) await ledger.grant({ to: "bob", asset, amount: 1n });
    const wire = await stage.wire();
    const reader = await stage.other({ refreshMs: 0 }, { servers: wire.url });
    wire.reset();
    await reader.transaction(id);
    expect(wire.published).toHaveLength(1);
  });

  it("is undefined where none of this ledger stands", async () => {
    const ledgers = await stage.ledgers();
    await ledgers.create("second", { bucket: "eu" });
    const second = await ledgers.open("second");
    const elsewhere = await second.grant({ to: "alice", asset, amount: 1n });
    const { position } = await ledger.grant({ to: "alice", asset, amount: 1n });
    const account = await ledger.openAccount("bob", { overdraft: 1n });
    const hold = await ledger.hold({ from: "alice", asset, amount: 1n, expiresAt: day(200) });
    for (const id of ["999999.0", "0.0", `${position}.1`, elsewhere.id, account.id, hold.id])
      expect(await ledger.transaction(id)).toBeUndefined();
    expect(await second.transaction(elsewhere.id)).toBeDefined();
  });
});

describe("transactions", () => {
  /** Versions of what is listed. */
  async function listed(query: Parameters<Ledger["transactions"]>[0]): Promise<readonly number[]> {
    return (await ledger.transactions(query)).items.map(({ version }) => version);
  }

  const move = (source: string, destination: string, at: Date) => ({
    at,
    postings: [{ source, destination, asset, amount: 1n }],
  });

  beforeEach(async () => {
    // versions 2 to 8: some in one commit, some alone, other entries between them
    await ledger.postMany(
      [move(WORLD, "alice", day(1)), move(WORLD, "bob", day(2)), move(WORLD, "alice", day(3))],
      { atomic: true },
    );
    await ledger.openAccount("carol", { overdraft: 5n });
    await ledger.post(move("alice", "bob", day(4)));
    await ledger.post(move(WORLD, "carol", day(2)));
    await ledger.post(move("carol", "alice", day(5)));
  });

  it("are listed in the order of the journal, other entries left out", async () => {
    expect(await listed({})).toEqual([2, 3, 4, 6, 7, 8]);
    const all = await allTransactions(await stage.other());
    expect(all).toEqual((await ledger.transactions()).items);
    for (const one of all) expect(await ledger.transaction(one.id)).toEqual(one);
  });

  it("are listed of one account, payer or payee", async () => {
    expect(await listed({ account: "alice" })).toEqual([2, 4, 6, 8]);
    expect(await listed({ account: "bob" })).toEqual([3, 6]);
    expect(await listed({ account: "carol" })).toEqual([7, 8]);
    expect(await listed({ account: WORLD })).toEqual([2, 3, 4, 7]);
    expect(await listed({ account: "nobody" })).toEqual([]);
  });

  it("are listed by their effective time: from inclusive, to exclusive", async () => {
    expect(await listed({ from: day(2) })).toEqual([3, 4, 6, 7, 8]);
    expect(await listed({ to: day(3) })).toEqual([2, 3, 7]);
    expect(await listed({ from: day(2), to: day(4) })).toEqual([3, 4, 7]);
    expect(await listed({ from: day(2), to: day(4), account: "alice" })).toEqual([4]);
    expect(await listed({ from: day(9) })).toEqual([]);
  });

  it.each([1, 2, 3, 5, 6, 7])("are paged by %i: a cursor iff there is more", async (limit) => {
    for (const query of [{}, { account: "alice" }, { account: WORLD }, { from: day(2) }]) {
      const whole = await listed(query);
      const seen: number[] = [];
      let after: string | undefined;
      do {
        const { items, cursor } = await ledger.transactions({ ...query, limit, after });
        expect(items.length).toBe(Math.min(limit, whole.length - seen.length));
        seen.push(...items.map(({ version }) => version));
        expect(cursor === undefined).toBe(seen.length === whole.length);
        after = cursor;
      } while (after !== undefined);
      expect(seen).toEqual(whole);
    }
  });

  it("go on behind a cursor with what was posted since", async () => {
    const { cursor } = await ledger.transactions({ limit: 4 });
    await ledger.post(move(WORLD, "bob", day(1)));
    expect(await listed({ after: cursor })).toEqual([7, 8, 9]);
  });

  it("of an account with many commits come whole, and in order", async () => {
    const expected: number[] = [];
    for (let time = 0; time < 150; time++) {
      const { version } = await ledger.grant({
        to: time % 3 === 0 ? "bob" : "dave",
        asset,
        amount: 1n,
      });
      if (time % 3 !== 0) expected.push(version);
    }
    for (const reader of [ledger, await stage.other()]) {
      const seen: number[] = [];
      let after: string | undefined;
      do {
        const page = await reader.transactions({ account: "dave", limit: 33, after });
        seen.push(...page.items.map(({ version }) => version));
        after = page.cursor;
      } while (after !== undefined);
      expect(seen).toEqual(expected);
    }
  });

  it("refuse a cursor of another list", async () => {
    expect(await refusal(ledger.transactions({ after: "999999.0" }))).toMatchObject({
      code: "invalid_argument",
      argument: "after",
    });
  });
});

describe("the trial balance", () => {
  it("shows debits and credits by asset, equal, and what has expired apart", async () => {
    await ledger.grant({ to: "alice", asset, amount: 10n });
    await ledger.grant({ to: "bob", asset, amount: 5n, expiresAt: day(TODAY + 1) });
    await ledger.grant({ to: "bob", asset: "GOLD", amount: 7n });
    await ledger.openAccount("carol", { overdraft: 5n });
    await ledger.transfer({ from: "carol", asset: "GOLD", to: [{ account: "alice", amount: 3n }] });
    const rows = [
      { asset, debits: 15n, credits: 15n, difference: 0n, expired: 0n },
      { asset: "GOLD", debits: 10n, credits: 10n, difference: 0n, expired: 0n },
    ];
    for (const reader of [ledger, await stage.other()]) {
      expect(await reader.trialBalance()).toEqual(rows);
      const later = await reader.trialBalance({ at: day(TODAY + 1) });
      expect(later).toEqual([{ ...rows[0], expired: 5n }, rows[1]]);
    }
  });

  it("of an empty ledger is empty", async () => {
    expect(await ledger.trialBalance()).toEqual([]);
  });
});

describe("what a process knows", () => {
  it("is what it has seen; fresh asks the server first", async () => {
    const reader = await stage.other({ refreshMs: 0 });
    await ledger.grant({ to: "alice", asset, amount: 5n });
    expect(await reader.balance("alice", asset)).toBe(0n);
    expect(await reader.balance("alice", asset, { fresh: true })).toBe(5n);
    await ledger.grant({ to: "alice", asset, amount: 5n });
    await reader.refresh();
    expect(await reader.balance("alice", asset)).toBe(10n);
    expect(reader.version).toBe(ledger.version);
  });

  it("is looked after while nothing is written", async () => {
    const reader = await stage.other({ refreshMs: 50 });
    await ledger.grant({ to: "alice", asset, amount: 5n });
    await eventually(async () => (await reader.balance("alice", asset)) === 5n);
  });

  it("follows at once where the store follows", async () => {
    const reader = await stage.other({ refreshMs: 0 }, { follow: true });
    await ledger.grant({ to: "alice", asset, amount: 5n });
    await eventually(async () => (await reader.balance("alice", asset)) === 5n);
  });

  it("holds of its own commands what it was told of", async () => {
    const result = await ledger.grant({ to: "alice", asset, amount: 5n });
    expect(await ledger.balance("alice", asset)).toBe(5n);
    expect(ledger.version).toBe(result.version);
    expect((await transactionOf(ledger, result)).version).toBe(result.version);
  });

  it("is not asked for again where the balance is known: reads cost no request", async () => {
    await ledger.grant({ to: "alice", asset, amount: 5n });
    const wire = await stage.wire();
    const reader = await stage.other({ refreshMs: 0 }, { servers: wire.url });
    wire.reset();
    for (let time = 0; time < 100; time++) await reader.balance("alice", asset);
    await reader.details("alice", asset);
    await reader.balances({ asset });
    await reader.trialBalance();
    expect(wire.published).toEqual([]);
  });
});

describe("what was opened", () => {
  it("stops when its ledgers are closed: commands and reads are refused as closed", async () => {
    const ledgers = await stage.ledgers();
    const opened = await ledgers.open("main");
    await opened.grant({ to: "alice", asset, amount: 5n });
    await ledgers.close();
    for (const call of [
      () => opened.grant({ to: "alice", asset, amount: 5n }),
      () => opened.balance("alice", asset),
      () => opened.transactions(),
      () => opened.lots("alice", asset),
    ])
      expect(await refusal(call())).toMatchObject({ code: "closed" });
  });

  it("stops when its bucket is deleted: commands and reads say that it is not found", async () => {
    const ledgers = await stage.ledgers();
    const opened = await ledgers.open("main");
    await opened.grant({ to: "alice", asset, amount: 5n });
    await ledgers.deleteBucket("eu");
    for (const call of [
      () => opened.grant({ to: "alice", asset, amount: 5n }),
      () => opened.balance("alice", asset),
      () => opened.balances({ asset }),
      () => opened.trialBalance(),
    ])
      expect(await refusal(call())).toMatchObject({ code: "ledger_not_found" });
    await ledgers.restoreBucket("eu");
    expect(await opened.balance("alice", asset)).toBe(5n);
  });

  it("ends what was submitted before it is closed", async () => {
    const ledgers = await stage.ledgers();
    const opened = await ledgers.open("main");
    const sent = Array.from({ length: 50 }, () => opened.grant({ to: "alice", asset, amount: 1n }));
    await ledgers.close();
    expect(await Promise.all(sent)).toHaveLength(50);
    expect(await ledger.balance("alice", asset, { fresh: true })).toBe(50n);
  });
});
