import { setImmediate as turn } from "node:timers/promises";
import type { Bucket, BucketEntry } from "../nats/bucket.ts";
import type { ReadBounds } from "../nats/direct.ts";
import { DEAD_PREFIX } from "./dead-letters.ts";
import { CorruptStateError } from "./errors.ts";
import { Generations } from "./generations.ts";
import { decodeChunk } from "./snapshot-chunks.ts";
import {
  CHECKSUM_HEADER,
  checksumOf,
  chunkKey,
  type Manifest,
  NONCE_HEADER,
} from "./snapshot-manifest.ts";
import type { DeadLetter } from "./state-backend.ts";

/** The state that a snapshot holds. */
export interface SnapshotContent {
  readonly cache: Generations;
  readonly deadLetters: readonly DeadLetter[];
  readonly bytes: number;
}

/** Chunks that are fetched at once. */
const FETCHED_AT_ONCE = 8;

/**
 * Reads the chunks of a snapshot: all of it or nothing.
 *
 * @throws {CorruptStateError} a chunk is missing, belongs to another snapshot, or cannot be read; what keeps it from
 * asking the server; the signal's reason
 */
export async function readSnapshot(
  bucket: Bucket,
  manifest: Manifest,
  bounds: ReadBounds,
): Promise<SnapshotContent> {
  const cache = new Generations(Number.POSITIVE_INFINITY);
  const deadLetters: DeadLetter[] = [];
  let bytes = 0;
  let next = 0;
  const readOn = async (): Promise<void> => {
    while (next < manifest.chunks) {
      const { key, data } = await readChunk(bucket, manifest, next++, bounds);
      bytes += data.length;
      for (const [of, value] of decoded(bucket, key, data)) {
        if (of.startsWith(DEAD_PREFIX)) deadLetters.push(value as DeadLetter);
        else cache.put(of, value);
      }
      await turn();
    }
  };
  try {
    await Promise.all(Array.from({ length: FETCHED_AT_ONCE }, readOn));
  } finally {
    next = manifest.chunks;
  }
  const { entries, deadLetters: letters } = manifest;
  if (cache.size !== entries || deadLetters.length !== letters) {
    const found = `${cache.size} and ${deadLetters.length}`;
    const reason = `its chunks hold ${found} entries and dead letters instead of ${entries} and ${letters}`;
    throw new CorruptStateError(bucket.name, "_snapshot", reason);
  }
  deadLetters.sort((a, b) => a.position - b.position || a.index - b.index);
  return { cache, deadLetters, bytes };
}

async function readChunk(
  bucket: Bucket,
  { slot, nonce }: Manifest,
  chunk: number,
  bounds: ReadBounds,
): Promise<BucketEntry> {
  const key = chunkKey(slot, chunk);
  const isOf = (entry: BucketEntry | undefined): entry is BucketEntry =>
    entry?.headers.get(NONCE_HEADER) === nonce;
  let entry = await bucket.get(key, bounds);
  // A replica may lag.
  if (!isOf(entry) && bucket.replicated) entry = await bucket.leaderGet(key, bounds);
  if (!isOf(entry)) {
    const reason = entry === undefined ? "it is missing" : "it belongs to another snapshot";
    throw new CorruptStateError(bucket.name, key, reason);
  }
  if (entry.headers.get(CHECKSUM_HEADER) === checksumOf(entry.data)) return entry;
  throw new CorruptStateError(bucket.name, key, "its checksum is another one");
}

function decoded(
  bucket: Bucket,
  key: string,
  data: Uint8Array,
): (readonly [key: string, value: unknown])[] {
  try {
    return decodeChunk(data);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CorruptStateError(bucket.name, key, reason, { cause });
  }
}
