// Checks the stored state of a projection against the stream, while writers go on. Exits with 0 where it is clean, with
// 1 where there are findings, and with 2 where nothing can be said.
// npm run example -- check [--events N] [--damage] [--json]        makes a stream and a state of its own first
// NATS_URL=… npm run example -- check --stream NAME [--json]        checks the state that such a run left there
import { parseArgs } from "node:util";
import { EventStore, toJson } from "annal";
import { useServer } from "annal/server";
import { connect } from "nats";
import { check, type CheckReport, kvState, startProjector } from "annal/projection";
import { appendOrders, type Orders, orderStates } from "./check/orders.ts";
import { ProgressLine } from "./lib/progress-line.ts";
import { type Claim, holds, printClaims } from "./lib/proof.ts";
import { printServerProgress } from "./lib/server-progress.ts";
import { formatCount, formatTable } from "./lib/table.ts";
import { generateRows } from "./multi-writer/generated-log.ts";

const EXIT_STATUS = { clean: 0, findings: 1, incomplete: 2 } as const;
/** Keys that `--damage` writes to, with a client that knows nothing of projections. */
const DAMAGED = {
  changed: "steps.Payment=20received",
  deleted: "steps.Order=20placed",
  added: "steps.x",
};

async function checkWithProgress(
  store: EventStore<Orders>,
  bucket: string,
  title: string,
): Promise<CheckReport> {
  if (!values.json) console.log(`${title}\n`);
  const progress = new ProgressLine(values.json ? process.stderr : process.stdout);
  const report = await check(store, orderStates, {
    state: kvState({ bucket }),
    onProgress: ({ phase, fraction }) => progress.show(fraction, phase),
  });
  progress.end();
  return report;
}

/** Projects a log of its own, and checks the state while the second half of the log is written. */
async function checkLive(store: EventStore<Orders>, bucket: string): Promise<CheckReport> {
  const rows = generateRows(1, Number(values.events));
  const half = Math.ceil(rows.length / 2);
  await appendOrders(store, rows.slice(0, half));
  const state = kvState({ bucket });
  await using projector = await startProjector(store, orderStates, { state });
  await projector.caughtUp();
  const writing = appendOrders(store, rows.slice(half));
  const title = `A check of the first ${formatCount(half)} events, while ${formatCount(rows.length - half)} more are written`;
  const report = await checkWithProgress(store, bucket, title);
  await writing;
  await projector.caughtUp();
  return report;
}

/** Changes one entry, deletes one and adds one. */
async function damage(servers: string, bucket: string): Promise<void> {
  const nc = await connect({ servers });
  const kv = await nc.jetstream().views.kv(bucket, { bindOnly: true });
  const entry = await kv.get(DAMAGED.changed);
  const bytes = Uint8Array.from(entry?.value ?? [0]);
  bytes.set([(bytes.at(-1) ?? 0) ^ 1], bytes.length - 1);
  await kv.put(DAMAGED.changed, bytes);
  await kv.delete(DAMAGED.deleted);
  await kv.put(DAMAGED.added, Uint8Array.of(1));
  await nc.close();
}

function print(report: CheckReport): void {
  const right = { align: "right" } as const;
  const shown = (value: unknown): string =>
    value === undefined ? "—" : toJson(value).slice(0, 40);
  if (report.findings.length > 0) {
    const columns = [
      { title: "finding" },
      { title: "table" },
      { title: "key" },
      { title: "expected" },
      { title: "found" },
      { title: "since position", ...right },
    ];
    const rows = report.findings
      .slice(0, 20)
      .map(({ kind, table = "—", key, expected, found, position, reason }) => [
        kind,
        table,
        key,
        shown(expected),
        found === undefined && reason !== undefined ? reason : shown(found),
        position ?? "—",
      ]);
    console.log(`\n${formatTable(columns, rows)}\n`);
  }
  const { checkedKeys, position, passes, durationMs } = report;
  console.log(
    `  ${report.bucket}: ${report.outcome}${report.reason === undefined ? "" : ` (${report.reason})`}; ` +
      `${formatCount(checkedKeys)} keys at position ${formatCount(position)}, looked at ${passes} times, ` +
      `${formatCount(durationMs)} ms\n`,
  );
}

function claimsOf(live: CheckReport, report: CheckReport): Claim[] {
  const problems = (wrong: boolean, what: string): string[] => (wrong ? [what] : []);
  const found = report.findings.map(({ kind }) => kind).sort((a, b) => (a < b ? -1 : 1));
  const expected = values.damage ? ["different", "injected", "missing"] : [];
  return [
    {
      text: "the check of the live system found nothing, and compared every key",
      violations: problems(live.outcome !== "clean" || live.checkedKeys === 0, toJson(live)),
    },
    {
      text: values.damage
        ? "what was changed, deleted and added behind the projector's back was found, and nothing else"
        : "the check of the state at rest found nothing",
      violations: problems(toJson(found) !== toJson(expected), toJson(report)),
    },
  ];
}

async function main(): Promise<number> {
  const onProgress = values.json ? undefined : printServerProgress();
  await using server = await useServer({ onProgress });
  const given = values.stream !== undefined;
  const stream = values.stream ?? `CHECK_${Date.now()}`;
  const bucket = `${stream}_orders`;
  const options = { servers: server.url, stream, create: !given };
  await using store = await EventStore.connect<Orders>(options);
  const live = given ? undefined : await checkLive(store, bucket);
  if (live !== undefined && !values.json) print(live);
  if (values.damage) await damage(server.url, `${bucket}_v${orderStates.version}`);
  const report = await checkWithProgress(store, bucket, "A check of the state at rest");
  if (values.json) console.log(toJson(report, 2));
  else print(report);
  if (live !== undefined) {
    const claims = claimsOf(live, report);
    if (!values.json) printClaims(claims);
    if (!holds(claims)) return EXIT_STATUS.findings;
  }
  if (!server.started && !values.json)
    console.log(`\nThe stream ${stream} is left on ${server.url}.`);
  return EXIT_STATUS[report.outcome];
}

const { values } = parseArgs({
  options: {
    stream: { type: "string" },
    events: { type: "string", default: "20000" },
    damage: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
try {
  process.exitCode = await main();
} catch (error) {
  console.error(error);
  process.exitCode = EXIT_STATUS.incomplete;
}
