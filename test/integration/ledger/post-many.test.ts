import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  BatchRefusedError,
  type Ledger,
  type PostManyItem,
  type PostOutcome,
  WORLD,
} from "../../../src/ledger/index.ts";
import { CREDIT, everythingOf, LedgerStage, refusal } from "./ledger-stage.ts";

let stage: LedgerStage;
let ledger: Ledger;

beforeEach(async () => {
  ({ stage, ledger } = await LedgerStage.create());
  await ledger.grant({ to: "alice", asset: CREDIT, amount: 10n });
});

afterEach(() => stage[Symbol.asyncDispose]());

const asset = CREDIT;

function pay(
  source: string,
  destination: string,
  amount: bigint,
  more: Partial<PostManyItem> = {},
): PostManyItem {
  return { postings: [{ source, destination, asset, amount }], ...more };
}

/** What became of each: what it moved, or the code of its error. */
function inShort(outcomes: readonly PostOutcome[]): unknown[] {
  return outcomes.map((outcome) => {
    if (outcome.status === "posted") return outcome.result.amounts;
    return "code" in outcome.error ? outcome.error.code : outcome.error;
  });
}

function positionsOf(outcomes: readonly PostOutcome[]): Set<number> {
  return new Set(outcomes.map((of) => (of.status === "posted" ? of.result.position : -1)));
}

describe("postMany of independent transactions", () => {
  it("gives one result each, in their order; refusals do not hurt others", async () => {
    const outcomes = await ledger.postMany([
      pay("alice", "bob", 6n),
      pay("alice", "bob", 6n),
      pay("alice", "carol", 4n),
      pay("nobody", "bob", 1n),
      pay("bob", "carol", 6n),
    ]);
    const short = "insufficient_funds";
    expect(inShort(outcomes)).toEqual([[6n], short, [4n], short, [6n]]);
    expect(outcomes[1]).toMatchObject({ error: { account: "alice", needed: 6n, available: 4n } });
    for (const reader of [ledger, await stage.other()])
      expect(await reader.balance("carol", asset)).toBe(10n);
    const ids = outcomes.flatMap((of) => (of.status === "posted" ? [of.result.id] : []));
    expect(new Set(ids).size).toBe(3);
  });

  it("gives each its own key, reference, precondition and shortfall", async () => {
    const gte = (amount: bigint) => ({ balance: { account: "alice", asset, gte: amount } });
    const outcomes = await ledger.postMany([
      pay("alice", "bob", 2n, { idempotencyKey: "k", reference: "r" }),
      pay("alice", "bob", 2n, { idempotencyKey: "k", reference: "r" }),
      pay("alice", "bob", 3n, { idempotencyKey: "k" }),
      pay("alice", "bob", 3n, { reference: "r" }),
      pay("alice", "bob", 3n, { expect: gte(9n) }),
      pay("alice", "bob", 3n, { expect: gte(8n) }),
      pay("alice", "bob", 30n, { onShortfall: "partial" }),
    ]);
    expect(inShort(outcomes)).toEqual([
      [2n],
      [2n],
      "idempotency_conflict",
      "duplicate_reference",
      "precondition_failed",
      [3n],
      [5n],
    ]);
    expect(outcomes.slice(0, 2)).toMatchObject([
      { result: { replayed: false } },
      { result: { replayed: true } },
    ]);
  });

  it("tries each on its own as a dry run, and changes nothing", async () => {
    const before = await everythingOf(ledger, ["alice", "bob"]);
    const items = [pay("alice", "bob", 6n), pay("alice", "bob", 6n), pay("alice", "bob", 11n)];
    const outcomes = await ledger.postMany(items, { dryRun: true });
    expect(inShort(outcomes)).toEqual([[6n], [6n], "insufficient_funds"]);
    expect(outcomes[0]).toMatchObject({ result: { id: "" } });
    expect(await everythingOf(ledger, ["alice", "bob"])).toBe(before);
  });

  it("takes more than fit into one commit", async () => {
    const items = Array.from({ length: 5_000 }, (_, at) => pay(WORLD, `account-${at % 7}`, 1n));
    const outcomes = await ledger.postMany(items);
    expect(outcomes.every(({ status }) => status === "posted")).toBe(true);
    expect(await ledger.balance(WORLD, asset)).toBe(-5_010n);
    expect(positionsOf(outcomes).size).toBeGreaterThan(1);
  });

  it("tells of each what became of it where the queue is full", async () => {
    const narrow = await stage.other({ maxQueuedCommands: 5 });
    const items = Array.from({ length: 20 }, () => pay(WORLD, "bob", 1n));
    const outcomes = await narrow.postMany(items);
    expect(outcomes).toHaveLength(20);
    const posted = outcomes.filter(({ status }) => status === "posted").length;
    expect(posted).toBeGreaterThanOrEqual(5);
    expect(posted).toBeLessThan(20);
    for (const outcome of outcomes)
      if (outcome.status === "refused") expect(outcome.error).toMatchObject({ code: "overloaded" });
    expect(await narrow.balance("bob", asset)).toBe(BigInt(posted));
  });
});

describe("an atomic postMany", () => {
  const atomic = { atomic: true } as const;

  it("posts all in one commit, each on what the ones before have left", async () => {
    const outcomes = await ledger.postMany(
      [pay("alice", "bob", 10n), pay("bob", "carol", 10n), pay("carol", "dave", 4n)],
      atomic,
    );
    expect(inShort(outcomes)).toEqual([[10n], [10n], [4n]]);
    expect(positionsOf(outcomes).size).toBe(1);
    for (const reader of [ledger, await stage.other()])
      expect(await reader.balance("carol", asset)).toBe(6n);
  });

  it("posts none where one is refused: that one has its own error, the others BatchRefusedError", async () => {
    const before = await everythingOf(ledger, ["alice", "bob", "carol"]);
    const outcomes = await ledger.postMany(
      [
        pay("alice", "bob", 10n, { reference: "r", idempotencyKey: "k" }),
        pay("alice", "carol", 1n),
        pay("alice", "carol", 2n),
      ],
      atomic,
    );
    const refused = "batch_refused";
    expect(inShort(outcomes)).toEqual([refused, "insufficient_funds", refused]);
    expect(outcomes[0]).toMatchObject({ error: { index: 1, cause: { needed: 1n } } });
    expect(outcomes[2]).toMatchObject({ error: expect.any(BatchRefusedError) });
    expect(await everythingOf(ledger, ["alice", "bob", "carol"])).toBe(before);
    // nor does it take its keys and references away
    const again = pay("alice", "bob", 3n, { reference: "r", idempotencyKey: "k" });
    expect(inShort(await ledger.postMany([again], atomic))).toEqual([[3n]]);
  });

  it("is refused by the first that is, whatever comes behind it", async () => {
    await ledger.openAccount("frozen", { frozen: true });
    const outcomes = await ledger.postMany(
      [pay("alice", "bob", 1n), pay("alice", "frozen", 1n), pay("nobody", "bob", 1n)],
      atomic,
    );
    expect(inShort(outcomes)).toEqual(["batch_refused", "account_not_usable", "batch_refused"]);
  });

  it("repeated with the same keys is replayed as a whole", async () => {
    const items = [1n, 2n].map((amount) =>
      pay("alice", "bob", amount, { idempotencyKey: `k${amount}` }),
    );
    const first = await ledger.postMany(items, atomic);
    for (const writer of [ledger, await stage.other()]) {
      const again = await writer.postMany(items, atomic);
      expect(again).toEqual(
        first.map((of) =>
          of.status === "posted" ? { ...of, result: { ...of.result, replayed: true } } : of,
        ),
      );
    }
    expect(await ledger.balance("bob", asset)).toBe(3n);
  });

  it("takes a key once also within itself", async () => {
    const items = [
      pay("alice", "bob", 2n, { idempotencyKey: "k" }),
      pay("alice", "bob", 2n, { idempotencyKey: "k" }),
    ];
    const outcomes = await ledger.postMany(items, atomic);
    expect(outcomes).toMatchObject([
      { result: { replayed: false } },
      { result: { replayed: true } },
    ]);
    expect(await ledger.balance("bob", asset)).toBe(2n);
    const clashing = [
      pay("alice", "bob", 1n, { idempotencyKey: "l" }),
      pay("alice", "bob", 2n, { idempotencyKey: "l" }),
    ];
    const refused = await ledger.postMany(clashing, atomic);
    expect(inShort(refused)).toEqual(["batch_refused", "idempotency_conflict"]);
    expect(await ledger.balance("bob", asset)).toBe(2n);
  });

  it("checks preconditions on what the ones before have left", async () => {
    const expectation = { balance: { account: "alice", asset, gte: 10n } };
    const one = pay("alice", "bob", 1n, { expect: expectation });
    expect(inShort(await ledger.postMany([one, one], atomic))).toEqual([
      "batch_refused",
      "precondition_failed",
    ]);
    expect(inShort(await ledger.postMany([one], atomic))).toEqual([[1n]]);
  });

  it("tries all together as a dry run, and changes nothing", async () => {
    const before = await everythingOf(ledger, ["alice", "bob", "carol"]);
    const dry = { ...atomic, dryRun: true };
    const items = [pay("alice", "bob", 10n, { idempotencyKey: "k" }), pay("bob", "carol", 10n)];
    const outcomes = await ledger.postMany(items, dry);
    expect(inShort(outcomes)).toEqual([[10n], [10n]]);
    expect(outcomes).toMatchObject([
      { result: { id: "", version: 3 } },
      { result: { version: 4 } },
    ]);
    expect(inShort(await ledger.postMany([...items, pay("alice", "bob", 1n)], dry))).toEqual([
      "batch_refused",
      "batch_refused",
      "insufficient_funds",
    ]);
    expect(await everythingOf(ledger, ["alice", "bob", "carol"])).toBe(before);
    expect(inShort(await ledger.postMany(items, atomic))).toEqual([[10n], [10n]]);
  });

  it("of too many is TransactionTooLargeError, and posts nothing", async () => {
    const items = Array.from({ length: 1_001 }, () => pay(WORLD, "bob", 1n));
    const error = await refusal(ledger.postMany(items, atomic));
    expect(error).toMatchObject({ code: "transaction_too_large", size: 1_001, limit: 1_000 });
    expect(ledger.version).toBe(2);
    expect(positionsOf(await ledger.postMany(items.slice(1), atomic)).size).toBe(1);
  });

  it("of too many bytes is TransactionTooLargeError, posts nothing, and hurts nobody beside it", async () => {
    const metadata = { note: "x".repeat(100_000) };
    const items = Array.from({ length: 30 }, () => pay(WORLD, "bob", 1n, { metadata }));
    const [before, batch, behind] = await Promise.allSettled([
      ledger.grant({ to: "carol", asset, amount: 1n }),
      ledger.postMany(items, atomic),
      ledger.grant({ to: "carol", asset, amount: 1n }),
    ]);
    expect([before.status, behind.status]).toEqual(["fulfilled", "fulfilled"]);
    const errors =
      batch.status === "rejected"
        ? [batch.reason]
        : batch.value.flatMap((of) => (of.status === "refused" ? [of.error] : []));
    expect(errors.length).toBeGreaterThan(0);
    expect(errors.some((error: { code?: string }) => error.code === "transaction_too_large")).toBe(
      true,
    );
    expect(await ledger.balance("bob", asset)).toBe(0n);
    expect(await ledger.balance("carol", asset)).toBe(2n);
  });

  it("by two processes at once is one behind the other, whole", async () => {
    const other = await stage.other();
    const items = Array.from({ length: 10 }, () => pay("alice", "bob", 1n));
    const all = await Promise.all([ledger.postMany(items, atomic), other.postMany(items, atomic)]);
    const statuses = all.map((outcomes) => new Set(outcomes.map(({ status }) => status)));
    expect(statuses.map((set) => [...set].join()).toSorted()).toEqual(["posted", "refused"]);
    expect(await ledger.balance("bob", asset, { fresh: true })).toBe(10n);
  });
});

describe("the order of errors", () => {
  const usable = pay("alice", "bob", 1n, { idempotencyKey: "k", reference: "r" });

  /** All that can be wrong with one transaction, the first error first. */
  const wrongs: readonly (readonly [string, Partial<PostManyItem>])[] = [
    ["idempotency_conflict", { idempotencyKey: "k" }],
    ["duplicate_reference", { reference: "r" }],
    ["precondition_failed", { expect: { version: 1 } }],
    ["precondition_failed", { expect: { balance: { account: "alice", asset, gte: 1_000n } } }],
    ["account_not_usable", pay("alice", "frozen", 1n)],
    ["insufficient_funds", pay("alice", "bob", 1_000n)],
    ["transaction_too_large", { metadata: { note: "x".repeat(600_000) } }],
  ];

  it.each(wrongs.map(([code], at) => [code, at] as const))(
    "puts %s before all that come after it in the documentation (%i)",
    async (code, at) => {
      await ledger.openAccount("frozen", { frozen: true });
      await ledger.postMany([usable]);
      const before = ledger.version;
      const wrong = wrongs
        .slice(at)
        .toReversed()
        .reduce<PostManyItem>(
          (item, [, more]) => {
            const { expect: expected = {} } = more;
            return { ...item, ...more, expect: { ...item.expect, ...expected } };
          },
          pay("alice", "bob", 2n),
        );
      for (const atomic of [false, true])
        expect(inShort(await ledger.postMany([wrong], { atomic }))).toEqual([code]);
      expect(ledger.version).toBe(before);
    },
  );
});
