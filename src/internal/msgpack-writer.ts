const NOTHING = Buffer.alloc(0);
const FIRST_BYTES = 4_096;
/** The most bytes that a code unit takes in UTF-8. */
const UNIT_BYTES = 3;
/** A value's own bytes beside those of a text: its tag and 8 bytes. */
const HEAD_BYTES = 9;

/**
 * Writes MessagePack values behind each other into one buffer: nothing is built that is thrown away at once. Byte for byte as msgpackr writes them: each in its shortest form, integers beyond 32 bits as doubles.
 */
export class MsgpackWriter {
  #bytes = NOTHING;
  #length = 0;

  /** How many bytes were written. */
  get length(): number {
    return this.#length;
  }

  /** Drops what was written and not taken. */
  begin(): void {
    this.#length = 0;
  }

  /** The head of a list; its elements follow. */
  list(length: number): void {
    this.#reserve(HEAD_BYTES);
    const bytes = this.#bytes;
    if (length < 0x10) bytes[this.#length++] = 0x90 | length;
    else if (length < 0x10000) this.#tagged16(0xdc, length);
    else this.#tagged32(0xdd, length);
  }

  nil(): void {
    this.#reserve(HEAD_BYTES);
    this.#bytes[this.#length++] = 0xc0;
  }

  boolean(value: boolean): void {
    this.#reserve(HEAD_BYTES);
    this.#bytes[this.#length++] = value ? 0xc3 : 0xc2;
  }

  number(value: number): void {
    this.#reserve(HEAD_BYTES);
    if (value >>> 0 === value) {
      this.#unsigned(value);
    } else if ((value | 0) === value) {
      this.#negative(value);
    } else {
      const bytes = this.#bytes;
      bytes[this.#length] = 0xcb;
      this.#length = bytes.writeDoubleBE(value, this.#length + 1);
    }
  }

  /** A text without lone surrogates. */
  text(value: string): void {
    const { length } = value;
    this.#reserve(HEAD_BYTES + length * UNIT_BYTES);
    const before = this.#length;
    this.#textHead(length);
    const bytes = this.#bytes;
    const at = this.#length;
    for (let index = 0; index < length; index++) {
      const unit = value.charCodeAt(index);
      if (unit > 0x7f) {
        this.#length = before;
        this.#wideText(value);
        return;
      }
      bytes[at + index] = unit;
    }
    this.#length = at + length;
  }

  /** A value that was packed before. */
  packed(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** What was written since {@link begin}: a view, right until something is written behind another beginning. */
  get written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Of characters beyond ASCII: how many bytes they take must be known before they are written. */
  #wideText(value: string): void {
    this.#textHead(Buffer.byteLength(value));
    this.#length += this.#bytes.write(value, this.#length);
  }

  #textHead(length: number): void {
    const bytes = this.#bytes;
    if (length < 0x20) {
      bytes[this.#length++] = 0xa0 | length;
    } else if (length < 0x100) {
      bytes[this.#length++] = 0xd9;
      bytes[this.#length++] = length;
    } else if (length < 0x10000) {
      this.#tagged16(0xda, length);
    } else {
      this.#tagged32(0xdb, length);
    }
  }

  #unsigned(value: number): void {
    const bytes = this.#bytes;
    if (value < 0x80) {
      bytes[this.#length++] = value;
    } else if (value < 0x100) {
      bytes[this.#length++] = 0xcc;
      bytes[this.#length++] = value;
    } else if (value < 0x10000) {
      this.#tagged16(0xcd, value);
    } else {
      this.#tagged32(0xce, value);
    }
  }

  #negative(value: number): void {
    const bytes = this.#bytes;
    if (value >= -0x20) {
      bytes[this.#length++] = 0x100 + value;
    } else if (value >= -0x80) {
      bytes[this.#length++] = 0xd0;
      bytes[this.#length++] = 0x100 + value;
    } else if (value >= -0x8000) {
      this.#tagged16(0xd1, value & 0xffff);
    } else {
      this.#tagged32(0xd2, value >>> 0);
    }
  }

  #tagged16(tag: number, value: number): void {
    const bytes = this.#bytes;
    bytes[this.#length++] = tag;
    bytes[this.#length++] = value >>> 8;
    bytes[this.#length++] = value & 0xff;
  }

  #tagged32(tag: number, value: number): void {
    this.#bytes[this.#length] = tag;
    this.#length = this.#bytes.writeUInt32BE(value, this.#length + 1);
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2, FIRST_BYTES));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}
