// Imports an accounting program's journal into a ledger, and compares every balance with those that the program computed.
// npm run example -- journal-import --help
import { parseArgs } from "node:util";
import { EventStore } from "annal";
import { type Ledger, LedgerExistsError, Ledgers } from "annal/ledger";
import { useServer } from "annal/server";
import {
  type Comparison,
  compareBalances,
  compareMemory,
  strangers,
} from "./journal-import/compare.ts";
import { type Import, importTransactions } from "./journal-import/import-transactions.ts";
import { type Journal, loadJournal } from "./journal-import/journal.ts";
import { ProgressLine } from "./lib/progress-line.ts";
import { type Claim, holds, printClaims } from "./lib/proof.ts";
import { printServerProgress } from "./lib/server-progress.ts";
import { formatCount, formatTable } from "./lib/table.ts";

const HELP = `
Imports an accounting program's journal into a ledger, and compares every balance with those that the program computed:
at each date of the file, accounts that it does not name must be at zero.

  npm run example -- journal-import [options]

  --input FILE.json      a journal: transactions with signed entries, and expected balances (a small one, built in)
  --leave-out NAMES      accounts that the expectations leave out, with all below them, joined by commas
                         (equity:conversion,equity:rounding)
  --stream NAME          stream to write to; what it holds of the journal already is not posted again (a new one)
  --help

With NATS_URL it uses that server and leaves the stream there; else it starts a server and removes it at the end.
`;

const LEDGER = "journal";

/** What to do. */
interface ImportOptions {
  readonly input: string | undefined;
  readonly leftOut: readonly string[];
  readonly stream: string | undefined;
}

async function main({ input, leftOut, stream: name }: ImportOptions): Promise<boolean> {
  const journal = loadJournal(input);
  describeJournal(journal, input);
  await using server = await useServer({ onProgress: printServerProgress() });
  const stream = name ?? `JOURNAL_${Date.now()}`;
  await using store = await EventStore.connect({ servers: server.url, stream });
  await using ledgers = await Ledgers.open(store);
  await createLedger(ledgers);
  const ledger = await ledgers.open(LEDGER);

  await ledger.refresh();
  const before = ledger.version;
  const startedAt = performance.now();
  const imported = await importWithProgress(ledger, journal);
  describeImport(imported, performance.now() - startedAt);
  const compared = await compareBalances(ledger, journal, leftOut);
  printComparisons(compared);
  const claims = [
    ...claimsOf(imported, ledger.version - before, compared),
    {
      text: "the balances in memory are those of the last row",
      violations: await compareMemory(ledger, journal, leftOut),
    },
    {
      text: "the ledger has no account that the file has not",
      violations: await strangers(ledger, journal),
    },
    await booksBalance(ledger),
  ];
  printClaims(claims);
  const proved = holds(claims);
  console.log(`\n${conclusion(proved, compared)}`);
  if (!server.started) console.log(`The stream ${stream} is left on ${server.url}.`);
  return proved;
}

/** Plain double entry: no account keeps lots, and any may be below zero, as in books. */
async function createLedger(ledgers: Ledgers): Promise<void> {
  const settings = { accounts: { lots: false, overdraft: "unlimited" } } as const;
  try {
    await ledgers.create(LEDGER, { bucket: "books", settings });
  } catch (error) {
    if (!(error instanceof LedgerExistsError)) throw error;
  }
}

function describeJournal({ about, transactions }: Journal, input: string | undefined): void {
  const entries = transactions.flatMap((transaction) => transaction.entries);
  const count = (values: readonly string[]): string => formatCount(new Set(values).size);
  const of = [
    `${formatCount(transactions.length)} transactions of ${formatCount(entries.length)} entries`,
    `${count(entries.map(({ account }) => account))} accounts`,
    `${count(entries.map(({ asset }) => asset))} assets`,
  ];
  console.log(`Journal  ${input ?? "built in"}: ${of.join(", ")}\n\n  ${about}\n`);
}

async function importWithProgress(ledger: Ledger, journal: Journal): Promise<Import> {
  const progress = new ProgressLine(process.stdout);
  const { length } = journal.transactions;
  const imported = await importTransactions(ledger, journal, (done) =>
    progress.show(done / length, `${formatCount(done)} transactions`),
  );
  progress.end();
  return imported;
}

function describeImport({ postings, posted, replayed, empty }: Import, durationMs: number): void {
  const skipped = empty === 0 ? "" : `, ${formatCount(empty)} of nothing`;
  console.log(
    `\n  ${formatCount(posted)} transactions posted, ${formatCount(replayed)} there before${skipped}: ` +
      `${formatCount(postings)} postings, ${formatCount(durationMs)} ms\n`,
  );
}

function printComparisons(compared: readonly Comparison[]): void {
  const right = { align: "right" } as const;
  const columns = [
    { title: "effective before" },
    { title: "balances compared", ...right },
    { title: "zeros compared", ...right },
    { title: "differences", ...right },
  ];
  const rows = compared.map(({ before, named, others, differences }) => [
    before?.toISOString().slice(0, 10) ?? "the end",
    named,
    others,
    differences.length,
  ]);
  console.log(`${formatTable(columns, rows)}\n`);
}

function claimsOf(
  { posted, refused }: Import,
  grown: number,
  compared: readonly Comparison[],
): Claim[] {
  return [
    { text: "no transaction was refused", violations: refused },
    {
      text: "the ledger's journal grew by what was posted now",
      violations: grown === posted ? [] : [`by ${grown}, not by ${posted}`],
    },
    {
      text: "every balance is the one that the accounting program computed",
      violations: compared.flatMap(({ differences }) => differences),
    },
  ];
}

async function booksBalance(ledger: Ledger): Promise<Claim> {
  const rows = await ledger.trialBalance();
  const unbalanced = rows.filter(({ difference }) => difference !== 0n);
  return {
    text: `the books balance in each of ${rows.length} assets`,
    violations: unbalanced.map(({ asset, difference }) => `${asset}: ${difference}`),
  };
}

function conclusion(proved: boolean, compared: readonly Comparison[]): string {
  if (!proved) return "NOT PROVED: the ledger is not what the file says, see ✗ above.";
  const balances = compared.reduce((sum, { named, others }) => sum + named + others, 0);
  return `Proved: ${formatCount(balances)} balances at ${compared.length} dates, no difference.`;
}

try {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  const { values } = parseArgs({
    options: {
      input: text,
      "leave-out": { ...text, default: "equity:conversion,equity:rounding" },
      stream: text,
      help: { ...flag, short: "h" },
    },
  });
  const { input, "leave-out": leaveOut, stream } = values;
  const leftOut = leaveOut.split(",").filter((name) => name !== "");
  if (values.help) console.log(HELP.trim());
  else if (!(await main({ input, leftOut, stream }))) process.exitCode = 1;
} catch (error) {
  console.error(`\n${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
