import { BooksImage } from "./books-image.ts";
import { AccountCell, type AccountTerms, HoldingCell, partsOf } from "./cells.ts";
import type { Holding } from "./holding.ts";
import { HoldingTable, isWhole, MOST_ROWS } from "./holding-table.ts";
import type { DrainOrder } from "./drain-order.ts";
import type { Grant } from "./lot.ts";
import type { LotQueue } from "./lot-queue.ts";
import type { LotRows } from "./lot-rows.ts";
import { WORLD } from "./names.ts";
import { TouchLog } from "./touch-log.ts";
import { MADE, UndoLog } from "./undo-log.ts";

const WORLD_TERMS: AccountTerms = {
  lots: false,
  issuer: true,
  overdraft: undefined,
  frozen: false,
  closed: false,
  metadata: {},
};

const MOST = Number.MAX_SAFE_INTEGER;
/**
 * Lots of a whole holding that stand in rows again once they are so few: one of more is often unusual for longer, and
 * would be made whole again and again.
 */
const FEW_ROWS = 16;
const NO_SUMS = new Float64Array();

/** What one group of commands has changed, to be acknowledged or rolled back as a whole. */
export interface ChangeSet {
  readonly mark: number;
  /** Slots of the holdings. */
  readonly slots: number[];
  /** What they had when the group was closed, while a later group changes them. */
  sums: Float64Array;
  /** Of those that have more than a sum, in the same places. */
  readonly wholes: (Holding | undefined)[];
  /** Rows of lots. */
  readonly rows: number[];
  /** What was left of them when the group was closed. */
  remaining: Float64Array;
  /** Accounts whose terms it has changed, and these. */
  readonly accounts: AccountCell[];
  terms: readonly AccountTerms[];
  /** Accounts and holdings that were new in it. */
  readonly added: (AccountCell | HoldingCell)[];
}

/**
 * Accounts and what they hold, with two undo levels: a command that is refused halfway goes back to where it began; a
 * group that was not stored goes back to what is acknowledged.
 */
export class Books {
  readonly #accounts = new Map<string, AccountCell>();
  readonly #byId: AccountCell[] = [];
  readonly #freeIds: number[] = [];
  readonly #table = new HoldingTable();
  readonly #touched = new TouchLog();
  readonly #settle = (): void => this.#touched.flush(this.#byId);
  /** One text for each asset of which something is acknowledged: comparing with it finds it in the cache. */
  readonly #assets = new Map<string, string>();
  #terms: AccountTerms = WORLD_TERMS;
  /** Those that somebody may look at yet. */
  #images: readonly WeakRef<BooksImage>[] = [];
  #marks = 0;
  #open: ChangeSet = this.#begin();
  /** What the running command has changed. */
  readonly #undo = new UndoLog();
  /** What the open group had changed, and made, when the running command began. */
  readonly #before = { slots: 0, rows: 0, accounts: 0, added: 0 };

  /** Terms of accounts without their own. */
  set defaultTerms(terms: Pick<AccountTerms, "lots" | "overdraft">) {
    this.#terms = { ...WORLD_TERMS, issuer: false, ...terms };
  }

  /** How lots are drained; they keep the order that they were put in. */
  set order(order: DrainOrder) {
    this.#table.order = order;
  }

  /** What the lots of holdings that are no whole say of themselves. */
  get rows(): LotRows {
    return this.#table.rows;
  }

  /** All accounts, also those that are not acknowledged yet. */
  get accounts(): ReadonlyMap<string, AccountCell> {
    return this.#accounts;
  }

  account(name: string): AccountCell {
    const found = this.#accounts.get(name);
    if (found !== undefined) return found;
    const id = this.#freeIds.pop() ?? this.#byId.length;
    const terms = name === WORLD ? WORLD_TERMS : this.#terms;
    const cell = new AccountCell(name, id, terms, this.#settle);
    this.#byId[id] = cell;
    this.#accounts.set(name, cell);
    this.#open.added.push(cell);
    return cell;
  }

  holding(account: AccountCell, asset: string): HoldingCell {
    const found = account.holding(asset);
    if (found !== undefined) return found;
    const cell = new HoldingCell(account, this.#assets.get(asset) ?? asset, this.#table);
    account.add(cell);
    this.#open.added.push(cell);
    return cell;
  }

  /** Has all holdings of an asset that come from now on keep one text of its name. */
  shareAsset(asset: string): void {
    if (!this.#assets.has(asset)) this.#assets.set(asset, asset);
  }

  /** Where an account's holding of an asset stands. */
  slot(account: AccountCell, asset: string): number {
    return account.firstAsset === asset ? account.firstSlot : this.holding(account, asset).slot;
  }

  put(cell: HoldingCell, value: Holding): void {
    this.#put(cell.slot, ...partsOf(value));
  }

  putTerms(cell: AccountCell, terms: AccountTerms): void {
    this.#undo.terms(cell);
    cell.value = terms;
    const open = this.#open;
    if (cell.mark === open.mark) return;
    cell.mark = open.mark;
    open.accounts.push(cell);
  }

  /**
   * Moves an amount from one holding to another, where both are nothing but sums and stay so.
   *
   * @param least what must be left of it; -Infinity for whatever is
   * @returns false where nothing was moved
   */
  move(from: number, to: number, amount: bigint, least: number): boolean {
    const moved = Number(amount);
    const left = this.#table.sum(from) - moved;
    const reached = this.#table.sum(to) + moved;
    // false for what is no sum, too: beyond that bound a number is not exact
    const isSum = left >= -MOST && reached <= MOST && moved > 0 && moved <= MOST;
    if (!isSum || left < least || from === to) return false;
    this.#change(from);
    this.#table.shift(from, -moved);
    this.#change(to);
    this.#table.shift(to, moved);
    return true;
  }

  /** The lots of a slot, where they stand in rows; undefined of a running sum, and of a whole. */
  lots(slot: number): LotQueue | undefined {
    return this.#table.lots(slot);
  }

  /** The sum of a slot; NaN of a whole. */
  sum(slot: number): number {
    return this.#table.sum(slot);
  }

  /** Changes the sum of a slot, which stays exact. */
  shift(slot: number, by: number): void {
    this.#change(slot);
    this.#table.shift(slot, by);
  }

  /** Takes from a lot in a row; the sum of its holding is shifted by whoever asks for it. */
  drain(row: number, amount: number): void {
    const { rows } = this.#table;
    const remaining = rows.remaining(row);
    this.#changeRow(row, remaining);
    rows.setRemaining(row, remaining - amount);
  }

  /** Puts a new lot into a row, as {@link drain}. */
  addLot(slot: number, lots: LotQueue, grant: Grant, amount: number): void {
    const { rows, order } = this.#table;
    const row = rows.add(slot, grant, amount, amount);
    this.#changeRow(row, MADE);
    lots.insert(row, grant, order);
  }

  /** Adds to a running sum, or takes from it. @returns false where that is none, or would not be exact */
  add(slot: number, by: number): boolean {
    const reached = this.#table.sum(slot) + by;
    // false for what is no sum, too
    const isSum = reached >= -MOST && reached <= MOST && by >= -MOST && by <= MOST;
    if (!isSum || this.#table.lots(slot) !== undefined) return false;
    this.shift(slot, by);
    return true;
  }

  /** Begins a command; what it has changed is kept, unless {@link undo} is called. */
  begin(): void {
    this.#undo.begin();
    const { slots, rows, accounts, added } = this.#open;
    this.#before.slots = slots.length;
    this.#before.rows = rows.length;
    this.#before.accounts = accounts.length;
    this.#before.added = added.length;
  }

  /** Takes back what was changed since {@link begin}. */
  undo(): void {
    const { added, slots, rows, accounts } = this.#open;
    for (const row of rows.splice(this.#before.rows)) this.#table.rows.unmark(row);
    this.#undo.undo(this.#table);
    for (const slot of slots.splice(this.#before.slots)) this.#table.unmark(slot);
    for (const cell of accounts.splice(this.#before.accounts)) cell.mark = 0;
    while (added.length > this.#before.added) this.#forget(added.pop());
  }

  /** Ends the open group and begins another one. */
  close(): ChangeSet {
    const closed = this.#open;
    const { slots, wholes, rows, accounts } = closed;
    const sums = new Float64Array(slots.length);
    for (let at = 0; at < sums.length; at++) {
      const slot = slots[at] ?? 0;
      const sum = this.#table.sum(slot);
      sums[at] = sum;
      if (isWhole(sum)) wholes[at] = this.#table.whole(slot);
    }
    closed.sums = sums;
    closed.remaining = new Float64Array(rows.length);
    for (let at = 0; at < rows.length; at++)
      closed.remaining[at] = this.#table.rows.remaining(rows[at] ?? 0);
    closed.terms = accounts.map(({ value }) => value);
    this.#open = this.#begin();
    // a replay begins no commands: it would keep every value that there ever was
    this.#forgetUndo();
    return closed;
  }

  /**
   * A closed group was acknowledged.
   *
   * @param position of its commit
   * @param onNew told of accounts that no acknowledged entry has spoken of before
   * @throws {InconsistentStateError} the position is not behind those before: nothing has changed
   */
  confirm(
    changes: ChangeSet,
    position?: number,
    onNew: (account: AccountCell) => void = () => {},
  ): void {
    const { mark, slots, sums, wholes, rows, remaining, added } = changes;
    if (this.#images.length > 0) this.#keepFor(slots);
    if (position !== undefined) this.#touched.begin(position);
    for (let at = 0; at < rows.length; at++)
      this.#table.confirmRow(rows[at] ?? 0, remaining[at] ?? 0);
    for (let at = 0; at < slots.length; at++) {
      const slot = slots[at] ?? 0;
      const sum = sums[at] ?? 0;
      const isNew = this.#table.confirm(slot, sum, isWhole(sum) ? wholes[at] : undefined);
      if (isWhole(sum) && this.#table.isLast(slot, mark)) this.#table.settle(slot, FEW_ROWS);
      if (position !== undefined) this.#touched.add(this.#table.ownerIdOf(slot));
      const account = isNew ? this.#table.ownerOf(slot) : undefined;
      if (account === undefined || account.confirmed !== undefined) continue;
      account.confirmed = account.initial;
      onNew(account);
    }
    this.#confirmTerms(changes, position, onNew);
    for (const cell of added) {
      // what nothing was posted to after all
      if (this.#isUnused(cell)) this.#forget(cell);
      else if (cell instanceof HoldingCell) this.shareAsset(cell.asset);
    }
    if (this.#touched.isLong(this.#accounts.size)) this.#settle();
  }

  /** What is in it is as it was at a position: commits to come stand behind it. */
  restoredAt(position: number): void {
    this.confirm(this.close());
    this.#touched.begin(position);
  }

  /** What is acknowledged of all holdings now, whatever is acknowledged later. */
  image(): BooksImage {
    const image = new BooksImage(this.#table);
    this.#images = [...this.#images, new WeakRef(image)];
    return image;
  }

  /** Puts what was acknowledged into it, before {@link restoredAt}. */
  restore(cell: HoldingCell, value: Holding): void {
    this.put(cell, value);
    cell.account.confirmed ??= cell.account.initial;
    this.#table.confirm(cell.slot, ...partsOf(value));
    this.#table.settle(cell.slot, MOST_ROWS);
  }

  /** Takes back all that is not acknowledged: the open group, and closed ones that were not stored. */
  rollback(closed: readonly ChangeSet[]): void {
    for (const { slots, accounts, added } of [...closed, this.#open]) {
      for (const slot of slots) this.#table.reset(slot);
      for (const cell of accounts) if (cell.confirmed !== undefined) cell.value = cell.confirmed;
      for (const cell of added) if (!this.#isConfirmed(cell)) this.#forget(cell);
    }
    this.#forgetUndo();
    this.#open = this.#begin();
  }

  #put(slot: number, sum: number, whole: Holding | undefined): void {
    this.#change(slot);
    this.#table.put(slot, sum, whole);
  }

  /** Notes what a slot had before it is changed. */
  #change(slot: number): void {
    const table = this.#table;
    this.#undo.slot(slot, table);
    const open = this.#open;
    if (!table.mark(slot, open.mark)) open.slots.push(slot);
  }

  #keepFor(slots: readonly number[]): void {
    this.#images = this.#images.filter((ref) => {
      const image = ref.deref();
      image?.keep(slots);
      return image !== undefined;
    });
  }

  /** Notes what was left of a lot before it is changed. */
  #changeRow(row: number, before: number): void {
    this.#undo.row(row, before);
    const open = this.#open;
    if (!this.#table.rows.mark(row, open.mark)) open.rows.push(row);
  }

  #confirmTerms(
    { accounts, terms }: ChangeSet,
    position: number | undefined,
    onNew: (account: AccountCell) => void,
  ): void {
    for (let at = 0; at < accounts.length; at++) {
      const cell = accounts[at];
      if (cell === undefined) continue;
      if (cell.confirmed === undefined) onNew(cell);
      cell.confirmed = terms[at];
      if (position !== undefined) this.#touched.add(cell.id);
    }
  }

  #isConfirmed(cell: AccountCell | HoldingCell): boolean {
    if (cell instanceof AccountCell) return cell.confirmed !== undefined;
    return this.#table.isConfirmed(cell.slot);
  }

  #isUnused(cell: AccountCell | HoldingCell): boolean {
    if (this.#isConfirmed(cell)) return false;
    return cell instanceof AccountCell ? cell.mark === 0 : !this.#table.isMarked(cell.slot);
  }

  #forgetUndo(): void {
    this.#undo.clear();
    this.#before.slots = 0;
    this.#before.rows = 0;
    this.#before.accounts = 0;
    this.#before.added = 0;
  }

  #forget(cell: AccountCell | HoldingCell | undefined): void {
    if (cell instanceof AccountCell) {
      if (this.#accounts.get(cell.name) !== cell) return;
      this.#accounts.delete(cell.name);
      this.#freeIds.push(cell.id);
    } else if (cell !== undefined && cell.account.holdings.includes(cell)) {
      cell.account.remove(cell);
      this.#table.free(cell);
    }
  }

  #begin(): ChangeSet {
    return {
      mark: ++this.#marks,
      slots: [],
      sums: NO_SUMS,
      wholes: [],
      rows: [],
      remaining: NO_SUMS,
      accounts: [],
      terms: [],
      added: [],
    };
  }
}
