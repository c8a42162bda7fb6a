import { maxVarintBytes, VarintReader, writeVarint } from "../internal/varint.ts";
import { firstAfter } from "./first-after.ts";

/** Reading begins at one position in so many. */
const BLOCK = 1_024;

/**
 * Many ascending positions from 1: the distance of each from the one before as a varint, one after the other. Bytes that
 * were written never change.
 */
export class PackedPositions {
  #bytes = new Uint8Array(64);
  #length = 0;
  #count = 0;
  #last = 0;
  /** Of each block but the first: where its bytes begin, and the position before it. */
  readonly #offsets: number[] = [];
  readonly #bases: number[] = [];

  constructor(positions: Iterable<number>) {
    for (const position of positions) this.add(position);
  }

  get count(): number {
    return this.#count;
  }

  /** 0 while there is none. */
  get last(): number {
    return this.#last;
  }

  get bytes(): number {
    return this.#bytes.length + (this.#offsets.length + this.#bases.length) * 8;
  }

  /** Adds a position above the last one. */
  add(position: number): void {
    if (this.#length + maxVarintBytes > this.#bytes.length) {
      const grown = new Uint8Array(Math.ceil(this.#bytes.length * 1.5));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    if (this.#count > 0 && this.#count % BLOCK === 0) {
      this.#offsets.push(this.#length);
      this.#bases.push(this.#last);
    }
    this.#length = writeVarint(this.#bytes, this.#length, position - this.#last);
    this.#last = position;
    this.#count++;
  }

  /** All that are there when the first one is taken. */
  *positions(): Generator<number, void, undefined> {
    const reader = new VarintReader(this.#bytes.subarray(0, this.#length));
    let position = 0;
    while (!reader.atEnd) {
      position += reader.next();
      yield position;
    }
  }

  /** Up to `limit` positions below `end`, newest first. */
  backwards(end: number, limit: number): number[] {
    const found: number[] = [];
    for (let block = this.#blockBelow(end); block >= 0 && found.length < limit; block--) {
      const positions = this.#block(block);
      for (let at = positions.length - 1; at >= 0 && found.length < limit; at--) {
        const position = positions[at] ?? 0;
        if (position < end) found.push(position);
      }
    }
    return found;
  }

  /** The distances as they stand. */
  packed(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /** The last block that begins below `end`. */
  #blockBelow(end: number): number {
    return firstAfter(this.#bases, (base) => base >= end);
  }

  #block(block: number): number[] {
    const begin = block === 0 ? 0 : this.#offsets[block - 1];
    const bytes = this.#bytes.subarray(begin, this.#offsets[block] ?? this.#length);
    const reader = new VarintReader(bytes);
    let position = block === 0 ? 0 : (this.#bases[block - 1] ?? 0);
    const positions: number[] = [];
    while (!reader.atEnd) {
      position += reader.next();
      positions.push(position);
    }
    return positions;
  }
}
