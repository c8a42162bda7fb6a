import type { Books } from "./books.ts";
import type { AccountCell, AccountTerms, HoldingCell } from "./cells.ts";
import type { DrainOrder } from "./drain-order.ts";
import { AccountNotUsableError, InsufficientFundsError } from "./errors.ts";
import { Holding } from "./holding.ts";
import { addSlice, drainableOf, drainRows, earlier, makeRows, type Slice } from "./lot-posting.ts";
import type { DrainedPart, MadeLot, PostingEntry } from "./journal-entry.ts";
import type { Grant, TakenPortion } from "./lot.ts";
import type { LotList } from "./lot-list.ts";
import { WORLD } from "./names.ts";

/** A posting as it is asked for. */
export interface AskedPosting {
  readonly source: string;
  readonly destination: string;
  readonly asset: string;
  readonly amount: bigint;
  /** In milliseconds since 1970; null for never. */
  readonly expiresAt: number | null;
  /** Give back what was drained, with its expiry, instead of making lots that expire as asked: of a revert. */
  readonly restores?: PostingEntry | undefined;
}

/** The transaction whose postings are decided. */
export interface PostingFrame {
  readonly at: number;
  readonly decidedAt: number;
  readonly version: number;
  readonly reference: string;
  readonly commit: Grant["commit"];
  readonly order: DrainOrder;
  /** Take what is there where there is less. */
  readonly partial: boolean;
  /** Of a revert: whether accounts may end below zero for it (`"force"`), or may not, whatever their overdraft. */
  readonly reverting: "force" | "strict" | undefined;
  /** Prefer lots that this entry made. */
  readonly prefers: number | undefined;
  /** Number of the next lot or debit of the transaction. */
  nextIndex: number;
}

const NO_LOTS: readonly MadeLot[] = [];

/**
 * Decides and posts a posting between running sums, as most are, that is no revert's.
 *
 * @returns undefined where it is another one, or is refused: {@link decidePosting} says how, or why
 */
export function decideSumPosting(books: Books, asked: AskedPosting): PostingEntry | undefined {
  const source = books.account(asked.source);
  if (source.value.lots || !isUsable(source)) return undefined;
  const destination = books.account(asked.destination);
  if (destination.value.lots || !isUsable(destination)) return undefined;
  return moveSums(books, source, destination, asked) ? sumPosting(asked) : undefined;
}

/**
 * Decides one posting on what the books hold now, and posts it. Each of its sides on its own: as a running sum, on lots
 * in rows, or on the whole holding, which are all the same but for what they cost.
 */
export function decidePosting(
  books: Books,
  asked: AskedPosting,
  frame: PostingFrame,
): PostingEntry {
  const { asset } = asked;
  const source = books.account(asked.source);
  const destination = books.account(asked.destination);
  assertUsable(source);
  assertUsable(destination);
  const from = books.slot(source, asset);
  const quick = takeQuickly(books, source, from, asked, frame);
  const amount = quick === undefined ? movable(books, source, from, asked, frame) : asked.amount;
  if (amount === 0n) {
    touch(books, asked);
    return emptyPosting(asked);
  }
  const took = quick ?? takeFrom(books, source, amount, asked, frame);
  const { drained, borrowed, slices } = took;
  const offered = asked.restores === undefined ? slices : restored(asked.restores, amount);
  const { made, repaid } = giveTo(books, destination, asset, amount, offered, frame);
  if (drained !== undefined) frame.nextIndex++;
  return {
    source: asked.source,
    destination: asked.destination,
    asset,
    amount,
    asked: asked.amount,
    drained,
    borrowed,
    made,
    repaid,
  };
}

/** From a running sum that covers it to another. @returns false where that is not so */
function moveSums(
  books: Books,
  source: AccountCell,
  destination: AccountCell,
  { asset, amount }: AskedPosting,
): boolean {
  const least = leastOf(source.value);
  return books.move(books.slot(source, asset), books.slot(destination, asset), amount, least);
}

/** What must be left of a running sum. */
function leastOf({ issuer, overdraft }: AccountTerms): number {
  // 0 less it: the negative of 0 is -0, an object for each posting
  return issuer || overdraft === undefined ? -Infinity : 0 - Number(overdraft);
}

function sumPosting({ source, destination, asset, amount }: AskedPosting): PostingEntry {
  return {
    source,
    destination,
    asset,
    amount,
    asked: amount,
    drained: undefined,
    borrowed: 0n,
    made: undefined,
    repaid: 0n,
  };
}

/** @throws {AccountNotUsableError} of the first one; where funds are missing too, that is what is told */
export function assertAccounts(books: Books, postings: readonly AskedPosting[]): void {
  for (const { source, destination } of postings) {
    assertUsable(books.accounts.get(source));
    assertUsable(books.accounts.get(destination));
  }
}

/**
 * Of a revert, once all of it is posted: what an account gives back may be what it gets back.
 *
 * @throws {InsufficientFundsError} of the first account that gives, and is below zero now
 */
export function assertNoneBelowZero(
  books: Books,
  postings: readonly AskedPosting[],
  { at, decidedAt }: PostingFrame,
): void {
  for (const { source, asset, amount } of postings) {
    if (source === WORLD) continue;
    const value = books.accounts.get(source)?.holding(asset)?.value;
    if (value === undefined) continue;
    let left = value.spendable(at, decidedAt);
    if (value.holds.length > 0) {
      const unheld = value.unheld(decidedAt);
      if (unheld < left) left = unheld;
    }
    if (left < 0n) throw new InsufficientFundsError(source, asset, amount, amount + left);
  }
}

/** Makes accounts known that an entry speaks of, though it moved nothing: what is decided behind it counts on them. */
export function touch(
  books: Books,
  { source, destination, asset }: Pick<PostingEntry, "source" | "destination" | "asset">,
): void {
  for (const name of [source, destination]) {
    const cell = books.holding(books.account(name), asset);
    books.put(cell, cell.value);
  }
}

function isUsable({ value }: AccountCell): boolean {
  return !value.closed && !value.frozen;
}

/** An account that nothing was said of yet can be used. */
function assertUsable(account: AccountCell | undefined): void {
  if (account === undefined) return;
  const { name, value } = account;
  if (value.closed) throw new AccountNotUsableError(name, "closed");
  if (value.frozen) throw new AccountNotUsableError(name, "frozen");
}

/** Takes from a running sum, or from lots in rows, that cover it. @returns undefined where that is not so */
function takeQuickly(
  books: Books,
  account: AccountCell,
  slot: number,
  { amount, expiresAt }: AskedPosting,
  frame: PostingFrame,
): Took | undefined {
  if (frame.reverting !== undefined) return undefined;
  const lots = books.lots(slot);
  if (lots !== undefined)
    return account.value.issuer
      ? undefined
      : drainRows(books, slot, lots, amount, expiresAt, frame);
  const least = leastOf(account.value);
  const moved = Number(amount);
  // false of a whole, which is no number
  const isCovered = books.sum(slot) - moved >= least;
  if (!isCovered || !books.add(slot, -moved)) return undefined;
  return { drained: undefined, borrowed: 0n, slices: [{ amount, expiresAt }] };
}

/** How much of what is asked for can be taken. */
function movable(
  books: Books,
  account: AccountCell,
  slot: number,
  { asset, amount }: AskedPosting,
  frame: PostingFrame,
): bigint {
  const { overdraft, issuer } = account.value;
  // world is an issuer; what a revert leaves is looked at when all of it is posted
  if (issuer || overdraft === undefined || frame.reverting !== undefined) return amount;
  const lots = books.lots(slot);
  const available =
    lots === undefined
      ? wholeAvailable(books.holding(account, asset), amount, overdraft, frame)
      : BigInt(drainableOf(books, slot, lots, frame)) + overdraft;
  if (amount <= available) return amount;
  if (!frame.partial) throw new InsufficientFundsError(account.name, asset, amount, available);
  return available > 0n ? available : 0n;
}

function wholeAvailable(
  { value }: HoldingCell,
  amount: bigint,
  overdraft: bigint,
  { at, decidedAt }: PostingFrame,
): bigint {
  const available = value.spendable(at, decidedAt) + overdraft;
  return at !== decidedAt && available > 0n && value.holds.length > 0
    ? besideHolds(value, amount, available, overdraft, at, decidedAt)
    : available;
}

/**
 * How much can be taken as of another instant than that of the decision, so that what is left then covers what is held:
 * of lots that have expired by now all, of others what no hold needs.
 */
function besideHolds(
  value: Holding,
  amount: bigint,
  available: bigint,
  overdraft: bigint,
  at: number,
  decidedAt: number,
): bigint {
  if (value.lots === undefined) return available;
  let free = value.unheld(decidedAt) + overdraft;
  if (free < 0n) return free;
  let most = 0n;
  for (const part of value.lots.take(amount < available ? amount : available, at).taken) {
    const { expiresAt } = part.grant;
    if (expiresAt === null || expiresAt > decidedAt) {
      if (part.amount > free) return most + free;
      free -= part.amount;
    }
    most += part.amount;
  }
  return most + free < available ? most + free : available;
}

interface Took {
  readonly drained: DrainedPart[] | undefined;
  readonly borrowed: bigint;
  readonly slices: Slice[];
}

function takeFrom(
  books: Books,
  account: AccountCell,
  amount: bigint,
  asked: AskedPosting,
  frame: PostingFrame,
): Took {
  // less than was asked for may be covered
  const isLess = amount < asked.amount;
  const from = books.holding(account, asked.asset);
  const quick = isLess
    ? takeQuickly(books, account, from.slot, { ...asked, amount }, frame)
    : undefined;
  if (quick !== undefined) return quick;
  const { expiresAt } = asked;
  const { value } = from;
  const { balance, debt, lots } = value;
  const holds = value.holdsAt(frame.decidedAt);
  if (lots === undefined) {
    books.put(from, new Holding(balance - amount, debt, lots, holds));
    return { drained: undefined, borrowed: 0n, slices: [{ amount, expiresAt }] };
  }
  if (account.value.issuer && frame.reverting === undefined) {
    books.put(from, new Holding(balance - amount, debt + amount, lots, holds));
    return { drained: undefined, borrowed: amount, slices: [{ amount, expiresAt }] };
  }
  const prefer = preference(frame.prefers);
  const { list, taken, missing } = lots.take(amount, frame.at, prefer);
  books.put(from, new Holding(balance - amount, debt + missing, list, holds));
  const drained = taken.map(drainedPart);
  const slices: Slice[] = [];
  for (const { grant, amount: part } of taken)
    addSlice(slices, part, earlier(grant.expiresAt, expiresAt));
  if (missing > 0n) addSlice(slices, missing, expiresAt);
  return { drained, borrowed: missing, slices };
}

function drainedPart({ grant, amount }: TakenPortion): DrainedPart {
  const { version, lotIndex, expiresAt } = grant;
  return { version, lotIndex, amount, expiresAt };
}

function preference(version: number | undefined): ((grant: Grant) => boolean) | undefined {
  return version === undefined ? undefined : (grant) => grant.version === version;
}

/** What a transaction drained, to be given back: what had been borrowed comes first, because it repays a debt. */
function restored({ drained, borrowed, amount: moved }: PostingEntry, amount: bigint): Slice[] {
  const slices: Slice[] = [];
  if (drained === undefined) {
    addSlice(slices, moved, null);
  } else {
    if (borrowed > 0n) addSlice(slices, borrowed, null);
    for (const part of drained) addSlice(slices, part.amount, part.expiresAt);
  }
  return amount === moved ? slices : [{ amount, expiresAt: null }];
}

function giveTo(
  books: Books,
  account: AccountCell,
  asset: string,
  amount: bigint,
  slices: readonly Slice[],
  frame: PostingFrame,
): { readonly made: MadeLot[] | undefined; readonly repaid: bigint } {
  const slot = books.slot(account, asset);
  const inRows = books.lots(slot);
  if (inRows !== undefined) {
    const made = makeRows(books, slot, inRows, amount, slices, frame);
    if (made !== undefined) return { made, repaid: 0n };
  } else if (books.add(slot, Number(amount))) return { made: undefined, repaid: 0n };
  const to = books.holding(account, asset);
  const { debt, lots } = to.value;
  if (lots === undefined) {
    credit(books, to, amount, undefined, 0n, frame, frame.decidedAt);
    return { made: undefined, repaid: 0n };
  }
  let owed = debt;
  const made: MadeLot[] = [];
  for (const { amount: offered, expiresAt } of slices) {
    // what has expired already repays nothing
    const counts = expiresAt === null || expiresAt > frame.at;
    const repays = counts ? (owed < offered ? owed : offered) : 0n;
    owed -= repays;
    if (repays === offered) continue;
    made.push({ lotIndex: frame.nextIndex++, amount: offered - repays, expiresAt });
  }
  const repaid = debt - owed;
  credit(books, to, amount, made, repaid, frame, frame.decidedAt);
  return { made, repaid };
}

/** Gives to a whole holding. */
export function credit(
  books: Books,
  to: HoldingCell,
  amount: bigint,
  made: readonly MadeLot[] | undefined,
  repaid: bigint,
  of: Pick<PostingFrame, "at" | "version" | "reference" | "commit" | "order">,
  decidedAt: number,
): void {
  const { value } = to;
  let lots: LotList | undefined = value.lots;
  const { at: grantedAt, version, reference, commit, order } = of;
  for (const { lotIndex, amount: remaining, expiresAt } of made ?? NO_LOTS) {
    // field by field: spreading an object costs more than all else
    const grant: Grant = {
      version,
      lotIndex,
      grantedAt,
      expiresAt,
      reference,
      amount: remaining,
      commit,
    };
    lots = lots?.insert({ grant, remaining }, order);
  }
  const holds = value.holdsAt(decidedAt);
  books.put(to, new Holding(value.balance + amount, value.debt - repaid, lots, holds));
}

function emptyPosting({ source, destination, asset, amount: asked }: AskedPosting): PostingEntry {
  const nothing = { amount: 0n, drained: undefined, borrowed: 0n, made: undefined, repaid: 0n };
  return { source, destination, asset, asked, ...nothing };
}
