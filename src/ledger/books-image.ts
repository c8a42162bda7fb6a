import type { HoldingCell } from "./cells.ts";
import type { Holding } from "./holding.ts";
import type { HoldingTable } from "./holding-table.ts";

/** What acknowledged holdings had at one moment: nothing is copied of what does not change while somebody looks. */
export class BooksImage {
  readonly #table: HoldingTable;
  /** By their slots, of those that have changed since. */
  readonly #kept = new Map<number, number | Holding>();

  constructor(table: HoldingTable) {
    this.#table = table;
  }

  /** Slots are about to change. */
  keep(slots: readonly number[]): void {
    for (const slot of slots) {
      if (this.#kept.has(slot)) continue;
      const value = this.#table.image(slot);
      if (value !== undefined) this.#kept.set(slot, value);
    }
  }

  /** What a holding had that was acknowledged: a number for a running sum. */
  of({ slot }: HoldingCell): number | Holding | undefined {
    return this.#kept.get(slot) ?? this.#table.image(slot);
  }
}
