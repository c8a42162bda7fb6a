import type { Holding } from "../../src/ledger/holding.ts";
import { type LedgerState, referenceOf } from "../../src/ledger/state.ts";
import type { MemoryJournal } from "./ledger-process.ts";
import { ACCOUNTS, ASSETS } from "./ledger-script.ts";
import type { NaiveLedger } from "./naive-ledger.ts";

/** Which version of the state: what is acknowledged, or with what was decided since. */
export type Which = "confirmed" | "value";

/** All that a state says, as plain values in an order of their own. */
export function dump(state: LedgerState, which: Which, texts: readonly string[]) {
  const { books, reverted, holds, annotated, names, references, keys, fingerprints } = state;
  const { version, decidedAt, opened, point, confirmedAt } = state;
  const accounts = [...books.accounts.values()].flatMap((cell) => {
    const terms = of(cell, which);
    if (terms === undefined) return [];
    const holdings = cell.holdings.flatMap((holding) => {
      const value = of(holding, which);
      return value === undefined ? [] : [{ asset: holding.asset, ...dumpHolding(value) }];
    });
    const places = [...(cell.places?.positions() ?? [])];
    return [{ name: cell.name, terms, places, holdings: sorted(holdings, ({ asset }) => asset) }];
  });
  return {
    accounts: sorted(accounts, ({ name }) => name),
    reverted: sorted([...reverted], ([of]) => of),
    holds: sorted([...holds], ([id]) => id),
    annotated: sorted([...annotated], ([of]) => of),
    names: [...names.all()],
    references: texts.map((text) => [text, references.find(fingerprints.of(text))]),
    keys: texts.map((text) => [text, keys.find(fingerprints.of(text))]),
    version,
    decidedAt,
    opened,
    point,
    confirmedAt,
  };
}

function dumpHolding({ balance, debt, lots, holds }: Holding) {
  return { balance, debt, holds, lots: lots === undefined ? undefined : [...lots] };
}

/** What a state says of funds, beside what the naive ledger says of them. */
export function fundsOf(state: LedgerState, which: Which, ledger: NaiveLedger, instants: number[]) {
  const decidedAt = ledger.decidedAt;
  const holds = [...ledger.books.data.holds].filter(([, { remaining }]) => remaining > 0n);
  const active = new Set(
    holds.flatMap(([version, { expiresAt }]) => (expiresAt.getTime() > decidedAt ? [version] : [])),
  );
  // those that have ended by their instant may be known or not
  const known = new Set([...state.holds.values()].map(({ version }) => version));
  for (const [version] of holds) if (!active.has(version)) known.delete(version);
  const real: unknown[] = [known];
  const naive: unknown[] = [active];
  for (const account of ACCOUNTS) {
    const cell = state.books.accounts.get(account);
    naive.push(ledger.metadata(account));
    real.push((cell === undefined ? undefined : of(cell, which))?.metadata ?? {});
    for (const asset of ASSETS) {
      const found = cell?.holding(asset);
      const holding = found === undefined ? undefined : of(found, which);
      const keepsLots = ledger.books.terms(account).lots;
      const { sum, debt } = ledger.books.holding(account, asset);
      const left = ledger.books.lots(account, asset).filter(({ remaining }) => remaining > 0n);
      naive.push({
        account,
        asset,
        sum,
        debt: keepsLots ? debt : 0n,
        lots: left.map(({ version, index, grantedAt, expiresAt, reference, amount, remaining }) => {
          return { version, index, grantedAt, expiresAt, reference, amount, remaining };
        }),
        at: instants.map((at) => [
          ledger.books.balance(account, asset, at),
          ledger.books.own(account, asset, { at, decidedAt }),
        ]),
      });
      real.push({
        account,
        asset,
        sum: holding?.balance ?? 0n,
        debt: holding?.debt ?? 0n,
        lots: [...(holding?.lots ?? [])].map(({ grant, remaining }) => {
          const { version, lotIndex: index, grantedAt, reference, amount } = grant;
          const expiresAt = grant.expiresAt ?? Infinity;
          return { version, index, grantedAt, expiresAt, reference, amount, remaining };
        }),
        at: instants.map((at) => [
          holding?.balanceAt(at) ?? 0n,
          holding?.spendable(at, decidedAt) ?? 0n,
        ]),
      });
    }
  }
  return { real, naive };
}

interface Cell<Value> {
  readonly value: Value;
  readonly confirmed: Value | undefined;
}

function of<Value>(cell: Cell<Value>, which: Which): Value | undefined {
  return which === "value" ? cell.value : cell.confirmed;
}

function sorted<Item, Key extends number | string>(items: Item[], key: (item: Item) => Key) {
  return items.sort((one, other) => (key(one) < key(other) ? -1 : 1));
}

/** All keys and references of a journal. */
export function textsOf(journal: MemoryJournal): string[] {
  const entries = [...journal.readOn(0)].flatMap((commit) => commit.entries);
  const texts = entries.flatMap((entry) => [entry.key, referenceOf(entry)]);
  return [...new Set(texts)].filter((text) => text !== undefined);
}
