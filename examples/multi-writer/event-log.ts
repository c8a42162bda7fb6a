import { readFileSync } from "node:fs";
import { parseCsv } from "../lib/csv.ts";
import { hashText } from "../lib/random.ts";
import { generateRows } from "./generated-log.ts";

/** The type of the actors that the log tells of. */
export const ACTOR_TYPE = "case";

/** One row of a log as it was given. */
export interface RawRow {
  readonly actorId: string;
  readonly eventType: string;
  /** Who did it. */
  readonly resource: string;
  /** When, as the log writes it; empty where it says nothing. */
  readonly time: string;
}

/** A row in its place. */
export interface LogRow extends RawRow {
  /** Number of the row in the log, from 1. */
  readonly number: number;
  /** Number of the row among those of its actor, from 1: the version that its event must get. */
  readonly version: number;
}

/** Where the log comes from; plain data, so that each process can load the same one. */
export type LogSource =
  | { readonly kind: "generated"; readonly seed: number; readonly events: number }
  | { readonly kind: "csv"; readonly path: string; readonly columns: LogColumns };

/** Which column of a file says what. */
export interface LogColumns {
  readonly actor: string;
  readonly type: string;
  readonly writer: string;
  readonly time: string;
}

/** What is stored of a row. */
export type LogEvent = {
  readonly type: string;
  readonly data: { readonly row: number; readonly resource: string; readonly time: string };
};

/** Loads a log and numbers its rows. */
export function loadLog(source: LogSource): LogRow[] {
  const raw =
    source.kind === "csv"
      ? readRows(source.path, source.columns)
      : generateRows(source.seed, source.events);
  const versions = new Map<string, number>();
  return raw.map((row, at) => {
    const version = (versions.get(row.actorId) ?? 0) + 1;
    versions.set(row.actorId, version);
    return { ...row, number: at + 1, version };
  });
}

/** The event of a row: a function of the row alone, so that whoever appends it appends the same. */
export function eventOf(row: LogRow): LogEvent {
  const { eventType, number, resource, time } = row;
  return { type: eventType, data: { row: number, resource, time } };
}

/** The commit id of a row: appending the row again is recognised by it, whichever process does so. */
export function commitIdOf(row: LogRow): string {
  return `row-${row.number}`;
}

/** Which of the processes writes the rows of a resource. */
export function processOf(resource: string, writers: number): number {
  return hashText(resource) % writers;
}

/**
 * The rows that one process must append, in the order of the log. A share of all rows is handed to two processes, as
 * a queue that delivers at least once does; then both race for the same place.
 *
 * @param redelivered percentage of rows that go to a second process
 */
export function rowsOf(
  rows: readonly LogRow[],
  index: number,
  writers: number,
  redelivered: number,
): LogRow[] {
  return rows.filter((row) => {
    const first = processOf(row.resource, writers);
    if (first === index) return true;
    const twice = hashText(commitIdOf(row)) % 100 < redelivered;
    return twice && (first + 1) % writers === index;
  });
}

function readRows(path: string, columns: LogColumns): RawRow[] {
  const table = parseCsv(readFileSync(path, "utf8"));
  for (const name of [columns.actor, columns.type, columns.writer]) {
    if (table.columns.includes(name)) continue;
    throw new Error(`${path} has no column "${name}"; its columns: ${table.columns.join(", ")}`);
  }
  return table.rows.map((row, at) => {
    const actorId = row[columns.actor] ?? "";
    const eventType = row[columns.type] ?? "";
    if (actorId === "" || eventType === "") {
      const empty = actorId === "" ? columns.actor : columns.type;
      throw new Error(`${path}: row ${at + 1} has nothing in column "${empty}"`);
    }
    return {
      actorId,
      eventType,
      resource: row[columns.writer] ?? "",
      time: row[columns.time] ?? "",
    };
  });
}
