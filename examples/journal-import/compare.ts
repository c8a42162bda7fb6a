import type { Ledger } from "annal/ledger";
import { accountOf, nameOf } from "./account-names.ts";
import type { Entry, ExpectedBalances, Journal } from "./journal.ts";

/** Balances are asked for so many at once. */
const AT_ONCE = 16;
const END_OF_TIME = new Date(8.64e15);

/** How the balances at one instant compare. */
export interface Comparison {
  readonly before: Date | undefined;
  /** Balances that the file names. */
  readonly named: number;
  /** Balances of all other accounts of the file: they must be zero. */
  readonly others: number;
  readonly differences: readonly string[];
}

/** Compares the ledger with what the file expects, at each of its instants, from the journal. */
export async function compareBalances(
  ledger: Ledger,
  journal: Journal,
  leftOut: readonly string[],
): Promise<readonly Comparison[]> {
  const compared: Comparison[] = [];
  for (const expected of journal.expected) {
    const asOf = { effectiveBefore: expected.before ?? END_OF_TIME };
    const balanceOf = (account: string, asset: string): Promise<bigint> =>
      ledger.balanceAsOf(account, asset, asOf);
    compared.push(await compare(balanceOf, journal, expected, leftOut));
  }
  return compared;
}

/** Compares the balances that the ledger has in memory with the last ones that the file expects. */
export async function compareMemory(
  ledger: Ledger,
  journal: Journal,
  leftOut: readonly string[],
): Promise<readonly string[]> {
  const expected = journal.expected.find(({ before }) => before === undefined);
  if (expected === undefined) return [];
  const balanceOf = (account: string, asset: string): Promise<bigint> =>
    ledger.balance(account, asset);
  return (await compare(balanceOf, journal, expected, leftOut)).differences;
}

/** Accounts that the ledger has and the file has not. */
export async function strangers(ledger: Ledger, journal: Journal): Promise<readonly string[]> {
  const known = cellsOf(journal.transactions.flatMap(({ entries }) => entries));
  const found: string[] = [];
  for (const asset of new Set(Array.from(known.values(), (entry) => entry.asset))) {
    let after: string | undefined;
    do {
      const page = await ledger.balances({ asset, after, limit: 1_000 });
      for (const { account, balance } of page.items) {
        const name = nameOf(account);
        if (name !== undefined && known.has(cellOf(name, asset))) continue;
        found.push(`${name ?? account} has ${balance} ${asset}`);
      }
      after = page.cursor;
    } while (after !== undefined);
  }
  return found;
}

async function compare(
  balanceOf: (account: string, asset: string) => Promise<bigint>,
  { transactions }: Journal,
  { before, balances }: ExpectedBalances,
  leftOut: readonly string[],
): Promise<Comparison> {
  const named = cellsOf(balances);
  const others = [...cellsOf(transactions.flatMap(({ entries }) => entries))].filter(
    ([cell, { account }]) => !named.has(cell) && !isBelow(account, leftOut),
  );
  const expected = [
    ...named.values(),
    ...others.map(([, { account, asset }]) => ({ account, asset, amount: 0n })),
  ];
  const differences: string[] = [];
  const cells = expected.values();
  const lookAt = async (): Promise<void> => {
    for (const { account, asset, amount } of cells) {
      const found = await balanceOf(accountOf(account), asset);
      if (found === amount) continue;
      const when = before === undefined ? "" : ` before ${before.toISOString().slice(0, 10)}`;
      differences.push(`${account}${when}: expected ${amount} ${asset}, found ${found}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lookAt));
  return { before, named: named.size, others: others.length, differences };
}

function cellsOf(entries: readonly Entry[]): Map<string, Entry> {
  return new Map(entries.map((entry) => [cellOf(entry.account, entry.asset), entry]));
}

function cellOf(account: string, asset: string): string {
  return `${asset} ${account}`;
}

function isBelow(account: string, parents: readonly string[]): boolean {
  return parents.some((parent) => account === parent || account.startsWith(`${parent}:`));
}
