/** Where the first of ordered values stands that comes after; how many values there are if none does. */
export function firstAfter<Value>(
  values: readonly Value[],
  comesAfter: (value: Value) => boolean,
): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const value = values[middle];
    if (value !== undefined && comesAfter(value)) high = middle;
    else low = middle + 1;
  }
  return low;
}
