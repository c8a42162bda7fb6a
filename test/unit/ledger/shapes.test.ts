import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ledgerBalances } from "../../../src/ledger/index.ts";
import { stateOf } from "../../../src/testing/index.ts";

const journal = { type: "journal", id: "main" } as const;

/** The codes of the error classes in a file, in their order. */
function codesIn(file: string): string[] {
  const source = readFileSync(new URL(`../../../src/${file}`, import.meta.url), "utf8");
  return Array.from(source.matchAll(/readonly code = "(\w+)"/g), ([, code = ""]) => code);
}

describe("what others rely on", () => {
  it("C10 is the shape of the read model at its version: another shape raises it", () => {
    const projection = ledgerBalances();
    const posted = [
      1,
      1_000,
      null,
      null,
      [["world", "alice", "C/2", 5, null, 0, [0, 5, 9_000], 0]],
    ];
    const held = [1, 2_000, null, null, "alice", "C/2", 2, "shop", 8_000];
    const { tables } = stateOf(projection).after([
      { actor: journal, type: "TransactionPosted", data: posted },
      { actor: journal, type: "HoldPlaced", data: held },
    ]);
    const shapes = Object.entries(tables).map(([name, table]) => {
      const rows: ReadonlyMap<string, object> = table.entries();
      return [name, Array.from(rows, ([id, row]) => [id, Object.keys(row).join(" ")])];
    });
    expect(projection.version).toBe(1);
    expect(shapes).toMatchInlineSnapshot(`
      [
        [
          "balances",
          [
            [
              "main/alice/C/2",
              "ledger account asset balance debt received paid version",
            ],
            [
              "main/world/C/2",
              "ledger account asset balance debt received paid version",
            ],
          ],
        ],
        [
          "lots",
          [
            [
              "main/alice/C/2/1.0",
              "ledger account asset transactionId version index reference grantedAt expiresAt amount remaining",
            ],
          ],
        ],
        [
          "holds",
          [
            [
              "main/2.0",
              "ledger id account asset to remaining expiresAt",
            ],
          ],
        ],
      ]
    `);
  });

  it("C12 are the codes of errors: a change here is a breaking one, and stands in the changelog", () => {
    expect(codesIn("ledger/errors.ts")).toMatchInlineSnapshot(`
      [
        "ledger_not_found",
        "ledger_exists",
        "ledger_bucket_not_found",
        "insufficient_funds",
        "idempotency_conflict",
        "duplicate_reference",
        "precondition_failed",
        "account_not_usable",
        "account_options",
        "transaction_not_found",
        "already_reverted",
        "hold_not_found",
        "hold_ended",
        "hold_exceeded",
        "transaction_too_large",
        "batch_refused",
        "clock_skew",
        "journal_broken",
        "inconsistent_state",
        "command_outcome_unknown",
        "command_timeout",
        "corrupt_snapshot",
        "snapshot_format",
      ]
    `);
    expect(codesIn("projection/errors.ts")).toMatchInlineSnapshot(`
      [
        "coverage",
        "state_key_missing",
        "projection_failed",
        "state_too_large",
        "projector_fenced",
        "corrupt_state",
        "projection_mismatch",
        "lease_lost",
        "reactor_failed",
      ]
    `);
    expect(codesIn("errors.ts")).toMatchInlineSnapshot(`
      [
        "invalid_argument",
        "unserialisable_value",
        "schema_validation",
        "append_too_large",
        "version_conflict",
        "commit_id_reused",
        "append_outcome_unknown",
        "too_many_conflicts",
        "corrupt_commit",
        "unsupported_format",
        "stream_rolled_back",
        "stream_settings",
        "stream_not_found",
        "server_too_old",
        "connection_failed",
        "jetstream_unavailable",
        "read_timeout",
        "server_refused",
        "closed",
        "overloaded",
        "server_start",
      ]
    `);
  });
});
