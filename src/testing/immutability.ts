import { types } from "node:util";

/** What cannot be frozen. */
type Leaf = Date | Uint8Array | ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>;

/** Makes what a pure function is handed unchangeable, and finds changes of what cannot be made so. */
export class Immutability {
  readonly #leaves = new Map<Leaf, Leaf>();

  /** The value itself, frozen throughout; dates, bytes, maps and sets in it are remembered. */
  protect<Value>(value: Value): Value {
    this.#protect(value, new Set());
    return value;
  }

  /**
   * Forgets what it remembers.
   *
   * @throws {TypeError} where one of them has been changed in place
   */
  verify(): void {
    const leaves = [...this.#leaves];
    this.#leaves.clear();
    for (const [leaf, before] of leaves) {
      if (types.isDate(leaf) && !Object.is(leaf.getTime(), Number(before))) {
        throw new TypeError(`a date was changed in place, from ${show(before)} to ${show(leaf)}`);
      }
      if (
        types.isUint8Array(leaf) &&
        types.isUint8Array(before) &&
        !Buffer.from(leaf).equals(before)
      ) {
        throw new TypeError("bytes were changed in place");
      }
      if (types.isMap(leaf) && types.isMap(before) && !sameElements(leaf, before)) {
        throw new TypeError("a map was changed in place");
      }
      if (types.isSet(leaf) && types.isSet(before) && !sameElements(leaf, before)) {
        throw new TypeError("a set was changed in place");
      }
    }
  }

  #protect(value: unknown, seen: Set<object>): void {
    if (typeof value !== "object" || value === null || seen.has(value)) return;
    seen.add(value);
    if (types.isDate(value)) this.#remember(value, new Date(value));
    else if (types.isUint8Array(value)) this.#remember(value, value.slice());
    else if (types.isMap(value)) this.#protectElements(value, new Map(value), seen);
    else if (types.isSet(value)) this.#protectElements(value, new Set(value), seen);
    else if (!ArrayBuffer.isView(value)) {
      Object.freeze(value);
      for (const held of Object.values(value)) this.#protect(held, seen);
    }
  }

  #protectElements(
    elements: ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>,
    copy: ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>,
    seen: Set<object>,
  ): void {
    this.#remember(elements, copy);
    for (const [key, value] of elements.entries()) {
      this.#protect(key, seen);
      this.#protect(value, seen);
    }
  }

  #remember(leaf: Leaf, copy: Leaf): void {
    if (!this.#leaves.has(leaf)) this.#leaves.set(leaf, copy);
  }
}

/** Whether they hold the same, in the same order. */
function sameElements(
  a: ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>,
  b: ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>,
): boolean {
  const others = [...b.entries()];
  return (
    a.size === b.size &&
    [...a.entries()].every(
      ([key, value], at) => Object.is(key, others[at]?.[0]) && Object.is(value, others[at]?.[1]),
    )
  );
}

function show(date: unknown): string {
  return types.isDate(date) && !Number.isNaN(date.getTime()) ? date.toISOString() : String(date);
}
