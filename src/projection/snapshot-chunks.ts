import { setImmediate as turn } from "node:timers/promises";
import { endOfValue } from "../internal/msgpack-bounds.ts";
import { bigintExtension, pack, unpack } from "../store/packing.ts";
import { maxDepth, serialisable } from "../store/serialisable.ts";

/** How long the event loop is held up at once. */
const SLICE_MS = 4;
/** A list of up to 2^32 - 1 elements (MessagePack's `array 32`): the same length whatever their number. */
const LIST_TAG = 0xdd;
const LIST_HEADER_BYTES = 5;

/**
 * Entries as the chunks of a snapshot, each a MessagePack list of `[key, value]`; between two slices of a few milliseconds, others have a turn. No entry is cut: one
 * that is larger than a chunk is a chunk of its own.
 */
export async function* encodeChunks(
  entries: Iterable<readonly [key: string, value: unknown]>,
  maxBytes: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let parts: Uint8Array[] = [];
  let bytes = LIST_HEADER_BYTES;
  let sliceEnd = performance.now() + SLICE_MS;
  for (const [key, value] of entries) {
    const part = pack([key, serialisable(value, "data", undefined)]);
    if (parts.length > 0 && bytes + part.length > maxBytes) {
      yield joined(parts, bytes);
      parts = [];
      bytes = LIST_HEADER_BYTES;
    }
    parts.push(part);
    bytes += part.length;
    if (performance.now() < sliceEnd) continue;
    await turn();
    sliceEnd = performance.now() + SLICE_MS;
  }
  if (parts.length > 0) yield joined(parts, bytes);
}

/** @throws {Error} where the bytes are no list of entries */
export function decodeChunk(data: Uint8Array): (readonly [key: string, value: unknown])[] {
  // The list and its pairs around a value.
  const end = endOfValue(data, 0, maxDepth + 3, bigintExtension);
  if (end !== data.length) throw new Error("bytes are left over behind the list");
  const list = unpack(data, 0, end);
  if (!Array.isArray(list)) throw new Error("it is no list");
  return list.map((pair: unknown) => {
    if (!Array.isArray(pair) || pair.length !== 2) throw new Error("an element is no pair");
    const [key, value]: unknown[] = pair;
    if (typeof key !== "string") throw new Error("a key is no text");
    return [key, value];
  });
}

function joined(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  const header = Buffer.alloc(LIST_HEADER_BYTES);
  header[0] = LIST_TAG;
  header.writeUInt32BE(parts.length, 1);
  return Buffer.concat([header, ...parts], bytes);
}
