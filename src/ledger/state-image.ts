import { UnsupportedFormatError } from "../errors.ts";
import { BigInteger } from "../internal/big-integer.ts";
import { endOfValue } from "../internal/msgpack-bounds.ts";
import { bigintExtension, pack, unpack } from "../store/packing.ts";
import { maxDepth, serialisable } from "../store/serialisable.ts";
import { AccountPlaces } from "./account-places.ts";
import type { AccountCell, AccountTerms, HoldingCell } from "./cells.ts";
import type { DrainOrder } from "./drain-order.ts";
import { InconsistentStateError } from "./errors.ts";
import { type ActiveHold, Holding } from "./holding.ts";
import { decodeEntry, packEntries } from "./journal-codec.ts";
import type { Details, EntryReference, OpenedEntry } from "./journal-entry.ts";
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
const LARGEST = BigInt(Number.MAX_SAFE_INTEGER);
const LOT_FIELDS = 9;
const HOLD_FIELDS = 6;

/** An account as it was when the image was begun. */
interface FrozenAccount {
  readonly name: string;
  readonly terms: AccountTerms | undefined;
  /** Makes its bytes. */
  readonly places: (() => Uint8Array) | undefined;
  readonly holdings: readonly { readonly asset: string; readonly holding: Holding }[];
}

/**
 * The chunks of the acknowledged state as it is when this is called; they are made one by one as they are asked for,
 * while the state goes on.
 */
export function encodeState(state: LedgerState): Iterable<Uint8Array> {
  const { opened, point, confirmedAt } = state;
  if (opened === undefined) throw new InconsistentStateError("a journal that was not begun");
  const accounts: FrozenAccount[] = [];
  for (const cell of state.books.accounts.values())
    if (cell.confirmed !== undefined) accounts.push(frozen(cell));
  const head = pack([
    Kind.head,
    FORMAT,
    [point.version, point.position, point.commitId, point.chain, confirmedAt],
    packEntries([opened]),
    Array.from(state.holds.values(), packHold),
    Array.from(state.reverted).flatMap(packReverted),
    [...state.annotated],
    accounts.length,
  ]);
  const keys = state.keys.encode();
  const references = state.references.encode();
  return (function* () {
    yield head;
    for (let at = 0; at < accounts.length; at += ACCOUNTS_AT_ONCE)
      yield pack([Kind.accounts, accounts.slice(at, at + ACCOUNTS_AT_ONCE).map(packAccount)]);
    for (const chunk of keys) yield pack([Kind.keys, chunk]);
    for (const chunk of references) yield pack([Kind.references, chunk]);
    yield pack([Kind.end]);
  })();
}

/**
 * The state that was encoded.
 *
 * @throws {UnsupportedFormatError} of a newer format; {@link InconsistentStateError} of what is no whole state
 */
export function decodeState(chunks: Iterable<Uint8Array>): LedgerState {
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
    if (kind === Kind.head) head = readHead(rest, state);
    else if (kind === Kind.accounts) accounts += readAccounts(listOf(rest[0]), state);
    else if (kind === Kind.keys) keys.push(rest[0] as Uint8Array);
    else if (kind === Kind.references) references.push(rest[0] as Uint8Array);
    else ended = kind === Kind.end;
  }
  if (head === undefined || !ended || accounts !== head.accounts)
    throw new InconsistentStateError("chunks of a state are missing");
  state.keys = RecentPlaces.decode(keys);
  state.references = PlaceTable.decode(references);
  state.restored(head.point, head.confirmedAt);
  return state;
}

interface Head {
  readonly point: JournalPoint;
  readonly confirmedAt: number;
  readonly accounts: number;
}

function frozen({ name, confirmed, initial, places, holdings }: AccountCell): FrozenAccount {
  return {
    name,
    terms: confirmed === initial ? undefined : confirmed,
    places: places?.freeze(),
    holdings: holdings.flatMap(({ asset, confirmed: holding }: HoldingCell) =>
      holding === undefined ? [] : [{ asset, holding }],
    ),
  };
}

function packAccount({ name, terms, places, holdings }: FrozenAccount): unknown[] {
  return [name, packTerms(terms), places?.() ?? null, holdings.map(packHolding)];
}

function packTerms(terms: AccountTerms | undefined): unknown[] | null {
  if (terms === undefined) return null;
  const { lots, issuer, overdraft, frozen, closed, metadata } = terms;
  const limit = overdraft === undefined ? null : packAmount(overdraft);
  return [lots, issuer, limit, frozen, closed, serialisable(metadata, "metadata", undefined)];
}

function packHolding({ asset, holding }: FrozenAccount["holdings"][number]): unknown[] {
  const { balance, debt, lots, holds } = holding;
  const packed = [asset, packAmount(balance), packAmount(debt), packLots(lots)];
  if (holds.length > 0) packed.push(holds.flatMap(packActive));
  return packed;
}

function packLots(lots: LotList | undefined): unknown[] | null {
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

function packAmount(amount: bigint): number | BigInteger {
  return amount <= LARGEST && amount >= -LARGEST ? Number(amount) : new BigInteger(amount);
}

function readHead(fields: readonly unknown[], state: LedgerState): Head {
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
  }
  for (const revert of listOf(reverted)) {
    const [of = 0, position = 0, index = 0, by = 0] = listOf(revert) as number[];
    state.reverted.set(of, { position, index, version: by });
  }
  for (const annotation of listOf(annotated)) {
    const [of, places] = listOf(annotation);
    state.annotated.set(Number(of), [...(listOf(places) as readonly number[])]);
  }
  const point: JournalPoint = {
    version: Number(version),
    position: Number(position),
    commitId: String(commitId),
    chain: String(chain),
  };
  return { point, confirmedAt: Number(confirmedAt), accounts: Number(accounts) };
}

function readAccounts(accounts: readonly unknown[], state: LedgerState): number {
  const { books } = state;
  const order = state.order;
  for (const packed of accounts) {
    const [name, terms, places, holdings] = listOf(packed);
    const cell = books.account(String(name));
    if (terms !== null) books.put(cell, readTerms(listOf(terms)));
    if (places instanceof Uint8Array) {
      cell.places = AccountPlaces.decode(places);
      state.names.add(cell.name);
    }
    for (const holding of listOf(holdings)) {
      const [asset, balance, debt, lots, holds] = listOf(holding);
      const of = lots === null ? undefined : readLots(listOf(lots), order);
      const value = new Holding(amount(balance), amount(debt), of, readHolds(holds));
      books.put(books.holding(cell, String(asset)), value);
    }
    books.begin();
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
  let lots = LotList.empty;
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
    lots = lots.insert({ grant, remaining: amount(flat[at + 6]) }, order);
  }
  return lots;
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
