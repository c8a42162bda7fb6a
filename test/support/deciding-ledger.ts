import type { DrainPolicyName } from "../../src/ledger/account.ts";
import { CHAIN_START } from "../../src/ledger/chain.ts";
import { Decider } from "../../src/ledger/decider.ts";
import type { JournalEntry, OpenedEntry } from "../../src/ledger/journal-entry.ts";
import { applyCommit } from "../../src/ledger/journal-state.ts";
import type { FoundEntry } from "../../src/ledger/lookups.ts";
import type { AskedBatch, AskedSingle } from "../../src/ledger/prepare.ts";
import {
  idOf,
  type JournalPoint,
  LedgerState,
  type PendingCommit,
} from "../../src/ledger/state.ts";

/** The first entry of a ledger whose accounts keep lots. */
export function openedWithLots(drainPolicy: DrainPolicyName): OpenedEntry {
  const common = { kind: "opened", decidedAt: 1, key: undefined, content: undefined } as const;
  const settings = { lots: true, overdraft: 0n, idempotencyKeys: 100, seeds: [3, 4] } as const;
  return { ...common, ...settings, drainPolicy };
}

/** Applies a commit of the journal. */
export function applyEntries(
  state: LedgerState,
  entries: readonly JournalEntry[],
  point: JournalPoint,
): void {
  const firstVersion = point.version - entries.length + 1;
  applyCommit(state, { entries, point, firstVersion, recordedAtMs: 0 });
}

/** A ledger without a server, which decides and is told what became of it. */
export class DecidingLedger {
  readonly state: LedgerState = new LedgerState();
  readonly #decider: Decider;
  readonly #lookups = new Map<string, FoundEntry>();
  readonly #lots: "in rows" | "whole";

  /** @param lots "whole" to have holdings made whole before each command: no lot is drained, or made, in a row */
  constructor(policy: DrainPolicyName, lots: "in rows" | "whole" = "in rows") {
    this.#lots = lots;
    applyEntries(this.state, [openedWithLots(policy)], pointAt(1, 1));
    this.#decider = new Decider(this.state, 1_000_000);
  }

  decide(asked: AskedSingle | AskedBatch, decidedAt: number): unknown {
    if (this.#lots === "whole") this.#makeWhole();
    const at = Math.max(decidedAt, this.state.decidedAt);
    try {
      return asked.kind === "batch"
        ? this.#decider.decideAll(asked, this.#lookups, at)
        : this.#decider.decide(asked, this.#lookups, at);
    } catch (error) {
      return error;
    }
  }

  confirm(pending: PendingCommit, position: number): readonly JournalEntry[] {
    const { commit } = pending;
    // none of them is written, so that none is let go of
    const entries = pending.entries.filter((entry) => entry !== undefined);
    entries.forEach((entry, index) => {
      const place = { position, index, version: commit.firstVersion + index };
      this.#lookups.set(idOf(place), { entry, place });
    });
    this.state.confirm(pending, pointAt(commit.firstVersion + entries.length - 1, position));
    return entries;
  }

  rollback(closed: readonly PendingCommit[]): void {
    this.state.rollback(closed);
  }

  #makeWhole(): void {
    const { books } = this.state;
    for (const { holdings } of books.accounts.values())
      for (const cell of holdings) if (cell.account.value.lots) books.put(cell, cell.value);
  }
}

export function pointAt(version: number, position: number): JournalPoint {
  return { version, position, commitId: `c${position}`, chain: CHAIN_START };
}
