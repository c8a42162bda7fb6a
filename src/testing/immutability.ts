import { types } from "node:util";

/** Dates and bytes, which cannot be frozen. */
type Leaf = Date | Uint8Array;

/** Makes what `apply` is handed unchangeable, and finds changes of what cannot be made so. */
export class Immutability {
  readonly #leaves = new Map<Leaf, Leaf>();

  /** The value itself, frozen throughout; dates and bytes in it are remembered. */
  protect<Value>(value: Value): Value {
    this.#protect(value, new Set());
    return value;
  }

  /**
   * Forgets the dates and bytes.
   *
   * @throws {TypeError} where one of them has been changed in place
   */
  verify(): void {
    const leaves = [...this.#leaves];
    this.#leaves.clear();
    for (const [leaf, before] of leaves) {
      if (types.isDate(leaf) && leaf.getTime() !== Number(before)) {
        throw new TypeError(`a date was changed in place, from ${show(before)} to ${show(leaf)}`);
      }
      if (
        types.isUint8Array(leaf) &&
        types.isUint8Array(before) &&
        !Buffer.from(leaf).equals(before)
      ) {
        throw new TypeError("bytes were changed in place");
      }
    }
  }

  #protect(value: unknown, seen: Set<object>): void {
    if (typeof value !== "object" || value === null || seen.has(value)) return;
    seen.add(value);
    if (types.isDate(value)) this.#remember(value, new Date(value));
    else if (types.isUint8Array(value)) this.#remember(value, value.slice());
    else if (!ArrayBuffer.isView(value)) {
      Object.freeze(value);
      for (const held of Object.values(value)) this.#protect(held, seen);
    }
  }

  #remember(leaf: Leaf, copy: Leaf): void {
    if (!this.#leaves.has(leaf)) this.#leaves.set(leaf, copy);
  }
}

function show(date: unknown): string {
  return types.isDate(date) && !Number.isNaN(date.getTime()) ? date.toISOString() : String(date);
}
