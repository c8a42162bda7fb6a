import { resultOf } from "../internal/result-of.ts";
import { maxVarintBytes, VarintReader, writeVarint } from "../internal/varint.ts";
import { InconsistentStateError } from "./errors.ts";
import { type FrozenShard, PlaceShard } from "./place-shard.ts";

/** Where something stands in the journal: the position of its commit, and its place there. */
export interface Place {
  readonly position: number;
  readonly index: number;
}

/** Up to so many entries stand in one shard: a small ledger pays for no more. */
const SHARDED_FROM = 2_048;
const SHARDS = 64;
/** Of 53 bits the highest six choose the shard. */
const SHARD_SPAN: number = 2 ** 53 / SHARDS;

const FORMAT = 1;
const CHUNK_BYTES = 256 * 1024;
/** Fingerprint, a mark with a position, index. */
const ENTRY_BYTES: number = maxVarintBytes + 1 + maxVarintBytes + 5;
/** Distances beyond are written as what they lead to. */
const MOST_DISTANCE: number = 2 ** 52;

/**
 * Finds the places that were noted under a fingerprint: about 33 bytes an entry, whatever the text was. One fingerprint
 * may lead to several places, of which the caller reads the journal to see which are meant. Nothing is ever removed.
 *
 * Growing moves one of 64 shards at a time, so that a million entries grow without a pause that is felt.
 */
export class PlaceTable {
  #shards: readonly PlaceShard[] = [new PlaceShard()];
  #size = 0;

  /** How many places were noted. */
  get size(): number {
    return this.#size;
  }

  /** Memory of the entries. */
  get bytes(): number {
    return this.#shards.reduce((sum, shard) => sum + shard.bytes, 0);
  }

  /** Notes a place. The fingerprint has at most 53 bits, the index at most 32. */
  add(fingerprint: number, position: number, index: number): void {
    if (!isCount(fingerprint) || !isCount(position) || !isCount(index) || index >= 2 ** 32) {
      throw new InconsistentStateError(
        `expected a fingerprint, a position and an index, found ${fingerprint}, ${position}, ${index}`,
      );
    }
    if (this.#size === SHARDED_FROM) this.#split();
    this.#shardOf(fingerprint).add(fingerprint, position, index);
    this.#size++;
  }

  /** The places noted under a fingerprint, in the order in which they were; undefined if there is none. */
  find(fingerprint: number): readonly Place[] | undefined {
    return this.#shardOf(fingerprint).find(fingerprint);
  }

  /**
   * All entries as they are at this moment, whatever is added while the chunks are taken: nothing is copied for it. Each
   * chunk has at most 256 KB. Tables to which the same was added in the same order give the same bytes.
   */
  encode(): Iterable<Uint8Array> {
    const frozen = this.#shards.map((shard) => shard.freeze());
    const size = this.#size;
    return { [Symbol.iterator]: () => chunksOf(frozen, size) };
  }

  /**
   * The table that gave these chunks.
   *
   * @throws InconsistentStateError if they are no whole table
   */
  static decode(chunks: Iterable<Uint8Array>): PlaceTable {
    const left = chunks[Symbol.iterator]();
    const table = resultOf(PlaceTable.decodeNext(left));
    if (left.next().done !== true) throw new InconsistentStateError("chunks follow a whole table");
    return table;
  }

  /** As {@link PlaceTable.decode}, where more follows: takes only the chunks of one table. Yields between any two. */
  static *decodeNext(chunks: Iterator<Uint8Array>): Generator<undefined, PlaceTable, undefined> {
    const table = new PlaceTable();
    let reader = nextReader(chunks);
    const format = reader.next();
    if (format !== FORMAT) {
      throw new InconsistentStateError(`expected a table of format ${FORMAT}, found ${format}`);
    }
    const size = reader.next();
    let previous = 0;
    while (table.#size < size) {
      if (reader.atEnd) {
        yield undefined;
        reader = nextReader(chunks);
        previous = 0;
      }
      const fingerprint = reader.next();
      const distance = reader.next();
      previous = distance === 0 ? reader.next() : previous + distance - 1;
      table.add(fingerprint, previous, reader.next());
    }
    if (table.#size !== size || !reader.atEnd) {
      throw new InconsistentStateError(`expected ${size} places, found ${table.#size} and more`);
    }
    return table;
  }

  #shardOf(fingerprint: number): PlaceShard {
    const shards = this.#shards;
    const shard = shards[shards.length === 1 ? 0 : Math.floor(fingerprint / SHARD_SPAN)];
    if (shard === undefined) {
      throw new InconsistentStateError(`expected a fingerprint of 53 bits, found ${fingerprint}`);
    }
    return shard;
  }

  #split(): void {
    const [whole] = this.#shards;
    if (whole === undefined || this.#shards.length > 1) return;
    this.#shards = Array.from({ length: SHARDS }, () => new PlaceShard());
    const { fingerprints, positions, indexes, count } = whole.freeze();
    for (let entry = 0; entry < count; entry++) {
      const fingerprint = fingerprints[entry] ?? 0;
      this.#shardOf(fingerprint).add(fingerprint, positions[entry] ?? 0, indexes[entry] ?? 0);
    }
  }
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function* chunksOf(shards: readonly FrozenShard[], size: number): Generator<Uint8Array, undefined> {
  const bytes = new Uint8Array(Math.min(CHUNK_BYTES, (size + 1) * ENTRY_BYTES));
  let at = writeVarint(bytes, writeVarint(bytes, 0, FORMAT), size);
  // Each chunk begins with a whole position.
  let previous = 0;
  for (const { fingerprints, positions, indexes, count } of shards) {
    for (let entry = 0; entry < count; entry++) {
      if (at + ENTRY_BYTES > bytes.length) {
        yield bytes.slice(0, at);
        at = 0;
        previous = 0;
      }
      const position = positions[entry] ?? 0;
      const distance = position - previous;
      at = writeVarint(bytes, at, fingerprints[entry] ?? 0);
      if (distance >= 0 && distance < MOST_DISTANCE) at = writeVarint(bytes, at, distance + 1);
      else at = writeVarint(bytes, writeVarint(bytes, at, 0), position);
      at = writeVarint(bytes, at, indexes[entry] ?? 0);
      previous = position;
    }
  }
  yield bytes.slice(0, at);
}

function nextReader(chunks: Iterator<Uint8Array>): VarintReader {
  const chunk = chunks.next();
  if (chunk.done === true) throw new InconsistentStateError("the chunks of a table end too early");
  return new VarintReader(chunk.value);
}
