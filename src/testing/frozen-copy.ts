/** The value with frozen copies of the plain objects and lists in it; anything else is shared, and stays as it is. */
export function frozenCopy<Value>(value: Value): Value {
  return copy(value, new Map()) as Value;
}

/** @param copies what has been copied: values may hold themselves */
function copy(value: unknown, copies: Map<unknown, unknown>): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (copies.has(value)) return copies.get(value);
  if (Array.isArray(value)) {
    const list: unknown[] = [];
    copies.set(value, list);
    for (const element of value) list.push(copy(element, copies));
    return Object.freeze(list);
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  const entries: Record<string, unknown> = Object.create(prototype);
  copies.set(value, entries);
  for (const [key, held] of Object.entries(value)) entries[key] = copy(held, copies);
  return Object.freeze(entries);
}
