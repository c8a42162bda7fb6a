import { abortable } from "../internal/abort.ts";
import type { Bucket } from "../nats/bucket.ts";
import type { ReadBounds } from "../nats/direct.ts";
import { CorruptStateError } from "../projection/errors.ts";
import { forEachChunk, readEntry, type SnapshotEntry } from "../projection/snapshot-entries.ts";
import type { Slot } from "../projection/snapshot-manifest.ts";
import {
  type LedgerManifest,
  manifestKey,
  PARTS_HEADER,
  partKey,
} from "./snapshot-store-manifest.ts";

/** An entry at most. */
const MAX_PART_BYTES = 512 << 10;
/** More than the headers of a part take in one entry. */
const PART_HEADER_BYTES = 256;

/** What was written of a snapshot. */
export interface ChunkCounts {
  chunks: number;
  bytes: number;
}

/** The chunks as entries that fit into the bucket; counts them. Waits for the next one no longer than the signal lets it. */
export async function* entriesOf(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  place: { readonly bucket: Bucket; readonly ledger: string; readonly slot: Slot },
  counts: ChunkCounts,
  signal: AbortSignal,
): AsyncGenerator<SnapshotEntry, void, undefined> {
  const { bucket, ledger, slot } = place;
  const maxBytes = Math.max(1, Math.min(MAX_PART_BYTES, bucket.maxEntryBytes - PART_HEADER_BYTES));
  for await (const chunk of untilAborted(chunks, signal)) {
    const parts = Math.max(1, Math.ceil(chunk.length / maxBytes));
    for (let part = 0; part < parts; part++) {
      yield {
        key: partKey(ledger, slot, counts.chunks, part),
        data: chunk.subarray(part * maxBytes, (part + 1) * maxBytes),
        headers: part === 0 ? [[PARTS_HEADER, String(parts)]] : [],
      };
    }
    counts.chunks++;
    counts.bytes += chunk.length;
  }
}

/**
 * Reads the chunks of a snapshot: all of it or nothing. Each has a buffer of its own.
 *
 * @throws {CorruptStateError} a part is missing, belongs to another snapshot, or has other bytes than were written; what
 * keeps it from asking the server; the signal's reason
 */
export async function readChunks(
  bucket: Bucket,
  ledger: string,
  manifest: LedgerManifest,
  bounds: ReadBounds,
): Promise<readonly Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const readOne = async (chunk: number, signal: AbortSignal): Promise<void> => {
    const data = await readChunk(bucket, ledger, manifest, chunk, { ...bounds, signal });
    chunks[chunk] = data;
    bytes += data.length;
  };
  await forEachChunk(manifest.chunks, readOne, bounds.signal);
  if (bytes === manifest.bytes) return chunks;
  const reason = `its chunks have ${bytes} bytes instead of ${manifest.bytes}`;
  throw new CorruptStateError(bucket.name, manifestKey(ledger), reason);
}

async function readChunk(
  bucket: Bucket,
  ledger: string,
  { nonce, slot }: LedgerManifest,
  chunk: number,
  bounds: ReadBounds,
): Promise<Uint8Array> {
  const readPart = (part: number): ReturnType<typeof readEntry> =>
    readEntry(bucket, partKey(ledger, slot, chunk, part), nonce, bounds);
  const { data, headers } = await readPart(0);
  const parts = Number(headers.get(PARTS_HEADER));
  if (parts === 1) return new Uint8Array(data);
  const pieces = [data];
  while (pieces.length < parts) pieces.push((await readPart(pieces.length)).data);
  return joined(pieces);
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((bytes, { length }) => bytes + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** The same values, unless the signal aborts while the next one is waited for. */
async function* untilAborted<T>(
  values: AsyncIterable<T> | Iterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  const iterator =
    Symbol.asyncIterator in values ? values[Symbol.asyncIterator]() : values[Symbol.iterator]();
  let ended = false;
  try {
    for (;;) {
      signal.throwIfAborted();
      const next = await abortable(Promise.resolve(iterator.next()), signal);
      ended = next.done === true;
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // A source that hangs would not answer: nobody waits for it.
    if (!ended) leave(iterator).catch(() => {});
  }
}

async function leave(iterator: AsyncIterator<unknown> | Iterator<unknown>): Promise<void> {
  await iterator.return?.();
}
