import { types } from "node:util";
import {
  bigintExtension,
  bigintToBytes,
  dateToBytes,
  timestampExtension,
} from "./msgpack-extensions.ts";
import { isWellFormed } from "./well-formed.ts";

/** How deep values may be nested: a scalar has depth 0, the list that holds it 1. */
export const maxDepth = 100;

/** A value has no defined form in MessagePack; {@link MessagePackWriter.path} tells which. */
export class UnwritableError extends Error {}

const initialBytes = 16 * 1024;
/** What is kept from one use to the next; more was an exception. */
const keptBytes = 1024 * 1024;
/** From here on the built-in encoder wins over a loop in JavaScript. */
const longText = 48;

/**
 * Writes values as standard MessagePack, each in its one shortest form, and refuses in the same
 * walk what has no defined form. One writer serves one value at a time and can be used again.
 */
export class MessagePackWriter {
  #bytes: Buffer = Buffer.allocUnsafeSlow(initialBytes);
  #at = 0;
  readonly #path: (string | number)[] = [];
  #depth = 0;

  /** Starts anew; forgets what was written. */
  reset(): void {
    this.#at = 0;
    this.#depth = 0;
    if (this.#bytes.length > keptBytes) this.#bytes = Buffer.allocUnsafeSlow(initialBytes);
  }

  /** A copy of what was written since {@link reset}. */
  finish(): Uint8Array {
    const copy = Buffer.allocUnsafe(this.#at);
    this.#bytes.copy(copy, 0, 0, this.#at);
    return copy;
  }

  /** Where the last {@link value} stopped, below `root`: `root.items[3].when`. */
  path(root: string): string {
    let path = root;
    for (const step of this.#path.slice(0, this.#depth)) {
      if (path.length > 200) return `${path}…`;
      if (typeof step === "number") path += `[${step}]`;
      else path += /^[A-Za-z_$][\w$]*$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
    }
    return path;
  }

  /** The header of a list of `length` values, which are to follow. */
  listHeader(length: number): void {
    this.#room(5);
    if (length < 16) this.#bytes[this.#at++] = 0x90 | length;
    else this.#length(length, 0xdc);
  }

  /** Nil: null, and what is undefined where a place must be filled. */
  nil(): void {
    this.#room(1);
    this.#bytes[this.#at++] = 0xc0;
  }

  /** @throws {UnwritableError} with the reason; {@link path} then tells where */
  value(value: unknown): void {
    switch (typeof value) {
      case "string":
        return this.text(value);
      case "number":
        return this.#number(value);
      case "boolean":
        this.#room(1);
        this.#bytes[this.#at++] = value ? 0xc3 : 0xc2;
        return;
      case "object":
        return value === null ? this.nil() : this.#object(value);
      case "undefined":
        return this.nil();
      case "bigint":
        return this.#extension(bigintExtension, bigintToBytes(value));
      default:
        throw new UnwritableError(`a ${typeof value} cannot be stored`);
    }
  }

  /** @throws {UnwritableError} of a lone surrogate */
  text(text: string): void {
    const { length } = text;
    this.#room(5 + length * 3);
    if (length >= longText) return this.#longText(text);
    const bytes = this.#bytes;
    const start = this.#at + (length < 32 ? 1 : 2);
    let at = start;
    for (let index = 0; index < length; index++) {
      const unit = text.charCodeAt(index);
      if (unit < 0x80) bytes[at++] = unit;
      else {
        at += this.#encode(text.slice(index), at);
        break;
      }
    }
    this.#textHeader(at - start, start);
  }

  #longText(text: string): void {
    const { length } = text;
    // a guess that holds for ASCII
    const start = this.#at + (length < 0x100 ? 2 : length < 0x10000 ? 3 : 5);
    this.#textHeader(this.#encode(text, start), start);
  }

  #encode(text: string, at: number): number {
    if (!isWellFormed(text)) {
      throw new UnwritableError(
        "a string with a lone surrogate cannot be stored (it has no UTF-8)",
      );
    }
    return this.#bytes.write(text, at, "utf8");
  }

  /**
   * Puts the header in front of the text that stands at `start`, moving it where the room does not
   * fit.
   */
  #textHeader(size: number, start: number): void {
    const headerSize = size < 32 ? 1 : size < 0x100 ? 2 : size < 0x10000 ? 3 : 5;
    const text = this.#at + headerSize;
    if (text !== start) this.#bytes.copyWithin(text, start, start + size);
    if (headerSize === 1) this.#bytes[this.#at] = 0xa0 | size;
    else this.#sizeHeader(size, 0xd9);
    this.#at = text + size;
  }

  #number(value: number): void {
    this.#room(9);
    const bytes = this.#bytes;
    // -0 is no integer to MessagePack
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
      bytes[this.#at] = 0xcb;
      // one form of NaN
      bytes.writeDoubleBE(Number.isNaN(value) ? Number.NaN : value, this.#at + 1);
      this.#at += 9;
    } else if (value >= 0) {
      this.#positive(value);
    } else {
      this.#negative(value);
    }
  }

  #positive(value: number): void {
    const bytes = this.#bytes;
    if (value < 0x80) {
      bytes[this.#at++] = value;
    } else if (value <= 0xffffffff) {
      this.#sizeHeader(value, 0xcc);
    } else {
      bytes[this.#at++] = 0xcf;
      bytes.writeUInt32BE(Math.floor(value / 2 ** 32), this.#at);
      bytes.writeUInt32BE(value % 2 ** 32, this.#at + 4);
      this.#at += 8;
    }
  }

  #negative(value: number): void {
    const bytes = this.#bytes;
    if (value >= -0x20) {
      bytes[this.#at++] = value & 0xff;
    } else if (value >= -0x80) {
      bytes[this.#at++] = 0xd0;
      bytes[this.#at++] = value & 0xff;
    } else if (value >= -0x8000) {
      bytes[this.#at++] = 0xd1;
      this.#at = bytes.writeInt16BE(value, this.#at);
    } else if (value >= -0x80000000) {
      bytes[this.#at++] = 0xd2;
      this.#at = bytes.writeInt32BE(value, this.#at);
    } else {
      bytes[this.#at++] = 0xd3;
      bytes.writeInt32BE(Math.floor(value / 2 ** 32), this.#at);
      bytes.writeUInt32BE(((value % 2 ** 32) + 2 ** 32) % 2 ** 32, this.#at + 4);
      this.#at += 8;
    }
  }

  #object(value: object): void {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) this.#map(value);
    else if (Array.isArray(value)) this.#list(value);
    else if (types.isUint8Array(value)) this.#binary(value);
    else if (types.isDate(value)) this.#date(value);
    else if (isRootPrototype(prototype)) this.#map(value);
    else throw new UnwritableError(`${describe(value)} cannot be stored; turn it into plain data`);
  }

  #list(list: readonly unknown[]): void {
    const { length } = list;
    this.listHeader(length);
    const depth = this.#descend();
    for (let index = 0; index < length; index++) {
      this.#path[depth] = index;
      this.value(list[index]);
    }
    this.#depth = depth;
  }

  #map(object: object): void {
    const entries: Readonly<Record<string, unknown>> = object as Record<string, unknown>;
    const keys = Object.keys(entries);
    this.#room(5);
    const header = this.#at;
    const small = keys.length < 16;
    // the length is put in below: properties that are undefined are left out
    if (small) this.#at++;
    const declared = small ? 0 : countDefined(entries, keys);
    if (!small) this.#mapHeader(declared);
    const depth = this.#descend();
    let count = 0;
    for (const key of keys) {
      const value = entries[key];
      if (value === undefined) continue;
      this.#path[depth] = key;
      if (key === "__proto__") throw new UnwritableError("a key __proto__ cannot be stored");
      this.text(key);
      this.value(value);
      count++;
    }
    this.#depth = depth;
    if (small) this.#bytes[header] = 0x80 | count;
    else if (count !== declared) throw new UnwritableError("a getter changed while it was read");
  }

  #mapHeader(length: number): void {
    if (length < 16) this.#bytes[this.#at++] = 0x80 | length;
    else this.#length(length, 0xde);
  }

  /** One level deeper: from here on, the step at the depth returned is part of the path. */
  #descend(): number {
    const depth = this.#depth;
    if (depth >= maxDepth) {
      throw new UnwritableError(`nested deeper than ${maxDepth} levels, or contains itself`);
    }
    this.#depth = depth + 1;
    return depth;
  }

  #binary(value: Uint8Array): void {
    this.#room(5 + value.length);
    this.#sizeHeader(value.length, 0xc4);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  #date(date: Date): void {
    if (Number.isNaN(date.getTime())) throw new UnwritableError("an invalid date cannot be stored");
    this.#extension(timestampExtension, dateToBytes(date));
  }

  #extension(type: number, payload: Uint8Array): void {
    const { length } = payload;
    this.#room(6 + length);
    const fixed = [1, 2, 4, 8, 16].indexOf(length);
    if (fixed === -1) this.#sizeHeader(length, 0xc7);
    else this.#bytes[this.#at++] = 0xd4 + fixed;
    this.#bytes[this.#at++] = type;
    this.#bytes.set(payload, this.#at);
    this.#at += length;
  }

  /** One, two or four bytes, told by the tag: `tag8`, the next, the one after it. */
  #sizeHeader(size: number, tag8: number): void {
    if (size >= 0x100) return this.#length(size, tag8 + 1);
    this.#bytes[this.#at++] = tag8;
    this.#bytes[this.#at++] = size;
  }

  /** Two or four bytes, told by the tag: `tag16` or the next. */
  #length(length: number, tag16: number): void {
    const bytes = this.#bytes;
    if (length < 0x10000) {
      bytes[this.#at++] = tag16;
      bytes[this.#at++] = length >>> 8;
      bytes[this.#at++] = length & 0xff;
    } else {
      bytes[this.#at++] = tag16 + 1;
      this.#at = bytes.writeUInt32BE(length, this.#at);
    }
  }

  #room(size: number): void {
    const needed = this.#at + size;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#at);
    this.#bytes = grown;
  }
}

function countDefined(entries: Readonly<Record<string, unknown>>, keys: readonly string[]): number {
  let count = 0;
  for (const key of keys) if (entries[key] !== undefined) count++;
  return count;
}

/** Whether it is the `Object.prototype` of another realm (node:vm, some test runners). */
function isRootPrototype(prototype: unknown): boolean {
  return (
    typeof prototype === "object" &&
    prototype !== null &&
    Object.getPrototypeOf(prototype) === null &&
    Object.hasOwn(prototype, "isPrototypeOf")
  );
}

function describe(value: object): string {
  const name: unknown = value.constructor?.name;
  return `an instance of ${typeof name === "string" && name !== "" ? name : "an unnamed class"}`;
}
