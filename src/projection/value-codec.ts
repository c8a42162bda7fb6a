import { endOfValue } from "../internal/msgpack-bounds.ts";
import { bigintExtension, pack, unpack } from "../store/packing.ts";
import { maxDepth, serialisable } from "../store/serialisable.ts";
import type { ValueFormat } from "./plain-value.ts";

/** The bytes of a plain value (see `plainValue`). */
export function encodeValue(value: unknown, format: ValueFormat): Uint8Array {
  return format === "json"
    ? Buffer.from(JSON.stringify(value))
    : pack(serialisable(value, "data", undefined));
}

/** @throws {Error} where the bytes are no value */
export function decodeValue(data: Uint8Array, format: ValueFormat): unknown {
  if (format === "json") return parseJson(data);
  const end = endOfValue(data, 0, maxDepth + 1, bigintExtension);
  if (end !== data.length) throw new Error("bytes are left over behind the value");
  return unpack(data, 0, end);
}

function parseJson(data: Uint8Array): unknown {
  const text = new TextDecoder("utf-8", { fatal: true }).decode(data);
  // As an own property, which `JSON.parse` makes it, it would become a prototype when copied.
  const value: unknown = JSON.parse(text, (key, held: unknown) => {
    if (key === "__proto__") throw new Error("a key __proto__ is none");
    return held;
  });
  return value;
}
