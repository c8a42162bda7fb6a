/** What a call came to. */
export type Attempt<T> = { readonly value: T } | { readonly error: unknown };

/** Calls once for several who will each want the value, or the error. */
export function attempt<T>(what: () => T): Attempt<T> {
  try {
    return { value: what() };
  } catch (error) {
    return { error };
  }
}
