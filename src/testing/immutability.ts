import { types } from "node:util";

/** Makes what a pure function is handed unchangeable, and finds changes of what cannot be made so. */
export class Immutability {
  /** What is not frozen, with a copy of it. */
  readonly #remembered = new Map<object, object>();

  /** The value itself, frozen throughout; dates, bytes, maps and sets in it are remembered. */
  protect<Value>(value: Value): Value {
    this.#visit(value, new Set(), (held) => Object.freeze(held));
    return value;
  }

  /** Freezes nothing of the value, which others hold too: all in it that is not frozen is remembered. */
  watch(value: unknown): void {
    this.#visit(value, new Set(), (held) => {
      if (!Object.isFrozen(held)) this.#remember(held, { ...held });
    });
  }

  /**
   * Forgets what it remembers.
   *
   * @throws {TypeError} where one of them has been changed in place
   */
  verify(): void {
    const remembered = [...this.#remembered];
    this.#remembered.clear();
    for (const [held, before] of remembered) {
      const change = changeOf(held, before);
      if (change !== undefined) throw new TypeError(change);
    }
  }

  #visit(value: unknown, seen: Set<object>, hold: (held: object) => void): void {
    if (typeof value !== "object" || value === null || seen.has(value)) return;
    seen.add(value);
    if (types.isDate(value)) this.#remember(value, new Date(value));
    else if (types.isUint8Array(value)) this.#remember(value, value.slice());
    else if (types.isMap(value) || types.isSet(value)) {
      this.#remember(value, types.isMap(value) ? new Map(value) : new Set(value));
      for (const [key, held] of value.entries()) {
        this.#visit(key, seen, hold);
        this.#visit(held, seen, hold);
      }
    } else if (!ArrayBuffer.isView(value)) {
      hold(value);
      for (const held of Object.values(value)) this.#visit(held, seen, hold);
    }
  }

  #remember(held: object, copy: object): void {
    if (!this.#remembered.has(held)) this.#remembered.set(held, copy);
  }
}

/** What was changed in place, if anything. */
function changeOf(held: object, before: object): string | undefined {
  if (types.isDate(held)) {
    if (Object.is(held.getTime(), Number(before))) return undefined;
    return `a date was changed in place, from ${show(before)} to ${show(held)}`;
  }
  if (types.isUint8Array(held)) {
    const isSame = types.isUint8Array(before) && Buffer.from(held).equals(before);
    return isSame ? undefined : "bytes were changed in place";
  }
  if (types.isMap(held)) {
    return types.isMap(before) && sameElements(held, before)
      ? undefined
      : "a map was changed in place";
  }
  if (types.isSet(held)) {
    return types.isSet(before) && sameElements(held, before)
      ? undefined
      : "a set was changed in place";
  }
  const entries = new Map(Object.entries(held));
  return sameElements(entries, new Map(Object.entries(before)))
    ? undefined
    : "an object was changed in place";
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
