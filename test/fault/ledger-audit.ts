import { expect } from "vitest";
import { type Ledger, type Transaction, WORLD } from "../../src/ledger/index.ts";
import { allTransactions } from "../integration/ledger/ledger-stage.ts";

/** A transaction that was reported as posted: its idempotency key, and its id. */
export interface AcknowledgedKey {
  readonly key: string;
  readonly id: string;
}

/**
 * Reads a whole ledger and asserts what always holds: no idempotency key stands there twice, what was reported as posted
 * stands where it was said to, the balances are what the postings come to, and no account but world is below zero.
 *
 * @returns all transactions
 */
export async function auditLedger(
  ledger: Ledger,
  acknowledged: readonly AcknowledgedKey[],
): Promise<readonly Transaction[]> {
  await ledger.refresh();
  const all = await allTransactions(ledger, 1_000);
  const places = new Map<string, string>();
  const sums = new Map<string, bigint>();
  for (const { id, idempotencyKey: key, postings } of all) {
    if (key !== undefined) {
      expect([key, places.get(key)], "a key stands twice").toEqual([key, undefined]);
      places.set(key, id);
    }
    for (const { source, destination, asset, amount } of postings) {
      sums.set(`${source} ${asset}`, (sums.get(`${source} ${asset}`) ?? 0n) - amount);
      sums.set(`${destination} ${asset}`, (sums.get(`${destination} ${asset}`) ?? 0n) + amount);
    }
  }
  const lost = acknowledged.filter(({ key, id }) => places.get(key) !== id);
  expect(lost, "reported as posted, and not there").toEqual([]);
  for (const [of, sum] of sums) {
    const [account = "", asset = ""] = of.split(" ");
    expect([of, await ledger.balance(account, asset)]).toEqual([of, sum]);
    if (account !== WORLD) expect([of, sum >= 0n]).toEqual([of, true]);
  }
  for (const { difference } of await ledger.trialBalance()) expect(difference).toBe(0n);
  return all;
}
