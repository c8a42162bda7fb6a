/**
 * The one JSON form of values: a big integer as a string of decimal digits, a date in ISO 8601,
 * bytes as base64. For output to people and other programs; it does not tell a string from what
 * became one.
 */

/**
 * A replacer for `JSON.stringify`; {@link toJson} uses it.
 *
 * @example JSON.stringify({ amount: 5n }, jsonReplacer) // {"amount":"5"}
 */
export function jsonReplacer(this: unknown, key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return value;
  // a Buffer has been through its own toJSON by now: look at what stood there before
  const original: unknown =
    typeof this === "object" && this !== null ? Reflect.get(this, key) : value;
  const bytes = original instanceof Uint8Array ? original : value;
  if (!(bytes instanceof Uint8Array)) return value;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

/**
 * The value as JSON text; `null` for what has none, such as undefined.
 *
 * @param indent spaces a level. @default 0, all on one line
 */
export function toJson(value: unknown, indent = 0): string {
  const text: string | undefined = JSON.stringify(value, jsonReplacer, indent);
  return text ?? "null";
}
