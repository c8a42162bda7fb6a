import { AccountPlaces } from "./account-places.ts";
import type { Holding } from "./holding.ts";
import { type HoldingTable, sumOf } from "./holding-table.ts";
import type { Details } from "./journal-entry.ts";

/** How an account behaves and what is said of it. Never changed: each change makes a new one. */
export interface AccountTerms {
  readonly lots: boolean;
  readonly issuer: boolean;
  /** undefined for unlimited. */
  readonly overdraft: bigint | undefined;
  readonly frozen: boolean;
  readonly closed: boolean;
  readonly metadata: Details;
}

/**
 * An account's holding of one asset, in two versions: as decided last, and as acknowledged last. Readers see the second; a
 * rollback puts it in the first one's place.
 */
export class HoldingCell {
  readonly account: AccountCell;
  readonly asset: string;
  /** Where its two versions stand in the table. */
  readonly slot: number;
  readonly #table: HoldingTable;

  constructor(account: AccountCell, asset: string, table: HoldingTable) {
    this.account = account;
    this.asset = asset;
    this.slot = table.add(account);
    this.#table = table;
  }

  get value(): Holding {
    return this.#table.value(this.slot);
  }

  set value(value: Holding) {
    this.#table.put(this.slot, ...partsOf(value));
  }

  /** undefined before an acknowledged entry speaks of it. */
  get confirmed(): Holding | undefined {
    return this.#table.confirmed(this.slot);
  }

  set confirmed(value: Holding) {
    this.#table.confirm(this.slot, ...partsOf(value));
  }

  /** What is in it at an instant, as decided last. */
  balanceAt(at: number): bigint {
    const sum = this.#table.sumAt(this.slot, Number.POSITIVE_INFINITY, at);
    return sum ?? this.value.balanceAt(at);
  }

  /** What is in it at an instant, as acknowledged last; undefined before an acknowledged entry speaks of it. */
  confirmedAt(at: number): bigint | undefined {
    const sum = this.#table.confirmedSumAt(this.slot, Number.POSITIVE_INFINITY, at);
    return sum ?? this.confirmed?.balanceAt(at);
  }

  /** Sum of all acknowledged postings; undefined before one. */
  get confirmedBalance(): bigint | undefined {
    return this.#table.confirmedBalance(this.slot);
  }

  /** How many holds it has, some of which may have ended; as decided last. */
  get holdCount(): number {
    return this.#table.whole(this.slot)?.holds.length ?? 0;
  }

  /** What can be taken of it, as {@link Holding.spendable}; as decided last. */
  spendable(at: number, decidedAt: number): bigint {
    const sum = this.#table.sumAt(this.slot, at, at);
    return sum ?? this.value.spendable(at, decidedAt);
  }

  /** As {@link Holding.spendable}, as acknowledged last; undefined before an acknowledged entry speaks of it. */
  confirmedSpendable(at: number, decidedAt: number): bigint | undefined {
    const sum = this.#table.confirmedSumAt(this.slot, at, at);
    return sum ?? this.confirmed?.spendable(at, decidedAt);
  }

  /** Whether an acknowledged entry speaks of it. */
  get isConfirmed(): boolean {
    return this.#table.isConfirmed(this.slot);
  }
}

/** A holding as it stands in a table: its sum, or NaN and the whole of it. */
export function partsOf(holding: Holding): [sum: number, whole: Holding | undefined] {
  const sum = sumOf(holding);
  return [sum, Number.isNaN(sum) ? holding : undefined];
}

/** An account, with its terms in two versions as those of a {@link HoldingCell}. */
export class AccountCell {
  // what each posting asks for stands together
  value: AccountTerms;
  /** The first of its holdings, again: most accounts have one. */
  firstAsset: string | undefined;
  firstSlot = 0;
  /** Its number among the accounts in memory. */
  readonly id: number;
  readonly name: string;
  /** One for each asset that was ever posted to it: few. */
  holdings: HoldingCell[] = [];
  /** The terms that it began with. */
  readonly initial: AccountTerms;
  /** undefined before an acknowledged entry speaks of it. */
  confirmed: AccountTerms | undefined;
  /** The group of commands that has changed its terms last. */
  mark = 0;
  #places: AccountPlaces | undefined;
  readonly #settle: () => void;

  /** @param settle brings to all accounts the places that they do not know of yet */
  constructor(name: string, id: number, terms: AccountTerms, settle: () => void) {
    this.name = name;
    this.id = id;
    this.initial = terms;
    this.value = terms;
    this.#settle = settle;
  }

  /** Where the acknowledged entries that speak of it stand. */
  get places(): AccountPlaces | undefined {
    this.#settle();
    return this.#places;
  }

  set places(places: AccountPlaces) {
    this.#places = places;
  }

  addPlace(position: number): void {
    this.#places ??= new AccountPlaces();
    this.#places.add(position);
  }

  /** undefined for an asset that was never posted to it. */
  holding(asset: string): HoldingCell | undefined {
    for (const cell of this.holdings) if (cell.asset === asset) return cell;
    return undefined;
  }

  add(cell: HoldingCell): void {
    // a list that grows would have room for 17
    this.#keep([...this.holdings, cell]);
  }

  remove(cell: HoldingCell): void {
    this.#keep(this.holdings.filter((held) => held !== cell));
  }

  #keep(holdings: HoldingCell[]): void {
    this.holdings = holdings;
    const [first] = holdings;
    this.firstAsset = first?.asset;
    this.firstSlot = first?.slot ?? 0;
  }
}
