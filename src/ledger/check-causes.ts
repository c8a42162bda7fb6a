import type { LedgerCheckPlace, LedgerFindings, RawLedgerFinding } from "./check-report.ts";
import type { StateView, TableView } from "./check-view.ts";
import type { TableName } from "./check-comparison.ts";
import type { JournalCommit } from "./journal.ts";
import type { EntryReference, HoldPlacedEntry, JournalEntry } from "./journal-entry.ts";
import { type Place, PlaceTable } from "./place-table.ts";
import { RecentPlaces } from "./recent-places.ts";
import { Fingerprints } from "./fingerprint.ts";
import { idOf } from "./state.ts";

/** Two tables of fingerprints that differ. */
export interface DifferingTable {
  readonly where: LedgerCheckPlace;
  readonly name: TableName;
  readonly expected: StateView;
  readonly found: StateView;
}

type Lookup = Pick<PlaceTable, "find">;

/**
 * Reads the journal once more where something was found: says which entry of it should have caused what was expected, and
 * names what is missing from tables that keep fingerprints only.
 */
export class Causes {
  readonly #findings: LedgerFindings;
  readonly #tables: readonly TableCauses[];
  readonly #byKey = new Map<string, RawLedgerFinding[]>();
  /** What the holds reserve that were placed, by id. */
  readonly #held = new Map<string, Held>();
  #fingerprints = new Fingerprints(0, 0);

  constructor(findings: LedgerFindings, tables: readonly DifferingTable[]) {
    this.#findings = findings;
    this.#tables = tables.map((table) => new TableCauses(table, findings));
    for (const finding of findings.kept) {
      if (finding.position !== undefined) continue;
      const key = subjectOf(finding.key);
      const others = this.#byKey.get(key);
      if (others === undefined) this.#byKey.set(key, [finding]);
      else others.push(finding);
    }
  }

  /** Whether there is anything to look for. */
  get wanted(): boolean {
    return this.#byKey.size > 0 || this.#tables.length > 0;
  }

  take({ entries, firstVersion, point }: JournalCommit, limits: Limits): void {
    const { position } = point;
    for (const [index, entry] of entries.entries()) {
      const place = { position, index, version: firstVersion + index };
      if (entry.kind === "opened") this.#fingerprints = new Fingerprints(...entry.seeds);
      for (const table of this.#tables) table.take(entry, place, this.#fingerprints);
      if (entry.kind === "hold-placed") this.#held.set(idOf(place), entry);
      for (const key of touchedBy(entry, place, this.#held)) {
        for (const finding of this.#byKey.get(key) ?? []) {
          if (place.version <= (limits[finding.where] ?? 0)) finding.position = position;
        }
      }
    }
  }

  /** Counts what stands in tables and has no name. */
  end(): void {
    for (const table of this.#tables) table.end(this.#findings);
  }
}

/** Up to which version states were compared. */
export type Limits = { readonly [Where in LedgerCheckPlace]?: number | undefined };

/** What a hold reserves. */
export type Held = Pick<HoldPlacedEntry, "account" | "asset">;

/**
 * What an entry of the journal changes, as findings name it: holdings, accounts, holds, and what is said of transactions.
 *
 * @param held the holds that entries before it have placed, and those that it places, by id
 */
export function touchedBy(
  entry: JournalEntry,
  place: EntryReference,
  held: ReadonlyMap<string, Held>,
): string[] {
  const keys: string[] = [];
  const touchAccount = (account: string): void => {
    keys.push(`account ${account}`, `places ${account}`);
  };
  const touchHold = (id: string): void => {
    keys.push(`hold ${id}`);
    const of = held.get(id);
    if (of === undefined) return;
    keys.push(`holding ${of.account} ${of.asset}`);
    touchAccount(of.account);
  };
  switch (entry.kind) {
    case "posted":
      for (const { source, destination, asset } of entry.postings) {
        for (const account of [source, destination]) {
          keys.push(`holding ${account} ${asset}`);
          touchAccount(account);
        }
      }
      if (entry.captures !== undefined) touchHold(idOf(entry.captures));
      if (entry.reverts !== undefined) keys.push(`reverted ${entry.reverts.version}`);
      break;
    case "hold-placed":
      touchHold(idOf(place));
      break;
    case "hold-released":
      touchHold(idOf(entry.hold));
      break;
    case "account-changed":
      touchAccount(entry.account);
      break;
    case "metadata-changed":
      if (typeof entry.of === "string") touchAccount(entry.of);
      else keys.push(`metadata ${entry.of.version}`);
      break;
    case "opened":
      break;
    default:
      throw new TypeError(`an entry of no kind: ${String(entry satisfies never)}`);
  }
  return keys;
}

/** What changes a finding's value: lots and reserved funds change with their holding. */
function subjectOf(key: string): string {
  const [what, account, asset] = key.split(" ");
  return what === "lot" || what === "reserved" ? `holding ${account} ${asset}` : key;
}

/** Finds what is missing from one table. */
class TableCauses {
  readonly #of: DifferingTable;
  readonly #findings: LedgerFindings;
  readonly #expected: Lookup;
  readonly #found: Lookup;
  #missing = 0;

  constructor(of: DifferingTable, findings: LedgerFindings) {
    this.#of = of;
    this.#findings = findings;
    this.#expected = tableOf(of.name, of.expected[of.name]);
    this.#found = tableOf(of.name, of.found[of.name]);
  }

  take(entry: JournalEntry, place: EntryReference, fingerprints: Fingerprints): void {
    const { where, name, expected } = this.#of;
    const text = name === "keys" ? entry.key : referenceOf(entry);
    if (text === undefined || place.version > expected.point.version) return;
    const fingerprint = fingerprints.of(text);
    // keys are forgotten after a while
    if (!has(this.#expected, fingerprint, place) || has(this.#found, fingerprint, place)) return;
    this.#missing++;
    const key = `${name === "keys" ? "key" : "reference"} ${text}`;
    const { position } = place;
    const found = this.#found.find(fingerprint)?.map(idOf);
    const kind = found === undefined ? "missing" : "different";
    this.#findings.add({ where, kind, key, expected: idOf(place), found, position });
  }

  end(findings: LedgerFindings): void {
    const { where, name, expected, found } = this.#of;
    const there = found[name].size;
    const right = expected[name].size - this.#missing;
    if (there <= right && this.#missing > 0) return;
    const kind = there > right ? "injected" : "different";
    const reason =
      there > right
        ? `${there - right} more than the journal has`
        : "the same number as the journal has, kept in another way";
    findings.add({ where, kind, key: name, expected: right, found: there, reason });
  }
}

function tableOf(name: TableName, { chunks }: TableView): Lookup {
  return name === "keys" ? RecentPlaces.decode(chunks) : PlaceTable.decode(chunks);
}

/** What an entry is to be found by, beside its key. */
export function referenceOf(entry: JournalEntry): string | undefined {
  return entry.kind === "posted" || entry.kind === "hold-placed" ? entry.reference : undefined;
}

function has(table: Lookup, fingerprint: number, { position, index }: Place): boolean {
  const places = table.find(fingerprint) ?? [];
  return places.some((place) => place.position === position && place.index === index);
}
