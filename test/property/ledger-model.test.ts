import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LedgerWorld, settings, steps } from "../support/ledger-world.ts";

/** What commands must come to somewhere, or nothing is proven of it. */
const OUTCOMES = [
  ...["account", "batch", "capture", "grant", "hold", "post", "release", "revert", "spend"].map(
    (does) => `${does} done`,
  ),
  "account account_options",
  "metadata done",
  "metadata transaction_not_found",
  "batch batch_refused",
  "batch insufficient_funds",
  "capture hold_ended",
  "capture hold_not_found",
  "grant account_not_usable",
  "grant duplicate_reference",
  "grant idempotency_conflict",
  "grant precondition_failed",
  "grant replayed",
  "hold insufficient_funds",
  "hold invalid_argument",
  "post account_not_usable",
  "revert already_reverted",
  "revert insufficient_funds",
  "revert transaction_not_found",
  "transfer done",
  "transfer insufficient_funds",
];

describe("a ledger beside a naive one", () => {
  it("L3 L4 L5 L6 L7 L8 L19 L20 R7 says and keeps the same, whatever is asked of two processes that conflict, lose answers and crash", () => {
    const outcomes = new Set<string>();
    fc.assert(
      fc.property(settings, steps, (given, script) => {
        const world = new LedgerWorld(given).play(script);
        for (const outcome of world.outcomes) outcomes.add(outcome);
      }),
      { numRuns: 400 },
    );
    expect(OUTCOMES.filter((outcome) => !outcomes.has(outcome))).toEqual([]);
  });
});
