/**
 * 53-bit fingerprints of texts and of lists of values: keyed, so that nobody who does not know the seeds can make values
 * collide on purpose, but short, so that values do collide by accident. Two values with one fingerprint are perhaps
 * equal, never surely; it is no signature either.
 *
 * HalfSipHash-1-3 with its 64-bit key (J.-P. Aumasson, D. J. Bernstein; as the Linux kernel uses it for hash tables)
 * over 32-bit words, in 32-bit arithmetic throughout; the highest 11 of its 64 bits are left out. What comes
 * out is stored in snapshots: the words and their order must never change.
 */
export class Fingerprints {
  readonly #seedA: number;
  readonly #seedB: number;
  #v0 = 0;
  #v1 = 0;
  #v2 = 0;
  #v3 = 0;
  #words = 0;

  /** Two seeds of 32 bits: random once, then kept with what keeps the fingerprints. */
  constructor(seedA: number, seedB: number) {
    this.#seedA = seedA | 0;
    this.#seedB = seedB | 0;
  }

  /** Of one text: an integer from 0 to 2^53 - 1. */
  of(text: string): number {
    this.begin();
    this.add(text);
    return this.end();
  }

  /** Starts a list of values anew, whatever was added before. */
  begin(): void {
    this.#v0 = this.#seedA;
    this.#v1 = this.#seedB ^ 0xee;
    this.#v2 = this.#seedA ^ 0x6c796765;
    this.#v3 = this.#seedB ^ 0x74656462;
    this.#words = 0;
  }

  /** Adds a text, exact to the UTF-16 code unit. */
  add(text: string): void {
    const { length } = text;
    this.#absorb(TEXT, length);
    let v0 = this.#v0;
    let v1 = this.#v1;
    let v2 = this.#v2;
    let v3 = this.#v3;
    // Two code units a word. The rounds stand here once more: as calls they take twice as long.
    for (let index = 1; index < length; index += 2) {
      const word = text.charCodeAt(index - 1) | (text.charCodeAt(index) << 16);
      v3 ^= word;
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      v0 ^= word;
    }
    this.#v0 = v0;
    this.#v1 = v1;
    this.#v2 = v2;
    this.#v3 = v3;
    this.#words += length >>> 1;
    if (length % 2 === 1) this.#absorbWord(text.charCodeAt(length - 1));
  }

  /** Adds a number; 0 and -0 are the same. */
  addNumber(value: number): void {
    if (Number.isSafeInteger(value)) {
      this.#absorb(INTEGER, value | 0, Math.floor(value / 2 ** 32));
    } else {
      FLOAT.setFloat64(0, value);
      this.#absorb(DOUBLE, FLOAT.getInt32(4), FLOAT.getInt32(0));
    }
  }

  /** Adds a bigint, which is never the same as a number. */
  addBigint(value: bigint): void {
    if (value >= LEAST && value <= MOST) {
      const number = Number(value);
      this.#absorb(BIGINT, number | 0, Math.floor(number / 2 ** 32));
    } else {
      this.#absorb(LARGE_BIGINT);
      this.add(value.toString(36));
    }
  }

  /** Adds that there is no value: `undefined`. */
  addNothing(): void {
    this.#absorb(NOTHING);
  }

  /** Adds `null`, which is neither nothing nor an empty text. */
  addNull(): void {
    this.#absorb(NULL);
  }

  /** The fingerprint of all that was added since {@link Fingerprints.begin}: an integer from 0 to 2^53 - 1. */
  end(): number {
    this.#absorb(END, this.#words);
    this.#v2 ^= 0xee;
    this.#rounds();
    const low = (this.#v1 ^ this.#v3) >>> 0;
    this.#v1 ^= 0xdd;
    this.#rounds();
    const high = (this.#v1 ^ this.#v3) & 0x1fffff;
    return high * 2 ** 32 + low;
  }

  /** Up to three words; each kind always has as many. */
  #absorb(kind: number, second?: number, third?: number): void {
    this.#absorbWord(kind);
    if (second !== undefined) this.#absorbWord(second);
    if (third !== undefined) this.#absorbWord(third);
  }

  #absorbWord(word: number): void {
    this.#v3 ^= word;
    this.#round();
    this.#v0 ^= word;
    this.#words++;
  }

  #rounds(): void {
    this.#round();
    this.#round();
    this.#round();
  }

  #round(): void {
    let v0 = this.#v0;
    let v1 = this.#v1;
    let v2 = this.#v2;
    let v3 = this.#v3;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    this.#v0 = v0;
    this.#v1 = v1;
    this.#v2 = v2;
    this.#v3 = v3;
  }
}

// What the first word of a value says: the values of a list can be told apart by nothing else.
const TEXT = 1;
const INTEGER = 2;
const DOUBLE = 3;
const BIGINT = 4;
const LARGE_BIGINT = 5;
const NOTHING = 6;
const NULL = 7;
const END = 8;

const LEAST = BigInt(Number.MIN_SAFE_INTEGER);
const MOST = BigInt(Number.MAX_SAFE_INTEGER);

const FLOAT = new DataView(new ArrayBuffer(8));
