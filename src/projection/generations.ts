/** What stands for a value that was deleted: known to be absent. */
export const TOMBSTONE: unique symbol = Symbol("deleted");

/** A cached value, or {@link TOMBSTONE}. Never undefined, which means that nothing is known. */
export type Cell = unknown;

/**
 * The values of state keys that the last one to two generations of events touched. A generation is a fixed span of the
 * projection's own event count, so what is cached depends on the events alone: not on time, size, use, or on how the
 * events were cut into batches.
 */
export class Generations {
  /** Whether what is not here is nowhere. */
  readonly complete: boolean;
  readonly #span: number;
  #generation = 0;
  #current = new Map<string, Cell>();
  #previous = new Map<string, Cell>();
  /** Whether the previous generation counts: always, but of a complete cache only while it is frozen. */
  #layered: boolean;
  /** Whether there may be state that is not here: what stood there before, or has left since. */
  #forgetful: boolean;

  /**
   * @param span events a generation, at least 1; Infinity for a cache that is the whole state and forgets nothing
   * @param startsEmpty whether there is no state yet: until a rotation drops something, what is not here is nowhere
   */
  constructor(span: number, startsEmpty = false) {
    this.#span = span;
    this.complete = span === Number.POSITIVE_INFINITY;
    this.#forgetful = !this.complete && !startsEmpty;
    this.#layered = !this.complete;
  }

  /** Number of the generation, from 0. */
  get generation(): number {
    return this.#generation;
  }

  /** Keys in both generations; one that stands in both counts twice. */
  get size(): number {
    return this.#current.size + this.#previous.size;
  }

  /** The generation that the event number `p` (from 1) belongs to. */
  generationOf(p: number): number {
    return this.complete ? 0 : Math.floor((p - 1) / this.#span);
  }

  /** Number of the last event of a generation. */
  lastOf(generation: number): number {
    return this.complete ? Number.POSITIVE_INFINITY : (generation + 1) * this.#span;
  }

  /** Goes on to a generation: one step keeps the current one as the previous, a longer jump keeps nothing. */
  rotateTo(generation: number): void {
    const steps = generation - this.#generation;
    if (steps === 0) return;
    if (steps < 0) throw new RangeError(`generation ${generation} after ${this.#generation}`);
    const dropped = this.#previous.size + (steps === 1 ? 0 : this.#current.size);
    if (dropped > 0) this.#forgetful = true;
    this.#previous = steps === 1 ? this.#current : new Map();
    this.#current = new Map();
    this.#generation = generation;
  }

  /** The cell of a key; undefined where nothing is known of it. */
  get(key: string): Cell | undefined {
    const cell = this.#current.get(key);
    return cell === undefined && this.#layered ? this.#previous.get(key) : cell;
  }

  /**
   * Whether an event of `generation` will find the key here, or its absence is known. In the current one, both count; in
   * the next, what is previous now will be gone; of any other, earlier ones included, nothing can be said.
   */
  covers(key: string, generation: number): boolean {
    const age = generation - this.#generation;
    if (age === 0) return !this.#forgetful || this.get(key) !== undefined;
    if (age !== 1) return false;
    return this.#current.has(key) || (!this.#forgetful && this.#previous.size === 0);
  }

  /** What the current generation alone says: what {@link restore} needs to undo a change. */
  current(key: string): Cell | undefined {
    return this.#current.get(key);
  }

  put(key: string, value: unknown): void {
    this.#current.set(key, value);
  }

  /** Takes a value that was fetched; false, and nothing changes, where the key is known by now. */
  take(key: string, value: unknown): boolean {
    if (this.get(key) !== undefined) return false;
    this.#current.set(key, value);
    return true;
  }

  /** Deletes a key; false, and nothing changes, where it is not known to have a value. */
  delete(key: string): boolean {
    const cell = this.get(key);
    if (cell === undefined || cell === TOMBSTONE) return false;
    if (this.#layered) this.#current.set(key, TOMBSTONE);
    else this.#current.delete(key);
    return true;
  }

  /** Puts back what {@link current} gave before a change. */
  restore(key: string, cell: Cell | undefined): void {
    if (cell === undefined) this.#current.delete(key);
    else this.#current.set(key, cell);
  }

  /**
   * Freezes a complete cache as it is now, without a copy: until {@link thaw}, changes go into an overlay, and what is
   * deleted leaves a tombstone there. Between two units of work, never within one.
   *
   * @returns the frozen state, which does not change before `thaw`
   */
  freeze(): ReadonlyMap<string, unknown> {
    if (this.#layered) throw new Error("only a complete cache that is not frozen can be frozen");
    this.#previous = this.#current;
    this.#current = new Map();
    this.#layered = true;
    return this.#previous;
  }

  /**
   * Takes the overlay over into what was frozen. Where it is large, step by step: the state is whole after each, and may
   * change between two.
   *
   * @param maxKeys keys taken over in this step at most
   * @returns whether it is done
   */
  thaw(maxKeys: number = Number.POSITIVE_INFINITY): boolean {
    if (!this.complete || !this.#layered) throw new Error("the cache is not frozen");
    let left = maxKeys;
    for (const [key, cell] of this.#current) {
      if (left-- <= 0) return false;
      if (cell === TOMBSTONE) this.#previous.delete(key);
      else this.#previous.set(key, cell);
      this.#current.delete(key);
    }
    this.#current = this.#previous;
    this.#previous = new Map();
    this.#layered = false;
    return true;
  }

  /** All that is cached, the newer of two cells of a key. */
  *entries(): IterableIterator<[key: string, cell: Cell]> {
    yield* this.#current;
    for (const entry of this.#previous) if (!this.#current.has(entry[0])) yield entry;
  }

  /** Both generations as they are, for comparisons. */
  snapshot(): {
    readonly current: ReadonlyMap<string, Cell>;
    readonly previous: ReadonlyMap<string, Cell>;
  } {
    return { current: new Map(this.#current), previous: new Map(this.#previous) };
  }
}
