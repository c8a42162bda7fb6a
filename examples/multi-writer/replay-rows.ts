import type { LogRow } from "./event-log.ts";
import type { WriterCounts } from "./messages.ts";
import type { VersionBoard } from "./version-board.ts";

/** Rows that a process works on at once. */
const ROWS_AT_ONCE = 256;
/** How long to wait for word of a row before asking the server all the same. */
const WAIT_MS = 5_000;

/** What became of one attempt to append a row. */
export type Outcome = "appended" | "there already" | "too early";

/** A client that appends rows. */
export interface RowWriter {
  /**
   * Appends the row behind the one before it, expecting the actor at `row.version - 1`. May be called again.
   *
   * @returns "too early" where the actor has not come that far
   */
  append(row: LogRow): Promise<Outcome>;
  close(): Promise<void>;
}

/**
 * Appends all rows of one process. Each row is tried at once, whatever the other processes are doing; one that comes too
 * early waits until the row before it is seen on the stream.
 *
 * Rows are begun in the order of the log, and rows of one actor never overtake each other. So the process whose turn it
 * is, in the log as a whole, always works on that very row: no process waits for one that waits for it.
 */
export async function replayRows(
  rows: readonly LogRow[],
  writer: RowWriter,
  board: VersionBoard,
  counts: WriterCounts,
): Promise<void> {
  const last = new Map<string, Promise<void>>();
  const running = new Set<Promise<void>>();
  for (const row of rows) {
    const mine = appendInTurn(row, last.get(row.actorId), writer, board, counts);
    last.set(row.actorId, mine);
    running.add(mine);
    const forget = (): void => {
      running.delete(mine);
      if (last.get(row.actorId) === mine) last.delete(row.actorId);
    };
    mine.then(forget, () => {});
    while (running.size >= ROWS_AT_ONCE) await Promise.race(running);
  }
  await Promise.all(running);
}

async function appendInTurn(
  row: LogRow,
  before: Promise<void> | undefined,
  writer: RowWriter,
  board: VersionBoard,
  counts: WriterCounts,
): Promise<void> {
  await before;
  for (;;) {
    const outcome = await writer.append(row);
    if (outcome === "too early") {
      counts.conflicts++;
      await board.reached(row.actorId, row.version - 1, WAIT_MS);
      counts.retried++;
      continue;
    }
    if (outcome === "appended") counts.appended++;
    else counts.racesLost++;
    return;
  }
}
