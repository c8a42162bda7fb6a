import type { Ledgers } from "annal/ledger";

/** The ledger that is hammered. */
export const LEDGER = "hammered";

/** What is transferred, and how much of it each account has at first, in minor units. */
export const OPENING: ReadonlyMap<string, bigint> = new Map([
  ["CREDIT/2", 100_000n],
  ["POINT", 1_000n],
]);

/** Accounts that are opened at once. */
const GROUP = 100;

/** The accounts, by number. */
export function accountNames(accounts: number): readonly string[] {
  return Array.from({ length: accounts }, (_, at) => `accounts:${String(at).padStart(4, "0")}`);
}

/** Creates the ledger and gives each account what it has at first. Every second account keeps a sum instead of lots. */
export async function createLedger(ledgers: Ledgers, accounts: number): Promise<void> {
  await ledgers.create(LEDGER, { bucket: "demo" });
  const ledger = await ledgers.open(LEDGER);
  const names = accountNames(accounts);
  for (let from = 0; from < names.length; from += GROUP) {
    const group = names.slice(from, from + GROUP);
    const sums = group.filter((_, at) => at % 2 === 1);
    await Promise.all(sums.map((account) => ledger.openAccount(account, { lots: false })));
    const items = group.map((account) => ({
      reference: `opening ${account}`,
      postings: Array.from(OPENING, ([asset, amount]) => ({
        source: "world",
        destination: account,
        asset,
        amount,
      })),
    }));
    for (const outcome of await ledger.postMany(items, { atomic: true }))
      if (outcome.status === "refused") throw outcome.error;
  }
}
