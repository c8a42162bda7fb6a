import type { AccountCell, AccountTerms } from "./cells.ts";
import type { Holding } from "./holding.ts";
import { type HoldingTable, isWhole } from "./holding-table.ts";

/** In place of what was left of a lot before it was there. */
export const MADE = -1;

/** What a command has changed of the books, each with what it was before. */
export class UndoLog {
  readonly #slots: number[] = [];
  readonly #sums: number[] = [];
  readonly #wholes: (Holding | undefined)[] = [];
  /** How much of that is the running command's: emptying a list costs it its memory. */
  #slotCount = 0;
  /** The same of rows of lots. */
  readonly #rows: number[] = [];
  readonly #remaining: number[] = [];
  #rowCount = 0;
  #terms: [cell: AccountCell, before: AccountTerms][] = [];

  /** Another command begins. */
  begin(): void {
    this.#slotCount = 0;
    this.#rowCount = 0;
    if (this.#terms.length > 0) this.#terms = [];
  }

  /** Notes what a slot has. */
  slot(slot: number, table: HoldingTable): void {
    const at = this.#slotCount++;
    this.#slots[at] = slot;
    const before = table.sum(slot);
    this.#sums[at] = before;
    if (isWhole(before)) this.#wholes[at] = table.whole(slot);
  }

  /** @param before what was left of the lot; {@link MADE} where there was none */
  row(row: number, before: number): void {
    const at = this.#rowCount++;
    this.#rows[at] = row;
    this.#remaining[at] = before;
  }

  /** Notes the terms that an account has. */
  terms(cell: AccountCell): void {
    this.#terms.push([cell, cell.value]);
  }

  /** Puts all of it back. */
  undo(table: HoldingTable): void {
    for (let at = this.#slotCount - 1; at >= 0; at--) {
      const sum = this.#sums[at] ?? 0;
      table.put(this.#slots[at] ?? 0, sum, isWhole(sum) ? this.#wholes[at] : undefined);
    }
    for (let at = this.#rowCount - 1; at >= 0; at--) {
      const row = this.#rows[at] ?? 0;
      const before = this.#remaining[at] ?? 0;
      const slot = table.rows.slotOf(row);
      if (before === MADE) table.freeRow(row);
      else table.rows.setRemaining(row, before);
      // those of one slot mostly stand together
      if (at === 0 || table.rows.slotOf(this.#rows[at - 1] ?? 0) !== slot) table.recount(slot);
    }
    for (const [cell, before] of this.#terms.reverse()) cell.value = before;
    this.begin();
  }

  /** Lets go of all that it refers to: a replay begins no commands. */
  clear(): void {
    this.#slots.length = 0;
    this.#sums.length = 0;
    this.#wholes.length = 0;
    this.#rows.length = 0;
    this.#remaining.length = 0;
    this.begin();
  }
}
