import type { Ledger, PostManyItem } from "annal/ledger";
import type { Journal } from "./journal.ts";
import { postingsOf } from "./postings.ts";

/** Transactions that are posted at once. */
const GROUP = 200;

/** What became of the transactions of a journal. */
export interface Import {
  readonly postings: number;
  /** Posted now. */
  readonly posted: number;
  /** Found in the ledger, from an earlier run. */
  readonly replayed: number;
  /** Transactions of nothing: no ledger posts them. */
  readonly empty: number;
  readonly refused: readonly string[];
}

/** Posts a journal's transactions, each by its reference, so that none is posted twice however often this runs. */
export async function importTransactions(
  ledger: Ledger,
  { transactions }: Journal,
  onProgress: (done: number) => void,
): Promise<Import> {
  const items: PostManyItem[] = [];
  let empty = 0;
  for (const transaction of transactions) {
    const postings = postingsOf(transaction);
    const { reference, date: at, description } = transaction;
    if (postings.length === 0) empty++;
    else items.push({ reference, at, postings, metadata: { description } });
  }
  let posted = 0;
  let replayed = 0;
  const refused: string[] = [];
  for (let from = 0; from < items.length; from += GROUP) {
    const group = items.slice(from, from + GROUP);
    for (const [at, outcome] of (await ledger.postMany(group)).entries()) {
      // it may be posted: all have references, so that importing once more finds out
      if (outcome.status === "unknown") throw outcome.error;
      if (outcome.status === "refused")
        refused.push(`${group[at]?.reference}: ${outcome.error.message}`);
      else if (outcome.result.replayed) replayed++;
      else posted++;
    }
    onProgress(from + group.length);
  }
  const postings = items.reduce((sum, item) => sum + item.postings.length, 0);
  return { postings, posted, replayed, empty, refused };
}
