import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LedgerProcess, MemoryJournal } from "../support/ledger-process.ts";
import type { NaiveCommand } from "../support/naive-commands.ts";
import { NaiveLedger } from "../support/naive-ledger.ts";

const GOLD = { asset: "GOLD" };
const amounts = fc.bigInt({ min: 1n, max: 12n });
const steps = fc.array(
  fc.record({
    does: fc.constantFrom("grant", "grant", "spend", "spend", "hold"),
    amount: amounts,
    /** How long ago, and for how long. */
    ago: fc.integer({ min: 0, max: 30 }),
    lives: fc.integer({ min: 5, max: 60 }),
    isPartial: fc.boolean(),
  }),
  { minLength: 5, maxLength: 30 },
);

describe("what is held", () => {
  it("L19 L20 is kept from what is dated back as a naive ledger keeps it", () => {
    fc.assert(
      fc.property(steps, fc.bigInt({ min: 0n, max: 5n }), (script, overdraft) => {
        const opened = {
          kind: "opened",
          decidedAt: 0,
          key: undefined,
          content: undefined,
        } as const;
        const terms = { drainPolicy: "emission-first@1", lots: true, overdraft } as const;
        let now = 100;
        const journal = new MemoryJournal({
          ...opened,
          ...terms,
          idempotencyKeys: 100,
          seeds: [1, 2],
        });
        const process = new LedgerProcess(journal, () => now);
        const naive = new NaiveLedger(terms.drainPolicy, terms);
        for (const { does, amount, ago, lives, isPartial } of script) {
          now += 3;
          const at = new Date(now - ago);
          const expiresAt = new Date(now + lives);
          const from = { from: "a", ...GOLD, amount, at };
          const command: NaiveCommand =
            does === "grant"
              ? { does, input: { to: "a", ...GOLD, amount, at, expiresAt }, options: {} }
              : does === "hold"
                ? { does, input: { ...from, expiresAt }, options: {} }
                : {
                    does: "spend",
                    input: from,
                    options: { onShortfall: isPartial ? "partial" : "reject" },
                  };
          process.submit([command]);
          process.send();
          const verdict = process.land({ lost: false })?.[0]?.verdicts[0];
          expect(verdict).toEqual(naive.run(command, now));
        }
      }),
      { numRuns: 300 },
    );
  });
});
