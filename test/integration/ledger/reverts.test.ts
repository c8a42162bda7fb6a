import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  AlreadyRevertedError,
  InsufficientFundsError,
  type Ledger,
  TransactionNotFoundError,
  WORLD,
} from "../../../src/ledger/index.ts";
import {
  CREDIT,
  day,
  drainedBy,
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
const posting = (source: string, destination: string, amount: bigint) => ({
  source,
  destination,
  asset,
  amount,
});

describe("a revert", () => {
  it("R1 swaps source and destination, reverses the order, and marks what it reverts", async () => {
    await ledger.grant({ to: "alice", asset, amount: 10n, at: day(1) });
    const sent = await ledger.post({
      postings: [
        posting("alice", "bob", 4n),
        posting("bob", "carol", 3n),
        posting("alice", "carol", 1n),
      ],
    });
    stage.nowMs = day(TODAY + 1).getTime();
    const reverting = await ledger.revert(sent.id, {
      reference: "undo",
      metadata: { why: "wrong" },
    });
    expect(reverting).toMatchObject({ amounts: [1n, 3n, 4n], replayed: false });
    for (const reader of [ledger, await stage.other()]) {
      const transaction = await transactionOf(reader, reverting);
      const moved = transaction.postings.map(({ source, destination, amount }) =>
        posting(source, destination, amount),
      );
      expect(moved).toEqual([
        posting("carol", "alice", 1n),
        posting("carol", "bob", 3n),
        posting("bob", "alice", 4n),
      ]);
      expect(transaction).toMatchObject({
        reverts: sent.id,
        revertedBy: undefined,
        reference: "undo",
        metadata: { why: "wrong" },
      });
      const original = await transactionOf(reader, sent);
      expect(original).toMatchObject({ revertedBy: reverting.id, reverts: undefined });
      for (const [account, balance] of [
        ["alice", 10n],
        ["bob", 0n],
        ["carol", 0n],
      ] as const)
        expect(await reader.balance(account, asset)).toBe(balance);
    }
  });

  it("R1 is effective now, or with atEffectiveDate when the original was", async () => {
    const [one, other] = [
      await ledger.grant({ to: "alice", asset, amount: 1n, at: day(10) }),
      await ledger.grant({ to: "alice", asset, amount: 1n, at: day(10) }),
    ];
    const now = await ledger.revert(one.id);
    const then = await ledger.revert(other.id, { atEffectiveDate: true });
    expect((await transactionOf(ledger, now)).at).toEqual(day(TODAY));
    expect((await transactionOf(ledger, then)).at).toEqual(day(10));
    expect((await transactionOf(ledger, then)).decidedAt).toEqual(day(TODAY));
    expect(await ledger.balanceAsOf("alice", asset, { effectiveBefore: day(20) })).toBe(1n);
  });

  it("R1 reads the transaction at its place, however long the journal is", async () => {
    const wire = await stage.wire();
    const { id } = await ledger.grant({ to: "alice", asset, amount: 1n });
    for (let time = 0; time < 50; time++)
      await ledger.grant({ to: `account-${time}`, asset, amount: 1n });
    const reading = await stage.other({ refreshMs: 0 }, { servers: wire.url });
    wire.reset();
    await reading.revert(id);
    const subjects = wire.published.map(({ subject }) => subject);
    expect(subjects.filter((subject) => subject.includes("DIRECT.GET"))).toHaveLength(1);
    expect(subjects.filter((subject) => subject.includes("CONSUMER"))).toEqual([]);
    expect(subjects.filter((subject) => subject === stage.journal)).toHaveLength(1);
  });

  it("R1 gives back what was drained, with the expiry that it had", async () => {
    await ledger.grant({ to: "alice", asset, amount: 5n, at: day(1), expiresAt: day(150) });
    await ledger.grant({ to: "alice", asset, amount: 5n, at: day(2) });
    const spent = await ledger.spend({ from: "alice", asset, amount: 8n });
    await ledger.revert(spent.id);
    expect(await ledger.balance("alice", asset)).toBe(10n);
    expect(await ledger.balance("alice", asset, { at: day(150) })).toBe(5n);
  });

  it("R1 takes what the transaction had made from those lots first", async () => {
    await ledger.grant({ to: "alice", asset, amount: 5n, at: day(1) });
    const wrong = await ledger.grant({ to: "alice", asset, amount: 5n, at: day(2) });
    const reverting = await ledger.revert(wrong.id);
    expect(drainedBy(await transactionOf(ledger, reverting))).toEqual([`${wrong.version}.0:5`]);
    expect((await lotsOf(ledger, "alice")).map(([, remaining]) => remaining)).toEqual([5n, 0n]);
  });

  it("R1 of a spend into debt repays that debt", async () => {
    await ledger.openAccount("alice", { overdraft: 50n });
    await ledger.grant({ to: "alice", asset, amount: 10n });
    const spent = await ledger.spend({ from: "alice", asset, amount: 40n });
    await ledger.revert(spent.id);
    expect(await ledger.details("alice", asset)).toMatchObject({ total: 10n, debt: 0n });
  });

  it("R1 of a revert posts the transaction again", async () => {
    const first = await ledger.grant({ to: "alice", asset, amount: 5n });
    const second = await ledger.revert(first.id);
    await ledger.revert(second.id);
    expect(await ledger.balance("alice", asset)).toBe(5n);
    expect((await transactionOf(ledger, second)).revertedBy).toBeDefined();
  });

  it("R2 of a transaction that moved nothing is refused, and posts nothing", async () => {
    const { id } = await ledger.spend(
      { from: "alice", asset, amount: 5n },
      { onShortfall: "partial" },
    );
    const before = ledger.version;
    for (const force of [false, true])
      expect(await refusal(ledger.revert(id, { force }))).toMatchObject({
        code: "precondition_failed",
      });
    expect(ledger.version).toBe(before);
  });

  it("R2 reverts what was moved of a partial transaction, and no more", async () => {
    await ledger.grant({ to: "alice", asset, amount: 3n });
    const spent = await ledger.spend(
      { from: "alice", to: "bob", asset, amount: 5n },
      { onShortfall: "partial" },
    );
    expect((await ledger.revert(spent.id)).amounts).toEqual([3n]);
    expect(await ledger.balance("alice", asset)).toBe(3n);
    expect(await ledger.balance("bob", asset)).toBe(0n);
  });

  it("R3 of an unknown transaction is TransactionNotFoundError", async () => {
    const { position } = await ledger.grant({ to: "alice", asset, amount: 3n });
    const hold = await ledger.hold({ from: "alice", asset, amount: 1n, expiresAt: day(200) });
    const ledgers = await stage.ledgers();
    await ledgers.create("second", { bucket: "eu" });
    const elsewhere = await (await ledgers.open("second")).grant({
      to: "alice",
      asset,
      amount: 1n,
    });
    const opened = await ledger.openAccount("alice", { overdraft: 1n });
    for (const id of [`${position}.1`, "999999.0", "0.0", hold.id, elsewhere.id, opened.id]) {
      const error = await refusal(ledger.revert(id));
      expect(error).toBeInstanceOf(TransactionNotFoundError);
      expect(error).toMatchObject({ code: "transaction_not_found", transactionId: id });
    }
  });

  it("R6 twice is AlreadyRevertedError, for every process", async () => {
    const { id } = await ledger.grant({ to: "alice", asset, amount: 3n });
    const { id: revertedBy } = await ledger.revert(id);
    for (const writer of [ledger, await stage.other()]) {
      const error = await refusal(writer.revert(id, { force: true }));
      expect(error).toBeInstanceOf(AlreadyRevertedError);
      expect(error).toMatchObject({ transactionId: id, revertedBy });
    }
  });

  it("R6 twice at the same time happens once", async () => {
    await ledger.grant({ to: "alice", asset, amount: 30n });
    const { id } = await ledger.grant({ to: "alice", asset, amount: 3n });
    const other = await stage.other();
    const outcomes = await Promise.allSettled(
      [ledger, ledger, other, other].map((of) => of.revert(id)),
    );
    const failed = outcomes.flatMap((of) => (of.status === "rejected" ? [of.reason] : []));
    expect(failed).toHaveLength(3);
    for (const error of failed) expect(error).toBeInstanceOf(AlreadyRevertedError);
    await ledger.refresh();
    expect(await ledger.balance("alice", asset)).toBe(30n);
  });
});

describe("without force", () => {
  it("R7 every account but world must end at 0 or above, whatever its overdraft", async () => {
    await ledger.openAccount("alice", { overdraft: 100n });
    const { id } = await ledger.grant({ to: "alice", asset, amount: 10n });
    await ledger.spend({ from: "alice", asset, amount: 4n });
    const before = await everythingOf(ledger, ["alice"]);
    const error = await refusal(ledger.revert(id));
    expect(error).toBeInstanceOf(InsufficientFundsError);
    expect(error).toMatchObject({ account: "alice", needed: 10n, available: 6n });
    expect(await everythingOf(ledger, ["alice"])).toBe(before);
    await ledger.grant({ to: "alice", asset, amount: 4n });
    await ledger.revert(id);
    expect(await ledger.balance("alice", asset)).toBe(0n);
    expect(await ledger.balance(WORLD, asset)).toBe(0n);
  });

  it("R7 an issuer must have what it gives back, too", async () => {
    await ledger.openAccount("acme", { issuer: true });
    await ledger.grant({ to: "alice", asset, amount: 10n });
    const paid = await ledger.transfer({
      from: "alice",
      asset,
      to: [{ account: "acme", amount: 10n }],
    });
    await ledger.transfer({ from: "acme", asset, to: [{ account: "bob", amount: 5n }] });
    await ledger.spend({ from: "bob", asset, amount: 5n });
    // it has lots of 10 and a debt of 5
    expect(await refusal(ledger.revert(paid.id))).toMatchObject({ account: "acme", available: 5n });
  });

  it("R7 what is held is not there to be given back", async () => {
    const { id } = await ledger.grant({ to: "alice", asset, amount: 10n });
    const hold = await ledger.hold({ from: "alice", asset, amount: 4n, expiresAt: day(200) });
    expect(await refusal(ledger.revert(id))).toMatchObject({ account: "alice", available: 6n });
    await ledger.release(hold.id);
    await ledger.revert(id);
  });

  it("R7 what has expired cannot be taken back; with atEffectiveDate it can", async () => {
    const { id } = await ledger.grant({
      to: "alice",
      asset,
      amount: 10n,
      at: day(1),
      expiresAt: day(50),
    });
    expect(await refusal(ledger.revert(id))).toMatchObject({ account: "alice", available: 0n });
    await ledger.revert(id, { atEffectiveDate: true });
    expect((await ledger.lots("alice", asset)).map(({ remaining }) => remaining)).toEqual([0n]);
    expect(await ledger.trialBalance()).toMatchObject([{ debits: 0n, credits: 0n, expired: 0n }]);
  });

  it("R7 with force, what is missing becomes a debt", async () => {
    const { id } = await ledger.grant({ to: "alice", asset, amount: 10n });
    await ledger.spend({ from: "alice", asset, amount: 7n });
    const { amounts } = await ledger.revert(id, { force: true });
    expect(amounts).toEqual([10n]);
    for (const reader of [ledger, await stage.other()]) {
      expect(await reader.balance("alice", asset)).toBe(-7n);
      expect(await reader.details("alice", asset)).toEqual({ total: -7n, debt: 7n, details: [] });
      expect((await reader.trialBalance())[0]?.difference).toBe(0n);
    }
    await ledger.grant({ to: "alice", asset, amount: 9n });
    expect(await ledger.balance("alice", asset)).toBe(2n);
  });
});

describe("a revert that is sent twice", () => {
  it.each([
    ["idempotency key", {}, { idempotencyKey: "undo-1" }],
    ["reference", { reference: "undo-1" }, {}],
  ] as const)(
    "R8 by one %s happens once, and returns the first result",
    async (_, details, options) => {
      const { id } = await ledger.grant({ to: "alice", asset, amount: 10n });
      const first = await ledger.revert(id, { ...details, ...options });
      expect(first.replayed).toBe(false);
      for (const writer of [ledger, await stage.other()])
        expect(await writer.revert(id, { ...details, ...options })).toEqual({
          ...first,
          replayed: true,
        });
      expect(await ledger.balance("alice", asset)).toBe(0n);
    },
  );

  it("R8 by one key, but of another transaction or in another way, is IdempotencyConflictError", async () => {
    const [one, other] = [
      await ledger.grant({ to: "alice", asset, amount: 10n }),
      await ledger.grant({ to: "alice", asset, amount: 10n }),
    ];
    const idempotencyKey = "undo-1";
    await ledger.revert(one.id, { idempotencyKey });
    for (const again of [
      () => ledger.revert(other.id, { idempotencyKey }),
      () => ledger.revert(one.id, { idempotencyKey, force: true }),
      () => ledger.revert(one.id, { idempotencyKey, atEffectiveDate: true }),
      () => ledger.spend({ from: "alice", asset, amount: 10n }, { idempotencyKey }),
    ])
      expect(await refusal(again())).toMatchObject({ code: "idempotency_conflict" });
    expect(await ledger.balance("alice", asset)).toBe(10n);
  });

  it("R8 changes nothing as a dry run", async () => {
    const { id } = await ledger.grant({ to: "alice", asset, amount: 10n });
    const before = await everythingOf(ledger, ["alice"]);
    expect(await ledger.revert(id, { dryRun: true })).toMatchObject({ id: "", amounts: [10n] });
    expect(await everythingOf(ledger, ["alice"])).toBe(before);
    await ledger.revert(id);
  });
});
