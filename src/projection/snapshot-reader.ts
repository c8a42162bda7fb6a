import { setImmediate as turn } from "node:timers/promises";
import type { Bucket } from "../nats/bucket.ts";
import type { ReadBounds } from "../nats/direct.ts";
import { DEAD_PREFIX } from "./dead-letters.ts";
import { CorruptStateError } from "./errors.ts";
import { Generations } from "./generations.ts";
import { decodeChunk } from "./snapshot-chunks.ts";
import { forEachChunk, readEntry } from "./snapshot-entries.ts";
import { chunkKey, type Manifest } from "./snapshot-manifest.ts";
import type { DeadLetter } from "./state-backend.ts";

/** The state that a snapshot holds. */
export interface SnapshotContent {
  readonly cache: Generations;
  readonly deadLetters: readonly DeadLetter[];
  readonly bytes: number;
}

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
  const readOne = async (chunk: number, signal: AbortSignal): Promise<void> => {
    const key = chunkKey(manifest.slot, chunk);
    const { data } = await readEntry(bucket, key, manifest.nonce, { ...bounds, signal });
    bytes += data.length;
    for (const [of, value] of decoded(bucket, key, data)) {
      if (of.startsWith(DEAD_PREFIX)) deadLetters.push(value as DeadLetter);
      else cache.put(of, value);
    }
    await turn();
  };
  await forEachChunk(manifest.chunks, readOne, bounds.signal);
  const { entries, deadLetters: letters } = manifest;
  if (cache.size !== entries || deadLetters.length !== letters) {
    const found = `${cache.size} and ${deadLetters.length}`;
    const reason = `its chunks hold ${found} entries and dead letters instead of ${entries} and ${letters}`;
    throw new CorruptStateError(bucket.name, "_snapshot", reason);
  }
  deadLetters.sort((a, b) => a.position - b.position || a.index - b.index);
  return { cache, deadLetters, bytes };
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
