/**
 * MessagePack written from its specification and docs/wire-format.md alone: a second implementation
 * to hold the library's against, in both directions. Plain rather than fast; trusts its input when
 * it writes, and throws a RangeError or Error of anything malformed when it reads.
 */

const bigintType = 0x42;
const timestampType = 0xff;

/** The bytes that docs/wire-format.md prescribes for the value. */
export function encodeValue(value: unknown): Uint8Array {
  if (value === null || value === undefined) return Buffer.of(0xc0);
  if (typeof value === "boolean") return Buffer.of(value ? 0xc3 : 0xc2);
  if (typeof value === "number") return encodeNumber(value);
  if (typeof value === "bigint") return extension(bigintType, bigintBytes(value));
  if (typeof value === "string") {
    const text = Buffer.from(value, "utf8");
    const header = text.length < 32 ? Buffer.of(0xa0 | text.length) : sized(0xd9, text.length);
    return Buffer.concat([header, text]);
  }
  if (value instanceof Uint8Array) return Buffer.concat([sized(0xc4, value.length), value]);
  if (value instanceof Date) return extension(timestampType, timestampBytes(value.getTime()));
  if (Array.isArray(value)) {
    return Buffer.concat([counted(0x90, 0xdc, value.length), ...value.map(encodeValue)]);
  }
  const entries = Object.entries(value).filter(([, entry]) => entry !== undefined);
  const parts = entries.flatMap(([key, entry]) => [encodeValue(key), encodeValue(entry)]);
  return Buffer.concat([counted(0x80, 0xde, entries.length), ...parts]);
}

function encodeNumber(value: number): Uint8Array {
  const bytes = Buffer.alloc(9);
  if (!Number.isInteger(value) || value < -(2 ** 31) || value >= 2 ** 32) {
    bytes[0] = 0xcb;
    bytes.writeDoubleBE(value, 1);
    return bytes;
  }
  if (value >= -32 && value < 128) return Buffer.of(value & 0xff);
  const size = integerSize(value);
  bytes[0] = (value < 0 ? 0xd0 : 0xcc) + Math.log2(size);
  if (value < 0) bytes.writeIntBE(value, 1, size);
  else bytes.writeUIntBE(value, 1, size);
  return bytes.subarray(0, 1 + size);
}

function integerSize(value: number): 1 | 2 | 4 {
  const [byte, short] = value < 0 ? [-128, -32768] : [255, 65535];
  if (Math.abs(value) <= Math.abs(byte ?? 0)) return 1;
  return Math.abs(value) <= Math.abs(short ?? 0) ? 2 : 4;
}

function bigintBytes(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const byte = Number(rest & 0xffn);
    bytes.unshift(byte);
    rest >>= 8n;
    // done where the top bit says what all higher ones are
    if (rest === (byte < 0x80 ? 0n : -1n)) return Buffer.from(bytes);
  }
}

function timestampBytes(ms: number): Uint8Array {
  const seconds = Math.floor(ms / 1000);
  const nanoseconds = (ms - seconds * 1000) * 1_000_000;
  const bytes = Buffer.alloc(12);
  if (seconds < 0 || seconds >= 2 ** 32) {
    bytes.writeUInt32BE(nanoseconds, 0);
    bytes.writeBigInt64BE(BigInt(seconds), 4);
    return bytes;
  }
  bytes.writeUInt32BE(nanoseconds * 4, 0);
  bytes.writeUInt32BE(seconds, 4);
  return nanoseconds === 0 ? bytes.subarray(4, 8) : bytes.subarray(0, 8);
}

function extension(type: number, payload: Uint8Array): Uint8Array {
  const fixed = [1, 2, 4, 8, 16].indexOf(payload.length);
  const header = fixed < 0 ? sized(0xc7, payload.length) : Buffer.of(0xd4 + fixed);
  return Buffer.concat([header, Buffer.of(type), payload]);
}

/** One, two or four bytes of length, told by three tags in a row. */
function sized(tag8: number, length: number): Uint8Array {
  return length < 0x100 ? Buffer.of(tag8, length) : counted(0, tag8 + 1, length);
}

/** A length within the tag, or two or four bytes of it, told by two tags in a row. */
function counted(fixTag: number, tag16: number, length: number): Uint8Array {
  if (fixTag !== 0 && length < 16) return Buffer.of(fixTag | length);
  const bytes = Buffer.alloc(length < 0x10000 ? 3 : 5);
  bytes[0] = length < 0x10000 ? tag16 : tag16 + 1;
  bytes.writeUIntBE(length, 1, bytes.length - 1);
  return bytes;
}

/** The one value that `bytes` hold. */
export function decodeValue(bytes: Uint8Array): unknown {
  const reader = new Reader(Buffer.from(bytes));
  const value = reader.value();
  if (reader.at !== bytes.length) throw new Error("bytes are left over");
  return value;
}

class Reader {
  readonly #bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  value(): unknown {
    const tag = this.#uint(1);
    if (tag < 0x80) return tag;
    if (tag < 0x90) return this.#map(tag & 0x0f);
    if (tag < 0xa0) return this.#list(tag & 0x0f);
    if (tag < 0xc0) return this.#take(tag & 0x1f).toString("utf8");
    if (tag >= 0xe0) return tag - 0x100;
    if (tag >= 0xd4 && tag <= 0xd8) return this.#extension(2 ** (tag - 0xd4));
    return this.#tagged(tag);
  }

  #tagged(tag: number): unknown {
    const simple = new Map<number, unknown>([
      [0xc0, null],
      [0xc2, false],
      [0xc3, true],
    ]);
    if (simple.has(tag)) return simple.get(tag);
    const size = 2 ** ((tag - (tag < 0xd9 ? 0xc4 : 0xd9)) % 3);
    if (tag >= 0xc4 && tag <= 0xc6) return new Uint8Array(this.#take(this.#uint(size)));
    if (tag >= 0xc7 && tag <= 0xc9) return this.#extension(this.#uint(size));
    if (tag >= 0xd9 && tag <= 0xdb) return this.#take(this.#uint(size)).toString("utf8");
    if (tag === 0xdc || tag === 0xdd) return this.#list(this.#uint(tag === 0xdc ? 2 : 4));
    if (tag === 0xde || tag === 0xdf) return this.#map(this.#uint(tag === 0xde ? 2 : 4));
    if (tag === 0xca) return this.#take(4).readFloatBE();
    if (tag === 0xcb) return this.#take(8).readDoubleBE();
    if (tag >= 0xcc && tag <= 0xd3) return this.#integer(tag);
    throw new Error(`tag ${tag} means nothing`);
  }

  #integer(tag: number): number | bigint {
    if (tag === 0xcf || tag === 0xd3) {
      const bytes = this.#take(8);
      const value = tag === 0xcf ? bytes.readBigUInt64BE() : bytes.readBigInt64BE();
      return value >= -(2n ** 53n) && value <= 2n ** 53n ? Number(value) : value;
    }
    const size = 2 ** ((tag - 0xcc) % 4);
    return tag < 0xd0 ? this.#uint(size) : this.#take(size).readIntBE(0, size);
  }

  #list(length: number): unknown[] {
    const list: unknown[] = [];
    for (let left = length; left > 0; left--) list.push(this.value());
    return list;
  }

  #map(length: number): Record<string, unknown> {
    const entries: [string, unknown][] = [];
    for (let left = length; left > 0; left--) {
      const key = this.value();
      if (typeof key !== "string") throw new Error("a key is no string");
      entries.push([key, this.value()]);
    }
    return Object.fromEntries(entries);
  }

  #extension(length: number): unknown {
    const type = this.#uint(1);
    const payload = this.#take(length);
    if (type === bigintType) {
      const value = payload.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
      return BigInt.asIntN(length * 8, value);
    }
    if (type !== timestampType) throw new Error(`extension type ${type} means nothing`);
    return new Date(timestampMs(payload));
  }

  #uint(size: number): number {
    return this.#take(size).readUIntBE(0, size);
  }

  #take(length: number): Buffer {
    const end = this.at + length;
    if (end > this.#bytes.length) throw new RangeError("the bytes end too early");
    const bytes = this.#bytes.subarray(this.at, end);
    this.at = end;
    return bytes;
  }
}

function timestampMs(bytes: Buffer): number {
  if (bytes.length === 4) return bytes.readUInt32BE() * 1000;
  if (bytes.length === 8) {
    const both = bytes.readBigUInt64BE();
    return Number(both & (2n ** 34n - 1n)) * 1000 + Math.floor(Number(both >> 34n) / 1e6);
  }
  if (bytes.length !== 12) throw new Error("a timestamp of a strange length");
  return Number(bytes.readBigInt64BE(4)) * 1000 + Math.floor(bytes.readUInt32BE() / 1e6);
}
