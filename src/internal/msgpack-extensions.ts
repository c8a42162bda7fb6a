/**
 * The two MessagePack extension types in use: timestamps (-1, defined by the MessagePack
 * specification) and big integers (application type 1: two's complement, big-endian, the fewest
 * bytes, at least one).
 */

/** Extension type of a big integer. */
export const bigintExtension = 1;
/** Extension type of a timestamp, as the unsigned byte that stands for -1. */
export const timestampExtension = 0xff;

/** The farthest that a JavaScript date reaches from 1970, in milliseconds. */
const maxDateMs = 8.64e15;

/** The fewest bytes that hold `value` in two's complement, highest first. */
export function bigintToBytes(value: bigint): Uint8Array {
  if (BigInt.asIntN(48, value) === value) return smallToBytes(Number(value));
  const negative = value < 0n;
  // of a negative number the bytes are the inverted ones of its complement
  let hex = (negative ? ~value : value).toString(16);
  if (hex.length % 2 === 1) hex = `0${hex}`;
  // the top bit is the sign
  if (hex.charCodeAt(0) >= 0x38) hex = `00${hex}`;
  const bytes = Buffer.from(hex, "hex");
  if (negative) for (let at = 0; at < bytes.length; at++) bytes[at] = ~byteAt(bytes, at);
  return bytes;
}

/** Up to 48 bits, where arithmetic on numbers is exact and much faster. */
function smallToBytes(value: number): Uint8Array {
  let length = 1;
  for (let limit = 128; value >= limit || value < -limit; limit *= 256) length++;
  const bytes = new Uint8Array(length);
  let rest = value;
  for (let at = length - 1; at >= 0; at--) {
    // taken modulo 256, also where it is negative or beyond 32 bits
    bytes[at] = rest;
    rest = Math.floor(rest / 256);
  }
  return bytes;
}

/**
 * The big integer in `length` bytes (at least one) from `start`; more bytes than needed are fine.
 */
export function bigintFromBytes(bytes: Buffer, start: number, length: number): bigint {
  if (length <= 6) return BigInt(bytes.readIntBE(start, length));
  const value = BigInt(`0x${bytes.toString("hex", start, start + length)}`);
  return byteAt(bytes, start) < 0x80 ? value : value - (1n << BigInt(length * 8));
}

/** The timestamp in its shortest form (4, 8 or 12 bytes), precise to the millisecond. */
export function dateToBytes(date: Date): Uint8Array {
  const ms = date.getTime();
  const seconds = Math.floor(ms / 1000);
  const nanoseconds = (ms - seconds * 1000) * 1_000_000;
  const long = seconds < 0 || seconds >= 2 ** 34;
  const bytes = Buffer.allocUnsafe(long ? 12 : nanoseconds > 0 || seconds >= 2 ** 32 ? 8 : 4);
  if (long) {
    bytes.writeUInt32BE(nanoseconds, 0);
    bytes.writeBigInt64BE(BigInt(seconds), 4);
  } else if (bytes.length === 8) {
    bytes.writeUInt32BE(nanoseconds * 4 + Math.floor(seconds / 2 ** 32), 0);
    bytes.writeUInt32BE(seconds % 2 ** 32, 4);
  } else {
    bytes.writeUInt32BE(seconds, 0);
  }
  return bytes;
}

/**
 * The date of a timestamp, finer digits cut off; undefined where it is none or beyond JavaScript's
 * dates.
 */
export function dateFromBytes(bytes: Buffer, start: number, length: number): Date | undefined {
  let seconds = 0;
  let nanoseconds = 0;
  if (length === 4) {
    seconds = bytes.readUInt32BE(start);
  } else if (length === 8) {
    const high = bytes.readUInt32BE(start);
    nanoseconds = Math.floor(high / 4);
    seconds = (high % 4) * 2 ** 32 + bytes.readUInt32BE(start + 4);
  } else if (length === 12) {
    nanoseconds = bytes.readUInt32BE(start);
    seconds = Number(bytes.readBigInt64BE(start + 4));
  } else {
    return undefined;
  }
  const ms = seconds * 1000 + Math.floor(nanoseconds / 1_000_000);
  return nanoseconds < 1e9 && Math.abs(ms) <= maxDateMs ? new Date(ms) : undefined;
}

function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}
