import { InvalidArgumentError } from "../errors.ts";
import { count } from "../store/options.ts";
import type { AccountInfo } from "./account.ts";
import type { LedgerEngine } from "./engine.ts";
import { Holding } from "./holding.ts";
import { checkAccount, checkAsset, checkInstant, WORLD } from "./names.ts";
import { idOf } from "./state.ts";
import type {
  AccountBalance,
  BalanceDetails,
  HoldInfo,
  Page,
  TrialBalanceRow,
} from "./transaction.ts";

/** When, and how new. */
export interface ReadOptions {
  /** The instant that says what has expired. @default now */
  readonly at?: Date | undefined;
  /** Ask the server first whether this process knows all that stands in the journal. @default false */
  readonly fresh?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Which balances. */
export interface BalancesQuery extends ReadOptions {
  readonly asset: string;
  /** Accounts whose names begin so. */
  readonly prefix?: string | undefined;
  /** At least so much; 0n also lists accounts that were emptied, and none below zero. @default all */
  readonly min?: bigint | undefined;
  /** The cursor of the page before. */
  readonly after?: string | undefined;
  /** @default 100, at most 10,000 */
  readonly limit?: number | undefined;
}

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 10_000;
const NOTHING = new Holding(0n, 0n, undefined);

/** Answers from the acknowledged state in memory; nothing is written, and nothing asked unless it is told to be fresh. */
export class Queries {
  readonly #engine: LedgerEngine;

  constructor(engine: LedgerEngine) {
    this.#engine = engine;
  }

  async balance(account: string, asset: string, options: ReadOptions = {}): Promise<bigint> {
    const at = this.#at(options);
    const waiting = this.#known(options);
    if (waiting !== undefined) await waiting;
    const cell = this.#engine.state.books.accounts.get(account)?.holding(asset);
    return cell?.confirmedAt(at) ?? this.#holding(account, asset).balanceAt(at);
  }

  async available(
    account: string,
    asset: string,
    options: ReadOptions = {},
  ): Promise<bigint | "unlimited"> {
    const at = this.#at(options);
    await this.#known(options);
    const terms = this.#engine.state.books.accounts.get(account)?.confirmed;
    const overdraft = terms === undefined ? this.#engine.state.opened?.overdraft : terms.overdraft;
    if (account === WORLD || terms?.issuer === true || overdraft === undefined) return "unlimited";
    const decidedAt = Math.max(at, this.#engine.state.confirmedAt);
    const cell = this.#engine.state.books.accounts.get(account)?.holding(asset);
    const own = cell?.confirmedSpendable(at, decidedAt) ?? this.#holding(account, asset).balance;
    return own + overdraft;
  }

  async details(
    account: string,
    asset: string,
    options: ReadOptions = {},
  ): Promise<BalanceDetails> {
    const at = this.#at(options);
    await this.#known(options);
    const { debt, lots, balance } = this.#holding(account, asset);
    const byExpiry = new Map<number | null, bigint>();
    for (const { grant, remaining } of lots ?? []) {
      const { expiresAt } = grant;
      if (expiresAt !== null && expiresAt <= at) continue;
      byExpiry.set(expiresAt, (byExpiry.get(expiresAt) ?? 0n) + remaining);
    }
    if (lots === undefined && balance !== 0n) byExpiry.set(null, balance);
    const details = Array.from(byExpiry, ([expiresAt, amount]) => ({ expiresAt, amount }))
      .sort((a, b) => (a.expiresAt ?? -Infinity) - (b.expiresAt ?? -Infinity))
      .map(({ expiresAt, amount }) => ({
        expiresAt: expiresAt === null ? null : new Date(expiresAt),
        amount,
      }));
    const total = details.reduce((sum, { amount }) => sum + amount, -debt);
    return { total, debt, details };
  }

  async balances(query: BalancesQuery): Promise<Page<AccountBalance>> {
    const { limit = DEFAULT_LIMIT } = query;
    if (count("limit", limit, 1) > MAX_LIMIT)
      throw new InvalidArgumentError("limit", `at most ${MAX_LIMIT}`, limit);
    const items: AccountBalance[] = [];
    for (const item of await this.#matching(query, query.after)) {
      if (items.length === limit) return { items, cursor: items.at(-1)?.account };
      items.push(item);
    }
    return { items, cursor: undefined };
  }

  async count(query: Omit<BalancesQuery, "after" | "limit">): Promise<number> {
    let found = 0;
    for (const _ of await this.#matching(query, undefined)) found++;
    return found;
  }

  async account(name: string): Promise<AccountInfo | undefined> {
    await this.#engine.current();
    const terms = this.#engine.state.books.accounts.get(name)?.confirmed;
    if (terms === undefined) return undefined;
    const { lots, issuer, overdraft = "unlimited", frozen, closed, metadata } = terms;
    const copy = structuredClone(metadata);
    return { account: name, lots, issuer, overdraft, frozen, closed, metadata: copy };
  }

  async holds(account: string, options: ReadOptions = {}): Promise<readonly HoldInfo[]> {
    checkAccount("account", account);
    const at = this.#at(options);
    await this.#known(options);
    const { state } = this.#engine;
    const decidedAt = Math.max(at, state.confirmedAt);
    const found: HoldInfo[] = [];
    for (const { asset, confirmed } of state.books.accounts.get(account)?.holdings ?? []) {
      for (const { version, commit, to, remaining, expiresAt } of confirmed?.holds ?? []) {
        if (expiresAt <= decidedAt) continue;
        const { position, firstVersion } = commit;
        const id = idOf({ position, index: version - firstVersion });
        found.push({ id, account, asset, to, remaining, expiresAt: new Date(expiresAt) });
      }
    }
    return found;
  }

  async trialBalance(options: ReadOptions = {}): Promise<readonly TrialBalanceRow[]> {
    const at = this.#at(options);
    await this.#known(options);
    const rows = new Map<string, { debits: bigint; credits: bigint; expired: bigint }>();
    for (const { holdings } of this.#engine.state.books.accounts.values()) {
      for (const cell of holdings) {
        const { asset, confirmedBalance: balance } = cell;
        if (balance === undefined) continue;
        const row = rows.get(asset) ?? { debits: 0n, credits: 0n, expired: 0n };
        rows.set(asset, row);
        if (balance > 0n) row.debits += balance;
        else row.credits -= balance;
        // what was posted and is in no balance any more
        row.expired += balance - (cell.confirmedAt(at) ?? balance);
      }
    }
    return Array.from(rows, ([asset, { debits, credits, expired }]) => ({
      asset,
      debits,
      credits,
      difference: debits - credits,
      expired,
    })).sort((a, b) => (a.asset < b.asset ? -1 : 1));
  }

  async #matching(
    query: Omit<BalancesQuery, "after" | "limit">,
    after: string | undefined,
  ): Promise<Iterable<AccountBalance>> {
    const { asset, prefix = "", min } = query;
    checkAsset("asset", asset);
    if (typeof prefix !== "string") throw new InvalidArgumentError("prefix", "a text", prefix);
    if (min !== undefined && typeof min !== "bigint")
      throw new InvalidArgumentError("min", "a bigint in minor units", min);
    if (after !== undefined) checkAccount("after", after);
    const at = this.#at(query);
    await this.#known(query);
    const { books, names } = this.#engine.state;
    return (function* () {
      for (const account of names.from(prefix, after)) {
        const balance = books.accounts.get(account)?.holding(asset)?.confirmedAt(at);
        if (balance === undefined) continue;
        if (min === undefined || balance >= min) yield { account, asset, balance };
      }
    })();
  }

  #holding(account: string, asset: string): Holding {
    const cell = this.#engine.state.books.accounts.get(account);
    // what is known needs no check of its name
    const holding = cell?.holding(asset)?.confirmed;
    if (holding !== undefined) return holding;
    checkAccount("account", account);
    checkAsset("asset", asset);
    return NOTHING;
  }

  #known({ fresh, signal }: ReadOptions): Promise<unknown> | undefined {
    return fresh === true ? this.#engine.refresh(signal) : this.#engine.current();
  }

  #at({ at }: ReadOptions): number {
    return at === undefined ? this.#engine.now() : checkInstant("at", at);
  }
}
