import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { resultOf } from "../../src/internal/result-of.ts";
import type { JournalEntry } from "../../src/ledger/journal-entry.ts";
import { decodeStateInSteps, encodeState } from "../../src/ledger/state-image.ts";
import { LedgerState } from "../../src/ledger/state.ts";
import { dump, textsOf } from "../support/ledger-dump.ts";
import type { MemoryJournal, ProcessWatch } from "../support/ledger-process.ts";
import { LedgerWorld, settings, steps } from "../support/ledger-world.ts";

const RUNS = { numRuns: 100 };

/** Adds up what an entry moves, by account and asset. */
function addTo(sums: Map<string, bigint>, entry: JournalEntry): void {
  if (entry.kind !== "posted") return;
  for (const { source, destination, asset, amount } of entry.postings) {
    for (const [account, moved] of [
      [source, -amount],
      [destination, amount],
    ] as const) {
      const key = `${account} ${asset}`;
      sums.set(key, (sums.get(key) ?? 0n) + moved);
    }
  }
}

/** What the holdings of a state come to: lots, expired ones too, less debt. */
function held(state: LedgerState): Map<string, bigint> {
  const all = [...state.books.accounts.values()].flatMap(({ holdings }) => holdings);
  return new Map(
    all.map(({ account, asset, value }) => {
      const { lots, debt, balance } = value;
      const left = [...(lots ?? [])].reduce((sum, { remaining }) => sum + remaining, -debt);
      return [`${account.name} ${asset}`, lots === undefined ? balance : left];
    }),
  );
}

/** Applies a journal entry by entry. @returns how many entries there were */
function look(journal: MemoryJournal, at: (state: LedgerState, entry: JournalEntry) => void) {
  const state = new LedgerState();
  for (const { entries, point } of journal.readOn(0)) {
    for (const entry of entries) {
      state.apply(entry);
      at(state, entry);
    }
    state.confirm(state.close(), point);
  }
  return state.version;
}

describe("the journal of a ledger", () => {
  it("L14 makes the state that was made while it was written, byte for byte", () => {
    fc.assert(
      fc.property(settings, steps, (given, script) => {
        const { journal, processes } = new LedgerWorld(given).play(script);
        const texts = textsOf(journal);
        const again = journal.replayed();
        const replayed = dump(again, "value", texts);
        const image = [...encodeState(again)];
        assert.deepStrictEqual(dump(resultOf(decodeStateInSteps(image)), "value", texts), replayed);
        for (const { state } of processes) {
          assert.deepStrictEqual(dump(state, "confirmed", texts), replayed);
          assert.deepStrictEqual(dump(state, "value", texts), replayed);
          assert.deepStrictEqual([...encodeState(state)], image);
        }
      }),
      RUNS,
    );
  });

  it("L14 keeps no trace of what was refused, tried or taken back", () => {
    let lookedAt = 0;
    const watch: ProcessWatch = {
      deciding(state) {
        const before = dump(state, "value", []);
        return ({ entries }) => {
          if (entries > 0) return;
          lookedAt++;
          assert.deepStrictEqual(dump(state, "value", []), before);
        };
      },
      takenBack(state) {
        lookedAt++;
        const { decidedAt, ...confirmed } = dump(state, "confirmed", []);
        assert.deepStrictEqual(dump(state, "value", []), { ...confirmed, decidedAt });
        assert.equal(decidedAt, state.confirmedAt);
      },
    };
    fc.assert(
      fc.property(settings, steps, (given, script) => {
        new LedgerWorld(given, watch).play(script);
      }),
      RUNS,
    );
    expect(lookedAt).toBeGreaterThan(1_000);
  });

  it("L13 balances at each of its entries: lots less debt are the sum of the postings, and all together nothing", () => {
    let entries = 0;
    fc.assert(
      fc.property(settings, steps, (given, script) => {
        const { journal } = new LedgerWorld(given).play(script);
        const sums = new Map<string, bigint>();
        entries += look(journal, (state, entry) => {
          addTo(sums, entry);
          const found = held(state);
          for (const [key, sum] of found) assert.equal(sum, sums.get(key) ?? 0n, key);
          for (const [key, sum] of sums) assert.equal(found.get(key), sum, key);
          for (const asset of ["GOLD", "EUR/2"]) {
            const all = [...found].filter(([key]) => key.endsWith(` ${asset}`));
            assert.equal(
              all.reduce((total, [, sum]) => total + sum, 0n),
              0n,
            );
          }
        });
      }),
      RUNS,
    );
    expect(entries).toBeGreaterThan(1_000);
  });
});
