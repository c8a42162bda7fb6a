import type { AccountCell, HoldingCell } from "./cells.ts";
import { Holding } from "./holding.ts";

/** Holdings that a new table has room for. */
const LEAST_SLOTS = 64;
/** A sum in whose place a whole holding stands: with lots, holds, a debt, or a balance beyond 53 bits. */
const IS_WHOLE: number = Number.NaN;
/** In place of an acknowledged sum: no acknowledged entry speaks of the holding. */
const NEVER: number = Number.POSITIVE_INFINITY;
const MOST = BigInt(Number.MAX_SAFE_INTEGER);

/**
 * What the holdings of a ledger have, as decided last and as acknowledged last, one slot each. A running sum, which is
 * most of what there is, stands as a number in an array: ten thousand of them fit into the cache of a processor, and
 * changing one makes nothing that has to be collected. Anything else is a {@link Holding}.
 */
export class HoldingTable {
  #sums = new Float64Array(LEAST_SLOTS);
  readonly #wholes: (Holding | undefined)[] = [];
  #confirmedSums = new Float64Array(LEAST_SLOTS);
  readonly #confirmedWholes: (Holding | undefined)[] = [];
  /** The group of commands that has changed a slot last. */
  #marks = new Float64Array(LEAST_SLOTS);
  readonly #owners: AccountCell[] = [];
  /** Their ids: to know these, nobody goes to the accounts themselves. */
  #ownerIds = new Uint32Array(LEAST_SLOTS);
  readonly #free: number[] = [];

  /** A slot for a holding that is new. */
  add(owner: AccountCell): number {
    const slot = this.#free.pop() ?? this.#owners.length;
    if (slot === this.#sums.length) this.#grow();
    this.#owners[slot] = owner;
    this.#ownerIds[slot] = owner.id;
    this.#wholes[slot] = undefined;
    this.#confirmedWholes[slot] = undefined;
    this.#sums[slot] = 0;
    this.#confirmedSums[slot] = NEVER;
    this.#marks[slot] = 0;
    return slot;
  }

  /** Gives the slot of a holding that is gone to the next new one. */
  free({ slot }: HoldingCell): void {
    this.#wholes[slot] = undefined;
    this.#confirmedWholes[slot] = undefined;
    this.#free.push(slot);
  }

  ownerOf(slot: number): AccountCell | undefined {
    return this.#owners[slot];
  }

  ownerIdOf(slot: number): number {
    return this.#ownerIds[slot] ?? 0;
  }

  /** Whether the group has changed the slot already; from now on it has. */
  mark(slot: number, group: number): boolean {
    if (this.#marks[slot] === group) return true;
    this.#marks[slot] = group;
    return false;
  }

  /** The group that has changed it last is no more. */
  unmark(slot: number): void {
    this.#marks[slot] = 0;
  }

  isMarked(slot: number): boolean {
    return this.#marks[slot] !== 0;
  }

  /** NaN where it is more than a sum, see {@link whole}. */
  sum(slot: number): number {
    return this.#sums[slot] ?? IS_WHOLE;
  }

  /** undefined where it is a sum. */
  whole(slot: number): Holding | undefined {
    return this.#wholes[slot];
  }

  /** As it was: what {@link sum} and {@link whole} said. */
  put(slot: number, sum: number, whole: Holding | undefined): void {
    const before = this.#sums[slot] ?? 0;
    this.#sums[slot] = sum;
    // of a sum behind a sum there is nothing else to change
    if (whole !== undefined || isWhole(before)) this.#wholes[slot] = whole;
  }

  /** Changes a sum by a number; what comes of it is exact. */
  shift(slot: number, by: number): void {
    this.#sums[slot] = (this.#sums[slot] ?? 0) + by;
  }

  /** As decided last. */
  value(slot: number): Holding {
    return this.#wholes[slot] ?? sumHolding(this.sum(slot));
  }

  /** As {@link put}, of what is acknowledged. @returns whether nothing was before */
  confirm(slot: number, sum: number, whole: Holding | undefined): boolean {
    const before = this.#confirmedSums[slot] ?? NEVER;
    this.#confirmedSums[slot] = sum;
    if (whole !== undefined || isWhole(before)) this.#confirmedWholes[slot] = whole;
    return before === NEVER;
  }

  isConfirmed(slot: number): boolean {
    return this.#confirmedSums[slot] !== NEVER;
  }

  /** As acknowledged last; undefined before an acknowledged entry speaks of it. */
  confirmed(slot: number): Holding | undefined {
    const sum = this.#confirmedSums[slot] ?? NEVER;
    if (isWhole(sum)) return this.#confirmedWholes[slot];
    return sum === NEVER ? undefined : sumHolding(sum);
  }

  /** The acknowledged balance of a slot that has a sum; undefined of another, or before an entry speaks of it. */
  confirmedSum(slot: number): bigint | undefined {
    const sum = this.#confirmedSums[slot] ?? NEVER;
    return Number.isFinite(sum) ? BigInt(sum) : undefined;
  }

  /** What is decided becomes what is acknowledged, if anything is. */
  reset(slot: number): void {
    const sum = this.#confirmedSums[slot] ?? NEVER;
    if (sum !== NEVER) this.put(slot, sum, this.#confirmedWholes[slot]);
  }

  #grow(): void {
    const room = this.#sums.length * 2;
    this.#sums = grown(this.#sums, room);
    this.#confirmedSums = grown(this.#confirmedSums, room);
    this.#marks = grown(this.#marks, room);
    const ids = new Uint32Array(room);
    ids.set(this.#ownerIds);
    this.#ownerIds = ids;
  }
}

/** What stands for a holding in the place of its sum. */
export function sumOf({ balance, debt, lots, isHeld }: Holding): number {
  const isSum = lots === undefined && debt === 0n && !isHeld;
  return isSum && balance <= MOST && balance >= -MOST ? Number(balance) : IS_WHOLE;
}

export function isWhole(sum: number): boolean {
  return Number.isNaN(sum);
}

function sumHolding(sum: number): Holding {
  return new Holding(BigInt(sum), 0n, undefined);
}

function grown(values: Float64Array, length: number): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(length);
  larger.set(values);
  return larger;
}
