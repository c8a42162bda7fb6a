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

const NO_HOLDS: readonly ActiveHold[] = [];

/** What an account has of an asset, at one version of the ledger. Never changed: each posting makes a new one. */
export class Holding {
  /** Sum of all postings: unexpired and expired lots less debt, or the running sum. */
  readonly balance: bigint;
  /** What no lot covers; 0 where no lots are kept. */
  readonly debt: bigint;
  /** undefined where a running sum is kept. */
  readonly lots: LotList | undefined;
  readonly holds: readonly ActiveHold[];

  constructor(
    balance: bigint,
    debt: bigint,
    lots: LotList | undefined,
    holds: readonly ActiveHold[] = NO_HOLDS,
  ) {
    this.balance = balance;
    this.debt = debt;
    this.lots = lots;
    this.holds = holds;
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
    return this.holds.length === 0 ? own : own - this.heldAt(decidedAt);
  }

  /** What is in it at an instant beyond what is held then: below 0 where holds are not covered. */
  unheld(at: number): bigint {
    return this.balanceAt(at) - this.heldAt(at);
  }

  /** What is reserved at an instant. */
  heldAt(decidedAt: number): bigint {
    let held = 0n;
    for (const hold of this.holds) if (hold.expiresAt > decidedAt) held += hold.remaining;
    return held;
  }

  /** Without what has ended by then. */
  holdsAt(decidedAt: number): readonly ActiveHold[] {
    const { holds } = this;
    if (holds.every((hold) => hold.expiresAt > decidedAt)) return holds;
    return holds.filter((hold) => hold.expiresAt > decidedAt);
  }

  withHolds(holds: readonly ActiveHold[]): Holding {
    return new Holding(this.balance, this.debt, this.lots, holds);
  }
}
