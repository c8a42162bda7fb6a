// Several processes hammer one ledger, some of them are killed; a fresh process proves that nothing is lost or doubled.
// npm run example -- multi-writer-ledger --help
import { EventStore } from "annal";
import { Ledgers } from "annal/ledger";
import { useServer } from "annal/server";
import { startChild } from "./lib/child.ts";
import { type Claim, holds, printClaims } from "./lib/proof.ts";
import { printServerProgress } from "./lib/server-progress.ts";
import { formatCount, formatTable } from "./lib/table.ts";
import { createLedger, OPENING } from "./multi-writer-ledger/ledger.ts";
import type {
  AnswersTold,
  Place,
  VerifierJob,
  VerifierReport,
  Verdict,
} from "./multi-writer-ledger/messages.ts";
import { HELP, type HammerOptions, parseOptions } from "./multi-writer-ledger/options.ts";
import { WriterRun, type WriterTale } from "./multi-writer-ledger/run-writers.ts";

/** Acknowledged transfers that the verifier asks for again. */
const REPETITIONS = 200;
/** Answers that are told at once. */
const PART = 5_000;

async function main(options: HammerOptions): Promise<boolean> {
  const { writers, accounts, seconds, kill, stream: name } = options;
  const assets = [...OPENING.keys()].join(" and ");
  console.log(`Ledger   ${formatCount(accounts)} accounts with ${assets}`);
  console.log(`Writers  ${writers} processes for ${seconds} s, ${kill} of them will be killed\n`);
  await using server = await useServer({ onProgress: printServerProgress() });
  const place: Place = { servers: server.url, stream: name ?? `HAMMER_${Date.now()}` };
  await prepare(place, accounts);
  const startedAt = performance.now();
  const tales = await new WriterRun(place, options).run();
  const durationMs = performance.now() - startedAt;
  console.log(
    "\nA fresh process reads the journal and compares it with what the writers were told:",
  );
  const verdict = await verify(place, options, tales);
  printShares(tales, verdict);
  const { transactions, commits, unheard } = verdict;
  console.log(
    `  ${formatCount(transactions)} transactions in ${formatCount(commits)} commits, ` +
      `${(durationMs / 1_000).toFixed(1)} s, start of the processes included`,
  );
  if (kill > 0)
    console.log(
      `  ${formatCount(unheard)} commands of the killed were stored, their answers unheard`,
    );
  console.log("");
  const claims = [...claimsOf(tales, verdict), ...verdict.claims];
  printClaims(claims);
  const proved = holds(claims);
  console.log(`\n${conclusion(verdict, options, proved)}`);
  if (!server.started) console.log(`The stream ${place.stream} is left on ${server.url}.`);
  return proved;
}

async function prepare({ servers, stream }: Place, accounts: number): Promise<void> {
  await using store = await EventStore.connect({ servers, stream });
  await using ledgers = await Ledgers.open(store);
  await createLedger(ledgers, accounts);
}

async function verify(
  place: Place,
  { accounts, writers }: HammerOptions,
  tales: readonly WriterTale[],
): Promise<Verdict> {
  const killed = tales.flatMap((tale, at) => (tale.killed ? [at] : []));
  const job: VerifierJob = { ...place, accounts, writers, killed, repetitions: REPETITIONS };
  let verdict: Verdict | undefined;
  const module = new URL("./multi-writer-ledger/verifier-process.ts", import.meta.url);
  const child = startChild<VerifierReport>(module, job, (report) => {
    if (report.kind === "progress") console.log(`  it ${report.text}`);
    else ({ verdict } = report);
  });
  const answers = tales.flatMap((tale) => tale.answers);
  for (let from = 0; from === 0 || from < answers.length; from += PART) {
    const isLast = from + PART >= answers.length;
    const told: AnswersTold = { answers: answers.slice(from, from + PART), isLast };
    child.tell(told);
  }
  await child.ended;
  if (verdict === undefined) throw new Error("the verifier said nothing");
  return verdict;
}

function printShares(tales: readonly WriterTale[], { shares }: Verdict): void {
  const right = { align: "right" } as const;
  const columns = [
    { title: "writer" },
    { title: "transactions", ...right },
    { title: "share", ...right },
    { title: "commits", ...right },
    { title: "share", ...right },
    { title: "a commit", ...right },
    { title: "refused", ...right },
    { title: "repeated", ...right },
    { title: "retried", ...right },
    { title: "" },
  ];
  const sum = (of: "transactions" | "commits"): number =>
    shares.reduce((total, share) => total + share[of], 0);
  const [transactions, commits] = [sum("transactions"), sum("commits")];
  const percent = (part: number, of: number): string =>
    of === 0 ? "–" : `${((100 * part) / of).toFixed(1)} %`;
  const rows = tales.map(({ answers, killed, repeated, retried }, at) => {
    const share = shares[at] ?? { transactions: 0, commits: 0, entries: 0 };
    return [
      String(at + 1),
      share.transactions,
      percent(share.transactions, transactions),
      share.commits,
      percent(share.commits, commits),
      share.commits === 0 ? "–" : (share.entries / share.commits).toFixed(1),
      answers.filter(({ id }) => id === undefined).length,
      repeated,
      retried,
      killed ? "killed" : "",
    ];
  });
  console.log(`\n${formatTable(columns, rows)}\n`);
}

/** What the processes told of themselves. */
function claimsOf(tales: readonly WriterTale[], { shares }: Verdict): Claim[] {
  const alive = tales.flatMap((tale, at) => (tale.killed ? [] : [{ ...tale, at }]));
  const after = alive.map(({ answers, answersAtKill }) => answers.length - answersAtKill);
  const starved = alive.filter((_, index) => (after[index] ?? 0) < 1);
  const idle = shares.flatMap(({ commits }, at) => (commits === 0 ? [at] : []));
  return [
    {
      text: `none was starved: each process has commits, and went on in the second half (${after.map(formatCount).join(", ")} answers)`,
      violations: [...starved.map(({ at }) => at), ...idle].map(
        (at) => `writer ${at + 1} got nothing in`,
      ),
    },
  ];
}

function conclusion(
  { transactions }: Verdict,
  { writers, kill }: HammerOptions,
  proved: boolean,
): string {
  if (!proved) return "NOT PROVED: the ledger is not what its writers were told, see ✗ above.";
  const killed = kill === 0 ? "" : `, ${kill} of them killed`;
  return (
    `Proved: ${formatCount(transactions)} transactions by ${writers} processes${killed}: ` +
    "none lost, none doubled, nothing overdrawn."
  );
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) console.log(HELP.trim());
  else if (!(await main(options))) process.exitCode = 1;
} catch (error) {
  console.error(`\n${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
