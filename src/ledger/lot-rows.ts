import type { Grant, Lot } from "./lot.ts";

/** Places of a row's numbers. A row is as wide as a line of a processor's cache: looking at a lot loads one or two. */
const WIDTH = 8;
const VERSION = 0;
const LOT_INDEX = 1;
const GRANTED_AT = 2;
const EXPIRES_AT = 3;
const AMOUNT = 4;
const REMAINING = 5;
const CONFIRMED = 6;
const MARK = 7;

const LEAST_ROWS = 64;
const UNKNOWN: Grant["commit"] = { position: 0, firstVersion: 0 };

/**
 * Lots whose amounts are exact as numbers, one row each, with what is left of them in two versions: as decided last, and
 * as acknowledged last. A row changes in place, so that nothing is left to collect behind a drain. Which rows are a
 * holding's, and in which order, its {@link LotQueue} says.
 */
export class LotRows {
  #numbers = new Float64Array(LEAST_ROWS * WIDTH);
  /** Slots of the holdings that rows belong to. */
  #slots = new Uint32Array(LEAST_ROWS);
  readonly #commits: (Grant["commit"] | undefined)[] = [];
  readonly #references: string[] = [];
  readonly #free: number[] = [];
  /** One for all comparisons: it is never kept. */
  readonly #view: { -readonly [Key in keyof Grant]: Grant[Key] } = {
    version: 0,
    lotIndex: 0,
    grantedAt: 0.5,
    expiresAt: null,
    reference: "",
    amount: 0n,
    commit: UNKNOWN,
  };

  /** A row for a lot that is not acknowledged yet, with all of `remaining` left. */
  add(slot: number, grant: Grant, amount: number, remaining: number): number {
    const row = this.#free.pop() ?? this.#commits.length;
    if ((row + 1) * WIDTH > this.#numbers.length) this.#grow();
    const numbers = this.#numbers;
    const at = row * WIDTH;
    numbers[at + VERSION] = grant.version;
    numbers[at + LOT_INDEX] = grant.lotIndex;
    numbers[at + GRANTED_AT] = grant.grantedAt;
    numbers[at + EXPIRES_AT] = grant.expiresAt ?? Number.POSITIVE_INFINITY;
    numbers[at + AMOUNT] = amount;
    numbers[at + REMAINING] = remaining;
    numbers[at + CONFIRMED] = 0;
    numbers[at + MARK] = 0;
    this.#slots[row] = slot;
    this.#commits[row] = grant.commit;
    this.#references[row] = grant.reference;
    return row;
  }

  /** Gives a row to the next lot. */
  free(row: number): void {
    this.#commits[row] = undefined;
    this.#references[row] = "";
    this.#free.push(row);
  }

  slotOf(row: number): number {
    return this.#slots[row] ?? 0;
  }

  /** As decided last; 0 for a lot that is drained wholly, and not acknowledged as that. */
  remaining(row: number): number {
    return this.#numbers[row * WIDTH + REMAINING] ?? 0;
  }

  setRemaining(row: number, remaining: number): void {
    this.#numbers[row * WIDTH + REMAINING] = remaining;
  }

  /** As acknowledged last; 0 for a lot that no acknowledged entry has made. */
  confirmed(row: number): number {
    return this.#numbers[row * WIDTH + CONFIRMED] ?? 0;
  }

  setConfirmed(row: number, remaining: number): void {
    this.#numbers[row * WIDTH + CONFIRMED] = remaining;
  }

  /** In ms; Infinity for never. */
  expiresAt(row: number): number {
    return this.#numbers[row * WIDTH + EXPIRES_AT] ?? 0;
  }

  /** Whether it was granted by an instant and has not expired at another one. */
  isGranted(row: number, grantedBy: number, at: number): boolean {
    return this.#grantedAt(row) <= grantedBy && this.expiresAt(row) > at;
  }

  isDrainable(row: number, at: number): boolean {
    return this.isGranted(row, at, at);
  }

  version(row: number): number {
    return this.#numbers[row * WIDTH + VERSION] ?? 0;
  }

  lotIndex(row: number): number {
    return this.#numbers[row * WIDTH + LOT_INDEX] ?? 0;
  }

  /** Whether a group has changed the row already; from now on it has. */
  mark(row: number, group: number): boolean {
    const at = row * WIDTH + MARK;
    if (this.#numbers[at] === group) return true;
    this.#numbers[at] = group;
    return false;
  }

  /** The group that has changed it last is no more. */
  unmark(row: number): void {
    this.#numbers[row * WIDTH + MARK] = 0;
  }

  /** What made it, to be compared at once: the next call changes it. */
  grant(row: number): Grant {
    const view = this.#view;
    const expiresAt = this.expiresAt(row);
    view.version = this.version(row);
    view.lotIndex = this.lotIndex(row);
    view.grantedAt = this.#grantedAt(row);
    view.expiresAt = expiresAt === Number.POSITIVE_INFINITY ? null : expiresAt;
    view.reference = this.#references[row] ?? "";
    return view;
  }

  /** The lot of a row, with so much left. */
  lot(row: number, remaining: number): Lot {
    const amount = BigInt(this.#numbers[row * WIDTH + AMOUNT] ?? 0);
    const commit = this.#commits[row] ?? UNKNOWN;
    const { version, lotIndex, grantedAt, expiresAt, reference } = this.grant(row);
    const grant = { version, lotIndex, grantedAt, expiresAt, reference, amount, commit };
    return { grant, remaining: BigInt(remaining) };
  }

  #grantedAt(row: number): number {
    return this.#numbers[row * WIDTH + GRANTED_AT] ?? 0;
  }

  #grow(): void {
    const numbers = new Float64Array(this.#numbers.length * 2);
    numbers.set(this.#numbers);
    this.#numbers = numbers;
    const slots = new Uint32Array(this.#slots.length * 2);
    slots.set(this.#slots);
    this.#slots = slots;
  }
}
