import { setImmediate as turn } from "node:timers/promises";
import { UnsupportedFormatError } from "../errors.ts";
import { endOfValue } from "../internal/msgpack-bounds.ts";
import { bigintExtension, pack, unpack } from "../store/packing.ts";
import { maxDepth, serialisable } from "../store/serialisable.ts";
import { AccountPlaces } from "./account-places.ts";
import type { BooksImage } from "./books-image.ts";
import type { AccountCell, AccountTerms, HoldingCell } from "./cells.ts";
import type { DrainOrder } from "./drain-order.ts";
import { InconsistentStateError } from "./errors.ts";
import { type ActiveHold, Holding } from "./holding.ts";
import { decodeEntry, packEntries } from "./journal-codec.ts";
import type { Details, EntryReference, OpenedEntry } from "./journal-entry.ts";
import { packAmount } from "./packed-amount.ts";
import type { Lot } from "./lot.ts";
import { type Grant, LotList } from "./lot-list.ts";
import { PlaceTable } from "./place-table.ts";
import { RecentPlaces } from "./recent-places.ts";
import { type HoldPlace, idOf, type JournalPoint, LedgerState } from "./state.ts";

/**
 * The state of a ledger as chunks of bytes, for snapshots: MessagePack lists `[kind, …]` whose places are never used
 * anew, the first one with a format number. What is not acknowledged is not in it.
 */

/** The format that this release writes, and the only one that it reads. */
const FORMAT = 1;

const Kind = { head: 0, accounts: 1, keys: 2, references: 3, end: 4 } as const;

/** Accounts in a chunk. */
const ACCOUNTS_AT_ONCE = 512;
/** Levels of a chunk above a value of metadata. */
const CHUNK_DEPTH = 6;
const LOT_FIELDS = 9;
const HOLD_FIELDS = 6;

/** How long the event loop is held up at once while a state is decoded. */
const SLICE_MS = 5;

/**
 * Accounts as they were when the image was begun, one after the other: its cell, its terms, how many places it had, how
 * many holdings, then each holding's cell. Flat, because it is gathered in one turn.
 */
type Frozen = (AccountCell | AccountTerms | HoldingCell | number)[];

/**
 * The chunks of the acknowledged state as it is when this is called; they are made one by one as they are asked for,
 * while the state goes on.
 */
export function encodeState(state: LedgerState): Iterable<Uint8Array> {
  const { opened, point, confirmedAt } = state;
  if (opened === undefined) throw new InconsistentStateError("a journal that was not begun");
  const frozen: Frozen = [];
  let accounts = 0;
  for (const cell of state.books.accounts.values()) if (freeze(cell, frozen)) accounts++;
  const head = pack([
    Kind.head,
    FORMAT,
    [point.version, point.position, point.commitId, point.chain, confirmedAt],
    packEntries([opened]),
    Array.from(state.holds.values(), packHold),
    Array.from(state.reverted).flatMap(packReverted),
    [...state.annotated],
    accounts,
  ]);
  const keys = state.keys.encode();
  const references = state.references.encode();
  const image = state.books.image();
  return (function* () {
    yield head;
    const packed = packAccounts(frozen, image);
    for (let left = accounts; left > 0; left -= ACCOUNTS_AT_ONCE)
      yield pack([Kind.accounts, taken(packed, Math.min(left, ACCOUNTS_AT_ONCE))]);
    for (const chunk of keys) yield pack([Kind.keys, chunk]);
    for (const chunk of references) yield pack([Kind.references, chunk]);
    yield pack([Kind.end]);
  })();
}

/**
 * The state that was encoded. Every few milliseconds others have a turn.
 *
 * @throws {UnsupportedFormatError} of a newer format; {@link InconsistentStateError} of what is no whole state
 */
export async function decodeState(chunks: Iterable<Uint8Array>): Promise<LedgerState> {
  const steps = decodeStateInSteps(chunks);
  let sliceEnd = performance.now() + SLICE_MS;
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (performance.now() < sliceEnd) continue;
    await turn();
    sliceEnd = performance.now() + SLICE_MS;
  }
}

/** As {@link decodeState}, for who gives others their turns himself. */
export function* decodeStateInSteps(
  chunks: Iterable<Uint8Array>,
): Generator<undefined, LedgerState, undefined> {
  const state = new LedgerState();
  const keys: Uint8Array[] = [];
  const references: Uint8Array[] = [];
  let head: Head | undefined;
  let accounts = 0;
  let ended = false;
  for (const bytes of chunks) {
    const [kind, ...rest] = listOf(decoded(bytes));
    if (ended || (head === undefined) !== (kind === Kind.head))
      throw new InconsistentStateError("the chunks of a state are out of order");
    if (kind === Kind.head) head = yield* readHead(rest, state);
    else if (kind === Kind.accounts) accounts += yield* readAccounts(listOf(rest[0]), state);
    else if (kind === Kind.keys) keys.push(rest[0] as Uint8Array);
    else if (kind === Kind.references) references.push(rest[0] as Uint8Array);
    else ended = kind === Kind.end;
    yield undefined;
  }
  if (head === undefined || !ended || accounts !== head.accounts)
    throw new InconsistentStateError("chunks of a state are missing");
  state.keys = yield* RecentPlaces.decodeInSteps(keys);
  const left = references[Symbol.iterator]();
  state.references = yield* PlaceTable.decodeNext(left);
  if (left.next().done !== true)
    throw new InconsistentStateError("chunks follow the references of a state");
  state.restored(head.point, head.confirmedAt);
  return state;
}

interface Head {
  readonly point: JournalPoint;
  readonly confirmedAt: number;
  readonly accounts: number;
}

/** @returns whether it is acknowledged */
function freeze(cell: AccountCell, frozen: Frozen): boolean {
  const { confirmed, places, holdings } = cell;
  if (confirmed === undefined) return false;
  const countAt = frozen.push(cell, confirmed, places?.count ?? 0, 0) - 1;
  let count = 0;
  for (const holding of holdings) {
    if (!holding.isConfirmed) continue;
    frozen.push(holding);
    count++;
  }
  frozen[countAt] = count;
  return true;
}

function* packAccounts(frozen: Frozen, image: BooksImage): Generator<unknown[], void, undefined> {
  for (let at = 0; at < frozen.length; ) {
    const { name, initial, places } = frozen[at++] as AccountCell;
    const terms = frozen[at++] as AccountTerms;
    const placeCount = frozen[at++] as number;
    const holdings: unknown[] = [];
    for (let left = frozen[at++] as number; left > 0; left--) {
      const cell = frozen[at++] as HoldingCell;
      const value = image.of(cell);
      if (typeof value === "number") holdings.push([cell.asset, value, 0, null]);
      else if (value !== undefined) holdings.push(packHolding(cell.asset, value));
    }
    const packed = placeCount === 0 ? null : (places?.encodeFirst(placeCount) ?? null);
    yield [name, packTerms(terms === initial ? undefined : terms), packed, holdings];
  }
}

function taken<T>(values: Iterator<T>, count: number): T[] {
  const some: T[] = [];
  while (some.length < count) {
    const next = values.next();
    if (next.done === true) break;
    some.push(next.value);
  }
  return some;
}

function packTerms(terms: AccountTerms | undefined): unknown[] | null {
  if (terms === undefined) return null;
  const { lots, issuer, overdraft, frozen, closed, metadata } = terms;
  const limit = overdraft === undefined ? null : packAmount(overdraft);
  return [lots, issuer, limit, frozen, closed, serialisable(metadata, "metadata", undefined)];
}

function packHolding(asset: string, { balance, debt, lots, holds }: Holding): unknown[] {
  const packed = [asset, packAmount(balance), packAmount(debt), packLots(lots)];
  if (holds.length > 0) packed.push(holds.flatMap(packActive));
  return packed;
}

function packLots(lots: Iterable<Lot> | undefined): unknown[] | null {
  if (lots === undefined) return null;
  const flat: unknown[] = [];
  for (const { grant, remaining } of lots) {
    const { version, lotIndex, grantedAt, expiresAt, reference, amount, commit } = grant;
    flat.push(version, lotIndex, grantedAt, expiresAt, reference, packAmount(amount));
    flat.push(packAmount(remaining), commit.position, commit.firstVersion);
  }
  return flat;
}

function packActive({ version, commit, to, remaining, expiresAt }: ActiveHold): unknown[] {
  const { position, firstVersion } = commit;
  return [version, to, packAmount(remaining), expiresAt, position, firstVersion];
}

function packHold({ position, index, version, account, asset, expiresAt }: HoldPlace): unknown[] {
  return [position, index, version, account, asset, expiresAt];
}

function packReverted([version, by]: [number, EntryReference | undefined]): number[][] {
  return by === undefined ? [] : [[version, by.position, by.index, by.version]];
}

function* readHead(
  fields: readonly unknown[],
  state: LedgerState,
): Generator<undefined, Head, undefined> {
  const [format, at, opened, holds, reverted, annotated, accounts] = fields;
  if (format !== FORMAT) {
    const note = `this version reads states of format ${FORMAT}`;
    throw new UnsupportedFormatError(Number(format), note);
  }
  const [version, position, commitId, chain, confirmedAt] = listOf(at);
  const bytes = opened as Uint8Array;
  const [type, data] = listOf(unpack(bytes, 0, bytes.length));
  const entry = decodeEntry({ type: String(type), data, metadata: undefined }, 0);
  if (entry.kind !== "opened") throw new InconsistentStateError("a state of no ledger");
  state.apply(entry satisfies OpenedEntry);
  for (const hold of listOf(holds)) {
    const [position, index, version, account, asset, expiresAt] = listOf(hold);
    const place: HoldPlace = {
      position: Number(position),
      index: Number(index),
      version: Number(version),
      account: String(account),
      asset: String(asset),
      expiresAt: Number(expiresAt),
    };
    state.holds.set(idOf(place), place);
    yield undefined;
  }
  for (const revert of listOf(reverted)) {
    const [of = 0, position = 0, index = 0, by = 0] = listOf(revert) as number[];
    state.reverted.set(of, { position, index, version: by });
    yield undefined;
  }
  for (const annotation of listOf(annotated)) {
    const [of, places] = listOf(annotation);
    state.annotated.set(Number(of), [...(listOf(places) as readonly number[])]);
    yield undefined;
  }
  const point: JournalPoint = {
    version: Number(version),
    position: Number(position),
    commitId: String(commitId),
    chain: String(chain),
  };
  return { point, confirmedAt: Number(confirmedAt), accounts: Number(accounts) };
}

function* readAccounts(
  accounts: readonly unknown[],
  state: LedgerState,
): Generator<undefined, number, undefined> {
  const { books } = state;
  const order = state.order;
  for (const packed of accounts) {
    const [name, terms, places, holdings] = listOf(packed);
    const cell = books.account(String(name));
    if (terms !== null) books.putTerms(cell, readTerms(listOf(terms)));
    if (places instanceof Uint8Array) {
      cell.places = AccountPlaces.decode(places);
      state.names.add(cell.name);
    }
    for (const holding of listOf(holdings)) {
      const [asset, balance, debt, lots, holds] = listOf(holding);
      const of = lots === null ? undefined : readLots(listOf(lots), order);
      const value = new Holding(amount(balance), amount(debt), of, readHolds(holds));
      books.shareAsset(String(asset));
      books.restore(books.holding(cell, String(asset)), value);
    }
    books.begin();
    yield undefined;
  }
  return accounts.length;
}

function readTerms([
  lots,
  issuer,
  overdraft,
  frozen,
  closed,
  metadata,
]: readonly unknown[]): AccountTerms {
  return {
    lots: lots === true,
    issuer: issuer === true,
    overdraft: overdraft === null ? undefined : amount(overdraft),
    frozen: frozen === true,
    closed: closed === true,
    metadata: metadata as Details,
  };
}

function readLots(flat: readonly unknown[], order: DrainOrder): LotList {
  const lots: Lot[] = [];
  for (let at = 0; at < flat.length; at += LOT_FIELDS) {
    const expiresAt = flat[at + 3];
    const grant: Grant = {
      version: Number(flat[at]),
      lotIndex: Number(flat[at + 1]),
      grantedAt: Number(flat[at + 2]),
      expiresAt: expiresAt === null ? null : Number(expiresAt),
      reference: String(flat[at + 4]),
      amount: amount(flat[at + 5]),
      commit: { position: Number(flat[at + 7]), firstVersion: Number(flat[at + 8]) },
    };
    lots.push({ grant, remaining: amount(flat[at + 6]) });
  }
  return LotList.of(lots, order);
}

function readHolds(packed: unknown): ActiveHold[] | undefined {
  if (packed === undefined) return undefined;
  const flat = listOf(packed);
  const holds: ActiveHold[] = [];
  for (let at = 0; at < flat.length; at += HOLD_FIELDS) {
    holds.push({
      version: Number(flat[at]),
      to: String(flat[at + 1]),
      remaining: amount(flat[at + 2]),
      expiresAt: Number(flat[at + 3]),
      commit: { position: Number(flat[at + 4]), firstVersion: Number(flat[at + 5]) },
    });
  }
  return holds;
}

function decoded(bytes: Uint8Array): unknown {
  const end = endOfValue(bytes, 0, maxDepth + CHUNK_DEPTH, bigintExtension);
  if (end !== bytes.length)
    throw new InconsistentStateError("bytes are left over behind a chunk of a state");
  return unpack(bytes, 0, end);
}

function listOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new InconsistentStateError("a list is missing in a chunk of a state");
}

function amount(value: unknown): bigint {
  if (typeof value === "bigint") return value;
  if (typeof value === "number") return BigInt(value);
  throw new InconsistentStateError("an amount is missing in a chunk of a state");
}
