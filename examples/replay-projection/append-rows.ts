import type { EventStore } from "annal";
import { ACTOR_TYPE, commitIdOf, eventOf, type LogRow } from "../multi-writer/event-log.ts";
import type { Log } from "./read-models.ts";

const CASES_AT_ONCE = 256;

/** Appends a row at its version; where it is there already, that is found by its commit id. */
export async function appendRow(store: EventStore<Log>, row: LogRow): Promise<void> {
  await store.append({ type: ACTOR_TYPE, id: row.actorId }, [eventOf(row)], {
    expectedVersion: row.version - 1,
    commitId: commitIdOf(row),
  });
}

/** Appends many rows, many cases at once, each case's in order. */
export async function appendRows(
  store: EventStore<Log>,
  rows: readonly LogRow[],
  onAppended: (rows: number) => void,
): Promise<void> {
  const histories = new Map<string, LogRow[]>();
  for (const row of rows) {
    const known = histories.get(row.actorId);
    if (known === undefined) histories.set(row.actorId, [row]);
    else known.push(row);
  }
  let appended = 0;
  const waiting = histories.values();
  const appendCases = async (): Promise<void> => {
    for (const history of waiting) {
      for (const row of history) {
        await appendRow(store, row);
        onAppended(++appended);
      }
    }
  };
  await Promise.all(Array.from({ length: CASES_AT_ONCE }, appendCases));
}
