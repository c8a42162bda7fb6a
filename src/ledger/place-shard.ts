import { InconsistentStateError } from "./errors.ts";
import type { Place } from "./place-table.ts";

/** The entries of a shard at one moment, in the order in which they were added: the first `count` of each array. */
export interface FrozenShard {
  readonly fingerprints: Float64Array;
  readonly positions: Float64Array;
  readonly indexes: Uint32Array;
  readonly count: number;
}

const LEAST_ENTRIES = 8;
/** More slots than entries by this at least: probes stay short. */
const SLOTS_PER_ENTRY: number = 1 / 0.7;
/** A slot holds 1 + the number of its entry; its highest eight bits are of the fingerprint. */
const ENTRY_BITS = 24;
const MOST_ENTRIES: number = 2 ** ENTRY_BITS - 2;
const ENTRY_MASK: number = 2 ** ENTRY_BITS - 1;

/**
 * A part of a {@link PlaceTable}: entries in the order of their arrival, and slots that lead from a fingerprint to them by
 * open addressing with linear probing. Entries never change, so that whoever knows how many there were has them as they
 * were.
 */
export class PlaceShard {
  #fingerprints = new Float64Array(LEAST_ENTRIES);
  #positions = new Float64Array(LEAST_ENTRIES);
  #indexes = new Uint32Array(LEAST_ENTRIES);
  #slots = new Uint32Array(slotsFor(LEAST_ENTRIES));
  #count = 0;

  get bytes(): number {
    const entries = this.#fingerprints.byteLength + this.#positions.byteLength;
    return entries + this.#indexes.byteLength + this.#slots.byteLength;
  }

  add(fingerprint: number, position: number, index: number): void {
    const entry = this.#count;
    if (entry === this.#fingerprints.length) this.#grow();
    this.#fingerprints[entry] = fingerprint;
    this.#positions[entry] = position;
    this.#indexes[entry] = index;
    occupy(this.#slots, fingerprint, entry);
    this.#count = entry + 1;
  }

  /** In the order in which they were added. */
  find(fingerprint: number): readonly Place[] | undefined {
    const slots = this.#slots;
    const mask = slots.length - 1;
    const tag = tagOf(fingerprint);
    let found: Place[] | undefined;
    for (let at = fingerprint & mask; ; at = (at + 1) & mask) {
      const slot = slots[at];
      if (slot === undefined || slot === 0) return found;
      if (slot >>> ENTRY_BITS !== tag) continue;
      const entry = (slot & ENTRY_MASK) - 1;
      if (this.#fingerprints[entry] !== fingerprint) continue;
      const place = { position: this.#positions[entry] ?? 0, index: this.#indexes[entry] ?? 0 };
      if (found === undefined) found = [place];
      else found.push(place);
    }
  }

  freeze(): FrozenShard {
    return {
      fingerprints: this.#fingerprints,
      positions: this.#positions,
      indexes: this.#indexes,
      count: this.#count,
    };
  }

  #grow(): void {
    const count = this.#count;
    if (count >= MOST_ENTRIES) throw new InconsistentStateError(`a shard has ${count} entries`);
    const room = Math.min(count + (count >>> 1), MOST_ENTRIES);
    this.#fingerprints = copied(new Float64Array(room), this.#fingerprints);
    this.#positions = copied(new Float64Array(room), this.#positions);
    this.#indexes = copied(new Uint32Array(room), this.#indexes);
    if (slotsFor(room) === this.#slots.length) return;
    const slots = new Uint32Array(slotsFor(room));
    // In their order of arrival: so they are found.
    for (let entry = 0; entry < count; entry++) {
      occupy(slots, this.#fingerprints[entry] ?? 0, entry);
    }
    this.#slots = slots;
  }
}

function occupy(slots: Uint32Array, fingerprint: number, entry: number): void {
  const mask = slots.length - 1;
  let at = fingerprint & mask;
  while (slots[at] !== 0) at = (at + 1) & mask;
  slots[at] = (tagOf(fingerprint) << ENTRY_BITS) | (entry + 1);
}

/** Eight bits that choose neither the slot of a shard, nor the shard of a table. */
function tagOf(fingerprint: number): number {
  return Math.floor(fingerprint / 2 ** 32) & 0xff;
}

function slotsFor(entries: number): number {
  return 2 ** Math.ceil(Math.log2(entries * SLOTS_PER_ENTRY));
}

function copied<Values extends Float64Array | Uint32Array>(target: Values, source: Values): Values {
  target.set(source);
  return target;
}
