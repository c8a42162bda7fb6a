import type { AccountPlaces } from "./account-places.ts";
import type { AccountCell, AccountTerms } from "./cells.ts";
import type { Holding } from "./holding.ts";
import type { EntryReference, OpenedEntry } from "./journal-entry.ts";
import type { HoldPlace, JournalPoint, LedgerState } from "./state.ts";

/** An account as it was when its state was looked at. */
export interface AccountView {
  readonly name: string;
  readonly terms: AccountTerms;
  /** Positions of the entries that speak of it: those that were there, of those that are there now. */
  readonly places: AccountPlaces | undefined;
  readonly placeCount: number;
  readonly holdings: readonly HoldingView[];
}

/** What an account had of an asset. */
interface HoldingView {
  readonly asset: string;
  readonly holding: Holding;
}

/** A table of fingerprints and places as bytes, which are the same where the same was put into it. */
export interface TableView {
  readonly size: number;
  readonly chunks: Iterable<Uint8Array>;
}

/** The acknowledged state of a ledger at one version. */
export interface StateView {
  readonly opened: OpenedEntry | undefined;
  readonly point: JournalPoint;
  readonly confirmedAt: number;
  readonly accounts: Iterable<AccountView>;
  account(name: string): AccountView | undefined;
  readonly holds: ReadonlyMap<string, HoldPlace>;
  readonly reverted: ReadonlyMap<number, EntryReference>;
  readonly annotated: ReadonlyMap<number, readonly number[]>;
  readonly keys: TableView;
  readonly references: TableView;
}

/** What a state holds, for as long as nothing is applied to it. */
export function viewOf(state: LedgerState): StateView {
  const { books } = state;
  return {
    ...restOf(state),
    accounts: {
      *[Symbol.iterator]() {
        for (const cell of books.accounts.values()) {
          const account = accountOf(cell);
          if (account !== undefined) yield account;
        }
      },
    },
    account: (name) => accountOf(books.accounts.get(name)),
  };
}

/**
 * What a state holds now, whatever is applied to it from then on. It costs a few references for each account, and
 * an object for each running sum, and is taken in one turn, so that it is of one version.
 */
export function frozenViewOf(state: LedgerState): StateView {
  const accounts = new Map<string, AccountView>();
  for (const cell of state.books.accounts.values()) {
    const account = accountOf(cell);
    if (account !== undefined) accounts.set(cell.name, account);
  }
  return {
    ...restOf(state),
    accounts: { [Symbol.iterator]: () => accounts.values() },
    account: (name) => accounts.get(name),
  };
}

/** The positions of a view's account, ascending. */
export function* placesOf({ places, placeCount }: AccountView): Generator<number, void, undefined> {
  let left = placeCount;
  for (const position of places?.positions() ?? []) {
    if (left-- === 0) return;
    yield position;
  }
}

/** How many values are compared where a state is compared with the same one. */
export function countValues({ accounts, holds, reverted, annotated }: StateView): number {
  let count = 1 + holds.size + reverted.size + annotated.size;
  for (const { places, holdings } of accounts) {
    count += places === undefined ? 1 : 2;
    for (const { holding } of holdings)
      count += 1 + (holding.lots?.size ?? 0) + holding.holds.length;
  }
  return count;
}

function accountOf(cell: AccountCell | undefined): AccountView | undefined {
  if (cell?.confirmed === undefined) return undefined;
  const { name, confirmed: terms, places } = cell;
  const holdings: HoldingView[] = [];
  for (const { asset, confirmed: holding } of cell.holdings)
    if (holding !== undefined) holdings.push({ asset, holding });
  return { name, terms, places, placeCount: places?.count ?? 0, holdings };
}

function restOf(state: LedgerState): Omit<StateView, "accounts" | "account"> {
  const { opened, point, confirmedAt, keys, references } = state;
  const reverted = new Map<number, EntryReference>();
  for (const [version, by] of state.reverted) if (by !== undefined) reverted.set(version, by);
  const annotated = new Map<number, readonly number[]>();
  for (const [version, places] of state.annotated) annotated.set(version, [...places]);
  return {
    opened,
    point,
    confirmedAt,
    holds: new Map(state.holds),
    reverted,
    annotated,
    keys: { size: keys.size, chunks: keys.encode() },
    references: { size: references.size, chunks: references.encode() },
  };
}
