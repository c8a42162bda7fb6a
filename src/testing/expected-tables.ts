import { inspect } from "node:util";
import { InvalidArgumentError } from "../errors.ts";
import { sameValue } from "../internal/same-value.ts";
import type { Immutable, TableMap, ValueOf } from "../projection/definition.ts";
import { plainValue } from "../projection/plain-value.ts";
import type { ProjectedTables } from "./projected-state.ts";

/**
 * Some entries of some tables: by table, by id, the value, or undefined where there must be none. What is not named may
 * be anything.
 */
export type ExpectedTables<Tables extends TableMap> = {
  readonly [Name in keyof Tables]?: {
    readonly [id: string]: Immutable<ValueOf<Tables[Name]>> | undefined;
  };
};

type Entries = Readonly<Record<string, unknown>>;

/** An entry that is not as expected. */
export interface Mismatch {
  readonly table: string;
  readonly key: string;
  /** undefined for no entry. */
  readonly expected: unknown;
  readonly found: unknown;
}

/**
 * The entries that are not as expected.
 *
 * @throws {InvalidArgumentError} of a table that the projection does not have
 * @throws {UnserialisableValueError} of an expected value that no state can hold
 */
export function compareTables<Tables extends TableMap>(
  tables: ProjectedTables<Tables>,
  expected: ExpectedTables<Tables>,
): Mismatch[] {
  const known = new Map(Object.entries<{ get(id: string): unknown }>(tables));
  const mismatches: Mismatch[] = [];
  for (const [name, entries] of Object.entries<Entries | undefined>(expected)) {
    const found = known.get(name);
    if (found === undefined) {
      throw new InvalidArgumentError("expected", `tables of ${[...known.keys()].join(", ")}`, name);
    }
    for (const [key, value] of Object.entries(entries ?? {})) {
      // As the state would hold it.
      const wanted =
        value === undefined
          ? undefined
          : plainValue(value, "msgpack", `${name}.${key}`, { bytes: 0 });
      const there = found.get(key);
      if (!sameValue(wanted, there)) {
        mismatches.push({ table: name, key, expected: wanted, found: there });
      }
    }
  }
  return mismatches;
}

/** One line for each. */
export function describeMismatches(mismatches: readonly Mismatch[]): string {
  const lines = mismatches.map(
    ({ table, key, expected, found }) =>
      `table ${table}, key ${JSON.stringify(key)}: expected ${show(expected)}, found ${show(found)}`,
  );
  return lines.join("\n");
}

function show(value: unknown): string {
  return value === undefined ? "no entry" : inspect(value, { depth: 10, breakLength: Infinity });
}
