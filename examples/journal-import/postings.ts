import type { PostingInput } from "annal/ledger";
import { accountOf } from "./account-names.ts";
import type { Entry, JournalTransaction } from "./journal.ts";

/**
 * The postings that say the same as signed entries: within each asset what gives pays what gets, in their order. Entries
 * of one account add up before.
 *
 * @throws {Error} where the entries of an asset do not sum to zero
 */
export function postingsOf({ reference, entries }: JournalTransaction): PostingInput[] {
  const postings: PostingInput[] = [];
  for (const [asset, sums] of byAsset(entries)) {
    const givers = sums.filter(({ left }) => left < 0n);
    const getters = sums.filter(({ left }) => left > 0n);
    let giver = givers.shift();
    let getter = getters.shift();
    while (giver !== undefined && getter !== undefined) {
      const amount = -giver.left < getter.left ? -giver.left : getter.left;
      const source = accountOf(giver.account);
      const destination = accountOf(getter.account);
      postings.push({ source, destination, asset, amount });
      giver.left += amount;
      getter.left -= amount;
      if (giver.left === 0n) giver = givers.shift();
      if (getter.left === 0n) getter = getters.shift();
    }
    const unpaired = giver ?? getter;
    if (unpaired !== undefined) {
      const { account, left } = unpaired;
      throw new Error(
        `${reference}: its entries of ${asset} do not sum to zero, ${left} of ${account} has no counterpart`,
      );
    }
  }
  return postings;
}

interface Sum {
  readonly account: string;
  left: bigint;
}

function byAsset(entries: readonly Entry[]): ReadonlyMap<string, Sum[]> {
  const assets = new Map<string, Sum[]>();
  for (const { account, asset, amount } of entries) {
    const sums = assets.get(asset) ?? [];
    assets.set(asset, sums);
    const sum = sums.find((of) => of.account === account);
    if (sum === undefined) sums.push({ account, left: amount });
    else sum.left += amount;
  }
  return assets;
}
