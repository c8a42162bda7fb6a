import type { Bucket } from "../nats/bucket.ts";

/** What a subject has beside the names of bucket and key, with some to spare. */
const SUBJECT_BYTES = 16;
/** Bytes of the subjects in one request at most; less where the server takes only small messages. */
const MOST_BYTES = 256 << 10;

/**
 * Keys of a bucket, as many at a time as one request may ask for.
 *
 * @param maxKeys keys at a time at most
 * @param bytesOf the length of a key as it stands in the bucket. @default its own
 */
export function* keyChunks<Key extends string>(
  bucket: Pick<Bucket, "name" | "maxEntryBytes">,
  keys: readonly Key[],
  maxKeys: number,
  bytesOf: (key: Key) => number = (key) => key.length,
): IterableIterator<readonly Key[]> {
  const overhead = bucket.name.length + SUBJECT_BYTES;
  const maxBytes = Math.min(MOST_BYTES, bucket.maxEntryBytes / 4);
  let chunk: Key[] = [];
  let bytes = 0;
  for (const key of keys) {
    const size = bytesOf(key) + overhead;
    if (chunk.length > 0 && (chunk.length >= maxKeys || bytes + size > maxBytes)) {
      yield chunk;
      chunk = [];
      bytes = 0;
    }
    bytes += size;
    chunk.push(key);
  }
  if (chunk.length > 0) yield chunk;
}
