import { crc32 } from "node:zlib";
import { type Checkpoint, readCheckpoint, type SharedCheckpoint } from "./checkpoint.ts";
import { EntryFields } from "./entry-fields.ts";
import { CorruptStateError } from "./errors.ts";

/** Key of the manifest: what it names is the snapshot. */
export const SNAPSHOT_KEY = "_snapshot";
/** Key that says who writes the next snapshot: a checkpoint, which fences others off. */
export const CLAIM_KEY = "_snapshot_claim";
/** Header of a chunk: the nonce of the snapshot that it belongs to. */
export const NONCE_HEADER = "Annal-Snapshot";
/** Header of a chunk: CRC-32 of its bytes. */
export const CHECKSUM_HEADER = "Annal-Checksum";

const FORMAT = 1;

/** Where the chunks of a snapshot lie: each is written over the one before the last. */
export type Slot = "a" | "b";

/** What a snapshot consists of, and how far it is. */
export interface Manifest extends SharedCheckpoint {
  /** Made anew for each attempt to write a snapshot: all its entries carry it. */
  readonly nonce: string;
  readonly slot: Slot;
  readonly chunks: number;
  /** Keys of the state in its chunks. */
  readonly entries: number;
  /** Events that were set aside, in its chunks too. */
  readonly deadLetters: number;
}

/** Key of a chunk, from 0. */
export function chunkKey(slot: Slot, chunk: number): string {
  return `snapshot-${slot}.${chunk}`;
}

/** Checksum of a chunk, as its header gives it. */
export function checksumOf(data: Uint8Array): string {
  return crc32(data).toString(16);
}

/** Whether a state is further in the stream than another one. */
export function isFurther(one: Checkpoint, other: Checkpoint): boolean {
  return (
    one.position > other.position || (one.position === other.position && one.taken > other.taken)
  );
}

/** As JSON, so that people can read it with any NATS client. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  return Buffer.from(JSON.stringify({ format: FORMAT, ...manifest }));
}

/** @throws {CorruptStateError} */
export function decodeManifest(bucket: string, data: Uint8Array): Manifest {
  const fields = new EntryFields(bucket, SNAPSHOT_KEY, data, FORMAT);
  const slot = fields.text("slot");
  if (slot !== "a" && slot !== "b") {
    throw new CorruptStateError(bucket, SNAPSHOT_KEY, `its slot is "${slot}"`);
  }
  return {
    ...readCheckpoint(fields),
    nonce: fields.text("nonce"),
    slot,
    chunks: fields.count("chunks"),
    entries: fields.count("entries"),
    deadLetters: fields.count("deadLetters"),
  };
}
