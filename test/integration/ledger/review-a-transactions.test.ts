import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Ledger, Transaction, TransactionsQuery } from "../../../src/ledger/index.ts";
import type { Wire } from "../../support/wire.ts";
import { CREDIT, LedgerStage, there } from "./ledger-stage.ts";

let stage: LedgerStage;
let wire: Wire;
let ledger: Ledger;

beforeEach(async () => {
  stage = new LedgerStage();
  wire = await stage.wire();
  const ledgers = await stage.ledgers({ refreshMs: 0 }, { servers: wire.url });
  await ledgers.create("main", { bucket: "eu" });
  ledger = await ledgers.open("main");
});

afterEach(() => stage[Symbol.asyncDispose]());

const asset = CREDIT;
const reads = /DIRECT\.GET|MSG\.GET/;

const grant = (to: string, amount: number) =>
  ledger.grant({ to, asset, amount: BigInt(amount), reference: `${to}-${amount}` });

/** Transactions of two accounts, one or several in a commit, and entries of other kinds between them. */
async function fill(): Promise<void> {
  for (let round = 0; round < 12; round++) {
    const many = round % 3 === 0 ? 4 : 1;
    const first = round * 10 + 1;
    stage.nowMs += 1_000;
    await Promise.all([
      ...Array.from({ length: many }, (_, at) => grant("alice", first + at)),
      ledger.openAccount("alice", { frozen: false }),
      ...Array.from({ length: many }, (_, at) => grant("bob", first + at)),
    ]);
  }
}

async function pages(query: TransactionsQuery): Promise<Transaction[]> {
  const all: Transaction[] = [];
  let after: string | undefined;
  do {
    const { items, cursor } = await ledger.transactions({ ...query, after });
    expect(items.length).toBeLessThanOrEqual(query.limit ?? 100);
    all.push(...items);
    after = cursor;
  } while (after !== undefined);
  return all;
}

describe("transactions, newest first", () => {
  it.each([undefined, "alice"])(
    "are those of the other order, backwards (account %s)",
    async (account) => {
      await fill();
      const oldest = await pages({ account });
      expect(oldest).toHaveLength(account === undefined ? 48 : 24);
      const newest = oldest.toReversed();
      for (const limit of [1, 3, 7, 100])
        expect(await pages({ account, order: "newest", limit })).toEqual(newest);
      const { from, to } = { from: there(oldest[5]).at, to: there(oldest[9]).at };
      expect(await pages({ account, from, to })).not.toEqual([]);
      expect(await pages({ account, order: "newest", from, to })).toEqual(
        (await pages({ account, from, to })).toReversed(),
      );
    },
  );

  it("are none where there are none", async () => {
    for (const account of [undefined, "nobody"])
      expect(await ledger.transactions({ account, order: "newest" })).toEqual({
        items: [],
        cursor: undefined,
      });
  });
});

describe("a short page of an account", () => {
  it.each(["oldest", "newest"] as const)("costs few reads (%s first)", async (order) => {
    for (let at = 1; at <= 20; at++) await grant("alice", at);
    wire.reset();
    const first = await ledger.transactions({ account: "alice", order, limit: 1 });
    expect(wire.count(reads)).toBe(2);
    expect(first.items).toMatchObject([{ reference: order === "oldest" ? "alice-1" : "alice-20" }]);
    wire.reset();
    const { items } = await ledger.transactions({
      account: "alice",
      order,
      limit: 1,
      after: first.cursor,
    });
    expect(items).toMatchObject([{ reference: order === "oldest" ? "alice-2" : "alice-19" }]);
    // the cursor's own commit and the two behind it, in windows of two and four
    expect(wire.count(reads)).toBeLessThanOrEqual(6);
  });

  it("reads no commit behind the position that a balance is asked of", async () => {
    const { position } = await grant("alice", 1);
    for (let at = 2; at <= 20; at++) await grant("alice", at);
    wire.reset();
    expect(await ledger.balanceAsOf("alice", asset, { position, at: new Date(stage.nowMs) })).toBe(
      1n,
    );
    expect(wire.count(reads)).toBe(1);
  });
});
