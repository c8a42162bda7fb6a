import type { Books } from "./books.ts";
import { MOST_ROWS } from "./holding-table.ts";
import type { DrainedPart, MadeLot } from "./journal-entry.ts";
import type { Grant } from "./lot.ts";
import type { LotQueue } from "./lot-queue.ts";
import type { PostingFrame } from "./posting.ts";

/** What a lot is to be made of: a part of what moves, and when it expires. */
export interface Slice {
  amount: bigint;
  /** In ms; null for never. */
  readonly expiresAt: number | null;
}

/** What was drained, and what is to be made of it. */
export interface Drained {
  readonly drained: DrainedPart[];
  /** Nothing was borrowed. */
  readonly borrowed: 0n;
  readonly slices: Slice[];
}

/** What lots have of the transaction that makes them. */
type Origin = Pick<PostingFrame, "at" | "version" | "reference" | "commit">;

/** What can be drained of lots that stand in rows. */
export function drainableOf(
  books: Books,
  slot: number,
  lots: LotQueue,
  { at, decidedAt }: Pick<PostingFrame, "at" | "decidedAt">,
): number {
  const sum = books.sum(slot);
  lots.setApart(at, decidedAt);
  return lots.isAllDrainable(at) ? sum - lots.expiredSum : lots.sumAt("remaining", sum, at, at);
}

/**
 * Drains lots that stand in rows, in their order.
 *
 * @param expiresAt what is made of them expires by then
 * @returns undefined where they are to be drained as a whole: not all of the amount is there, or some would come back that
 * had been set apart; nothing was drained
 */
export function drainRows(
  books: Books,
  slot: number,
  lots: LotQueue,
  amount: bigint,
  expiresAt: number | null,
  frame: PostingFrame,
): Drained | undefined {
  let missing = Number(amount);
  if (!lots.hasLiveOf(frame.at) || missing <= 0) return undefined;
  if (drainableOf(books, slot, lots, frame) < missing) return undefined;
  const { rows } = books;
  const isAll = lots.isAllDrainable(frame.at);
  books.shift(slot, -missing);
  const [first] = lots.live;
  // most take a part of the first lot; a list that grows would have room for 17
  if (isAll && first !== undefined && rows.remaining(first) >= missing) {
    const part = drainRow(books, first, missing, amount);
    const slice = { amount, expiresAt: earlier(part.expiresAt, expiresAt) };
    return { drained: [part], borrowed: 0n, slices: [slice] };
  }
  const drained: DrainedPart[] = [];
  const slices: Slice[] = [];
  for (const row of lots.live) {
    const remaining = rows.remaining(row);
    if (remaining === 0 || (!isAll && !rows.isDrainable(row, frame.at))) continue;
    const part = Math.min(remaining, missing);
    const of = drainRow(books, row, part, BigInt(part));
    drained.push(of);
    addSlice(slices, of.amount, earlier(of.expiresAt, expiresAt));
    missing -= part;
    if (missing === 0) break;
  }
  return { drained, borrowed: 0n, slices };
}

/** Makes lots in rows. @returns undefined where they are to be made in a whole holding; nothing was made */
export function makeRows(
  books: Books,
  slot: number,
  lots: LotQueue,
  amount: bigint,
  slices: readonly Slice[],
  frame: PostingFrame,
): MadeLot[] | undefined {
  const moved = Number(amount);
  if (!hasRoom(books, slot, lots, moved, slices.length)) return undefined;
  books.shift(slot, moved);
  const [first] = slices;
  if (first !== undefined && slices.length === 1) return [makeRow(books, slot, lots, first, frame)];
  return slices.map((slice) => makeRow(books, slot, lots, slice, frame));
}

/** Drains what was recorded. @returns false where that is to be done with the whole holding; nothing was drained */
export function replayDrain(
  books: Books,
  slot: number,
  amount: bigint,
  drained: readonly DrainedPart[],
): boolean {
  const lots = books.lots(slot);
  if (lots === undefined || !comesTo(drained, amount)) return false;
  const rows: number[] = [];
  for (const { version, lotIndex, amount: part } of drained) {
    const row = lots.find(version, lotIndex);
    if (row === undefined || books.rows.remaining(row) < part || rows.includes(row)) return false;
    rows.push(row);
  }
  books.shift(slot, -Number(amount));
  for (const [at, { amount: part }] of drained.entries()) books.drain(rows[at] ?? 0, Number(part));
  // another process may drain, as of its instant, what has expired by the clock of this one
  lots.recount();
  return true;
}

/** Makes the lots that were recorded, as {@link replayDrain}. */
export function replayMake(
  books: Books,
  slot: number,
  amount: bigint,
  made: readonly MadeLot[],
  of: Origin,
): boolean {
  const lots = books.lots(slot);
  if (lots === undefined || !comesTo(made, amount)) return false;
  const moved = Number(amount);
  if (!hasRoom(books, slot, lots, moved, made.length)) return false;
  books.shift(slot, moved);
  for (const lot of made) addLot(books, slot, lots, lot, of);
  return true;
}

/** Adds to the last slice what expires when it does. */
export function addSlice(slices: Slice[], amount: bigint, expiresAt: number | null): void {
  const last = slices.at(-1);
  if (last !== undefined && last.expiresAt === expiresAt) last.amount += amount;
  else slices.push({ amount, expiresAt });
}

export function earlier(one: number | null, other: number | null): number | null {
  if (one === null) return other;
  return other === null || one < other ? one : other;
}

function hasRoom(
  books: Books,
  slot: number,
  lots: LotQueue,
  amount: number,
  count: number,
): boolean {
  return books.sum(slot) + amount <= Number.MAX_SAFE_INTEGER && lots.size + count <= MOST_ROWS;
}

function drainRow(books: Books, row: number, part: number, amount: bigint): DrainedPart {
  const { rows } = books;
  books.drain(row, part);
  const expiry = rows.expiresAt(row);
  return {
    version: rows.version(row),
    lotIndex: rows.lotIndex(row),
    amount,
    expiresAt: expiry === Number.POSITIVE_INFINITY ? null : expiry,
  };
}

function makeRow(
  books: Books,
  slot: number,
  lots: LotQueue,
  { amount, expiresAt }: Slice,
  frame: PostingFrame,
): MadeLot {
  const lot: MadeLot = { lotIndex: frame.nextIndex++, amount, expiresAt };
  addLot(books, slot, lots, lot, frame);
  return lot;
}

function addLot(
  books: Books,
  slot: number,
  lots: LotQueue,
  { lotIndex, amount, expiresAt }: MadeLot,
  { at: grantedAt, version, reference, commit }: Origin,
): void {
  const grant: Grant = { version, lotIndex, grantedAt, expiresAt, reference, amount, commit };
  books.addLot(slot, lots, grant, Number(amount));
}

/** Whether parts, all of them above zero, come to an amount. */
function comesTo(parts: readonly { readonly amount: bigint }[], amount: bigint): boolean {
  let sum = 0n;
  for (const { amount: part } of parts) {
    if (part <= 0n) return false;
    sum += part;
  }
  return sum === amount;
}
