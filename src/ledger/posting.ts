import type { Books } from "./books.ts";
import type { AccountCell, HoldingCell } from "./cells.ts";
import type { DrainOrder } from "./drain-order.ts";
import { AccountNotUsableError, InsufficientFundsError } from "./errors.ts";
import { Holding } from "./holding.ts";
import { applyLotPosting, decideLotPosting } from "./lot-posting.ts";
import type { DrainedPart, MadeLot, PostedEntry, PostingEntry } from "./journal-entry.ts";
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
const NO_PARTS: readonly DrainedPart[] = [];

interface Slice {
  amount: bigint;
  readonly expiresAt: number | null;
}

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

/** Decides one posting on what the books hold now, and posts it: of lots in rows at once, else of whole holdings. */
export function decidePosting(
  books: Books,
  asked: AskedPosting,
  frame: PostingFrame,
): PostingEntry {
  const { asset, expiresAt } = asked;
  const source = books.account(asked.source);
  const destination = books.account(asked.destination);
  assertUsable(source);
  assertUsable(destination);
  if (frame.reverting === undefined) {
    const usual = decideLotPosting(books, source, destination, asked, frame);
    if (usual !== undefined) return usual;
  }
  const from = books.holding(source, asset);
  const amount = movable(source, from, asked.amount, frame);
  if (amount === 0n) {
    touch(books, asked);
    return emptyPosting(asked);
  }
  const { drained, borrowed, slices } = takeFrom(books, source, from, amount, expiresAt, frame);
  const offered = asked.restores === undefined ? slices : restored(asked.restores, amount);
  const to = books.holding(destination, asset);
  const { made, repaid } = giveTo(books, to, amount, offered, frame);
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
  const { issuer, overdraft } = source.value;
  // 0 less it: the negative of 0 is -0, an object for each posting
  const least = issuer || overdraft === undefined ? -Infinity : 0 - Number(overdraft);
  return books.move(books.slot(source, asset), books.slot(destination, asset), amount, least);
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

/** Posts what was recorded. */
export function applyPosting(
  books: Books,
  posting: PostingEntry,
  { at, decidedAt, reference }: PostedEntry,
  version: number,
  commit: Grant["commit"],
  order: DrainOrder,
): void {
  const { asset, amount, drained, borrowed, made, repaid } = posting;
  if (amount === 0n) {
    touch(books, posting);
    return;
  }
  const source = books.account(posting.source);
  const destination = books.account(posting.destination);
  const keepLots = source.value.lots || destination.value.lots;
  if (keepLots) {
    const of = { at, version, reference: reference ?? "", commit };
    if (applyLotPosting(books, source, destination, posting, of)) return;
  } else if (drained === undefined && made === undefined) {
    const from = books.slot(source, asset);
    if (books.move(from, books.slot(destination, asset), amount, -Infinity)) return;
  }
  const from = books.holding(source, asset);
  const { value } = from;
  let { lots } = value;
  for (const part of drained ?? NO_PARTS)
    lots = lots?.remove(part.version, part.lotIndex, part.amount);
  const holds = value.holdsAt(decidedAt);
  books.put(from, new Holding(value.balance - amount, value.debt + borrowed, lots, holds));
  const to = books.holding(destination, asset);
  const frame = { at, version, reference: reference ?? "", commit, order };
  credit(books, to, amount, made, repaid, frame, decidedAt);
}

/** Makes accounts known that an entry speaks of, though it moved nothing: what is decided behind it counts on them. */
function touch(
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

/** How much of what is asked for can be taken. */
function movable(
  account: AccountCell,
  { asset, value }: HoldingCell,
  amount: bigint,
  { at, decidedAt, partial, reverting }: PostingFrame,
): bigint {
  const { overdraft, issuer } = account.value;
  // world is an issuer; what a revert leaves is looked at when all of it is posted
  if (issuer || overdraft === undefined || reverting !== undefined) return amount;
  let available = value.spendable(at, decidedAt) + overdraft;
  if (at !== decidedAt && available > 0n && value.holds.length > 0)
    available = besideHolds(value, amount, available, overdraft, at, decidedAt);
  if (amount <= available) return amount;
  if (!partial) throw new InsufficientFundsError(account.name, asset, amount, available);
  return available > 0n ? available : 0n;
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
  from: HoldingCell,
  amount: bigint,
  expiresAt: number | null,
  frame: PostingFrame,
): Took {
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
  to: HoldingCell,
  amount: bigint,
  slices: readonly Slice[],
  frame: PostingFrame,
): { readonly made: MadeLot[] | undefined; readonly repaid: bigint } {
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

function credit(
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

function addSlice(slices: Slice[], amount: bigint, expiresAt: number | null): void {
  const last = slices.at(-1);
  if (last !== undefined && last.expiresAt === expiresAt) last.amount += amount;
  else slices.push({ amount, expiresAt });
}

function earlier(one: number | null, other: number | null): number | null {
  if (one === null) return other;
  return other === null || one < other ? one : other;
}

function emptyPosting({ source, destination, asset, amount: asked }: AskedPosting): PostingEntry {
  const nothing = { amount: 0n, drained: undefined, borrowed: 0n, made: undefined, repaid: 0n };
  return { source, destination, asset, asked, ...nothing };
}
