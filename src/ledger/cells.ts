import type { AccountPlaces } from "./account-places.ts";
import type { Holding } from "./holding.ts";
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
 * A value of the ledger's state in two versions: as decided last, and as acknowledged last. Readers see the second; a
 * rollback puts it in the first one's place.
 */
export interface Cell<Value> {
  value: Value;
  /** undefined before an acknowledged entry speaks of it. */
  confirmed: Value | undefined;
  /** The group of commands that has changed it last. */
  mark: number;
}

/** An account's holding of one asset. */
export class HoldingCell implements Cell<Holding> {
  readonly account: AccountCell;
  readonly asset: string;
  value: Holding;
  confirmed: Holding | undefined;
  mark = 0;

  constructor(account: AccountCell, asset: string, holding: Holding) {
    this.account = account;
    this.asset = asset;
    this.value = holding;
  }
}

/** An account. */
export class AccountCell implements Cell<AccountTerms> {
  readonly name: string;
  /** The terms that it began with. */
  readonly initial: AccountTerms;
  /** One for each asset that was ever posted to it: few. */
  holdings: HoldingCell[] = [];
  value: AccountTerms;
  confirmed: AccountTerms | undefined;
  mark = 0;
  /** Where the acknowledged entries that speak of it stand. */
  places: AccountPlaces | undefined;

  constructor(name: string, terms: AccountTerms) {
    this.name = name;
    this.initial = terms;
    this.value = terms;
  }

  /** undefined for an asset that was never posted to it. */
  holding(asset: string): HoldingCell | undefined {
    for (const cell of this.holdings) if (cell.asset === asset) return cell;
    return undefined;
  }
}
