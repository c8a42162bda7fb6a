import { AccountCell, type AccountTerms, type Cell, HoldingCell } from "./cells.ts";
import { Holding } from "./holding.ts";
import { LotList } from "./lot-list.ts";
import { WORLD } from "./names.ts";

const WORLD_TERMS: AccountTerms = {
  lots: false,
  issuer: true,
  overdraft: undefined,
  frozen: false,
  closed: false,
  metadata: {},
};

const EMPTY_SUM = new Holding(0n, 0n, undefined);
const EMPTY_LOTS = new Holding(0n, 0n, LotList.empty);

/** What one group of commands has changed, to be acknowledged or rolled back as a whole. */
export interface ChangeSet {
  readonly mark: number;
  readonly cells: Cell<unknown>[];
  /** The values of the cells when the group was closed, while a later group changes them. */
  values: unknown[];
  /** Accounts and holdings that were new in it. */
  added: (AccountCell | HoldingCell)[];
}

/**
 * Accounts and what they hold, with two undo levels: a command that is refused halfway goes back to where it began; a
 * group that was not stored goes back to what is acknowledged.
 */
export class Books {
  readonly #accounts = new Map<string, AccountCell>();
  #terms: AccountTerms = WORLD_TERMS;
  #marks = 0;
  #open: ChangeSet = this.#begin();
  /** What the running command has changed: cells, each followed by its value before. */
  readonly #undo: unknown[] = [];
  /** How much of that is the running command's: emptying a list costs it its memory. */
  #undoable = 0;
  /** Accounts and holdings of the open group that were there already when the running command began. */
  #addedBefore = 0;
  /** Cells that the open group had changed by then. */
  #changedBefore = 0;

  /** Terms of accounts without their own. */
  set defaultTerms(terms: Pick<AccountTerms, "lots" | "overdraft">) {
    this.#terms = { ...WORLD_TERMS, issuer: false, ...terms };
  }

  /** All accounts, also those that are not acknowledged yet. */
  get accounts(): ReadonlyMap<string, AccountCell> {
    return this.#accounts;
  }

  account(name: string): AccountCell {
    const found = this.#accounts.get(name);
    if (found !== undefined) return found;
    const cell = new AccountCell(name, name === WORLD ? WORLD_TERMS : this.#terms);
    this.#accounts.set(name, cell);
    this.#open.added.push(cell);
    return cell;
  }

  holding(account: AccountCell, asset: string): HoldingCell {
    const found = account.holding(asset);
    if (found !== undefined) return found;
    const cell = new HoldingCell(account, asset, account.value.lots ? EMPTY_LOTS : EMPTY_SUM);
    // most accounts have one: a list that grows would have room for 17
    account.holdings = [...account.holdings, cell];
    this.#open.added.push(cell);
    return cell;
  }

  put<Value>(cell: Cell<Value>, value: Value): void {
    this.#undo[this.#undoable++] = cell;
    this.#undo[this.#undoable++] = cell.value;
    cell.value = value;
    const open = this.#open;
    if (cell.mark === open.mark) return;
    cell.mark = open.mark;
    open.cells.push(cell);
  }

  /** Begins a command; what it has changed is kept, unless {@link undo} is called. */
  begin(): void {
    this.#undoable = 0;
    this.#addedBefore = this.#open.added.length;
    this.#changedBefore = this.#open.cells.length;
  }

  /** Takes back what was changed since {@link begin}. */
  undo(): void {
    const undo = this.#undo;
    for (let at = this.#undoable - 2; at >= 0; at -= 2) {
      (undo[at] as Cell<unknown>).value = undo[at + 1];
    }
    this.#undoable = 0;
    const { added, cells } = this.#open;
    while (cells.length > this.#changedBefore) {
      const cell = cells.pop();
      if (cell !== undefined) cell.mark = 0;
    }
    while (added.length > this.#addedBefore) this.#forget(added.pop());
  }

  /** Ends the open group and begins another one. */
  close(): ChangeSet {
    const closed = this.#open;
    closed.values = closed.cells.map((cell) => cell.value);
    this.#open = this.#begin();
    // a replay begins no commands: it would keep every value that there ever was
    this.#forgetUndo();
    this.#addedBefore = 0;
    this.#changedBefore = 0;
    return closed;
  }

  /** A closed group was acknowledged. */
  confirm({ cells, values, added }: ChangeSet): void {
    for (let at = 0; at < cells.length; at++) {
      const cell = cells[at];
      if (cell === undefined) continue;
      cell.confirmed = values[at];
      if (cell instanceof HoldingCell) cell.account.confirmed ??= cell.account.initial;
    }
    // what nothing was posted to after all
    for (const cell of added)
      if (cell.confirmed === undefined && cell.mark === 0) this.#forget(cell);
  }

  /** Takes back all that is not acknowledged: the open group, and closed ones that were not stored. */
  rollback(closed: readonly ChangeSet[]): void {
    for (const { cells, added } of [...closed, this.#open]) {
      for (const cell of cells) if (cell.confirmed !== undefined) cell.value = cell.confirmed;
      for (const cell of added) if (cell.confirmed === undefined) this.#forget(cell);
    }
    this.#forgetUndo();
    this.#open = this.#begin();
  }

  #forgetUndo(): void {
    this.#undo.length = 0;
    this.#undoable = 0;
  }

  #forget(cell: AccountCell | HoldingCell | undefined): void {
    if (cell instanceof AccountCell) {
      this.#accounts.delete(cell.name);
    } else if (cell !== undefined) {
      const { account } = cell;
      account.holdings = account.holdings.filter((held) => held !== cell);
    }
  }

  #begin(): ChangeSet {
    return { mark: ++this.#marks, cells: [], values: [], added: [] };
  }
}
