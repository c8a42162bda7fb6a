import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Ledger, TransactionNotFoundError } from "../../../src/ledger/index.ts";
import { CREDIT, day, LedgerStage, refusal, transactionOf } from "./ledger-stage.ts";

let stage: LedgerStage;
let ledger: Ledger;

beforeEach(async () => {
  ({ stage, ledger } = await LedgerStage.create());
});

afterEach(() => stage[Symbol.asyncDispose]());

const asset = CREDIT;
const grant = (metadata?: Readonly<Record<string, unknown>>) =>
  ledger.grant({ to: "alice", asset, amount: 5n, metadata });

async function metadataOfAlice(reader: Ledger): Promise<unknown> {
  return (await reader.account("alice"))?.metadata;
}

describe("metadata of a transaction", () => {
  it("is what it was posted with, whatever the value", async () => {
    const metadata = {
      text: "x",
      number: 1.5,
      big: 2n ** 70n,
      none: null,
      when: day(1),
      bytes: new Uint8Array([1, 2, 3]),
      list: [1, "2", { three: 3 }],
      yes: true,
    };
    const result = await grant(metadata);
    for (const reader of [ledger, await stage.other()])
      expect((await transactionOf(reader, result)).metadata).toEqual(metadata);
    expect((await transactionOf(ledger, await grant())).metadata).toEqual({});
  });

  it("is a copy: nobody changes it behind the ledger's back", async () => {
    const metadata = { list: [1] };
    const sending = grant(metadata);
    metadata.list.push(2);
    const result = await sending;
    metadata.list.push(3);
    expect((await transactionOf(ledger, result)).metadata).toEqual({ list: [1] });
  });

  it("is added to and removed from later, for all readers; what was recorded stays", async () => {
    const result = await grant({ a: 1, b: 1 });
    const transaction = result.id;
    await ledger.setMetadata({ transaction }, { b: 2, c: 2 });
    await ledger.deleteMetadata({ transaction }, ["a", "never-there"]);
    await ledger.setMetadata({ transaction }, { d: 3 });
    const found = { b: 2, c: 2, d: 3 };
    for (const reader of [ledger, await stage.other()]) {
      expect((await transactionOf(reader, result)).metadata).toEqual(found);
      expect((await reader.transactions()).items[0]?.metadata).toEqual(found);
    }
    const events: unknown[] = [];
    for await (const event of (await stage.store()).read({ type: "journal", id: "main" }))
      events.push(event.type);
    const changed = "MetadataChanged";
    expect(events).toEqual(["JournalOpened", "TransactionPosted", changed, changed, changed]);
  });

  it("does not mix up the transactions of one commit", async () => {
    const posting = { source: "world", destination: "alice", asset, amount: 1n };
    const outcomes = await ledger.postMany(
      [1, 2, 3].map((n) => ({ postings: [posting], metadata: { n } })),
      { atomic: true },
    );
    const results = outcomes.flatMap((of) => (of.status === "posted" ? [of.result] : []));
    await Promise.all(results.map(({ id }, at) => ledger.setMetadata({ transaction: id }, { at })));
    for (const [at, result] of results.entries())
      expect((await transactionOf(ledger, result)).metadata).toEqual({ n: at + 1, at });
  });

  it("of one that is not there is TransactionNotFoundError", async () => {
    const { position } = await grant();
    const opened = await ledger.openAccount("bob", { overdraft: 1n });
    for (const transaction of ["999999.0", `${position}.1`, opened.id])
      for (const change of [
        () => ledger.setMetadata({ transaction }, { a: 1 }),
        () => ledger.deleteMetadata({ transaction }, ["a"]),
      ])
        expect(await refusal(change())).toBeInstanceOf(TransactionNotFoundError);
  });
});

describe("metadata of an account", () => {
  it("is added to and removed from, for all readers", async () => {
    await ledger.setMetadata({ account: "alice" }, { a: 1, b: 1 });
    await ledger.setMetadata({ account: "alice" }, { b: { deep: [2n] } });
    await ledger.deleteMetadata({ account: "alice" }, ["a", "never-there"]);
    for (const reader of [ledger, await stage.other()])
      expect(await metadataOfAlice(reader)).toEqual({ b: { deep: [2n] } });
  });

  it("makes an account known, with the behaviour that all have, and moves nothing", async () => {
    await ledger.setMetadata({ account: "alice" }, { a: 1 });
    const account = {
      account: "alice",
      lots: true,
      issuer: false,
      overdraft: 0n,
      metadata: { a: 1 },
    };
    expect(await ledger.account("alice")).toMatchObject(account);
    expect((await ledger.balances({ asset })).items).toEqual([]);
  });

  it("outlives changes of the account's options, and closing", async () => {
    await ledger.setMetadata({ account: "alice" }, { a: 1 });
    await ledger.openAccount("alice", { overdraft: 5n });
    await ledger.openAccount("alice", { closed: true });
    await ledger.setMetadata({ account: "alice" }, { b: 2 });
    for (const reader of [ledger, await stage.other()])
      expect(await reader.account("alice")).toMatchObject({
        closed: true,
        metadata: { a: 1, b: 2 },
      });
  });

  it("is the reader's own: what one changes no other sees", async () => {
    await ledger.setMetadata({ account: "alice" }, { list: [1] });
    const found = (await metadataOfAlice(ledger)) as { list: number[] };
    found.list.push(2);
    expect(await metadataOfAlice(ledger)).toEqual({ list: [1] });
  });

  it("by two processes at once is changed by both", async () => {
    const other = await stage.other();
    await Promise.all([
      ...[1, 2, 3].map((n) => ledger.setMetadata({ account: "alice" }, { [`here${n}`]: n })),
      ...[1, 2, 3].map((n) => other.setMetadata({ account: "alice" }, { [`there${n}`]: n })),
    ]);
    await ledger.refresh();
    expect(Object.keys((await metadataOfAlice(ledger)) as object)).toHaveLength(6);
  });

  it("has a history in the journal: who asks for the state of then finds it", async () => {
    await ledger.setMetadata({ account: "alice" }, { tier: "silver" });
    await ledger.setMetadata({ account: "alice" }, { tier: "gold" });
    const said: unknown[] = [];
    for await (const { type, data } of (await stage.store()).read({ type: "journal", id: "main" }))
      if (type === "MetadataChanged") said.push((data as unknown[])[5]);
    expect(said).toEqual([{ tier: "silver" }, { tier: "gold" }]);
  });

  it("takes key, dry run and preconditions as all commands do", async () => {
    const of = { account: "alice" };
    expect(await ledger.setMetadata(of, { a: 1 }, { dryRun: true })).toMatchObject({ id: "" });
    expect(await ledger.account("alice")).toBeUndefined();
    const first = await ledger.setMetadata(of, { a: 1 }, { idempotencyKey: "k" });
    await ledger.setMetadata(of, { a: 2 });
    const again = ledger.setMetadata(of, { a: 1 }, { idempotencyKey: "k" });
    expect(await again).toEqual({ ...first, replayed: true });
    expect(await metadataOfAlice(ledger)).toEqual({ a: 2 });
    const other = ledger.setMetadata(of, { a: 3 }, { idempotencyKey: "k" });
    expect(await refusal(other)).toMatchObject({ code: "idempotency_conflict" });
    const late = ledger.deleteMetadata(of, ["a"], { expect: { version: 1 } });
    expect(await refusal(late)).toMatchObject({ code: "precondition_failed" });
  });
});
