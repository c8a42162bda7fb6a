import type { AccountCell, HoldingCell } from "./cells.ts";
import { type DrainOrder, drainOrder } from "./drain-order.ts";
import { Holding } from "./holding.ts";
import { LotList } from "./lot-list.ts";
import { LotQueue, type RowVersion } from "./lot-queue.ts";
import { LotRows } from "./lot-rows.ts";

/** Holdings that a new table has room for. */
const LEAST_SLOTS = 64;
/** A sum in whose place a whole holding stands: with holds, a debt, very many lots, or an amount beyond 53 bits. */
const IS_WHOLE: number = Number.NaN;
/** In place of an acknowledged sum: no acknowledged entry speaks of the holding. */
const NEVER: number = Number.POSITIVE_INFINITY;
const MOST = BigInt(Number.MAX_SAFE_INTEGER);
const NO_ROWS: readonly number[] = [];

/** A holding with more lots is kept as a whole. */
export const MOST_ROWS = 256;

/**
 * What the holdings of a ledger have, as decided last and as acknowledged last, one slot each. A running sum, which is
 * most of what there is, stands as a number in an array: ten thousand of them fit into the cache of a processor, and
 * changing one makes nothing that has to be collected. So does the sum of lots that stand in rows. Anything else is a
 * {@link Holding}.
 *
 * Of lots, the decided version may be rows or a whole; while the acknowledged one is a whole, so is the decided one.
 */
export class HoldingTable {
  #sums = new Float64Array(LEAST_SLOTS);
  readonly #wholes: (Holding | undefined)[] = [];
  #confirmedSums = new Float64Array(LEAST_SLOTS);
  readonly #confirmedWholes: (Holding | undefined)[] = [];
  /** The group of commands that has changed a slot last. */
  #marks = new Float64Array(LEAST_SLOTS);
  /** The rows of a holding that keeps lots: of that version, or versions, whose sum is a number. */
  readonly #queues: (LotQueue | undefined)[] = [];
  readonly rows: LotRows = new LotRows();
  /** How lots are drained. */
  order: DrainOrder = drainOrder("emission-first@1");
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
    this.#queues[slot] = owner.value.lots ? new LotQueue(this.rows) : undefined;
    this.#sums[slot] = 0;
    this.#confirmedSums[slot] = NEVER;
    this.#marks[slot] = 0;
    return slot;
  }

  /** Gives the slot of a holding that is gone to the next new one. */
  free({ slot }: HoldingCell): void {
    this.#wholes[slot] = undefined;
    this.#confirmedWholes[slot] = undefined;
    this.#clear(slot);
    this.#queues[slot] = undefined;
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

  /** Whether no group behind this one has changed the slot; of one that was marked and unmarked, none has. */
  isLast(slot: number, group: number): boolean {
    return this.#marks[slot] === group || this.#marks[slot] === 0;
  }

  /** The lots of a slot as decided last, where they stand in rows. */
  lots(slot: number): LotQueue | undefined {
    return isWhole(this.sum(slot)) ? undefined : this.#queues[slot];
  }

  /** Gives up a row of which nothing is left. */
  freeRow(row: number): void {
    this.#queues[this.rows.slotOf(row)]?.remove(row);
    this.rows.free(row);
  }

  /** A row has the value of an acknowledged group. */
  confirmRow(row: number, remaining: number): void {
    this.rows.setConfirmed(row, remaining);
    // nothing can be put back into it
    if (remaining === 0) this.freeRow(row);
  }

  /** What was decided of the rows of a slot is not so any more. */
  recount(slot: number): void {
    this.#queues[slot]?.recount();
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
    return this.#wholes[slot] ?? this.#holding(slot, this.sum(slot), "remaining");
  }

  /** As {@link put}, of what is acknowledged. @returns whether nothing was before */
  confirm(slot: number, sum: number, whole: Holding | undefined): boolean {
    const before = this.#confirmedSums[slot] ?? NEVER;
    this.#confirmedSums[slot] = sum;
    if (whole !== undefined || isWhole(before)) this.#confirmedWholes[slot] = whole;
    if (whole !== undefined) this.#clear(slot);
    return before === NEVER;
  }

  /** Has lots that are whole in both versions stand in rows again, where they fit and are so many at most. */
  settle(slot: number, most: number): void {
    const whole = this.#wholes[slot];
    const queue = this.#queues[slot];
    if (queue === undefined || whole === undefined || whole !== this.#confirmedWholes[slot]) return;
    const { lots, balance, debt, isHeld } = whole;
    if (lots === undefined || lots.size > most || isHeld || debt !== 0n) return;
    if (balance > MOST || lots.total !== balance) return;
    // what is left is exact with the sum, and what was granted may not be
    for (const { grant } of lots) if (grant.amount > MOST) return;
    for (const { grant, remaining } of lots) {
      const left = Number(remaining);
      const row = this.rows.add(slot, grant, Number(grant.amount), left);
      this.rows.setConfirmed(row, left);
      queue.insert(row, grant, this.order);
    }
    this.#sums[slot] = Number(balance);
    this.#confirmedSums[slot] = Number(balance);
    this.#wholes[slot] = undefined;
    this.#confirmedWholes[slot] = undefined;
  }

  isConfirmed(slot: number): boolean {
    return this.#confirmedSums[slot] !== NEVER;
  }

  /** As acknowledged last; undefined before an acknowledged entry speaks of it. */
  confirmed(slot: number): Holding | undefined {
    const sum = this.#confirmedSums[slot] ?? NEVER;
    if (isWhole(sum)) return this.#confirmedWholes[slot];
    return sum === NEVER ? undefined : this.#holding(slot, sum, "confirmed");
  }

  /** What was granted by an instant and has not expired at another one, as decided last; undefined of a whole. */
  sumAt(slot: number, grantedBy: number, at: number): bigint | undefined {
    return this.#sumAt(slot, this.sum(slot), "remaining", grantedBy, at);
  }

  /** The same as acknowledged last; undefined too before an acknowledged entry speaks of it. */
  confirmedSumAt(slot: number, grantedBy: number, at: number): bigint | undefined {
    return this.#sumAt(slot, this.#confirmedSums[slot] ?? NEVER, "confirmed", grantedBy, at);
  }

  /** Sum of all acknowledged postings; undefined before one. */
  confirmedBalance(slot: number): bigint | undefined {
    const sum = this.#confirmedSums[slot] ?? NEVER;
    return Number.isFinite(sum) ? BigInt(sum) : this.#confirmedWholes[slot]?.balance;
  }

  /** As {@link confirmed}; a number for a running sum. */
  image(slot: number): number | Holding | undefined {
    const sum = this.#confirmedSums[slot] ?? NEVER;
    const isSum = this.#queues[slot] === undefined && Number.isFinite(sum);
    return isSum ? sum : this.confirmed(slot);
  }

  /** What is decided becomes what is acknowledged, if anything is. */
  reset(slot: number): void {
    const sum = this.#confirmedSums[slot] ?? NEVER;
    if (sum !== NEVER) this.put(slot, sum, this.#confirmedWholes[slot]);
    const queue = this.#queues[slot];
    if (queue === undefined) return;
    for (const row of queue.all) {
      const left = this.rows.confirmed(row);
      this.rows.setRemaining(row, left);
      if (left === 0) this.freeRow(row);
    }
    queue.recount();
  }

  #sumAt(
    slot: number,
    sum: number,
    version: RowVersion,
    grantedBy: number,
    at: number,
  ): bigint | undefined {
    if (!Number.isFinite(sum)) return undefined;
    return BigInt(this.#queues[slot]?.sumAt(version, sum, grantedBy, at) ?? sum);
  }

  #holding(slot: number, sum: number, version: RowVersion): Holding {
    const queue = this.#queues[slot];
    if (queue === undefined) return new Holding(BigInt(sum), 0n, undefined);
    return new Holding(BigInt(sum), 0n, LotList.of(queue.lots(version, this.order), this.order));
  }

  #clear(slot: number): void {
    for (const row of this.#queues[slot]?.clear() ?? NO_ROWS) this.rows.free(row);
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

function grown(values: Float64Array, length: number): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(length);
  larger.set(values);
  return larger;
}
