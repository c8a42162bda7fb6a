const LEAST = 256;
/** So many touches are worth going to their accounts. */
const MANY = 65_536;

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

  get isLong(): boolean {
    return this.#length >= MANY;
  }

  /** @param id number of the account: small, and unlike all others' */
  add(id: number, position: number): void {
    if (this.#length === this.#ids.length) this.#grow();
    this.#ids[this.#length] = id;
    this.#positions[this.#length++] = position;
  }

  /** Brings all to their accounts, which stand in a list by their ids. */
  flush(accounts: readonly (Touched | undefined)[]): void {
    const length = this.#length;
    if (length === 0) return;
    this.#length = 0;
    const order = this.#byAccount(length, accounts.length);
    for (let at = 0; at < length; at++) {
      const from = order[at] ?? 0;
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
