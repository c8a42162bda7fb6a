import type { Books } from "./books.ts";
import type { AccountCell } from "./cells.ts";
import { MOST_ROWS } from "./holding-table.ts";
import type { DrainedPart, MadeLot, PostingEntry } from "./journal-entry.ts";
import type { Grant } from "./lot.ts";
import type { LotQueue } from "./lot-queue.ts";
import type { AskedPosting, PostingFrame } from "./posting.ts";

const NEVER: number = Number.POSITIVE_INFINITY;
const MOST: number = Number.MAX_SAFE_INTEGER;

/** What a lot is made of: part of what was drained, and when that expires. */
interface Slice {
  amount: number;
  /** In ms; Infinity for never. */
  readonly expiresAt: number;
}

/**
 * Decides and posts a posting that drains lots which stand in rows, or makes some, where it is as most are: of usable
 * accounts that hold nothing back and owe nothing, of amounts that are exact as numbers, and covered.
 *
 * @returns undefined where it is another one, or is refused: `decidePosting` says how, or why; nothing was posted
 */
export function decideLotPosting(
  books: Books,
  source: AccountCell,
  destination: AccountCell,
  asked: AskedPosting,
  frame: PostingFrame,
): PostingEntry | undefined {
  const { asset, amount, expiresAt } = asked;
  const moved = Number(amount);
  if (source === destination || moved <= 0 || moved > MOST) return undefined;
  const from = books.slot(source, asset);
  const to = books.slot(destination, asset);
  const fromLots = books.lots(from);
  const toLots = books.lots(to);
  if (!covers(books, source, from, fromLots, moved, frame)) return undefined;
  if (!takes(books, destination, to, toLots, moved)) return undefined;
  const asExpiry = expiresAt ?? NEVER;
  // what has expired already is nothing usual
  if (asExpiry <= frame.at) return undefined;
  let drained: DrainedPart[] | undefined;
  let slices: readonly Slice[];
  if (fromLots === undefined) slices = [{ amount: moved, expiresAt: asExpiry }];
  else [drained, slices] = drain(books, fromLots, moved, asExpiry);
  books.shift(from, -moved);
  const made = toLots === undefined ? undefined : make(books, to, toLots, slices, frame);
  books.shift(to, moved);
  if (drained !== undefined) frame.nextIndex++;
  // field by field: spreading an object costs more than all else
  return {
    source: asked.source,
    destination: asked.destination,
    asset,
    amount,
    asked: amount,
    drained,
    borrowed: 0n,
    made,
    repaid: 0n,
  };
}

/** Posts what was recorded, where it is as {@link decideLotPosting} makes it. @returns whether it was posted */
export function applyLotPosting(
  books: Books,
  source: AccountCell,
  destination: AccountCell,
  { asset, amount, drained, borrowed, made, repaid }: PostingEntry,
  of: Pick<PostingFrame, "at" | "version" | "reference" | "commit">,
): boolean {
  const moved = Number(amount);
  if (source === destination || moved <= 0 || moved > MOST) return false;
  if (borrowed !== 0n || repaid !== 0n) return false;
  const from = books.slot(source, asset);
  const to = books.slot(destination, asset);
  const fromLots = books.lots(from);
  const toLots = books.lots(to);
  if ((fromLots === undefined) !== (drained === undefined)) return false;
  if ((toLots === undefined) !== (made === undefined)) return false;
  // of a running sum whatever was taken, and of a whole nothing: that is NaN
  const left = books.sum(from) - moved;
  if (!(left >= (fromLots === undefined ? -MOST : 0))) return false;
  if (!takes(books, destination, to, toLots, moved)) return false;
  const rows = drained === undefined ? NO_ROWS : rowsOf(books, fromLots, drained, moved);
  if (rows === undefined || (made !== undefined && !comesTo(made, moved))) return false;
  rows.forEach((row, at) => {
    books.drain(row, Number(drained?.[at]?.amount ?? 0n));
  });
  books.shift(from, -moved);
  if (toLots !== undefined)
    for (const { lotIndex, amount: part, expiresAt } of made ?? NO_LOTS)
      addLot(books, to, toLots, lotIndex, part, Number(part), expiresAt, of);
  books.shift(to, moved);
  return true;
}

const NO_ROWS: readonly number[] = [];
const NO_LOTS: readonly MadeLot[] = [];

/** Whether so much can be taken from an account without a look at anything but live lots, or a running sum. */
function covers(
  books: Books,
  { value: { issuer, overdraft, lots: keepsLots } }: AccountCell,
  slot: number,
  lots: LotQueue | undefined,
  moved: number,
  { at, decidedAt }: PostingFrame,
): boolean {
  const sum = books.sum(slot);
  if (lots !== undefined) {
    // an issuer's are not drained
    return !issuer && lots.suits(at, decidedAt) && sum - lots.expiredSum >= moved;
  }
  if (keepsLots) return false;
  const least = issuer || overdraft === undefined ? -MOST : Math.max(-MOST, -Number(overdraft));
  return sum - moved >= least;
}

/** Whether so much can be added to an account: nothing is owed there. */
function takes(
  books: Books,
  { value: { lots: keepsLots } }: AccountCell,
  slot: number,
  lots: LotQueue | undefined,
  moved: number,
): boolean {
  if (keepsLots !== (lots !== undefined)) return false;
  // false for NaN, which a whole has
  return books.sum(slot) + moved <= MOST && (lots === undefined || lots.size < MOST_ROWS);
}

/** Drains live lots in their order. @returns what was drained, and what is to be made of it */
function drain(
  books: Books,
  { live }: LotQueue,
  amount: number,
  expiresAt: number,
): [drained: DrainedPart[], slices: readonly Slice[]] {
  const { rows } = books;
  const [first] = live;
  // most take a part of the first lot; a list that grows would have room for 17
  if (first !== undefined && rows.remaining(first) >= amount) {
    const slice = { amount, expiresAt: Math.min(rows.expiresAt(first), expiresAt) };
    return [[drainRow(books, first, amount)], [slice]];
  }
  const drained: DrainedPart[] = [];
  const slices: Slice[] = [];
  let missing = amount;
  for (const row of live) {
    const remaining = rows.remaining(row);
    if (remaining === 0) continue;
    const part = Math.min(remaining, missing);
    drained.push(drainRow(books, row, part));
    const until = Math.min(rows.expiresAt(row), expiresAt);
    const last = slices.at(-1);
    if (last?.expiresAt === until) last.amount += part;
    else slices.push({ amount: part, expiresAt: until });
    missing -= part;
    if (missing === 0) break;
  }
  return [drained, slices];
}

function drainRow(books: Books, row: number, part: number): DrainedPart {
  const { rows } = books;
  books.drain(row, part);
  return {
    version: rows.version(row),
    lotIndex: rows.lotIndex(row),
    amount: BigInt(part),
    expiresAt: instantOf(rows.expiresAt(row)),
  };
}

function make(
  books: Books,
  slot: number,
  lots: LotQueue,
  slices: readonly Slice[],
  frame: PostingFrame,
): MadeLot[] {
  const [first] = slices;
  if (first !== undefined && slices.length === 1) return [makeOne(books, slot, lots, first, frame)];
  return slices.map((slice) => makeOne(books, slot, lots, slice, frame));
}

function makeOne(
  books: Books,
  slot: number,
  lots: LotQueue,
  slice: Slice,
  frame: PostingFrame,
): MadeLot {
  const lotIndex = frame.nextIndex++;
  const amount = BigInt(slice.amount);
  const expiresAt = instantOf(slice.expiresAt);
  addLot(books, slot, lots, lotIndex, amount, slice.amount, expiresAt, frame);
  return { lotIndex, amount, expiresAt };
}

function addLot(
  books: Books,
  slot: number,
  lots: LotQueue,
  lotIndex: number,
  amount: bigint,
  part: number,
  expiresAt: number | null,
  of: Pick<PostingFrame, "at" | "version" | "reference" | "commit">,
): void {
  const { at: grantedAt, version, reference, commit } = of;
  const grant: Grant = { version, lotIndex, grantedAt, expiresAt, reference, amount, commit };
  books.addLot(slot, lots, grant, part);
}

/** The rows that were drained; undefined where they, or their parts, are not as recorded. */
function rowsOf(
  books: Books,
  lots: LotQueue | undefined,
  drained: readonly DrainedPart[],
  moved: number,
): readonly number[] | undefined {
  if (lots === undefined || !comesTo(drained, moved)) return undefined;
  const rows: number[] = [];
  for (const { version, lotIndex, amount } of drained) {
    const row = lots.find(version, lotIndex);
    if (row === undefined || books.rows.remaining(row) < amount) return undefined;
    if (rows.includes(row)) return undefined;
    rows.push(row);
  }
  return rows;
}

/** Whether parts, all of them above zero, come to an amount. */
function comesTo(parts: readonly { readonly amount: bigint }[], amount: number): boolean {
  let sum = 0;
  for (const part of parts) {
    if (part.amount <= 0n) return false;
    sum += Number(part.amount);
  }
  return sum === amount;
}

function instantOf(expiry: number): number | null {
  return expiry === NEVER ? null : expiry;
}
