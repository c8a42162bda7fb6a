import type { DrainOrder } from "./drain-order.ts";
import { InconsistentStateError } from "./errors.ts";
import { firstAfter } from "./first-after.ts";
import { type Grant, type Lot, nameOf } from "./lot.ts";
import type { LotRows } from "./lot-rows.ts";

const FEW = 4;

/** Which of the two versions of a row. */
export type RowVersion = "remaining" | "confirmed";

/**
 * The lots of one holding, in the order in which they are drained, as rows of a table. Those that have expired stand
 * apart, as they stay for good: whoever drains need not step over them. A row stays as long as one of its two versions
 * has something left.
 */
export class LotQueue {
  readonly #rows: LotRows;
  /** In their order; none of them has expired at an instant that was asked for. */
  #live: number[] = [];
  #expired: number[] = [];
  /** Of the expired ones, as decided last. */
  #expiredSum = 0;
  /** Of the live ones none expires before it. */
  #soonestExpiry = Number.POSITIVE_INFINITY;
  /** Of the expired ones none expires after it. */
  #expiredBy = Number.NEGATIVE_INFINITY;
  /** None was granted after it. */
  #latestGrant = Number.NEGATIVE_INFINITY;

  constructor(rows: LotRows) {
    this.#rows = rows;
  }

  /** Rows that are not set apart; there may be some of which nothing is left. */
  get live(): readonly number[] {
    return this.#live;
  }

  /** All rows in no order: a copy. */
  get all(): number[] {
    return this.#expired.length === 0 ? this.#live.slice() : this.#live.concat(this.#expired);
  }

  /** How many rows. */
  get size(): number {
    return this.#live.length + this.#expired.length;
  }

  /** As decided last, of what has expired. */
  get expiredSum(): number {
    return this.#expiredSum;
  }

  /** Sets apart for good what has expired at an instant that no decision lies before. */
  setApart(at: number, decidedAt: number): void {
    if (this.#soonestExpiry <= at && at <= decidedAt) this.#expire(at);
  }

  /** Whether all that can be drained at an instant is among the live ones. */
  hasLiveOf(at: number): boolean {
    return at >= this.#expiredBy;
  }

  /** Whether the live lots are those that can be drained at an instant: granted by then, and not expired then. */
  isAllDrainable(at: number): boolean {
    return at >= this.#latestGrant && at >= this.#expiredBy && at < this.#soonestExpiry;
  }

  /** Puts a row at its place. @throws {InconsistentStateError} there is one of the same grant */
  insert(row: number, grant: Grant, order: DrainOrder): void {
    const rows = this.#rows;
    const live = this.#live;
    const last = live.at(-1);
    if (last === undefined || order(rows.grant(last), grant) < 0) {
      // a list that grows would have room for 17, and most holdings have a few
      if (live.length < FEW) this.#live = [...live, row];
      else live.push(row);
    } else {
      const at = firstAfter(live, (other) => order(grant, rows.grant(other)) <= 0);
      const next = live[at];
      if (next !== undefined && order(grant, rows.grant(next)) === 0)
        throw new InconsistentStateError(`${nameOf(grant)} is there already`);
      live.splice(at, 0, row);
    }
    const expiry = grant.expiresAt ?? Number.POSITIVE_INFINITY;
    if (expiry < this.#soonestExpiry) this.#soonestExpiry = expiry;
    if (grant.grantedAt > this.#latestGrant) this.#latestGrant = grant.grantedAt;
  }

  /** The row of a lot. */
  find(version: number, lotIndex: number): number | undefined {
    const rows = this.#rows;
    const isIt = (row: number): boolean =>
      rows.version(row) === version && rows.lotIndex(row) === lotIndex;
    return this.#live.find(isIt) ?? this.#expired.find(isIt);
  }

  /** Takes a row out. */
  remove(row: number): void {
    if (!removeFrom(this.#live, row)) removeFrom(this.#expired, row);
    // an empty list keeps its memory
    if (this.#live.length === 0) this.#live = [];
  }

  /** What was decided of the rows is not so any more. */
  recount(): void {
    let sum = 0;
    for (const row of this.#expired) sum += this.#rows.remaining(row);
    this.#expiredSum = sum;
  }

  /** Takes all rows out. */
  clear(): readonly number[] {
    const { all } = this;
    this.#live = [];
    this.#expired = [];
    this.#expiredSum = 0;
    this.#soonestExpiry = Number.POSITIVE_INFINITY;
    this.#expiredBy = Number.NEGATIVE_INFINITY;
    this.#latestGrant = Number.NEGATIVE_INFINITY;
    return all;
  }

  /** The lots of a version in their order. */
  lots(version: RowVersion, order: DrainOrder): Lot[] {
    const lots: Lot[] = [];
    for (const row of this.all) {
      const left = this.#rows[version](row);
      if (left > 0) lots.push(this.#rows.lot(row, left));
    }
    if (this.#expired.length > 0) lots.sort((one, other) => order(one.grant, other.grant));
    return lots;
  }

  /**
   * Sum of the lots of a version that were granted by an instant and have not expired at another one.
   *
   * @param whole of all of them
   */
  sumAt(version: RowVersion, whole: number, grantedBy: number, at: number): number {
    const isAll = this.#expired.length === 0 && at < this.#soonestExpiry;
    if (isAll && grantedBy >= this.#latestGrant) return whole;
    const rows = this.#rows;
    let sum = 0;
    for (const list of [this.#live, this.#expired])
      for (const row of list) if (rows.isGranted(row, grantedBy, at)) sum += rows[version](row);
    return sum;
  }

  #expire(at: number): void {
    const rows = this.#rows;
    const live: number[] = [];
    let soonest = Number.POSITIVE_INFINITY;
    for (const row of this.#live) {
      const expiry = rows.expiresAt(row);
      if (expiry > at) {
        live.push(row);
        if (expiry < soonest) soonest = expiry;
        continue;
      }
      this.#expired.push(row);
      this.#expiredSum += rows.remaining(row);
      if (expiry > this.#expiredBy) this.#expiredBy = expiry;
    }
    this.#live = live;
    this.#soonestExpiry = soonest;
  }
}

/** The first ones are drained first. */
function removeFrom(rows: number[], row: number): boolean {
  const at = rows.indexOf(row);
  if (at < 0) return false;
  if (at === 0) rows.shift();
  else rows.splice(at, 1);
  return true;
}
