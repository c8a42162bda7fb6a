import { InvalidArgumentError } from "../errors.ts";
import type { BucketEntry } from "../nats/bucket.ts";
import { EntryFields } from "../projection/entry-fields.ts";
import { CorruptStateError } from "../projection/errors.ts";
import { CHECKSUM_HEADER, checksumOf, type Slot } from "../projection/snapshot-manifest.ts";
import { SnapshotFormatError } from "./errors.ts";

/** How far a ledger's state is in its journal. */
export interface LedgerCheckpoint {
  /** Version of the last journal entry that was applied. */
  readonly version: number;
  /** Position of the commit that holds it. */
  readonly position: number;
  readonly commitId: string;
  /** Hash of the journal's chain at that commit, in hex. */
  readonly chain: string;
}

/** What a snapshot of a ledger consists of, and how far it is. */
export interface LedgerManifest {
  readonly checkpoint: LedgerCheckpoint;
  /** Made anew for each attempt to write a snapshot: all its entries carry it. */
  readonly nonce: string;
  readonly slot: Slot;
  readonly chunks: number;
  /** Of all its chunks. */
  readonly bytes: number;
}

/** Header of a chunk's first part: how many parts the chunk has. */
export const PARTS_HEADER = "Annal-Parts";

const FORMAT = 1;

/** Key of the manifest: what it names is the snapshot. */
export function manifestKey(ledger: string): string {
  return `${ledger}.manifest`;
}

/** Key that says who writes the next snapshot. */
export function claimKey(ledger: string): string {
  return `${ledger}.claim`;
}

/** Key of a part of a chunk, both from 0. */
export function partKey(ledger: string, slot: Slot, chunk: number, part: number): string {
  return `${ledger}.${slot}.${chunk}.${part}`;
}

/** As JSON, so that people can read it with any NATS client; the format comes first, in all formats to come. */
export function encodeManifest({ checkpoint, ...rest }: LedgerManifest): Uint8Array {
  const { version, position, commitId, chain } = checkpoint;
  const { nonce, slot, chunks, bytes } = rest;
  const content = { version, position, commitId, chain, nonce, slot, chunks, bytes };
  return Buffer.from(JSON.stringify({ format: FORMAT, ...content }));
}

/**
 * @throws {SnapshotFormatError} of a newer release; {CorruptStateError}
 */
export function decodeManifest(bucket: string, ledger: string, entry: BucketEntry): LedgerManifest {
  const { data, headers } = entry;
  const key = manifestKey(ledger);
  const format = formatOf(data);
  if (format > FORMAT) throw new SnapshotFormatError(ledger, format, FORMAT);
  if (headers.get(CHECKSUM_HEADER) !== checksumOf(data)) {
    throw new CorruptStateError(bucket, key, "its checksum is another one");
  }
  const fields = new EntryFields(bucket, key, data, FORMAT);
  const slot = fields.text("slot");
  if (slot !== "a" && slot !== "b") {
    throw new CorruptStateError(bucket, key, `its slot is "${slot}"`);
  }
  return {
    checkpoint: {
      version: fields.count("version"),
      position: fields.count("position"),
      commitId: fields.text("commitId"),
      chain: fields.text("chain"),
    },
    nonce: fields.text("nonce"),
    slot,
    chunks: fields.count("chunks"),
    bytes: fields.count("bytes"),
  };
}

/** @throws {InvalidArgumentError} of what no manifest can hold */
export function assertCheckpoint({ version, position, commitId, chain }: LedgerCheckpoint): void {
  for (const [name, number] of Object.entries({ version, position })) {
    if (Number.isSafeInteger(number) && number >= 0) continue;
    throw new InvalidArgumentError(`checkpoint.${name}`, "a whole number", number);
  }
  for (const [name, text] of Object.entries({ commitId, chain })) {
    if (typeof text === "string") continue;
    throw new InvalidArgumentError(`checkpoint.${name}`, "a text", text);
  }
}

export function isSameCheckpoint(one: LedgerCheckpoint, other: LedgerCheckpoint): boolean {
  return (
    one.version === other.version &&
    one.position === other.position &&
    one.commitId === other.commitId &&
    one.chain === other.chain
  );
}

/** 0 where none is given. */
function formatOf(data: Uint8Array): number {
  try {
    const value: unknown = JSON.parse(Buffer.from(data).toString());
    if (typeof value !== "object" || value === null || !("format" in value)) return 0;
    return typeof value.format === "number" ? value.format : 0;
  } catch {
    return 0;
  }
}
