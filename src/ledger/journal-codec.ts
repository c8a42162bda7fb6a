import { UnsupportedFormatError } from "../errors.ts";
import type { BigInteger } from "../internal/big-integer.ts";
import { MsgpackWriter } from "../internal/msgpack-writer.ts";
import { pack } from "../store/packing.ts";
import type { DecodedEvent } from "../store/payload.ts";
import { DRAIN_POLICIES } from "./account.ts";
import { InconsistentStateError } from "./errors.ts";
import type {
  Captured,
  Details,
  DrainedPart,
  EntryCommon,
  EntryReference,
  JournalEntry,
  MadeLot,
  PostedEntry,
  PostingEntry,
} from "./journal-entry.ts";
import { packAmount } from "./packed-amount.ts";
import { FORMAT, packDetails, POSTED_TYPE, writePosted } from "./posted-writer.ts";

/**
 * Entries as events: `[type, data]`, data a list whose places are never used anew: `[format, decidedAt, key, content,
 * …]`, what is missing at its end is null. Amounts are integers. See docs/wire-format.md.
 */

const Type = {
  opened: "JournalOpened",
  posted: POSTED_TYPE,
  holdPlaced: "HoldPlaced",
  holdReleased: "HoldReleased",
  accountChanged: "AccountChanged",
  metadataChanged: "MetadataChanged",
} as const;

/** Events of several entries, packed behind each other: what stands in a commit's list of events. */
export function packEntries(entries: readonly JournalEntry[]): Uint8Array {
  const writer = new MsgpackWriter();
  for (const entry of entries) writeEntry(writer, entry);
  return writer.written;
}

/** Writes an entry as the event that it is. */
export function writeEntry(to: MsgpackWriter, entry: JournalEntry): void {
  // nearly all are transactions: only of them nothing is built first
  if (entry.kind === "posted") writePosted(to, entry);
  else to.packed(pack(eventOf(entry)));
}

/** The body of a commit whose events were packed in pieces. */
export function joinPieces(pieces: readonly Uint8Array[], count: number): Uint8Array {
  const header = Buffer.alloc(6);
  // a list of one element: a list of up to 2^32 - 1 events
  header[0] = 0x91;
  header[1] = 0xdd;
  header.writeUInt32BE(count, 2);
  return Buffer.concat([header, ...pieces]);
}

function eventOf(entry: Exclude<JournalEntry, PostedEntry>): [type: string, data: unknown[]] {
  const { decidedAt, key, content } = entry;
  const data: unknown[] = [FORMAT, decidedAt, key, content];
  switch (entry.kind) {
    case "hold-placed": {
      const { account, asset, amount, to, expiresAt, at, reference, metadata } = entry;
      data.push(account, asset, packAmount(amount), to, expiresAt);
      data.push(at === decidedAt ? null : at, reference, packDetails(metadata));
      return [Type.holdPlaced, trimmed(data)];
    }
    case "hold-released":
      data.push(packReference(entry.hold));
      return [Type.holdReleased, data];
    case "account-changed": {
      const { account, lots, issuer, overdraft, frozen, closed } = entry;
      data.push(account, lots, issuer, packLimit(overdraft), frozen, closed);
      return [Type.accountChanged, data];
    }
    case "metadata-changed": {
      const of = typeof entry.of === "string" ? entry.of : packReference(entry.of);
      data.push(of, packDetails(entry.set), entry.deleted);
      return [Type.metadataChanged, data];
    }
    case "opened": {
      const { drainPolicy, lots, overdraft, idempotencyKeys, seeds } = entry;
      data.push(drainPolicy, lots, packLimit(overdraft), idempotencyKeys, seeds);
      return [Type.opened, data];
    }
    default:
      throw new TypeError(`an entry of no kind: ${String(entry satisfies never)}`);
  }
}

function packLimit(limit: bigint | undefined): number | BigInteger | null {
  return limit === undefined ? null : packAmount(limit);
}

function packReference(of: EntryReference): number[] {
  return [of.position, of.index, of.version];
}

function trimmed(data: unknown[]): unknown[] {
  while (data.at(-1) === undefined || data.at(-1) === null) data.pop();
  return data;
}

/**
 * The entry that an event of a journal is.
 *
 * @throws {UnsupportedFormatError} of a newer format; {@link InconsistentStateError} of what is no entry
 */
export function decodeEntry(event: DecodedEvent, position: number): JournalEntry {
  const { type, data } = event;
  if (!Array.isArray(data)) throw noEntry(type, position);
  const list: readonly unknown[] = data;
  if (list[0] !== FORMAT) {
    const note = `this version reads journal entries of format ${FORMAT}`;
    throw new UnsupportedFormatError(Number(list[0]), note, position);
  }
  try {
    return read(type, list) ?? notKnown(type, position);
  } catch (cause) {
    if (cause instanceof TypeError) throw noEntry(type, position, cause);
    throw cause;
  }
}

function read(type: string, data: readonly unknown[]): JournalEntry | undefined {
  const common: EntryCommon = {
    decidedAt: number(data[1]),
    key: optional(data[2], text),
    content: optional(data[3], number),
  };
  switch (type) {
    case Type.posted:
      return {
        kind: "posted",
        ...common,
        postings: list(data[4]).map(readPosting),
        at: optional(data[5], number) ?? common.decidedAt,
        reference: optional(data[6], text),
        metadata: optional(data[7], details),
        reverts: optional(data[8], reference),
        captures: optional(data[9], captured),
      };
    case Type.holdPlaced:
      return {
        kind: "hold-placed",
        ...common,
        account: text(data[4]),
        asset: text(data[5]),
        amount: amount(data[6]),
        to: text(data[7]),
        expiresAt: number(data[8]),
        at: optional(data[9], number) ?? common.decidedAt,
        reference: optional(data[10], text),
        metadata: optional(data[11], details),
      };
    case Type.holdReleased:
      return { kind: "hold-released", ...common, hold: reference(data[4]) };
    case Type.accountChanged:
      return {
        kind: "account-changed",
        ...common,
        account: text(data[4]),
        lots: data[5] === true,
        issuer: data[6] === true,
        overdraft: optional(data[7], amount),
        frozen: data[8] === true,
        closed: data[9] === true,
      };
    case Type.metadataChanged: {
      const of = typeof data[4] === "string" ? data[4] : reference(data[4]);
      const deleted = list(data[6]).map(text);
      return { kind: "metadata-changed", ...common, of, set: details(data[5]), deleted };
    }
    case Type.opened: {
      const drainPolicy = DRAIN_POLICIES.find((name) => name === data[4]);
      if (drainPolicy === undefined) throw new TypeError(`no drain policy: ${String(data[4])}`);
      const [a, b] = list(data[8]);
      return {
        kind: "opened",
        ...common,
        drainPolicy,
        lots: data[5] === true,
        overdraft: optional(data[6], amount),
        idempotencyKeys: number(data[7]),
        seeds: [number(a), number(b)],
      };
    }
    default:
      return undefined;
  }
}

function readPosting(value: unknown): PostingEntry {
  const of = list(value);
  const moved = amount(of[3]);
  return {
    source: text(of[0]),
    destination: text(of[1]),
    asset: text(of[2]),
    amount: moved,
    drained: optional(of[4], readDrained),
    borrowed: optional(of[5], amount) ?? 0n,
    made: optional(of[6], readMade),
    repaid: optional(of[7], amount) ?? 0n,
    asked: optional(of[8], amount) ?? moved,
  };
}

function readDrained(value: unknown): DrainedPart[] {
  const flat = list(value);
  const parts: DrainedPart[] = [];
  for (let at = 0; at < flat.length; at += 4) {
    parts.push({
      version: number(flat[at]),
      lotIndex: number(flat[at + 1]),
      amount: amount(flat[at + 2]),
      expiresAt: optional(flat[at + 3], number) ?? null,
    });
  }
  return parts;
}

function readMade(value: unknown): MadeLot[] {
  const flat = list(value);
  const lots: MadeLot[] = [];
  for (let at = 0; at < flat.length; at += 3) {
    lots.push({
      lotIndex: number(flat[at]),
      amount: amount(flat[at + 1]),
      expiresAt: optional(flat[at + 2], number) ?? null,
    });
  }
  return lots;
}

function reference(value: unknown): EntryReference {
  const of = list(value);
  return { position: number(of[0]), index: number(of[1]), version: number(of[2]) };
}

function captured(value: unknown): Captured {
  const of = list(value);
  return { ...reference(value), amount: amount(of[3]), ended: of[4] === true };
}

function optional<T>(value: unknown, of: (value: unknown) => T): T | undefined {
  return value === undefined || value === null ? undefined : of(value);
}

function list(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new TypeError("a list is missing");
}

function text(value: unknown): string {
  if (typeof value === "string") return value;
  throw new TypeError("a text is missing");
}

function number(value: unknown): number {
  if (typeof value === "number") return value;
  throw new TypeError("a number is missing");
}

function amount(value: unknown): bigint {
  if (typeof value === "bigint") return value;
  return BigInt(number(value));
}

function details(value: unknown): Details {
  if (typeof value === "object" && value !== null) return value as Details;
  throw new TypeError("a map is missing");
}

function notKnown(type: string, position: number): never {
  throw new UnsupportedFormatError(FORMAT, `this version knows no entry "${type}"`, position);
}

function noEntry(type: string, position: number, cause?: unknown): InconsistentStateError {
  const what = `position ${position} of the journal holds an event "${type}" that is no entry`;
  return new InconsistentStateError(what, { cause });
}
