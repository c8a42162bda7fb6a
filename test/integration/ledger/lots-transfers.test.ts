import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { InvalidArgumentError } from "../../../src/index.ts";
import { type Ledger, type Ledgers, type Posting, WORLD } from "../../../src/ledger/index.ts";
import {
  allTransactions,
  CREDIT,
  day,
  drainedBy,
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

/** Lots of 5 each for alice, in draining order. */
async function grantLots(...expiries: readonly (Date | null)[]): Promise<void> {
  for (const [at, expiresAt] of expiries.entries())
    await ledger.grant({ to: "alice", asset, amount: 5n, at: day(at + 1), expiresAt });
}

describe("a transfer", () => {
  it.each([
    ["never, never", null, null, null],
    ["never, later", null, day(300), day(300)],
    ["earlier, never", day(200), null, day(200)],
    ["earlier, later", day(200), day(300), day(200)],
    ["later, earlier", day(300), day(200), day(200)],
    ["the same twice", day(200), day(200), day(200)],
  ] as const)(
    "L8 gives a lot that expires at the earlier of the source's and the requested expiry (%s)",
    async (_, ofSource, requested, expected) => {
      await grantLots(ofSource);
      const to = [{ account: "bob", amount: 5n, expiresAt: requested }];
      await ledger.transfer({ from: "alice", asset, to });
      expect(await lotsOf(ledger, "bob")).toEqual([[0, 5n, expected]]);
    },
  );

  it("L8 merges adjacent portions of equal expiry, and no others", async () => {
    await grantLots(day(300), null, day(150), day(300));
    const { id } = await ledger.transfer({
      from: "alice",
      asset,
      to: [{ account: "bob", amount: 20n, expiresAt: day(250) }],
    });
    const slices = [
      { lotIndex: 0, amount: 10n, expiresAt: day(250) },
      { lotIndex: 1, amount: 5n, expiresAt: day(150) },
      { lotIndex: 2, amount: 5n, expiresAt: day(250) },
    ];
    expect((await transactionOf(ledger, { id })).postings[0]?.made).toEqual(slices);
    const lots = await ledger.lots("bob", asset);
    expect(lots).toMatchObject(slices.map(({ lotIndex: index, ...lot }) => ({ index, ...lot })));
    for (const lot of lots) expect(lot).toMatchObject({ transactionId: id, grantedAt: day(100) });
  });

  it("L8 numbers the receiver's slices first, then the sender's debit, posting by posting", async () => {
    await grantLots(day(300), day(150), day(200));
    const to = [
      { account: "bob", amount: 7n },
      { account: "carol", amount: 8n },
    ];
    const { id } = await ledger.transfer({ from: "alice", asset, to });
    const { postings } = await transactionOf(ledger, { id });
    expect(postings.map(({ made }) => made?.map(({ lotIndex }) => lotIndex))).toEqual([
      [0, 1],
      [3, 4],
    ]);
    const third = await ledger.post({
      postings: [
        { source: "bob", destination: "carol", asset, amount: 1n },
        { source: WORLD, destination: "bob", asset, amount: 1n },
        { source: WORLD, destination: "bob", asset, amount: 1n },
      ],
    });
    const numbers = (await transactionOf(ledger, third)).postings.map(
      ({ made }) => made?.[0]?.lotIndex,
    );
    expect(numbers).toEqual([0, 2, 3]);
  });

  it("L10 from world mints with the requested expiry and drains nothing", async () => {
    const to = [
      { account: "alice", amount: 5n, expiresAt: day(200) },
      { account: "bob", amount: 6n },
    ];
    const { id } = await ledger.transfer({ from: WORLD, asset, to });
    const { postings } = await transactionOf(ledger, { id });
    expect(postings.map(({ drained }) => drained)).toEqual([undefined, undefined]);
    expect(await lotsOf(ledger, "alice")).toEqual([[0, 5n, day(200)]]);
    expect(await lotsOf(ledger, "bob")).toEqual([[1, 6n, null]]);
    expect(await ledger.balance(WORLD, asset)).toBe(-11n);
  });

  it("L10 from an issuer does the same, whatever the issuer has", async () => {
    await ledger.openAccount("acme", { issuer: true });
    await ledger.grant({ to: "acme", asset, amount: 4n, expiresAt: day(150) });
    const to = [{ account: "bob", amount: 9n, expiresAt: day(300) }];
    const { id } = await ledger.transfer({ from: "acme", asset, to });
    expect(drainedBy(await transactionOf(ledger, { id }))).toBeUndefined();
    for (const reader of [ledger, await stage.other()]) {
      expect(await lotsOf(reader, "bob")).toEqual([[0, 9n, day(300)]]);
      expect(await lotsOf(reader, "acme")).toEqual([[0, 4n, day(150)]]);
      expect(await reader.balance("acme", asset)).toBe(-5n);
      expect(await reader.available("acme", asset)).toBe("unlimited");
    }
  });

  it.each([
    [
      "transfer",
      () => ledger.transfer({ from: "a", asset, to: [{ account: "a", amount: 1n }] }),
      "to[0].account",
    ],
    ["grant", () => ledger.grant({ from: "a", to: "a", asset, amount: 1n }), "to"],
    ["grant to world", () => ledger.grant({ to: WORLD, asset, amount: 1n }), "to"],
    ["spend", () => ledger.spend({ from: "a", to: "a", asset, amount: 1n }), "to"],
    [
      "post",
      () => ledger.post({ postings: [{ source: "a", destination: "a", asset, amount: 1n }] }),
      "postings[0].destination",
    ],
  ] as const)("L11 to oneself is refused (%s)", async (_, command, argument) => {
    await ledger.grant({ to: "a", asset, amount: 1n });
    const error = await refusal(command());
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error).toMatchObject({ argument });
    expect(ledger.version).toBe(2);
  });

  it("L11 names each recipient once", async () => {
    await grantLots(null);
    const to = ["bob", "carol", "bob"].map((account) => ({ account, amount: 1n }));
    const error = await refusal(ledger.transfer({ from: "alice", asset, to }));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error).toMatchObject({ argument: "to[2].account" });
    expect(ledger.version).toBe(2);
  });
});

const people = ["a", "b", "c", "d"];
const days = fc.constantFrom(null, 110, 120, 130, 140, 150);
const step = fc.record({
  from: fc.nat(3),
  to: fc.nat(3),
  amount: fc.bigInt(1n, 12n),
  expiry: days,
});

/** What of a posting lives beyond an instant. */
function livingBeyond(parts: Posting["drained"] | Posting["made"], instant: number): bigint {
  return (parts ?? [])
    .filter(({ expiresAt }) => expiresAt === null || expiresAt.getTime() > instant)
    .reduce((sum, { amount }) => sum + amount, 0n);
}

describe("chains of transfers", () => {
  it("L9 never make a credit live longer", async () => {
    const ledgers: Ledgers = await stage.ledgers();
    let runs = 0;
    const property = fc.asyncProperty(
      fc.array(fc.record({ to: fc.nat(3), amount: fc.bigInt(1n, 20n), expiry: days }), {
        minLength: 1,
        maxLength: 6,
      }),
      fc.array(step, { minLength: 1, maxLength: 30 }),
      fc.constantFrom("emission-first@1" as const, "expiration-first@1" as const),
      async (grants, steps, drainPolicy) => {
        const name = `run-${runs++}`;
        await ledgers.create(name, { bucket: "runs", settings: { drainPolicy } });
        const chained = await ledgers.open(name);
        const dateOf = (expiry: number | null): Date | null =>
          expiry === null ? null : day(expiry);
        const granting = grants.map(({ to, amount, expiry }) =>
          chained.grant({ to: people[to] ?? "a", asset, amount, expiresAt: dateOf(expiry) }),
        );
        const moving = steps
          .filter(({ from, to }) => from !== to)
          .map(({ from, to, amount, expiry }) => {
            const item = { account: people[to] ?? "a", amount, expiresAt: dateOf(expiry) };
            const input = { from: people[from] ?? "a", asset, to: [item] };
            return chained.transfer(input, { onShortfall: "partial" });
          });
        await Promise.all([...granting, ...moving]);
        for (const { postings } of await allTransactions(chained)) {
          for (const { source, amount, drained, made } of postings) {
            if (source === WORLD) continue;
            expect(livingBeyond(made, -Infinity)).toBe(amount);
            for (const instant of [105, 115, 125, 135, 145, 1_000].map((of) => day(of).getTime()))
              expect(livingBeyond(made, instant) <= livingBeyond(drained, instant)).toBe(true);
          }
        }
        // and over the whole: at no later instant is there more than what was granted beyond it
        for (const of of [105, 115, 125, 135, 145, 1_000]) {
          const at = day(of);
          const granted = grants
            .filter(({ expiry }) => expiry === null || day(expiry) > at)
            .reduce((sum, { amount }) => sum + amount, 0n);
          let left = 0n;
          for (const account of people) left += await chained.balance(account, asset, { at });
          expect(left <= granted).toBe(true);
        }
      },
    );
    await fc.assert(property, { numRuns: 25 });
  });
});
