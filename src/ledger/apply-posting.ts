import type { Books } from "./books.ts";
import type { AccountCell } from "./cells.ts";
import type { DrainOrder } from "./drain-order.ts";
import { Holding } from "./holding.ts";
import type { DrainedPart, PostedEntry, PostingEntry } from "./journal-entry.ts";
import type { Grant } from "./lot.ts";
import { replayDrain, replayMake } from "./lot-posting.ts";
import { credit, touch } from "./posting.ts";

const NO_PARTS: readonly DrainedPart[] = [];

/** Posts what was recorded. */
export function applyPosting(
  books: Books,
  posting: PostingEntry,
  { at, decidedAt, reference }: PostedEntry,
  version: number,
  commit: Grant["commit"],
  order: DrainOrder,
): void {
  const { asset, amount, made, repaid } = posting;
  if (amount === 0n) {
    touch(books, posting);
    return;
  }
  const source = books.account(posting.source);
  const destination = books.account(posting.destination);
  // running sums have no debts, whatever is recorded of these
  const areSums = !source.value.lots && !destination.value.lots;
  if (areSums && posting.drained === undefined && made === undefined) {
    const from = books.slot(source, asset);
    if (books.move(from, books.slot(destination, asset), amount, -Infinity)) return;
  }
  debit(books, source, posting, decidedAt);
  const slot = books.slot(destination, asset);
  const frame = { at, version, reference: reference ?? "", commit, order };
  if (repaid === 0n) {
    if (made === undefined && books.add(slot, Number(amount))) return;
    if (made !== undefined && replayMake(books, slot, amount, made, frame)) return;
  }
  const to = books.holding(destination, asset);
  credit(books, to, amount, made, repaid, frame, decidedAt);
}

function debit(
  books: Books,
  account: AccountCell,
  { asset, amount, drained, borrowed }: PostingEntry,
  decidedAt: number,
): void {
  if (borrowed === 0n) {
    const slot = books.slot(account, asset);
    if (drained === undefined && books.add(slot, -Number(amount))) return;
    if (drained !== undefined && replayDrain(books, slot, amount, drained)) return;
  }
  const from = books.holding(account, asset);
  const { value } = from;
  let { lots } = value;
  for (const part of drained ?? NO_PARTS)
    lots = lots?.remove(part.version, part.lotIndex, part.amount);
  const holds = value.holdsAt(decidedAt);
  books.put(from, new Holding(value.balance - amount, value.debt + borrowed, lots, holds));
}
