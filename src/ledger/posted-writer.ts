import type { MsgpackWriter } from "../internal/msgpack-writer.ts";
import { pack } from "../store/packing.ts";
import { serialisable } from "../store/serialisable.ts";
import type {
  Captured,
  Details,
  DrainedPart,
  EntryReference,
  MadeLot,
  PostedEntry,
  PostingEntry,
} from "./journal-entry.ts";
import { packAmount } from "./packed-amount.ts";

/** The format of entries that this release writes, and the only one that it reads. */
export const FORMAT = 1;
/** The type of a transaction's event. */
export const POSTED_TYPE = "TransactionPosted";

/** Writes a transaction as the event that it is, see `journal-codec.ts`: the one kind of entry that there is very much of. */
export function writePosted(to: MsgpackWriter, entry: PostedEntry): void {
  const { decidedAt, at, postings, metadata } = entry;
  to.list(2);
  to.text(POSTED_TYPE);
  const places = placesOf(entry);
  to.list(places);
  to.number(FORMAT);
  to.number(decidedAt);
  writeText(to, entry.key);
  writeNumber(to, entry.content);
  to.list(postings.length);
  for (const posting of postings) writePosting(to, posting);
  if (places > 5) writeNumber(to, at === decidedAt ? undefined : at);
  if (places > 6) writeText(to, entry.reference);
  if (places > 7) writeDetails(to, metadata);
  if (places > 8) writeReference(to, entry.reverts);
  if (places > 9) writeCaptured(to, entry.captures);
}

/** How many places its data has: what is missing at the end is left out. */
function placesOf({ decidedAt, at, reference, metadata, reverts, captures }: PostedEntry): number {
  if (captures !== undefined) return 10;
  if (reverts !== undefined) return 9;
  if (metadata !== undefined) return 8;
  if (reference !== undefined) return 7;
  return at === decidedAt ? 5 : 6;
}

function writePosting(to: MsgpackWriter, posting: PostingEntry): void {
  const { amount, asked, drained, borrowed, made, repaid } = posting;
  const isPlain = drained === undefined && made === undefined && borrowed === 0n;
  const isWhole = asked === amount;
  to.list(isPlain && isWhole ? 4 : isWhole ? 8 : 9);
  to.text(posting.source);
  to.text(posting.destination);
  to.text(posting.asset);
  writeAmount(to, amount);
  if (isPlain && isWhole) return;
  writeDrained(to, drained);
  writeAmount(to, borrowed);
  writeMade(to, made);
  writeAmount(to, repaid);
  if (!isWhole) writeAmount(to, asked);
}

function writeDrained(to: MsgpackWriter, drained: readonly DrainedPart[] | undefined): void {
  if (drained === undefined) {
    to.nil();
    return;
  }
  to.list(drained.length * 4);
  for (const { version, lotIndex, amount, expiresAt } of drained) {
    to.number(version);
    to.number(lotIndex);
    writeAmount(to, amount);
    writeNumber(to, expiresAt ?? undefined);
  }
}

function writeMade(to: MsgpackWriter, made: readonly MadeLot[] | undefined): void {
  if (made === undefined) {
    to.nil();
    return;
  }
  to.list(made.length * 3);
  for (const { lotIndex, amount, expiresAt } of made) {
    to.number(lotIndex);
    writeAmount(to, amount);
    writeNumber(to, expiresAt ?? undefined);
  }
}

function writeReference(to: MsgpackWriter, of: EntryReference | undefined): void {
  if (of === undefined) {
    to.nil();
    return;
  }
  to.list(3);
  for (const part of [of.position, of.index, of.version]) to.number(part);
}

function writeCaptured(to: MsgpackWriter, of: Captured | undefined): void {
  if (of === undefined) {
    to.nil();
    return;
  }
  to.list(5);
  for (const part of [of.position, of.index, of.version]) to.number(part);
  writeAmount(to, of.amount);
  to.boolean(of.ended);
}

function writeAmount(to: MsgpackWriter, amount: bigint): void {
  const packed = packAmount(amount);
  if (typeof packed === "number") to.number(packed);
  else to.packed(pack(packed));
}

function writeText(to: MsgpackWriter, text: string | undefined): void {
  if (text === undefined) to.nil();
  else to.text(text);
}

function writeNumber(to: MsgpackWriter, number: number | undefined): void {
  if (number === undefined) to.nil();
  else to.number(number);
}

function writeDetails(to: MsgpackWriter, of: Details | undefined): void {
  if (of === undefined) to.nil();
  else to.packed(pack(packDetails(of)));
}

/** Callers' data: big integers among them have a form of their own, or come back as numbers, or not at all. */
export function packDetails(of: Details | undefined): unknown {
  return of === undefined ? undefined : serialisable(of, "metadata", undefined);
}
