import type { LedgerFindings } from "./check-report.ts";
import type { Journal, JournalCommit } from "./journal.ts";
import { referenceOf } from "./check-causes.ts";
import type { Place } from "./place-table.ts";
import { idOf, type LedgerState } from "./state.ts";

/** Accounts that are looked at before others have a turn. */
const ACCOUNTS_AT_ONCE = 1_000;

/**
 * What must be true of every state of a ledger: of each asset as much was taken as was given, and what the lots of a
 * holding come to, less its debt, is its balance.
 *
 * @returns yields now and then; at the end how many sums were looked at
 */
export function* checkInvariants(
  state: LedgerState,
  findings: LedgerFindings,
): Generator<undefined, number, undefined> {
  const sums = new Map<string, bigint>();
  let checked = 0;
  let accounts = 0;
  for (const { name, holdings } of state.books.accounts.values()) {
    if (++accounts % ACCOUNTS_AT_ONCE === 0) yield undefined;
    for (const { asset, confirmed } of holdings) {
      if (confirmed === undefined) continue;
      const { balance, debt, lots } = confirmed;
      sums.set(asset, (sums.get(asset) ?? 0n) + balance);
      checked++;
      let covered = 0n;
      for (const { remaining } of lots ?? []) covered += remaining;
      const held = lots === undefined ? balance : covered - debt;
      if (held === balance && debt >= 0n) continue;
      const key = `holding ${name} ${asset}`;
      const reason = `lots of ${covered} less a debt of ${debt} are not its balance`;
      const found = { balance, debt };
      findings.add({ where: "journal", kind: "different", key, expected: held, found, reason });
    }
  }
  for (const [asset, sum] of sums) {
    if (sum === 0n) continue;
    const reason = "all balances of an asset come to zero";
    const key = `sum ${asset}`;
    findings.add({ where: "journal", kind: "different", key, expected: 0n, found: sum, reason });
  }
  return checked + sums.size;
}

/** References that may stand in the journal twice: few, unless it is broken. */
const MAX_REPEATED = 1_000;

/** Finds references that two entries of a journal have: each is to be there once. */
export class RepeatedReferences {
  readonly #suspects: { readonly reference: string; readonly places: readonly Place[] }[] = [];

  /** A commit was applied to the state. */
  take({ entries }: JournalCommit, { fingerprints, references }: LedgerState): void {
    for (const entry of entries) {
      const reference = referenceOf(entry);
      if (reference === undefined) continue;
      const places = references.find(fingerprints.of(reference)) ?? [];
      if (places.length > 1 && this.#suspects.length < MAX_REPEATED)
        this.#suspects.push({ reference, places });
    }
  }

  /** Reads those entries again whose references have one fingerprint. */
  async check(journal: Journal, timeoutMs: number, findings: LedgerFindings): Promise<void> {
    for (const { reference, places } of this.#suspects) {
      const same: string[] = [];
      for (const place of places) {
        const found = await journal.entryAt(place, timeoutMs);
        if (found !== undefined && referenceOf(found.entry) === reference) same.push(idOf(place));
      }
      if (same.length < 2) continue;
      findings.add({
        where: "journal",
        kind: "injected",
        key: `reference ${reference}`,
        expected: same[0],
        found: same,
        position: places.at(-1)?.position,
        reason: "several entries have this reference",
      });
    }
  }
}
