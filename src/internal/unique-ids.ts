import { randomBytes } from "node:crypto";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/**
 * A source of ids that are unique among all processes: 17 random characters (over 100 bits) drawn once, and a counter.
 * One id costs tens of nanoseconds; they tell nothing but the order within one process.
 */
export function uniqueIds(): () => string {
  let prefix = "";
  for (const byte of randomBytes(17)) prefix += ALPHABET[byte % ALPHABET.length];
  let counter = 0;
  return () => `${prefix}${(counter++).toString(36)}`;
}
