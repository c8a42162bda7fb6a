// An event log becomes three read models in KV buckets; their projector is killed in the middle and started again.
// npm run example -- replay-projection --help
import { isDeepStrictEqual } from "node:util";
import { EventStore } from "annal";
import { useServer } from "annal/server";
import { ProgressLine } from "./lib/progress-line.ts";
import { type Claim, holds, printClaims } from "./lib/proof.ts";
import { printServerProgress } from "./lib/server-progress.ts";
import { formatCount } from "./lib/table.ts";
import { loadLog, type LogRow } from "./multi-writer/event-log.ts";
import { appendRows } from "./replay-projection/append-rows.ts";
import {
  expectedFigures,
  type Figures,
  storedFigures,
  undisturbedFigures,
} from "./replay-projection/figures.ts";
import { HELP, parseOptions, type ReplayOptions } from "./replay-projection/options.ts";
import { bucketOf, type Log, projections } from "./replay-projection/read-models.ts";
import { describe, type Replay, Replayer } from "./replay-projection/replay.ts";
import { printFigures } from "./replay-projection/show-figures.ts";

/** Share of the log that is there before the projector starts. */
const APPENDED_FIRST = 0.6;
/** Share that is there before it is killed, at most. */
const APPENDED_ALIVE = 0.75;

async function main({ source, stream: name }: ReplayOptions): Promise<boolean> {
  const rows = loadLog(source);
  const cases = new Set(rows.map((row) => row.actorId)).size;
  const of = source.kind === "csv" ? source.path : `generated, seed ${source.seed}`;
  console.log(
    `Event log  ${of}: ${formatCount(rows.length)} events of ${formatCount(cases)} cases`,
  );
  if (rows.length < 10) throw new Error("a log of fewer than 10 events has no middle");
  await using server = await useServer({ onProgress: printServerProgress() });
  const servers = server.url;
  const stream = name ?? `REPLAY_${Date.now()}`;
  await using store = await EventStore.connect<Log>({ servers, stream });

  const fromRow = Math.floor(rows.length * APPENDED_FIRST);
  console.log(`\nFirst ${formatCount(fromRow)} events are appended; another process goes on:\n`);
  await appendFirst(store, rows.slice(0, fromRow));
  const upToRow = Math.ceil(rows.length * APPENDED_ALIVE);
  const writer = { servers, stream, source, fromRow, upToRow };
  const head = (): Promise<number> => store.head();
  const replay = await new Replayer({ writer, rows: rows.length, head }).run();

  const stored = await storedFigures(store);
  printFigures(stored);
  const claims = [
    ...claimsOf(replay, rows.length),
    ...compare(stored, await undisturbedFigures(store), "an undisturbed run in memory has it too"),
    ...compare(stored, expectedFigures(rows), "the log itself, counted without events, says it"),
  ];
  console.log("");
  printClaims(claims);
  const proved = holds(claims);
  console.log(`\n${conclusion(proved, rows.length)}`);
  if (!server.started) {
    const buckets = projections.map((projection) => bucketOf(stream, projection.name).bucket);
    console.log(`The stream ${stream} is left on ${servers}, with ${buckets.join(", ")}.`);
  }
  return proved;
}

async function appendFirst(store: EventStore<Log>, rows: readonly LogRow[]): Promise<void> {
  const progress = new ProgressLine(process.stdout);
  await appendRows(store, rows, (appended) => {
    if (appended % 100 !== 0 && appended < rows.length) return;
    progress.show(appended / rows.length, `${formatCount(appended)} events appended`);
  });
  progress.end();
}

/** What the processes told of themselves. */
function claimsOf(
  { killed, restarted, finished, appendedMeanwhile }: Replay,
  rows: number,
): Claim[] {
  const tooLate = killed.filter(({ applied }) => applied >= rows);
  const again = restarted.filter(({ name, applied }) => {
    const before = killed.find((model) => model.name === name);
    return before === undefined || applied < before.applied;
  });
  const other = finished.filter(({ name, applied, appliedHere }) => {
    const from = restarted.find((model) => model.name === name)?.applied ?? 0;
    return applied !== rows || from + appliedHere !== rows;
  });
  return [
    {
      text: `the projector was killed in the middle: ${describe(killed, rows)}`,
      violations: tooLate.map(({ name }) => `${name} was complete`),
    },
    {
      text: `meanwhile the writer appended ${formatCount(appendedMeanwhile)} events`,
      violations: appendedMeanwhile > 0 ? [] : ["it had nothing left"],
    },
    {
      text: "started again, it went on where its checkpoints stood",
      violations: again.map(({ name, applied }) => `${name} went back to ${applied} events`),
    },
    {
      text: `each event took effect once: before and after, ${formatCount(rows)} in all`,
      violations: other.map(
        ({ name, applied, appliedHere }) =>
          `${name}: ${applied} in all, ${appliedHere} of them after the restart`,
      ),
    },
  ];
}

/** One claim for each of the read models. */
function compare(stored: Figures, other: Figures, by: string): Claim[] {
  const parts = [
    { what: "cases by state", keys: ["stateOfCase", "casesByState"] },
    { what: "activities by resource", keys: ["workOfResource"] },
    { what: "durations of cases", keys: ["spanOfCase", "spans"] },
  ] as const;
  return parts.map(({ what, keys }) => ({
    text: `${what}: ${by}`,
    violations: keys
      .filter((key) => !isDeepStrictEqual(stored[key], other[key]))
      .map((key) => `${key} differs`),
  }));
}

function conclusion(proved: boolean, rows: number): string {
  return proved
    ? `Proved: three read models of ${formatCount(rows)} events survived kill -9, and each event counts once.`
    : "NOT PROVED: the read models are not what the log says, see ✗ above.";
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) console.log(HELP.trim());
  else if (!(await main(options))) process.exitCode = 1;
} catch (error) {
  console.error(`\n${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
