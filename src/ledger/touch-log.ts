import { InconsistentStateError } from "./errors.ts";

const LEAST = 64;
/** So many touches are brought to their accounts, or twice as many as there are accounts. */
const MANY = 1_024;
const MOST = 32_768;

/** What keeps the positions of the commits that touched it. */
interface Touched {
  /** Takes a position, which is never below the one before. */
  addPlace(position: number): void;
}

/**
 * The commits that touched accounts, in their order, until somebody wants to know of one account, or there are many. So
 * the memory of an account is gone to once for several commits, and not in the middle of the work on each of them.
 */
export class TouchLog {
  #ids = new Uint32Array(LEAST);
  #positions = new Float64Array(LEAST);
  #length = 0;
  #position = 0;

  /**
   * Begins a commit, which stands behind all before it.
   *
   * @throws {InconsistentStateError} it does not
   */
  begin(position: number): void {
    if (!Number.isSafeInteger(position) || position < this.#position) {
      const expected = `expected a position from ${this.#position} on`;
      throw new InconsistentStateError(`${expected}, found ${position}`);
    }
    this.#position = position;
  }

  /** The commit touched an account. @param id its number: small, and unlike all others' */
  add(id: number): void {
    if (this.#length === this.#ids.length) this.#grow();
    this.#ids[this.#length] = id;
    this.#positions[this.#length++] = this.#position;
  }

  /** Whether it should be brought to so many accounts. */
  isLong(accounts: number): boolean {
    return this.#length >= Math.min(Math.max(2 * accounts, MANY), MOST);
  }

  /** Brings all to their accounts, which stand in a list by their ids. */
  flush(accounts: readonly (Touched | undefined)[]): void {
    const length = this.#length;
    if (length === 0) return;
    this.#length = 0;
    // few are brought one by one: sorting them would go through all accounts
    const order =
      length < accounts.length / 4 ? undefined : this.#byAccount(length, accounts.length);
    for (let at = 0; at < length; at++) {
      const from = order === undefined ? at : (order[at] ?? 0);
      accounts[this.#ids[from] ?? 0]?.addPlace(this.#positions[from] ?? 0);
    }
  }

  /** Where the touches of each account stand, in the order of their arrival: by counting them. */
  #byAccount(length: number, accounts: number): Uint32Array {
    const ids = this.#ids;
    const ends = new Uint32Array(accounts);
    for (let at = 0; at < length; at++) increment(ends, ids[at] ?? 0);
    let end = 0;
    for (let id = 0; id < accounts; id++) {
      end += ends[id] ?? 0;
      ends[id] = end;
    }
    const order = new Uint32Array(length);
    for (let at = length - 1; at >= 0; at--) {
      const id = ids[at] ?? 0;
      const place = (ends[id] ?? 0) - 1;
      ends[id] = place;
      order[place] = at;
    }
    return order;
  }

  #grow(): void {
    const room = this.#ids.length * 2;
    const ids = new Uint32Array(room);
    ids.set(this.#ids);
    this.#ids = ids;
    const positions = new Float64Array(room);
    positions.set(this.#positions);
    this.#positions = positions;
  }
}

function increment(counts: Uint32Array, at: number): void {
  counts[at] = (counts[at] ?? 0) + 1;
}
