import type { Bucket, BucketChange, BucketEntry } from "../nats/bucket.ts";
import type { ReadBounds } from "../nats/direct.ts";
import type { CheckpointWriter } from "./checkpoint-writer.ts";
import type { SharedCheckpoint } from "./checkpoint.ts";
import { CorruptStateError } from "./errors.ts";
import { CHECKSUM_HEADER, checksumOf, NONCE_HEADER } from "./snapshot-manifest.ts";

/** A part of a snapshot that is to be written. Its data must not change until it is. */
export interface SnapshotEntry {
  readonly key: string;
  readonly data: Uint8Array;
  /** Beside nonce and checksum. */
  readonly headers?: readonly (readonly [name: string, value: string])[] | undefined;
}

const WRITTEN_AT_ONCE = 8;
const READ_AT_ONCE = 8;

/** The entry as one of the snapshot with the nonce. */
export function stamped({ key, data, headers = [] }: SnapshotEntry, nonce: string): BucketChange {
  const own = [[NONCE_HEADER, nonce] as const, [CHECKSUM_HEADER, checksumOf(data)] as const];
  return { key, data, headers: [...own, ...headers] };
}

/**
 * Writes the entries of a snapshot in batches, each bound to the writer's claim: once another process has claimed the
 * bucket, none of them is written any more.
 *
 * @returns those of the last batch, which the caller writes together with the manifest
 * @throws {ProjectorFencedError}; what the entries throw; as {@link CheckpointWriter.write}
 */
export async function writeEntries(
  claim: CheckpointWriter,
  of: { readonly nonce: string; readonly progress: SharedCheckpoint },
  entries: AsyncIterable<SnapshotEntry>,
  signal: AbortSignal,
): Promise<readonly BucketChange[]> {
  let batch: BucketChange[] = [];
  let writing: Promise<void> = Promise.resolve();
  try {
    for await (const entry of entries) {
      batch.push(stamped(entry, of.nonce));
      if (batch.length < WRITTEN_AT_ONCE) continue;
      await writing;
      writing = claim.write(batch, of.progress, signal);
      // Whether it failed is asked when the next batch is ready.
      writing.catch(() => {});
      batch = [];
    }
  } finally {
    // Left alone it would go on under the claim that this writer makes next.
    await writing.catch(() => {});
  }
  await writing;
  return batch;
}

/**
 * Reads one entry of a snapshot.
 *
 * @throws {CorruptStateError} it is missing, belongs to another snapshot, or has other bytes than were written; what keeps
 * it from asking the server; the signal's reason
 */
export async function readEntry(
  bucket: Bucket,
  key: string,
  nonce: string,
  bounds: ReadBounds,
): Promise<BucketEntry> {
  const isOf = (entry: BucketEntry | undefined): boolean =>
    entry?.headers.get(NONCE_HEADER) === nonce;
  let entry = await bucket.get(key, bounds);
  // A replica may lag.
  if (!isOf(entry) && bucket.replicated) entry = await bucket.leaderGet(key, bounds);
  if (entry === undefined || entry.deleted) {
    throw new CorruptStateError(bucket.name, key, "it is missing");
  }
  if (!isOf(entry)) throw new CorruptStateError(bucket.name, key, "it belongs to another snapshot");
  if (entry.headers.get(CHECKSUM_HEADER) === checksumOf(entry.data)) return entry;
  throw new CorruptStateError(bucket.name, key, "its checksum is another one");
}

/**
 * Does something for each chunk from 0, for several at once. The first failure ends all: no more are begun, and those that
 * were are told by their signal.
 *
 * @throws what the first one throws; the signal's reason
 */
export async function forEachChunk(
  chunks: number,
  act: (chunk: number, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted();
  const over = new AbortController();
  const onAbort = (): void => over.abort(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  let next = 0;
  const goOn = async (): Promise<void> => {
    while (next < chunks && !over.signal.aborted) await act(next++, over.signal);
  };
  try {
    await Promise.all(Array.from({ length: READ_AT_ONCE }, goOn));
    signal?.throwIfAborted();
  } finally {
    over.abort();
    signal?.removeEventListener("abort", onAbort);
  }
}
