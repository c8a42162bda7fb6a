/** What the log's events are made of. */
export type Value = null | number | string | readonly Value[] | { readonly [key: string]: Value };

/**
 * Encodes a value as MessagePack, each in its shortest form. Covers what the example needs: nil, whole numbers from 0
 * to 2³² − 1, strings, arrays and maps.
 */
export function encodeMessagePack(value: Value): Uint8Array {
  const bytes: number[] = [];
  write(value, bytes);
  return Uint8Array.from(bytes);
}

function write(value: Value, bytes: number[]): void {
  if (value === null) {
    bytes.push(0xc0);
  } else if (typeof value === "number") {
    writeNumber(value, bytes);
  } else if (typeof value === "string") {
    const text = new TextEncoder().encode(value);
    if (text.length < 32) bytes.push(0xa0 | text.length);
    else if (text.length < 0x100) bytes.push(0xd9, text.length);
    else if (text.length < 0x1_0000) bytes.push(0xda, ...bigEndian(text.length, 2));
    else bytes.push(0xdb, ...bigEndian(text.length, 4));
    for (const byte of text) bytes.push(byte);
  } else if (isList(value)) {
    if (value.length < 16) bytes.push(0x90 | value.length);
    else bytes.push(0xdd, ...bigEndian(value.length, 4));
    for (const element of value) write(element, bytes);
  } else {
    const entries = Object.entries(value);
    if (entries.length < 16) bytes.push(0x80 | entries.length);
    else bytes.push(0xdf, ...bigEndian(entries.length, 4));
    for (const [key, element] of entries) {
      write(key, bytes);
      write(element, bytes);
    }
  }
}

function writeNumber(value: number, bytes: number[]): void {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
    throw new RangeError(`expected a whole number from 0 to 4294967295, received ${value}`);
  }
  if (value < 0x80) bytes.push(value);
  else if (value < 0x100) bytes.push(0xcc, value);
  else if (value < 0x1_0000) bytes.push(0xcd, ...bigEndian(value, 2));
  else bytes.push(0xce, ...bigEndian(value, 4));
}

function bigEndian(value: number, size: number): number[] {
  return Array.from({ length: size }, (_, at) => (value >>> (8 * (size - 1 - at))) & 0xff);
}

function isList(value: object): value is readonly Value[] {
  return Array.isArray(value);
}
