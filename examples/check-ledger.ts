// Checks a ledger: the hash chain of its journal first, then the state that follows from it. Exits with 0 where all is
// right, with 1 where there are findings, and with 2 where nothing can be said.
// npm run example -- check-ledger --help
import { parseArgs } from "node:util";
import { EventStore, toJson } from "annal";
import { checkLedger, type Ledger, type LedgerCheckReport, Ledgers } from "annal/ledger";
import { useServer } from "annal/server";
import { connect } from "nats";
import { ProgressLine } from "./lib/progress-line.ts";
import { type Claim, holds, printClaims } from "./lib/proof.ts";
import { printServerProgress } from "./lib/server-progress.ts";
import { formatCount, formatTable } from "./lib/table.ts";

const HELP = `
Checks a ledger: the hash chain of its journal, over the bytes as they are stored; then the state that follows from the
journal alone, against the state of a process and the snapshot. Writers go on meanwhile.

  npm run example -- check-ledger [options]

  --servers URL          the server, or several with commas between (NATS_URL, or one that is started)
  --stream NAME          check what is stored of a ledger in this stream; without it, one is made first
  --ledger NAME          the ledger (main)
  --transactions N       of the ledger that is made (5000)
  --damage               change a byte of the snapshot of the ledger that is made
  --json                 print the report as JSON
  --help

Exits with 0: all is right; 1: there are findings; 2: the journal is broken or was cut, or cannot be read.
`;

const EXIT_STATUS = { clean: 0, findings: 1, incomplete: 2 } as const;
const asset = "CREDIT/2";
const ACCOUNTS = 200;

/** Grants to accounts and transfers among them. */
async function post(ledger: Ledger, from: number, count: number): Promise<void> {
  const all: Promise<unknown>[] = [];
  for (let n = from; n < from + count; n++) {
    const account = `customers:${n % ACCOUNTS}`;
    const to = [
      { account: `customers:${(n + 1 + (n % 7)) % ACCOUNTS}`, amount: BigInt(n % 90) + 1n },
    ];
    const posted =
      n < ACCOUNTS || n % 5 === 0
        ? ledger.grant({ to: account, asset, amount: 10_000n, reference: `grant-${n}` })
        : ledger.transfer({ from: account, asset, to, reference: `transfer-${n}` });
    all.push(posted);
    if (all.length % 1_000 === 0) await Promise.all(all);
  }
  await Promise.all(all);
}

async function checkWithProgress(
  title: string,
  check: (
    onProgress: (progress: { phase: string; fraction: number }) => void,
  ) => Promise<LedgerCheckReport>,
): Promise<LedgerCheckReport> {
  if (!values.json) console.log(`${title}\n`);
  const progress = new ProgressLine(values.json ? process.stderr : process.stdout);
  const report = await check(({ phase, fraction }) => progress.show(fraction, phase));
  progress.end();
  return report;
}

/** Makes a ledger, and checks it while the second half of its transactions is posted. */
async function checkLive(
  store: EventStore,
  name: string,
  count: number,
): Promise<LedgerCheckReport> {
  // a snapshot now and then
  const snapshotEveryEntries = Math.max(1, Math.floor(count / 4));
  await using ledgers = await Ledgers.open(store, { snapshotEveryEntries });
  await ledgers.create(name, { bucket: "examples" });
  const ledger = await ledgers.open(name);
  const half = Math.ceil(count / 2);
  await post(ledger, 0, half);
  const posting = post(ledger, half, count - half);
  const title = `A check of a ledger of ${formatCount(half)} transactions, while as many again are posted`;
  const report = await checkWithProgress(title, (onProgress) => ledger.check({ onProgress }));
  await posting;
  return report;
}

/** Changes a byte of the snapshot, with a client that knows nothing of ledgers. */
async function damage(servers: string, stream: string, ledger: string): Promise<void> {
  const nc = await connect({ servers });
  const manager = await nc.jetstreamManager();
  const bucket = `${stream}_ledgers`;
  const last_by_subj = `$KV.${bucket}.${ledger}.manifest`;
  const manifest = await manager.streams.getMessage(`KV_${bucket}`, { last_by_subj });
  const { slot } = manifest.json<{ slot: string }>();
  const subject = `$KV.${bucket}.${ledger}.${slot}.1.0`;
  const chunk = await manager.streams.getMessage(`KV_${bucket}`, { last_by_subj: subject });
  const bytes = Uint8Array.from(chunk.data);
  bytes.set([(bytes.at(-1) ?? 0) ^ 1], bytes.length - 1);
  for (const name of chunk.header.keys()) if (name.startsWith("Nats-")) chunk.header.delete(name);
  await nc.jetstream().publish(subject, bytes, { headers: chunk.header });
  await nc.close();
}

function print(report: LedgerCheckReport): void {
  const { chain, findings, findingCount } = report;
  const shown = (value: unknown): string =>
    value === undefined ? "—" : toJson(value).slice(0, 40);
  const compared = [
    report.memoryVersion === undefined ? [] : [`memory at ${formatCount(report.memoryVersion)}`],
    report.snapshotVersion === undefined
      ? []
      : [`snapshot at ${formatCount(report.snapshotVersion)}`],
  ].flat();
  const state = chain.intact ? "intact" : "broken";
  console.log(`  hash chain: ${state} up to version ${formatCount(chain.version)}, ${chain.hash}`);
  console.log(
    `  state: ${report.outcome}; ${formatCount(report.checkedKeys)} values compared` +
      `${compared.length === 0 ? "" : `, ${compared.join(", ")}`}; ${formatCount(report.durationMs)} ms`,
  );
  if (report.reason !== undefined) console.log(`  ${report.reason}`);
  if (findings.length > 0) {
    const columns = [
      { title: "finding" },
      { title: "where" },
      { title: "key" },
      { title: "expected" },
      { title: "found" },
      { title: "position", align: "right" } as const,
    ];
    const rows = findings
      .slice(0, 20)
      .map(({ kind, where, key, expected, found, position, reason }) => [
        kind,
        where,
        key,
        shown(expected),
        found === undefined && reason !== undefined ? reason : shown(found),
        position ?? "—",
      ]);
    console.log(`\n${formatTable(columns, rows)}`);
    const more = findingCount - rows.length;
    if (more > 0) console.log(`  … and ${formatCount(more)} more`);
  }
  console.log();
}

function claimsOf(live: LedgerCheckReport, stored: LedgerCheckReport): Claim[] {
  const problems = (wrong: boolean, what: string): string[] => (wrong ? [what] : []);
  const found = stored.findings.map(({ where }) => where).join();
  return [
    {
      text: "the check found nothing while transactions were posted, and compared the process's state",
      violations: problems(
        live.outcome !== "clean" || live.memoryVersion === undefined,
        toJson(live),
      ),
    },
    {
      text: values.damage
        ? "the byte that was changed in the snapshot was found, and nothing else"
        : "the check of what is stored found nothing, and compared the snapshot",
      violations: problems(
        values.damage
          ? found !== "snapshot"
          : stored.outcome !== "clean" || stored.snapshotVersion === undefined,
        toJson(stored),
      ),
    },
  ];
}

async function main(): Promise<number> {
  if (values.servers !== undefined) process.env["NATS_URL"] = values.servers;
  const onProgress = values.json ? undefined : printServerProgress();
  await using server = await useServer({ onProgress });
  const given = values.stream !== undefined;
  const stream = values.stream ?? `CHECK_LEDGER_${Date.now()}`;
  const options = { servers: server.url, stream, create: !given };
  await using store = await EventStore.connect(options);
  const { ledger } = values;
  const live = given ? undefined : await checkLive(store, ledger, Number(values.transactions));
  if (live !== undefined && !values.json) print(live);
  if (live !== undefined && values.damage) await damage(server.url, stream, ledger);
  const stored = await checkWithProgress("A check of what is stored", (onProgress) =>
    checkLedger(store, ledger, { onProgress }),
  );
  if (values.json) console.log(toJson(stored, 2));
  else print(stored);
  if (live !== undefined) {
    const claims = claimsOf(live, stored);
    if (!values.json) printClaims(claims);
    if (!holds(claims)) return EXIT_STATUS.findings;
  }
  if (!server.started && !values.json)
    console.log(`\nThe stream ${stream} is left on ${server.url}.`);
  return EXIT_STATUS[stored.outcome];
}

const { values } = parseArgs({
  options: {
    servers: { type: "string" },
    stream: { type: "string" },
    ledger: { type: "string", default: "main" },
    transactions: { type: "string", default: "5000" },
    damage: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(HELP);
} else {
  try {
    process.exitCode = await main();
  } catch (error) {
    console.error(error);
    process.exitCode = EXIT_STATUS.incomplete;
  }
}
