// One writer: a process that appends its share of the log. Started by ../multi-writer.ts.
import { readJob, tell } from "./child.ts";
import { loadLog, rowsOf } from "./event-log.ts";
import { noCounts } from "./messages.ts";
import { replayRows } from "./replay-rows.ts";
import { VersionBoard } from "./version-board.ts";

const REPORT_EVERY_MS = 100;

const job = readJob();
const rows = rowsOf(loadLog(job.source), job.index, job.writers, job.redelivered);
const counts = { ...noCounts(), rows: rows.length };
const board = new VersionBoard();
// imported when needed, so that a foreign writer's process never loads Annal
const client = job.foreign ? import("./foreign-writer.ts") : import("./annal-writer.ts");
const { openWriter } = await client;
const writer = await openWriter(job, board, counts);
const reporting = setInterval(() => void tell({ kind: "counts", counts }), REPORT_EVERY_MS);
try {
  await replayRows(rows, writer, board, counts);
} catch (error) {
  console.error(
    `\nwriter ${job.index + 1}: ${error instanceof Error ? error.message : String(error)}`,
  );
  process.exit(1);
}
clearInterval(reporting);
await writer.close();
await tell({ kind: "counts", counts });
process.disconnect();
process.exit(0);
