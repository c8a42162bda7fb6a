import { isUtf8 } from "node:buffer";
import {
  bigintExtension,
  bigintFromBytes,
  dateFromBytes,
  timestampExtension,
} from "./msgpack-extensions.ts";
import { maxDepth } from "./msgpack-writer.ts";

/** The bytes are not MessagePack, or hold what has no defined meaning here. */
export class MalformedError extends Error {}

const float = new DataView(new ArrayBuffer(8));

/**
 * Strings seen before, by a hash of their bytes: keys and event types repeat, and finding beats
 * making.
 */
const known: string[] = Array.from({ length: 1024 }, () => "");
const longestKnown = 32;

/**
 * Reads values of standard MessagePack written by anyone. Every length is checked against the bytes
 * that are there before anything is made of it; nothing that is returned refers to the bytes.
 */
export class MessagePackReader {
  readonly #bytes: Buffer;
  #at = 0;
  #depth = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Whether every byte has been read. */
  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** The length of a list whose header comes next. @throws {MalformedError} */
  listHeader(what: string): number {
    const tag = this.#byte();
    if (tag >= 0x90 && tag < 0xa0) return tag & 0x0f;
    if (tag === 0xdc) return this.#uint(2);
    if (tag === 0xdd) return this.#uint(4);
    throw new MalformedError(`${what} is no array`);
  }

  /** Steps over nil where it comes next, and tells whether it did. */
  skipNil(): boolean {
    if (this.#bytes[this.#at] !== 0xc0) return false;
    this.#at++;
    return true;
  }

  /** A view of the byte array that comes next; the only thing that refers to the bytes. */
  binaryView(what: string): Uint8Array {
    const tag = this.#byte();
    if (tag < 0xc4 || tag > 0xc6) throw new MalformedError(`${what} is no byte array`);
    const length = this.#uint(2 ** (tag - 0xc4));
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** A string that probably repeats: a map key, an event type. @throws {MalformedError} */
  symbol(what: string): string {
    const tag = this.#byte();
    if (tag >= 0xa0 && tag < 0xc0) return this.#symbol(tag & 0x1f);
    if (tag < 0xd9 || tag > 0xdb) throw new MalformedError(`${what} is no string`);
    return this.#symbol(this.#uint(2 ** (tag - 0xd9)));
  }

  /** The value that comes next. @throws {MalformedError} */
  value(): unknown {
    const tag = this.#byte();
    if (tag < 0x80) return tag;
    if (tag < 0x90) return this.#map(tag & 0x0f);
    if (tag < 0xa0) return this.#list(tag & 0x0f);
    if (tag < 0xc0) return this.#text(tag & 0x1f);
    if (tag >= 0xe0) return tag - 0x100;
    return this.#tagged(tag);
  }

  /** The map that comes next. @throws {MalformedError} */
  map(what: string): Record<string, unknown> {
    const tag = this.#byte();
    if (tag >= 0x80 && tag < 0x90) return this.#map(tag & 0x0f);
    if (tag === 0xde) return this.#map(this.#uint(2));
    if (tag === 0xdf) return this.#map(this.#uint(4));
    throw new MalformedError(`${what} is no map`);
  }

  #tagged(tag: number): unknown {
    switch (tag) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.#binary(this.#uint(2 ** (tag - 0xc4)));
      case 0xc7:
      case 0xc8:
      case 0xc9:
        return this.#extension(this.#uint(2 ** (tag - 0xc7)));
      case 0xca:
        return this.#bytes.readFloatBE(this.#take(4));
      case 0xcb:
        return this.#double();
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#text(this.#uint(2 ** (tag - 0xd9)));
      case 0xdc:
      case 0xdd:
        return this.#list(this.#uint(2 ** (tag - 0xdb)));
      case 0xde:
      case 0xdf:
        return this.#map(this.#uint(2 ** (tag - 0xdd)));
      case 0xc1:
        throw new MalformedError("byte c1 is never used in MessagePack");
      default:
        return tag < 0xd4 ? this.#integer(tag) : this.#extension(2 ** (tag - 0xd4));
    }
  }

  #integer(tag: number): number | bigint {
    switch (tag) {
      case 0xcc:
        return this.#uint(1);
      case 0xcd:
        return this.#uint(2);
      case 0xce:
        return this.#uint(4);
      case 0xd0:
        return this.#bytes.readInt8(this.#take(1));
      case 0xd1:
        return this.#bytes.readInt16BE(this.#take(2));
      case 0xd2:
        return this.#bytes.readInt32BE(this.#take(4));
      default: {
        const start = this.#take(8);
        const bytes = this.#bytes;
        const high = tag === 0xcf ? bytes.readUInt32BE(start) : bytes.readInt32BE(start);
        const value = high * 2 ** 32 + bytes.readUInt32BE(start + 4);
        if (Number.isSafeInteger(value)) return value;
        return tag === 0xcf ? bytes.readBigUInt64BE(start) : bytes.readBigInt64BE(start);
      }
    }
  }

  #double(): number {
    const start = this.#take(8);
    for (let at = 0; at < 8; at++) float.setUint8(at, this.#bytes[start + at] ?? 0);
    return float.getFloat64(0);
  }

  #list(length: number): unknown[] {
    this.#descend(length);
    const list: unknown[] = [];
    for (let left = length; left > 0; left--) list.push(this.value());
    this.#depth--;
    return list;
  }

  #map(length: number): Record<string, unknown> {
    this.#descend(length * 2);
    const map: Record<string, unknown> = {};
    for (let left = length; left > 0; left--) {
      const key = this.symbol("a map key");
      // assigning it would change the object's prototype
      if (key === "__proto__") throw new MalformedError("a map has the key __proto__");
      map[key] = this.value();
    }
    this.#depth--;
    return map;
  }

  /**
   * One level deeper, into a list or map of `count` values, each of which takes at least one byte.
   */
  #descend(count: number): void {
    this.#require(count);
    if (++this.#depth > maxDepth) {
      throw new MalformedError(`values are nested deeper than ${maxDepth} levels`);
    }
  }

  #binary(length: number): Uint8Array {
    const start = this.#take(length);
    const copy = new Uint8Array(length);
    copy.set(this.#bytes.subarray(start, start + length));
    return copy;
  }

  #extension(length: number): unknown {
    const type = this.#byte();
    const start = this.#take(length);
    if (type === bigintExtension) {
      if (length === 0) throw new MalformedError("a big integer has no bytes");
      return bigintFromBytes(this.#bytes, start, length);
    }
    if (type !== timestampExtension) {
      throw new MalformedError(`extension type ${type < 0x80 ? type : type - 0x100} is unknown`);
    }
    const date = dateFromBytes(this.#bytes, start, length);
    if (date === undefined) throw new MalformedError("a timestamp is malformed or out of range");
    return date;
  }

  #symbol(length: number): string {
    const start = this.#take(length);
    const bytes = this.#bytes;
    if (length === 0 || length > longestKnown) return this.#textAt(start, length);
    const first = bytes[start] ?? 0;
    const last = bytes[start + length - 1] ?? 0;
    const middle = bytes[start + (length >>> 1)] ?? 0;
    const slot = (first * 7 + last * 31 + middle * 131 + length * 17) & 1023;
    const candidate = known[slot] ?? "";
    if (candidate.length === length) {
      let index = 0;
      while (index < length && candidate.charCodeAt(index) === bytes[start + index]) index++;
      if (index === length) return candidate;
    }
    const text = this.#textAt(start, length);
    // where every byte is a character, the comparison above holds
    if (text.length === length) known[slot] = text;
    return text;
  }

  #text(length: number): string {
    return this.#textAt(this.#take(length), length);
  }

  #textAt(start: number, length: number): string {
    const bytes = this.#bytes;
    const end = start + length;
    if (length <= 12) {
      const text = shortAscii(bytes, start, end);
      if (text !== undefined) return text;
    }
    const text = bytes.toString("utf8", start, end);
    // what is not UTF-8 has become U+FFFD, which may also stand there itself
    if (text.includes("\ufffd") && !isUtf8(bytes.subarray(start, end))) {
      throw new MalformedError("a string is not UTF-8");
    }
    return text;
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new MalformedError("the bytes end too early");
    return byte;
  }

  #uint(size: number): number {
    const start = this.#take(size);
    const bytes = this.#bytes;
    if (size === 1) return bytes[start] ?? 0;
    return size === 2 ? bytes.readUInt16BE(start) : bytes.readUInt32BE(start);
  }

  /** Steps over `length` bytes and returns where they start. */
  #take(length: number): number {
    this.#require(length);
    const start = this.#at;
    this.#at = start + length;
    return start;
  }

  #require(length: number): void {
    if (length > this.#bytes.length - this.#at) throw new MalformedError("the bytes end too early");
  }
}

/** Undefined where a byte is not ASCII. Four at a time: few calls, few concatenations. */
function shortAscii(bytes: Uint8Array, start: number, end: number): string | undefined {
  let text = "";
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const a = bytes[at] ?? 0;
    const b = bytes[at + 1] ?? 0;
    const c = bytes[at + 2] ?? 0;
    const d = bytes[at + 3] ?? 0;
    if ((a | b | c | d) > 0x7f) return undefined;
    text += String.fromCharCode(a, b, c, d);
  }
  for (; at < end; at++) {
    const a = bytes[at] ?? 0;
    if (a > 0x7f) return undefined;
    text += String.fromCharCode(a);
  }
  return text;
}
