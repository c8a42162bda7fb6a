import { resultOf } from "../internal/result-of.ts";
import { VarintReader, writeVarint } from "../internal/varint.ts";
import { InconsistentStateError } from "./errors.ts";
import { type Place, PlaceTable } from "./place-table.ts";

const FORMAT = 1;

/**
 * A {@link PlaceTable} that forgets: it knows the last `limit` places that were noted at least, twice as many at most. Two
 * generations: when the newer one is full, the older one goes. What is known follows from what was added, from nothing else.
 */
export class RecentPlaces {
  readonly limit: number;
  #older: PlaceTable;
  #newer: PlaceTable;

  constructor(limit: number) {
    if (!Number.isSafeInteger(limit) || limit < 1) {
      throw new InconsistentStateError(`expected a limit of one place or more, found ${limit}`);
    }
    this.limit = limit;
    this.#older = new PlaceTable();
    this.#newer = new PlaceTable();
  }

  /** How many places are known. */
  get size(): number {
    return this.#older.size + this.#newer.size;
  }

  /** Memory of the entries. */
  get bytes(): number {
    return this.#older.bytes + this.#newer.bytes;
  }

  /** Notes a place; see {@link PlaceTable.add}. */
  add(fingerprint: number, position: number, index: number): void {
    if (this.#newer.size >= this.limit) {
      this.#older = this.#newer;
      this.#newer = new PlaceTable();
    }
    this.#newer.add(fingerprint, position, index);
  }

  /** The places known under a fingerprint, in the order in which they were noted; undefined if there is none. */
  find(fingerprint: number): readonly Place[] | undefined {
    const older = this.#older.find(fingerprint);
    const newer = this.#newer.find(fingerprint);
    return older === undefined || newer === undefined ? (older ?? newer) : [...older, ...newer];
  }

  /** As {@link PlaceTable.encode}. */
  encode(): Iterable<Uint8Array> {
    const head = new Uint8Array(9);
    const length = writeVarint(head, writeVarint(head, 0, FORMAT), this.limit);
    const older = this.#older.encode();
    const newer = this.#newer.encode();
    return {
      *[Symbol.iterator]() {
        yield head.slice(0, length);
        yield* older;
        yield* newer;
      },
    };
  }

  /**
   * What gave these chunks.
   *
   * @throws InconsistentStateError if they are not the whole of it
   */
  static decode(chunks: Iterable<Uint8Array>): RecentPlaces {
    return resultOf(RecentPlaces.decodeInSteps(chunks));
  }

  /** As {@link RecentPlaces.decode}; yields between any two chunks. */
  static *decodeInSteps(
    chunks: Iterable<Uint8Array>,
  ): Generator<undefined, RecentPlaces, undefined> {
    const left = chunks[Symbol.iterator]();
    const head = left.next();
    const reader = new VarintReader(head.done === true ? new Uint8Array() : head.value);
    const format = reader.next();
    if (format !== FORMAT) {
      throw new InconsistentStateError(`expected places of format ${FORMAT}, found ${format}`);
    }
    const recent = new RecentPlaces(reader.next());
    recent.#older = yield* PlaceTable.decodeNext(left);
    recent.#newer = yield* PlaceTable.decodeNext(left);
    if (left.next().done !== true) throw new InconsistentStateError("chunks follow the places");
    return recent;
  }
}
