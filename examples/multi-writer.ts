// Several processes replay one event log against shared actors; a fresh process proves what was stored.
// npm run demo -- --help
import { EventStore } from "annal";
import { useServer } from "annal/server";
import { holds, printClaims } from "./lib/proof.ts";
import { printServerProgress } from "./lib/server-progress.ts";
import { formatCount, formatTable } from "./lib/table.ts";
import { runChild } from "./multi-writer/child.ts";
import { loadLog, type LogRow } from "./multi-writer/event-log.ts";
import type { Job, Verdict, WriterCounts } from "./multi-writer/messages.ts";
import { addCounts } from "./multi-writer/messages.ts";
import { type DemoOptions, HELP, parseOptions } from "./multi-writer/options.ts";
import { runWriters } from "./multi-writer/run-writers.ts";

async function main(options: DemoOptions): Promise<boolean> {
  const { source, writers, foreign, redelivered, verifyOnly } = options;
  const rows = loadLog(source);
  describeLog(options, rows);
  await using server = await useServer({ onProgress: printServerProgress() });
  const stream = options.stream ?? (server.started ? "ANNAL_DEMO" : freshName());
  const held = verifyOnly ? 0 : await createStream(server.url, stream);
  const job: Job = {
    servers: server.url,
    stream,
    source,
    index: 0,
    writers,
    foreign: false,
    redelivered,
  };

  if (!verifyOnly) {
    const startedAt = performance.now();
    const counts = await runWriters(job, foreign, rows.length);
    printCounts(counts, foreign, performance.now() - startedAt);
  }

  console.log("A fresh process replays the stream and compares it with the log:\n");
  let verdict: Verdict | undefined;
  await runChild(new URL("./multi-writer/verifier-process.ts", import.meta.url), job, (report) => {
    if (report.kind === "verdict") ({ verdict } = report);
  });
  if (verdict === undefined) throw new Error("the verifier said nothing");
  printClaims(verdict.claims);
  const proved = holds(verdict.claims);
  console.log(`\n${conclusion(verdict, options, proved)}`);
  if (held > 0) console.log(`The stream held ${formatCount(held)} commits before.`);
  if (!server.started) console.log(`The stream ${stream} is left on ${server.url}.`);
  return proved;
}

/** Creates the stream where it is missing. @returns the position of its last commit */
async function createStream(servers: string, stream: string): Promise<number> {
  await using store = await EventStore.connect({ servers, stream });
  return await store.head();
}

function describeLog({ source, writers, foreign }: DemoOptions, rows: readonly LogRow[]): void {
  const count = (values: readonly string[]): string => formatCount(new Set(values).size);
  const name = source.kind === "csv" ? source.path : `generated, seed ${source.seed}`;
  const of = [
    `${formatCount(rows.length)} events of ${count(rows.map((row) => row.actorId))} actors`,
    `${count(rows.map((row) => row.eventType))} types`,
    `${count(rows.map((row) => row.resource))} resources`,
  ];
  const who = foreign === 0 ? "" : `, ${foreign} of them plain NATS clients`;
  console.log(`Event log  ${name}\n           ${of.join(", ")}`);
  console.log(`Writers    ${writers} processes${who}\n`);
}

function printCounts(counts: readonly WriterCounts[], foreign: number, durationMs: number): void {
  const right = { align: "right" } as const;
  const columns = [
    { title: "writer" },
    { title: "client" },
    { title: "rows", ...right },
    { title: "appended", ...right },
    { title: "races lost", ...right },
    { title: "conflicts", ...right },
    { title: "retried", ...right },
    { title: "cache hits", ...right },
  ];
  const cells = (name: string, client: string, of: WriterCounts): (string | number)[] => {
    const asked = of.cacheHits + of.cacheMisses;
    const hits = asked === 0 ? "–" : `${Math.round((100 * of.cacheHits) / asked)} %`;
    return [name, client, of.rows, of.appended, of.racesLost, of.conflicts, of.retried, hits];
  };
  const lines = counts.map((of, at) =>
    cells(String(at + 1), at >= counts.length - foreign ? "nats 2.x" : "annal", of),
  );
  const all = addCounts(counts);
  console.log(`\n${formatTable(columns, [...lines, undefined, cells("all", "", all)])}\n`);
  const seconds = (durationMs / 1_000).toFixed(1);
  console.log(
    `  ${formatCount(all.appended)} events in ${seconds} s, start of the processes included`,
  );
  console.log("  race lost: the row had gone to two processes, and the other one was faster");
  console.log(
    "  conflict:  the row came too early, one of another process had to be stored before it\n",
  );
}

function conclusion({ events, actors }: Verdict, options: DemoOptions, proved: boolean): string {
  if (!proved) return "NOT PROVED: the stream is not what the log says, see ✗ above.";
  const by = options.verifyOnly ? "" : ` by ${options.writers} processes`;
  return (
    `Proved: ${formatCount(events)} events of ${formatCount(actors)} actors, written${by}: ` +
    "each one there exactly once, in order, without a gap."
  );
}

function freshName(): string {
  return `ANNAL_DEMO_${new Date().toISOString().replaceAll(/\D/g, "").slice(0, 17)}`;
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) console.log(HELP.trim());
  else if (!(await main(options))) process.exitCode = 1;
} catch (error) {
  console.error(`\n${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
