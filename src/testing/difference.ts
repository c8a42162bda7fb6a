import { inspect, isDeepStrictEqual } from "node:util";
import { sameValue } from "../internal/same-value.ts";

/** Where two values differ first, and what each of them holds there: undefined for nothing. */
export interface Difference {
  /** Such as `state.items[2].price`. */
  readonly path: string;
  readonly a: string;
  readonly b: string;
}

const NOTHING = Symbol("nothing");

/**
 * Where two values differ first. Lists and plain objects are compared throughout, a property that is undefined differs
 * from none, instances of classes are equal as in `assert.deepStrictEqual`.
 */
export function firstDifference(a: unknown, b: unknown, path: string): Difference | undefined {
  return find(a, b, path, new Map());
}

/** On one line. */
export function show(value: unknown): string {
  return value === NOTHING
    ? "nothing"
    : inspect(value, { depth: 10, breakLength: Infinity, compact: true });
}

/** @param seen pairs that are being compared, or were: values may hold themselves */
function find(
  a: unknown,
  b: unknown,
  path: string,
  seen: Map<unknown, unknown>,
): Difference | undefined {
  // 0 and -0 are the same
  if (a === b || Object.is(a, b)) return undefined;
  const inside = Array.isArray(a) && Array.isArray(b) ? "list" : isPlain(a) && isPlain(b);
  if (inside === false) {
    return isSameLeaf(a, b) ? undefined : { path, a: show(a), b: show(b) };
  }
  if (seen.get(a) === b) return undefined;
  seen.set(a, b);
  const mine = entriesOf(a);
  const others = entriesOf(b);
  for (const key of new Set([...mine.keys(), ...others.keys()])) {
    const place = inside === "list" ? `${path}[${key}]` : `${path}${step(key)}`;
    const held = mine.has(key) ? mine.get(key) : NOTHING;
    const other = others.has(key) ? others.get(key) : NOTHING;
    const difference = find(held, other, place, seen);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

function isSameLeaf(a: unknown, b: unknown): boolean {
  if (a instanceof Uint8Array || a instanceof Date) return sameValue(a, b);
  return isDeepStrictEqual(a, b);
}

function entriesOf(value: unknown): ReadonlyMap<string, unknown> {
  return new Map(Object.entries(value ?? {}));
}

function step(key: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

function isPlain(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
