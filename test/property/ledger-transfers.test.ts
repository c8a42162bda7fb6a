import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DRAIN_POLICIES } from "../../src/ledger/account.ts";
import type { LedgerState } from "../../src/ledger/state.ts";
import { LedgerProcess, MemoryJournal } from "../support/ledger-process.ts";
import type { NaiveCommand } from "../support/naive-commands.ts";

const NAMES = ["a", "b", "c", "d"] as const;
const asset = "GOLD";
const NOW = 1_000;

const account = fc.constantFrom(...NAMES);
const amount = fc.oneof(fc.bigInt(1n, 40n), fc.bigInt(2n ** 53n, 2n ** 60n));
/** From long before to long after all that happens. */
const instant = fc.integer({ min: NOW - 50, max: NOW + 50 });
const expiry = fc.option(instant);

const grants = fc.array(fc.record({ to: account, amount, at: instant, expiresAt: expiry }), {
  minLength: 1,
  maxLength: 8,
});
const recipients = fc.uniqueArray(fc.record({ account, amount, expiresAt: expiry }), {
  selector: ({ account }) => account,
  minLength: 1,
  maxLength: 3,
});
const transfers = fc.array(
  fc
    .record({ from: account, to: recipients, at: instant })
    .filter(({ from, to }) => to.every(({ account }) => account !== from)),
  { minLength: 1, maxLength: 20 },
);

/** What all accounts together could spend at each instant, and ever after. */
function lives({ books }: LedgerState): bigint[] {
  const instants = [...Array.from({ length: 110 }, (_, at) => NOW - 55 + at), Infinity];
  return instants.map((at) =>
    NAMES.reduce((sum, name) => {
      const holding = books.accounts.get(name)?.holding(asset)?.confirmed;
      return sum + (holding?.balanceAt(at) ?? 0n);
    }, 0n),
  );
}

function dateOf(instant: number | null): Date | null {
  return instant === null ? null : new Date(instant);
}

describe("a chain of transfers", () => {
  it("L9 never makes credits live longer, whatever is asked for and whenever it takes effect", () => {
    let moved = 0;
    const property = fc.property(
      fc.constantFrom(...DRAIN_POLICIES),
      grants,
      transfers,
      (drainPolicy, grants, transfers) => {
        const opened = {
          kind: "opened",
          decidedAt: 0,
          key: undefined,
          content: undefined,
        } as const;
        const seeds = [3, 5] as const;
        const terms = { drainPolicy, lots: true, overdraft: 0n, idempotencyKeys: 9, seeds };
        const process = new LedgerProcess(new MemoryJournal({ ...opened, ...terms }), () => NOW);
        const does = (command: NaiveCommand) => {
          process.submit([command]);
          process.send();
          return process.land({ lost: false })?.flatMap(({ verdicts }) => verdicts) ?? [];
        };
        for (const { to, amount, at, expiresAt } of grants) {
          const input = { to, asset, amount, at: new Date(at), expiresAt: dateOf(expiresAt) };
          expect(does({ does: "grant", input, options: {} })).toMatchObject([
            { amounts: [amount] },
          ]);
        }
        let before = lives(process.state);
        for (const { from, to, at } of transfers) {
          const items = to.map((item) => ({ ...item, expiresAt: dateOf(item.expiresAt) }));
          const input = { from, asset, at: new Date(at), to: items };
          const options = { onShortfall: "partial" } as const;
          for (const verdict of does({ does: "transfer", input, options }))
            if ("amounts" in verdict && verdict.amounts.some((amount) => amount > 0n)) moved++;
          const after = lives(process.state);
          expect(after.every((life, at) => life <= (before[at] ?? 0n))).toBe(true);
          before = after;
        }
      },
    );
    fc.assert(property, { numRuns: 200 });
    expect(moved).toBeGreaterThan(100);
  });
});
