import { afterEach, describe, expect, it } from "vitest";
import { InvalidArgumentError } from "../../../src/index.ts";
import { InsufficientFundsError, type Ledger } from "../../../src/ledger/index.ts";
import {
  after,
  CREDIT,
  day,
  drainedBy,
  LedgerStage,
  lotsOf,
  refusal,
  there,
  transactionOf,
} from "./ledger-stage.ts";

let stage: LedgerStage;
let ledger: Ledger;

async function open(...settings: Parameters<typeof LedgerStage.create>): Promise<void> {
  ({ stage, ledger } = await LedgerStage.create(...settings));
}

afterEach(() => stage[Symbol.asyncDispose]());

const MAX_AMOUNT = (1n << 127n) - 1n;

describe("granting", () => {
  it("L1 makes one lot of each granting posting, named by its transaction and its number there", async () => {
    await open();
    const at = day(10);
    const expiresAt = day(200);
    const grant = { source: "world", asset: CREDIT };
    const { id } = await ledger.post({
      reference: "welcome",
      at,
      postings: [
        { ...grant, destination: "alice", amount: 100n, expiresAt },
        { ...grant, destination: "alice", amount: 100n, expiresAt },
        { ...grant, destination: "bob", amount: 7n },
        { ...grant, destination: "alice", amount: 3n, asset: "GOLD" },
      ],
    });
    const lot = { transactionId: id, reference: "welcome", grantedAt: at };
    expect(await ledger.lots("alice", CREDIT)).toEqual([
      { ...lot, index: 0, expiresAt, amount: 100n, remaining: 100n },
      { ...lot, index: 1, expiresAt, amount: 100n, remaining: 100n },
    ]);
    expect(await ledger.lots("bob", CREDIT)).toEqual([
      { ...lot, index: 2, expiresAt: null, amount: 7n, remaining: 7n },
    ]);
    expect(await ledger.lots("alice", "GOLD")).toEqual([
      { ...lot, index: 3, expiresAt: null, amount: 3n, remaining: 3n },
    ]);
    expect((await transactionOf(ledger, { id })).postings.map(({ made }) => made)).toEqual([
      [{ lotIndex: 0, amount: 100n, expiresAt }],
      [{ lotIndex: 1, amount: 100n, expiresAt }],
      [{ lotIndex: 2, amount: 7n, expiresAt: null }],
      [{ lotIndex: 3, amount: 3n, expiresAt: null }],
    ]);
  });

  it("L1 dates a lot of a grant without a time by the moment of its decision", async () => {
    await open();
    const { decidedAt } = await ledger.grant({ to: "alice", asset: CREDIT, amount: 1n });
    expect(decidedAt).toEqual(new Date(stage.nowMs));
    expect((await ledger.lots("alice", CREDIT))[0]?.grantedAt).toEqual(decidedAt);
  });

  it.each([1n, 2n ** 53n + 1n, 2n ** 64n + 1n, MAX_AMOUNT])(
    "L2 keeps the amount %d exact, in memory and in the journal",
    async (amount) => {
      await open();
      const result = await ledger.grant({ to: "alice", asset: CREDIT, amount });
      expect(result.amounts).toEqual([amount]);
      for (const reader of [ledger, await stage.other()]) {
        expect(await reader.balance("alice", CREDIT)).toBe(amount);
        expect(await reader.balance("world", CREDIT)).toBe(-amount);
        expect((await reader.lots("alice", CREDIT))[0]?.amount).toBe(amount);
        expect((await transactionOf(reader, result)).postings[0]?.amount).toBe(amount);
      }
      await ledger.spend({ from: "alice", asset: CREDIT, amount });
      expect(await ledger.balance("alice", CREDIT)).toBe(0n);
    },
  );

  it("L2 keeps sums exact that no amount could be", async () => {
    await open();
    for (let time = 0; time < 3; time++)
      await ledger.grant({ to: "alice", asset: CREDIT, amount: MAX_AMOUNT });
    expect(await ledger.balance("alice", CREDIT)).toBe(3n * MAX_AMOUNT);
    expect(await (await stage.other()).balance("alice", CREDIT)).toBe(3n * MAX_AMOUNT);
  });

  it.each([0n, -1n, MAX_AMOUNT + 1n, 5, 0.5, "5", null, undefined])(
    "L2 refuses the amount %s",
    async (amount) => {
      await open();
      const error = await refusal(
        ledger.grant({ to: "alice", asset: CREDIT, amount: amount as bigint }),
      );
      expect(error).toBeInstanceOf(InvalidArgumentError);
      expect(error).toMatchObject({ argument: "amount" });
      expect(ledger.version).toBe(1);
    },
  );

  it("L2 takes no expiry for null", async () => {
    await open();
    await ledger.grant({ to: "alice", asset: CREDIT, amount: 1n, expiresAt: null });
    await ledger.grant({ to: "alice", asset: CREDIT, amount: 1n, expiresAt: undefined });
    expect((await lotsOf(ledger, "alice")).map(([, , expiresAt]) => expiresAt)).toEqual([
      null,
      null,
    ]);
    expect(await ledger.balance("alice", CREDIT, { at: new Date(8.64e15) })).toBe(2n);
  });

  it.each([0, -1, -86_400_000])(
    "L2 allows an expiry %i ms after the grant, which is never spendable",
    async (ms) => {
      await open();
      const at = day(10);
      await ledger.grant({ to: "alice", asset: CREDIT, amount: 5n, at, expiresAt: after(at, ms) });
      expect(await ledger.balance("alice", CREDIT, { at })).toBe(0n);
      for (const instant of [after(at, ms - 1), after(at, ms), after(at, -1), at, after(at, 1)]) {
        const spending = ledger.spend({ from: "alice", asset: CREDIT, amount: 1n, at: instant });
        expect(await refusal(spending)).toMatchObject({
          code: "insufficient_funds",
          available: 0n,
        });
      }
      expect((await ledger.lots("alice", CREDIT))[0]?.remaining).toBe(5n);
    },
  );
});

/** Grants of 1 each to alice, in the order in which they are posted; the first is entry 2 of the journal. */
async function grantAll(
  grants: readonly { at: Date; reference?: string; expiresAt?: Date | null }[],
): Promise<void> {
  for (const grant of grants)
    await ledger.grant({ to: "alice", asset: CREDIT, amount: 1n, ...grant });
}

describe("the order of draining", () => {
  it("L3 is granted at, reference by code unit or none, transaction, number", async () => {
    await open();
    await grantAll([
      { at: day(3), reference: "b" }, // entry 2
      { at: day(3), reference: "\uff5e" }, // entry 3, above all surrogates
      { at: day(3), reference: "\u{1f600}" }, // entry 4
      { at: day(3), reference: "B" }, // entry 5
      { at: day(3) }, // entry 6
      { at: day(1), reference: "z" }, // entry 7
    ]);
    const posting = { source: "world", destination: "alice", asset: CREDIT, amount: 1n };
    await ledger.post({ at: day(3), postings: [posting, posting] }); // entry 8
    const spent = await ledger.spend({ from: "alice", asset: CREDIT, amount: 8n, at: day(4) });
    const order = ["7.0", "6.0", "8.0", "8.1", "5.0", "2.0", "4.0", "3.0"];
    expect(drainedBy(await transactionOf(ledger, spent))).toEqual(order.map((lot) => `${lot}:1`));
    const references = (await ledger.lots("alice", CREDIT)).map(({ reference }) => reference);
    const none = undefined;
    expect(references).toEqual(["z", none, none, none, "B", "b", "\u{1f600}", "\uff5e"]);
  });

  it("L3 is expiry first, never-expiring last, then the same, where the ledger was created so", async () => {
    await open({ drainPolicy: "expiration-first@1" });
    await grantAll([
      { at: day(1) }, // entry 2
      { at: day(3), expiresAt: day(300), reference: "b" }, // entry 3
      { at: day(3), expiresAt: day(300), reference: "a" }, // entry 4
      { at: day(2), expiresAt: day(300), reference: "c" }, // entry 5
      { at: day(4), expiresAt: day(200) }, // entry 6
      { at: day(0) }, // entry 7
    ]);
    const spent = await ledger.spend({ from: "alice", asset: CREDIT, amount: 6n, at: day(5) });
    const order = ["6.0", "5.0", "4.0", "3.0", "7.0", "2.0"];
    expect(drainedBy(await transactionOf(ledger, spent))).toEqual(order.map((lot) => `${lot}:1`));
  });

  it("L3 does not depend on the expiry in a ledger that was created without a policy", async () => {
    await open();
    await grantAll([{ at: day(1) }, { at: day(2), expiresAt: day(200) }]);
    const spent = await ledger.spend({ from: "alice", asset: CREDIT, amount: 1n, at: day(5) });
    expect(drainedBy(await transactionOf(ledger, spent))).toEqual(["2.0:1"]);
  });

  it.each([undefined, "emission-first@1", "expiration-first@1"] as const)(
    "L3 stands in the journal with name and version (created with %s)",
    async (drainPolicy) => {
      await open({ drainPolicy });
      const journal = (await stage.store()).read({ type: "journal", id: "main" });
      const { value } = await journal[Symbol.asyncIterator]().next();
      expect(there<{ data: unknown }>(value).data).toContain(drainPolicy ?? "emission-first@1");
    },
  );
});

describe("what can be drained", () => {
  const granted = day(10);
  const expiresAt = day(20);

  it.each([
    ["a moment before it was granted", after(granted, -1), false],
    ["at the instant of its grant", granted, true],
    ["a moment before its expiry", after(expiresAt, -1), true],
    ["at the instant of its expiry", expiresAt, false],
    ["long after", day(50), false],
  ] as const)("L4 is decided by the transaction's own time: %s", async (_, at, isDrainable) => {
    await open();
    await ledger.grant({ to: "alice", asset: CREDIT, amount: 5n, at: granted, expiresAt });
    const spending = ledger.spend({ from: "alice", asset: CREDIT, amount: 5n, at });
    if (isDrainable) expect((await spending).amounts).toEqual([5n]);
    else expect(await refusal(spending)).toBeInstanceOf(InsufficientFundsError);
  });

  it("L4 is decided by the clock where the transaction has no time of its own", async () => {
    await open();
    await ledger.grant({ to: "alice", asset: CREDIT, amount: 5n, expiresAt: day(200) });
    stage.nowMs = day(200).getTime() - 1;
    await ledger.spend({ from: "alice", asset: CREDIT, amount: 2n });
    stage.nowMs++;
    const error = await refusal(ledger.spend({ from: "alice", asset: CREDIT, amount: 2n }));
    expect(error).toMatchObject({ code: "insufficient_funds", needed: 2n, available: 0n });
  });
});
