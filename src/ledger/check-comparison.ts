import { sameValue } from "../internal/same-value.ts";
import type { LedgerCheckPlace, LedgerFindings, RawLedgerFinding } from "./check-report.ts";
import { type AccountView, placesOf, type StateView, type TableView } from "./check-view.ts";
import type { AccountTerms } from "./cells.ts";
import type { ActiveHold, Holding } from "./holding.ts";
import type { Lot } from "./lot.ts";

/** Names of a ledger's tables of fingerprints. */
export type TableName = "keys" | "references";

/** Accounts that are compared before others have a turn. */
const ACCOUNTS_AT_ONCE = 500;

/**
 * Compares two states of one version, in both directions and value by value.
 *
 * @returns yields after a few hundred accounts how many values were compared; at the end the tables that differ, which do
 * not tell what of
 */
export function* compareStates(
  expected: StateView,
  found: StateView,
  where: LedgerCheckPlace,
  findings: LedgerFindings,
): Generator<number, readonly TableName[], undefined> {
  const comparison = new StateComparison(where, findings);
  comparison.compareHeads(expected, found);
  let accounts = 0;
  for (const account of expected.accounts) {
    comparison.compareAccounts(account.name, account, found.account(account.name));
    if (++accounts % ACCOUNTS_AT_ONCE === 0) yield comparison.checked;
  }
  for (const account of found.accounts) {
    if (expected.account(account.name) === undefined)
      comparison.compareAccounts(account.name, undefined, account);
    if (++accounts % ACCOUNTS_AT_ONCE === 0) yield comparison.checked;
  }
  comparison.compareMaps(expected, found);
  yield comparison.checked;
  const tables: TableName[] = [];
  for (const name of ["keys", "references"] as const) {
    for (const isSame of sameChunks(expected[name], found[name])) {
      if (!isSame) tables.push(name);
      yield comparison.checked;
    }
  }
  return tables;
}

/** True for each chunk that is the same; ends with false where one is not. */
function* sameChunks(one: TableView, other: TableView): Generator<boolean, void, undefined> {
  const left = one.chunks[Symbol.iterator]();
  const right = other.chunks[Symbol.iterator]();
  for (;;) {
    const a = left.next();
    const b = right.next();
    if (a.done === true && b.done === true) return;
    const isSame = a.done !== true && b.done !== true && Buffer.compare(a.value, b.value) === 0;
    yield isSame;
    if (!isSame) return;
  }
}

function samePlaces(one: AccountView, other: AccountView): boolean {
  if (one.placeCount !== other.placeCount) return false;
  const right = placesOf(other);
  for (const position of placesOf(one)) if (right.next().value !== position) return false;
  return true;
}

class StateComparison {
  readonly #where: LedgerCheckPlace;
  readonly #findings: LedgerFindings;
  #checked = 0;

  constructor(where: LedgerCheckPlace, findings: LedgerFindings) {
    this.#where = where;
    this.#findings = findings;
  }

  /** Values that were compared. */
  get checked(): number {
    return this.#checked;
  }

  compareHeads(expected: StateView, found: StateView): void {
    const { point, confirmedAt, opened } = expected;
    const { point: foundPoint, confirmedAt: foundAt, opened: foundOpened } = found;
    this.#compare(
      "head",
      { ...point, decidedAt: confirmedAt, opened },
      { ...foundPoint, decidedAt: foundAt, opened: foundOpened },
    );
  }

  compareAccounts(
    name: string,
    expected: AccountView | undefined,
    found: AccountView | undefined,
  ): void {
    if (expected !== undefined && found !== undefined && sameTerms(expected.terms, found.terms))
      this.#checked++;
    else this.#compare(`account ${name}`, expected?.terms, found?.terms);
    this.#comparePlaces(name, expected, found);
    for (const { asset, holding } of expected?.holdings ?? [])
      this.#compareHoldings(`${name} ${asset}`, holding, holdingOf(found, asset));
    for (const { asset, holding } of found?.holdings ?? []) {
      if (holdingOf(expected, asset) !== undefined) continue;
      this.#compareHoldings(`${name} ${asset}`, undefined, holding);
    }
  }

  /** What is known of holds, reverts and metadata of transactions. */
  compareMaps(expected: StateView, found: StateView): void {
    this.#compareEach("hold", expected.holds, found.holds);
    this.#compareEach("reverted", expected.reverted, found.reverted);
    this.#compareEach("metadata", expected.annotated, found.annotated);
  }

  /** Where the entries stand that speak of an account: there may be millions. */
  #comparePlaces(
    name: string,
    expected: AccountView | undefined,
    found: AccountView | undefined,
  ): void {
    if (expected !== undefined && found !== undefined && samePlaces(expected, found)) {
      this.#checked++;
      return;
    }
    this.#compare(`places ${name}`, listed(expected), listed(found));
  }

  #compareHoldings(of: string, expected: Holding | undefined, found: Holding | undefined): void {
    // nearly all are as they should be: nothing is made for them
    if (expected !== undefined && found !== undefined && sameHolding(expected, found)) {
      this.#checked += 1 + (expected.lots?.size ?? 0) + expected.holds.length;
      return;
    }
    this.#compare(`holding ${of}`, totalsOf(expected), totalsOf(found));
    const lots = lotsOf(expected);
    const foundLots = lotsOf(found);
    this.#compareEach(`lot ${of}`, lots, foundLots);
    this.#compareEach(`reserved ${of}`, holdsOf(expected), holdsOf(found));
    if (!sameKeys(lots, foundLots) || sameValue([...lots.keys()], [...foundLots.keys()])) return;
    this.#add({
      kind: "different",
      key: `holding ${of}`,
      expected: [...lots.keys()],
      found: [...foundLots.keys()],
      reason: "its lots are drained in another order",
    });
  }

  #compareEach<Key>(
    what: string,
    expected: ReadonlyMap<Key, unknown>,
    found: ReadonlyMap<Key, unknown>,
  ): void {
    for (const [key, value] of expected)
      this.#compare(`${what} ${String(key)}`, value, found.get(key));
    for (const [key, value] of found)
      if (!expected.has(key)) this.#compare(`${what} ${String(key)}`, undefined, value);
  }

  /** Undefined stands for what is not there. */
  #compare(key: string, expected: unknown, found: unknown): void {
    if (expected === undefined && found === undefined) return;
    this.#checked++;
    if (sameValue(expected, found)) return;
    const kind =
      expected === undefined ? "injected" : found === undefined ? "missing" : "different";
    this.#add({ kind, key, expected, found });
  }

  #add(finding: Omit<RawLedgerFinding, "where">): void {
    this.#findings.add({ where: this.#where, ...finding });
  }
}

function sameTerms(one: AccountTerms, other: AccountTerms): boolean {
  return (
    one.lots === other.lots &&
    one.issuer === other.issuer &&
    one.overdraft === other.overdraft &&
    one.frozen === other.frozen &&
    one.closed === other.closed &&
    sameValue(one.metadata, other.metadata)
  );
}

function sameHolding(one: Holding, other: Holding): boolean {
  if (one.balance !== other.balance || one.debt !== other.debt) return false;
  if (one.lots?.total !== other.lots?.total || one.lots?.size !== other.lots?.size) return false;
  if (one.holds.length !== other.holds.length || !sameValue(one.holds, other.holds)) return false;
  const right = other.lots?.[Symbol.iterator]();
  for (const lot of one.lots ?? []) {
    const next = right?.next();
    if (next === undefined || next.done === true || !sameLot(lot, next.value)) return false;
  }
  return true;
}

function sameLot({ grant, remaining }: Lot, other: Lot): boolean {
  const { version, lotIndex, grantedAt, expiresAt, reference, amount, commit } = grant;
  const found = other.grant;
  return (
    remaining === other.remaining &&
    version === found.version &&
    lotIndex === found.lotIndex &&
    grantedAt === found.grantedAt &&
    expiresAt === found.expiresAt &&
    reference === found.reference &&
    amount === found.amount &&
    commit.position === found.commit.position &&
    commit.firstVersion === found.commit.firstVersion
  );
}

function listed(account: AccountView | undefined): readonly number[] | undefined {
  return account?.places === undefined ? undefined : [...placesOf(account)];
}

function holdingOf(account: AccountView | undefined, asset: string): Holding | undefined {
  return account?.holdings.find((held) => held.asset === asset)?.holding;
}

/** What a holding adds up to; `lots` is the sum of them, as the list itself has it. */
function totalsOf(holding: Holding | undefined): unknown {
  if (holding === undefined) return undefined;
  const { balance, debt, lots } = holding;
  return { balance, debt, lots: lots === undefined ? null : lots.total };
}

function lotsOf(holding: Holding | undefined): ReadonlyMap<string, unknown> {
  const lots = new Map<string, unknown>();
  for (const lot of holding?.lots ?? []) lots.set(lotKey(lot), valueOf(lot));
  return lots;
}

function lotKey({ grant: { version, lotIndex } }: Lot): string {
  return `${version}.${lotIndex}`;
}

function valueOf({ grant, remaining }: Lot): unknown {
  const { grantedAt, expiresAt, reference, amount, commit } = grant;
  const { position, firstVersion } = commit;
  return { remaining, amount, grantedAt, expiresAt, reference, position, firstVersion };
}

function holdsOf(holding: Holding | undefined): ReadonlyMap<number, ActiveHold> {
  return new Map((holding?.holds ?? []).map((hold) => [hold.version, hold]));
}

function sameKeys(one: ReadonlyMap<string, unknown>, other: ReadonlyMap<string, unknown>): boolean {
  if (one.size !== other.size) return false;
  for (const key of one.keys()) if (!other.has(key)) return false;
  return true;
}
