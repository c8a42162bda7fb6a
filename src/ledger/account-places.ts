import { VarintReader, writeVarint } from "../internal/varint.ts";
import { InconsistentStateError } from "./errors.ts";
import { PackedPositions } from "./packed-positions.ts";

/** Up to so many positions stand in an array of their own size, which is smaller than one of bytes. */
const FEW = 16;

/**
 * The positions of the commits that touched an account, ascending: where its history is read from. Most accounts have
 * few and take some hundred bytes; the others take one to three bytes a position.
 */
export class AccountPlaces {
  readonly #few: number[] = [];
  #many: PackedPositions | undefined;

  /** How many positions. */
  get count(): number {
    return this.#many?.count ?? this.#few.length;
  }

  /** Memory of the positions. */
  get bytes(): number {
    return this.#many?.bytes ?? this.#few.length * 8;
  }

  /** Notes a commit: the same as the last one, which changes nothing, or a later one. */
  add(position: number): void {
    const many = this.#many;
    const last = many?.last ?? this.#few.at(-1) ?? 0;
    if (position === last) return;
    if (!Number.isSafeInteger(position) || position < last) {
      throw new InconsistentStateError(`expected a position above ${last}, found ${position}`);
    }
    if (many !== undefined) many.add(position);
    else if (this.#few.length < FEW) this.#few.push(position);
    else {
      this.#many = new PackedPositions([...this.#few, position]);
      this.#few.length = 0;
    }
  }

  /** All positions that were there when the first one was taken, ascending. */
  *positions(): Generator<number, void, undefined> {
    const many = this.#many;
    if (many === undefined) yield* this.#few.slice();
    else yield* many.positions();
  }

  /** All positions, ascending. */
  toArray(): number[] {
    return [...this.positions()];
  }

  /** Up to `limit` positions below `before`, or the last ones where it is undefined; newest first. */
  backwards(before: number | undefined, limit: number): number[] {
    const end = before ?? Number.POSITIVE_INFINITY;
    if (this.#many !== undefined) return this.#many.backwards(end, limit);
    const below = this.#few.filter((position) => position < end);
    return below.reverse().slice(0, limit);
  }

  /** As bytes that depend on the positions only: their count, then the distance of each from the one before. */
  encode(): Uint8Array {
    const deltas = this.#many?.packed() ?? new PackedPositions(this.#few).packed();
    return encoded(this.count, deltas);
  }

  /** The same of the first positions: as it was when there were so many. */
  encodeFirst(count: number): Uint8Array {
    if (count === this.count) return this.encode();
    const first: number[] = [];
    for (const position of this.positions()) {
      if (first.length === count) break;
      first.push(position);
    }
    return encoded(count, new PackedPositions(first).packed());
  }

  /**
   * The positions that gave these bytes.
   *
   * @throws InconsistentStateError if no positions give them
   */
  static decode(bytes: Uint8Array): AccountPlaces {
    const places = new AccountPlaces();
    const reader = new VarintReader(bytes);
    const count = reader.next();
    let position = 0;
    while (!reader.atEnd && places.count < count) {
      position += reader.next();
      places.add(position);
    }
    if (places.count !== count || !reader.atEnd) {
      throw new InconsistentStateError(`expected ${count} positions, found ${places.count}`);
    }
    return places;
  }
}

function encoded(count: number, deltas: Uint8Array): Uint8Array {
  const head = new Uint8Array(8);
  const length = writeVarint(head, 0, count);
  const bytes = new Uint8Array(length + deltas.length);
  bytes.set(head.subarray(0, length));
  bytes.set(deltas, length);
  return bytes;
}
