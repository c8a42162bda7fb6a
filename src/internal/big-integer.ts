/** Stands for a big integer on its way into the encoder, which has an own form for this class. */
export class BigInteger {
  readonly value: bigint;

  constructor(value: bigint) {
    this.value = value;
  }
}

/** The fewest bytes that hold `value` in two's complement, highest first; at least one. */
export function bigintToBytes(value: bigint): Uint8Array {
  if (BigInt.asIntN(48, value) === value) return smallToBytes(Number(value));
  const negative = value < 0n;
  // of a negative number the bytes are the inverted ones of its complement
  let hex = (negative ? ~value : value).toString(16);
  if (hex.length % 2 === 1) hex = `0${hex}`;
  // the top bit is the sign
  if (hex.charCodeAt(0) >= 0x38) hex = `00${hex}`;
  const bytes = Buffer.from(hex, "hex");
  if (negative) for (let at = 0; at < bytes.length; at++) bytes[at] = ~(bytes[at] ?? 0);
  return bytes;
}

/** The big integer in all of `bytes`; more bytes than needed are fine, none is 0. */
export function bigintFromBytes(bytes: Uint8Array): bigint {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length === 0) return 0n;
  if (bytes.length <= 6) return BigInt(buffer.readIntBE(0, bytes.length));
  return BigInt.asIntN(bytes.length * 8, BigInt(`0x${buffer.toString("hex")}`));
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
