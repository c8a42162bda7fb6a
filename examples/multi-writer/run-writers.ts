import { ProgressLine } from "../lib/progress-line.ts";
import { formatCount } from "../lib/table.ts";
import { runChild } from "./child.ts";
import { addCounts, type Job, noCounts, type WriterCounts } from "./messages.ts";

const module = new URL("./writer-process.ts", import.meta.url);
const SHOW_EVERY_MS = 100;
/** Without any progress for so long, something waits for what never comes. */
const STALLED_MS = 60_000;

/**
 * Runs all writer processes to their ends and shows how far they are.
 *
 * @param foreign so many of them, the last ones, are plain NATS clients
 * @param rows rows of the log
 * @throws {Error} where one fails or nothing moves any more; then none is left running
 */
export async function runWriters(
  job: Job,
  foreign: number,
  rows: number,
): Promise<readonly WriterCounts[]> {
  const counts: WriterCounts[] = Array.from({ length: job.writers }, noCounts);
  const failed = new AbortController();
  const stopShowing = showProgress(counts, rows, (error) => failed.abort(error));
  const run = async (index: number): Promise<void> => {
    const own = { ...job, index, foreign: index >= job.writers - foreign };
    try {
      await runChild(
        module,
        own,
        (report) => {
          if (report.kind === "counts") counts[index] = report.counts;
        },
        failed.signal,
      );
    } catch (cause) {
      failed.abort(new Error(`writer ${index + 1} did not finish`, { cause }));
    }
  };
  try {
    await Promise.all(counts.map((_, index) => run(index)));
  } finally {
    stopShowing();
  }
  failed.signal.throwIfAborted();
  return counts;
}

function showProgress(
  counts: readonly WriterCounts[],
  rows: number,
  onStall: (error: Error) => void,
): () => void {
  const progress = new ProgressLine(process.stdout);
  let startedAt: number | undefined;
  let done = 0;
  let movedAt = performance.now();
  const show = (): void => {
    const all = addCounts(counts);
    const now = performance.now();
    if (all.rows > 0) startedAt ??= now;
    if (all.appended + all.racesLost > done) movedAt = now;
    done = all.appended + all.racesLost;
    if (now - movedAt > STALLED_MS) onStall(new Error(`nothing moved for ${STALLED_MS / 1_000} s`));
    const asked = all.cacheHits + all.cacheMisses;
    const seconds = Math.max(0.001, (now - (startedAt ?? now)) / 1_000);
    const parts = [
      `${formatCount(all.appended)}/${formatCount(rows)} events`,
      `${formatCount(seconds < 0.05 ? 0 : all.appended / seconds)}/s`,
      `${formatCount(all.conflicts)} conflicts`,
      `${formatCount(all.retried)} retries`,
      `${asked === 0 ? 0 : Math.round((100 * all.cacheHits) / asked)} % cache hits`,
    ];
    progress.show(all.rows === 0 ? 0 : done / all.rows, parts.join(" · "));
  };
  const timer = setInterval(show, SHOW_EVERY_MS);
  return () => {
    clearInterval(timer);
    show();
    progress.end();
  };
}
