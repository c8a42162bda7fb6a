import { firstAfter } from "./first-after.ts";
import type { Grant, LotList } from "./lot-list.ts";

/** Funds of a holding that are reserved. */
export interface ActiveHold {
  /** Number of the entry that placed it. */
  readonly version: number;
  /** The commit of that entry; its position is filled in when it is known. */
  readonly commit: Grant["commit"];
  readonly to: string;
  readonly remaining: bigint;
  readonly expiresAt: number;
}

/** Holds of a holding in the order of their versions, and what they come to: a posting looks at none of them. */
export class Holds {
  readonly list: readonly ActiveHold[];
  /** Sum of what remains of them. */
  readonly held: bigint;
  /** None of them ends before that; Infinity where there is none. */
  readonly soonestEnd: number;

  constructor(list: readonly ActiveHold[], held: bigint, soonestEnd: number) {
    this.list = list;
    this.held = held;
    this.soonestEnd = soonestEnd;
  }

  static of(list: readonly ActiveHold[]): Holds {
    if (list.length === 0) return NO_HOLDS;
    let held = 0n;
    let soonestEnd = Number.POSITIVE_INFINITY;
    for (const { remaining, expiresAt } of list) {
      held += remaining;
      if (expiresAt < soonestEnd) soonestEnd = expiresAt;
    }
    return new Holds(list, held, soonestEnd);
  }

  /** Sum of those that have not ended. */
  heldAt(at: number): bigint {
    if (this.soonestEnd > at) return this.held;
    let held = 0n;
    for (const hold of this.list) if (hold.expiresAt > at) held += hold.remaining;
    return held;
  }

  /** Without what has ended by then. */
  activeAt(at: number): Holds {
    return this.soonestEnd > at ? this : Holds.of(this.list.filter((hold) => hold.expiresAt > at));
  }

  /** With one placed after all others. */
  with(hold: ActiveHold): Holds {
    const soonestEnd = hold.expiresAt < this.soonestEnd ? hold.expiresAt : this.soonestEnd;
    return new Holds([...this.list, hold], this.held + hold.remaining, soonestEnd);
  }

  find(version: number): ActiveHold | undefined {
    const hold = this.list[this.#placeOf(version)];
    return hold?.version === version ? hold : undefined;
  }

  /** With so much left of one of them; 0 for without it. */
  reduced(version: number, left: bigint): Holds {
    const place = this.#placeOf(version);
    const hold = this.list[place];
    if (hold?.version !== version) return this;
    if (this.list.length === 1 && left <= 0n) return NO_HOLDS;
    const list =
      left > 0n
        ? this.list.with(place, { ...hold, remaining: left })
        : this.list.toSpliced(place, 1);
    return new Holds(list, this.held - hold.remaining + left, this.soonestEnd);
  }

  #placeOf(version: number): number {
    return firstAfter(this.list, (hold) => hold.version >= version);
  }
}

const NO_HOLDS = new Holds([], 0n, Number.POSITIVE_INFINITY);

/** What an account has of an asset, at one version of the ledger. Never changed: a posting to it makes a new one. */
export class Holding {
  /** Sum of all postings: unexpired and expired lots less debt, or the running sum. */
  readonly balance: bigint;
  /** What no lot covers; 0 where no lots are kept. */
  readonly debt: bigint;
  /**
   * undefined where a running sum is kept. Lots that have expired are among them until they are drained as of an instant
   * before: they stay in memory, and in snapshots, for good.
   */
  readonly lots: LotList | undefined;
  readonly #holds: Holds;

  constructor(
    balance: bigint,
    debt: bigint,
    lots: LotList | undefined,
    holds: Holds | readonly ActiveHold[] = NO_HOLDS,
  ) {
    this.balance = balance;
    this.debt = debt;
    this.lots = lots;
    this.#holds = holds instanceof Holds ? holds : Holds.of(holds);
  }

  /** Whether some of it is reserved, or was when it was changed last. */
  get isHeld(): boolean {
    return this.#holds !== NO_HOLDS;
  }

  /** Those that had not ended when it was changed last. */
  get holds(): readonly ActiveHold[] {
    return this.#holds.list;
  }

  /** Whether nothing is in it at an instant, nothing owed and nothing held; what has expired may be left. */
  isEmptyAt(at: number): boolean {
    return this.balanceAt(at) === 0n && this.debt === 0n && this.heldAt(at) === 0n;
  }

  /** What is in it at an instant: unexpired lots less debt. */
  balanceAt(at: number): bigint {
    const { lots } = this;
    return lots === undefined ? this.balance : lots.unexpired(at) - this.debt;
  }

  /** What can be taken of it at an instant without going below zero; `decidedAt` rules what is held. */
  spendable(at: number, decidedAt: number): bigint {
    const { lots } = this;
    const own = lots === undefined ? this.balance : lots.spendable(at) - this.debt;
    return this.#holds === NO_HOLDS ? own : own - this.#holds.heldAt(decidedAt);
  }

  /** What is in it at an instant beyond what is held then: below 0 where holds are not covered. */
  unheld(at: number): bigint {
    return this.balanceAt(at) - this.heldAt(at);
  }

  /** What is reserved at an instant. */
  heldAt(decidedAt: number): bigint {
    return this.#holds.heldAt(decidedAt);
  }

  /** Without what has ended by then. */
  holdsAt(decidedAt: number): Holds {
    return this.#holds.activeAt(decidedAt);
  }

  findHold(version: number): ActiveHold | undefined {
    return this.#holds.find(version);
  }

  withHolds(holds: Holds | readonly ActiveHold[]): Holding {
    return new Holding(this.balance, this.debt, this.lots, holds);
  }
}
