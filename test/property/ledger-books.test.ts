import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Books, type ChangeSet } from "../../src/ledger/books.ts";
import type { HoldingCell } from "../../src/ledger/cells.ts";
import { Holding } from "../../src/ledger/holding.ts";

const NAMES = ["a", "b", "c"];
const ASSETS = ["GOLD", "IRON"];
const EDGE = BigInt(Number.MAX_SAFE_INTEGER);

/** Balances as a map, with the same two levels of undoing. */
interface Naive {
  value: Map<string, bigint>;
  confirmed: Map<string, bigint>;
  before: Map<string, bigint>;
  closed: Map<string, bigint>[];
  /** Names that were moved from or to in the open group, in each closed one, and where the confirmed ones stand. */
  touched: Set<string>;
  touchedBefore: Set<string>;
  touchedClosed: Set<string>[];
  position: number;
  places: Map<string, number[]>;
}

function nothing(): Naive {
  return {
    value: new Map(),
    confirmed: new Map(),
    before: new Map(),
    closed: [],
    touched: new Set(),
    touchedBefore: new Set(),
    touchedClosed: [],
    position: 0,
    places: new Map(),
  };
}

interface Real {
  readonly books: Books;
  readonly closed: ChangeSet[];
}

type Step = fc.Command<Naive, Real>;

function cellOf({ books }: Real, name: string, asset: string): HoldingCell {
  return books.holding(books.account(name), asset);
}

/** What stands in the books of each holding that is known there. */
function found({ books }: Real, which: "value" | "confirmed"): Record<string, bigint> {
  const all: [string, bigint][] = [];
  for (const { name, holdings } of books.accounts.values()) {
    for (const holding of holdings) {
      const balance = holding[which]?.balance;
      if (balance !== undefined) all.push([`${name} ${holding.asset}`, balance]);
      if (which === "confirmed") expect(holding.confirmedAt(0)).toBe(balance);
    }
  }
  return Object.fromEntries(all);
}

function check(naive: Naive, real: Real): void {
  expect(found(real, "value")).toEqual(Object.fromEntries(naive.value));
  expect(found(real, "confirmed")).toEqual(Object.fromEntries(naive.confirmed));
}

function step(text: string, run: (naive: Naive, real: Real) => void): Step {
  return {
    check: () => true,
    run: (naive, real) => {
      run(naive, real);
      check(naive, real);
    },
    toString: () => text,
  };
}

const amounts = fc.oneof(
  fc.bigInt({ min: 1n, max: 5n }),
  fc.bigInt({ min: EDGE - 3n, max: EDGE + 3n }),
  fc.bigInt({ min: EDGE * 2n - 3n, max: EDGE * 2n + 3n }),
);

const holdings = fc.record({ name: fc.constantFrom(...NAMES), asset: fc.constantFrom(...ASSETS) });

function assertSame(isSum: boolean, mustBeSum: boolean): void {
  expect(isSum).toBe(mustBeSum);
}

function assertPlaces(found: readonly number[] | undefined, expected: readonly number[]): void {
  expect(found).toEqual(expected);
}

/** As a transaction: from a sum to a sum where that can be, whole otherwise. */
const moves = fc
  .record({ from: holdings, to: fc.constantFrom(...NAMES), amount: amounts })
  .map(({ from: { name, asset }, to, amount }) =>
    step(`move ${amount} ${asset} from ${name} to ${to}`, (naive, real) => {
      if (name === to) return;
      const source = cellOf(real, name, asset);
      const destination = cellOf(real, to, asset);
      const isSum = real.books.move(source.slot, destination.slot, amount, -Infinity);
      const left = (naive.value.get(`${name} ${asset}`) ?? 0n) - amount;
      const reached = (naive.value.get(`${to} ${asset}`) ?? 0n) + amount;
      const mustBeSum = amount <= EDGE && left >= -EDGE && reached <= EDGE && fits(naive, asset);
      assertSame(isSum, mustBeSum);
      if (!isSum) {
        real.books.put(source, new Holding(left, 0n, undefined));
        real.books.put(destination, new Holding(reached, 0n, undefined));
      }
      naive.touched.add(name).add(to);
      naive.value.set(`${name} ${asset}`, left);
      naive.value.set(`${to} ${asset}`, reached);

      /** Whether both were exact as numbers before. */
      function fits({ value }: Naive, of: string): boolean {
        const both = [value.get(`${name} ${of}`) ?? 0n, value.get(`${to} ${of}`) ?? 0n];
        return both.every((balance) => balance >= -EDGE && balance <= EDGE);
      }
    }),
  );

const steps: fc.Arbitrary<Step>[] = [
  moves,
  // not at each step: what is read is brought to the accounts
  fc.constant(
    step("look where they were touched", ({ places }, { books }) => {
      for (const [name, positions] of places)
        assertPlaces(books.accounts.get(name)?.places?.toArray(), positions);
    }),
  ),
  fc.constant(
    step("begin", (naive, { books }) => {
      books.begin();
      naive.before = new Map(naive.value);
      naive.touchedBefore = new Set(naive.touched);
    }),
  ),
  fc.constant(
    step("undo", (naive, { books }) => {
      books.undo();
      naive.value = new Map(naive.before);
      naive.touched = new Set(naive.touchedBefore);
    }),
  ),
  fc.constant(
    step("close", (naive, { books, closed }) => {
      closed.push(books.close());
      naive.closed.push(new Map(naive.value));
      naive.before = new Map(naive.value);
      naive.touchedClosed.push(naive.touched);
      naive.touched = new Set();
      naive.touchedBefore = new Set();
    }),
  ),
  fc.constant(
    step("confirm", (naive, { books, closed }) => {
      const changes = closed.shift();
      const confirmed = naive.closed.shift();
      if (changes === undefined || confirmed === undefined) return;
      naive.position += 1 + (naive.position % 3);
      books.confirm(changes, naive.position);
      naive.confirmed = confirmed;
      for (const name of naive.touchedClosed.shift() ?? [])
        naive.places.set(name, [...(naive.places.get(name) ?? []), naive.position]);
    }),
  ),
  fc.constant(
    step("rollback", (naive, { books, closed }) => {
      books.rollback(closed.splice(0));
      naive.closed = [];
      naive.touched = new Set();
      naive.touchedBefore = new Set();
      naive.touchedClosed = [];
      naive.value = new Map(naive.confirmed);
      naive.before = new Map(naive.confirmed);
    }),
  ),
];

describe("the books of a ledger", () => {
  it("hold what a map of big integers holds, whatever is undone, confirmed and rolled back", () => {
    fc.assert(
      fc.property(fc.commands(steps, { maxCommands: 60 }), (commands) => {
        fc.modelRun(
          () => ({ model: nothing(), real: { books: new Books(), closed: [] } }),
          commands,
        );
      }),
      { numRuns: 500 },
    );
  });
});
