/**
 * Unsigned LEB128: seven bits a byte, lowest first, the top bit says that another byte follows.
 * Values are safe integers from 0; each has one encoding, the shortest.
 */

/** The most bytes that one value takes: 53 bits in groups of seven. */
export const maxVarintBytes = 8;

/**
 * Writes `value` into `bytes` at `offset`, and returns the offset behind it. The room must be
 * there.
 */
export function writeVarint(bytes: Uint8Array, offset: number, value: number): number {
  let at = offset;
  let rest = value;
  // bit operations see 32 bits only, hence arithmetic above them
  while (rest > 0x7fffffff) {
    bytes[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  while (rest > 0x7f) {
    bytes[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}

/** Reads values one after the other. */
export class VarintReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Whether every byte has been read. */
  get atEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }

  /**
   * The next value; NaN where the bytes end, are not the shortest form, or exceed a safe integer.
   */
  next(): number {
    const bytes = this.#bytes;
    let byte = bytes[this.#offset++];
    if (byte === undefined) return Number.NaN;
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    let scale = 128;
    for (let length = 2; length <= maxVarintBytes; length++) {
      byte = bytes[this.#offset++];
      if (byte === undefined || byte === 0) return Number.NaN;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return Number.isSafeInteger(value) ? value : Number.NaN;
      scale *= 128;
    }
    return Number.NaN;
  }
}
