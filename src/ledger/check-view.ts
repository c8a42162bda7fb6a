import type { AccountPlaces } from "./account-places.ts";
import type { AccountTerms } from "./cells.ts";
import type { Holding } from "./holding.ts";
import type { EntryReference, OpenedEntry } from "./journal-entry.ts";
import type { HoldPlace, JournalPoint, LedgerState } from "./state.ts";

/** An account as it was when its state was looked at. */
export interface AccountView {
  readonly terms: AccountTerms;
  readonly places: PlacesView | undefined;
  readonly holdings: ReadonlyMap<string, Holding>;
}

/** Positions that were there, of those that are there now: they are only ever added to. */
export class PlacesView {
  readonly count: number;
  readonly #places: AccountPlaces;

  constructor(places: AccountPlaces) {
    this.count = places.count;
    this.#places = places;
  }

  *[Symbol.iterator](): Generator<number, void, undefined> {
    let left = this.count;
    for (const position of this.#places.positions()) {
      if (left-- === 0) return;
      yield position;
    }
  }
}

/** A table of fingerprints and places as bytes, which are the same where the same was put into it. */
export interface TableView {
  readonly size: number;
  readonly chunks: Iterable<Uint8Array>;
}

/** The acknowledged state of a ledger at one version: it stays as it is while the state goes on. */
export interface StateView {
  readonly opened: OpenedEntry | undefined;
  readonly point: JournalPoint;
  readonly confirmedAt: number;
  readonly accounts: ReadonlyMap<string, AccountView>;
  readonly holds: ReadonlyMap<string, HoldPlace>;
  readonly reverted: ReadonlyMap<number, EntryReference>;
  readonly annotated: ReadonlyMap<number, readonly number[]>;
  readonly keys: TableView;
  readonly references: TableView;
}

/**
 * What a state holds now. It costs a few references for each account, because holdings and terms are never changed in
 * place, and is taken in one turn, so that it is of one version.
 */
export function viewOf(state: LedgerState): StateView {
  const accounts = new Map<string, AccountView>();
  for (const { name, confirmed, places, holdings } of state.books.accounts.values()) {
    if (confirmed === undefined) continue;
    const held = new Map<string, Holding>();
    for (const { asset, confirmed: holding } of holdings)
      if (holding !== undefined) held.set(asset, holding);
    accounts.set(name, {
      terms: confirmed,
      places: places && new PlacesView(places),
      holdings: held,
    });
  }
  const reverted = new Map<number, EntryReference>();
  for (const [version, by] of state.reverted) if (by !== undefined) reverted.set(version, by);
  const annotated = new Map<number, readonly number[]>();
  for (const [version, places] of state.annotated) annotated.set(version, [...places]);
  return {
    opened: state.opened,
    point: state.point,
    confirmedAt: state.confirmedAt,
    accounts,
    holds: new Map(state.holds),
    reverted,
    annotated,
    keys: { size: state.keys.size, chunks: state.keys.encode() },
    references: { size: state.references.size, chunks: state.references.encode() },
  };
}
