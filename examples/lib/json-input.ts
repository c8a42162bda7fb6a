import { readFileSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";

/**
 * Reads a file of JSON that the user named. npm runs scripts in the project's folder; a file is meant from where the user
 * stands.
 *
 * @throws {Error} that names the file
 */
export function readJson(path: string): unknown {
  const file = isAbsolute(path) ? path : resolve(process.env["INIT_CWD"] ?? "", path);
  const text = readFileSync(file, "utf8");
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch (cause) {
    throw new Error(`${path} is no JSON: ${String(cause)}`, { cause });
  }
}

/** The fields of an object. @throws {Error} naming where it stands, where it is none */
export function fieldsOf(where: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return Object.fromEntries(Object.entries(value));
  throw new Error(`${where}: expected an object, received ${JSON.stringify(value)}`);
}

/** The elements of a list, each read. @throws {Error} naming where it stands, where it is none */
export function listOf<Item>(
  where: string,
  value: unknown,
  read: (where: string, item: unknown) => Item,
): readonly Item[] {
  if (!Array.isArray(value))
    throw new Error(`${where}: expected a list, received ${JSON.stringify(value)}`);
  return value.map((item: unknown, at) => read(`${where}[${at}]`, item));
}

/** @throws {Error} naming where it stands, where it is no text */
export function textOf(where: string, value: unknown): string {
  if (typeof value === "string") return value;
  throw new Error(`${where}: expected a text, received ${JSON.stringify(value)}`);
}

/** An amount: a whole number, beyond 2⁵³ as a text. @throws {Error} naming where it stands */
export function amountOf(where: string, value: unknown): bigint {
  if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt(value);
  if (typeof value === "string" && /^-?\d+$/.test(value)) return BigInt(value);
  throw new Error(`${where}: expected a whole number, received ${JSON.stringify(value)}`);
}

/** A day or an instant. @throws {Error} naming where it stands */
export function instantOf(where: string, value: unknown): Date {
  const instant = new Date(textOf(where, value));
  if (Number.isFinite(instant.getTime())) return instant;
  throw new Error(`${where}: expected a date, received ${JSON.stringify(value)}`);
}
