import { describe, expect, it } from "vitest";
import { touchedBy } from "../../../src/ledger/check-causes.ts";
import { LedgerFindings } from "../../../src/ledger/check-report.ts";
import type { HoldPlacedEntry, JournalEntry } from "../../../src/ledger/journal-entry.ts";

const common = { decidedAt: 0, key: undefined, content: undefined };
const said = { at: 0, reference: undefined, metadata: undefined };
const place = { position: 9, index: 1, version: 12 };
const held: HoldPlacedEntry = {
  kind: "hold-placed",
  ...common,
  ...said,
  account: "alice",
  asset: "EUR/2",
  amount: 5n,
  to: "world",
  expiresAt: 1,
};
const holds = new Map([
  ["9.1", held],
  ["7.0", { ...held, account: "bob" }],
]);

/** What an entry changes, sorted. */
function touched(entry: JournalEntry): string[] {
  return touchedBy(entry, place, holds).sort((a, b) => (a < b ? -1 : 1));
}

describe("what an entry of a journal changes", () => {
  it("is both sides of each posting, the hold that it captures and what it reverts", () => {
    const posting = { source: "a", destination: "b", asset: "X", amount: 1n, asked: 1n };
    const outcome = { drained: undefined, borrowed: 0n, made: undefined, repaid: 0n };
    const entry: JournalEntry = {
      kind: "posted",
      ...common,
      ...said,
      postings: [{ ...posting, ...outcome }],
      reverts: { position: 3, index: 0, version: 4 },
      captures: { position: 7, index: 0, version: 10, amount: 1n, ended: false },
    };
    expect(touched(entry)).toEqual([
      "account a",
      "account b",
      "account bob",
      "hold 7.0",
      "holding a X",
      "holding b X",
      "holding bob EUR/2",
      "places a",
      "places b",
      "places bob",
      "reverted 4",
    ]);
  });

  it("is what a hold reserves, when it is placed and when it is released", () => {
    const alice = ["account alice", "hold 9.1", "holding alice EUR/2", "places alice"];
    expect(touched(held)).toEqual(alice);
    const released = { kind: "hold-released", ...common } as const;
    expect(touched({ ...released, hold: { position: 7, index: 0, version: 10 } })).toEqual([
      "account bob",
      "hold 7.0",
      "holding bob EUR/2",
      "places bob",
    ]);
    const unknown = { position: 8, index: 0, version: 11 };
    expect(touched({ ...released, hold: unknown })).toEqual(["hold 8.0"]);
  });

  it("is the account or the transaction of which something is said", () => {
    const metadata = { kind: "metadata-changed", ...common, set: {}, deleted: [] } as const;
    expect(touched({ ...metadata, of: "carol" })).toEqual(["account carol", "places carol"]);
    const of = { position: 3, index: 0, version: 4 };
    expect(touched({ ...metadata, of })).toEqual(["metadata 4"]);
  });
});

describe("the findings of a check", () => {
  it("keeps the first, counts all, and shows plain data", () => {
    const findings = new LedgerFindings(2);
    for (const key of ["holding a X", "holding b X", "holding c X"])
      findings.add({ where: "memory", kind: "different", key, expected: 1n, found: 2n });
    expect(findings.count).toBe(3);
    expect(findings.shown()).toMatchObject([
      { where: "memory", kind: "different", key: "holding a X", expected: "1", found: "2" },
      { where: "memory", key: "holding b X" },
    ]);
  });

  it("forgets those of states where the journal does not hold, and keeps its own", () => {
    const findings = new LedgerFindings(10);
    findings.add({ where: "memory", kind: "missing", key: "account a", expected: {} });
    findings.add({ where: "journal", kind: "different", key: "commit 4", position: 4 });
    findings.keepJournal();
    expect(findings.count).toBe(1);
    expect(findings.shown()).toMatchObject([{ where: "journal", key: "commit 4", position: 4 }]);
  });
});
