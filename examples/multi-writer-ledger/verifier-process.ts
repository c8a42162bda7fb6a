// A process that wrote nothing proves from the journal what became of all commands. Started by ../multi-writer-ledger.ts.
import { EventStore, toJson } from "annal";
import { Ledgers } from "annal/ledger";
import { onMessage, readJob, tell } from "../lib/child.ts";
import type { Claim } from "../lib/proof.ts";
import { formatCount } from "../lib/table.ts";
import { Audit } from "./audit.ts";
import { postTransfer } from "./hammer.ts";
import { accountNames, LEDGER, OPENING } from "./ledger.ts";
import type { Answer, AnswersTold, VerifierJob, VerifierReport } from "./messages.ts";
import { NaiveBooks } from "./naive-books.ts";
import { verifyChain } from "./verify-chain.ts";

const PAGE = 1_000;
const AT_ONCE = 64;

const job = readJob<VerifierJob>();
const { servers, stream, accounts, repetitions } = job;
const answers = await new Promise<readonly Answer[]>((resolve) => {
  const all: Answer[] = [];
  onMessage<AnswersTold>(({ answers: part, isLast }) => {
    all.push(...part);
    if (isLast) resolve(all);
  });
});
const store = await EventStore.connect({ servers, stream, create: false });
const ledgers = await Ledgers.open(store);
await progress("opens the ledger");
const ledger = await ledgers.open(LEDGER);

function progress(text: string): Promise<void> {
  const said: VerifierReport = { kind: "progress", text };
  return tell(said);
}

/** Asks again for what others were told: each must get the first answer, and post nothing. */
async function repeat(): Promise<Claim> {
  const acknowledged = answers.filter(({ id, transfer }) => id !== undefined && transfer);
  const step = Math.max(1, acknowledged.length / repetitions);
  const chosen = Array.from(
    { length: Math.min(repetitions, acknowledged.length) },
    (_, at) => acknowledged[Math.floor(at * step)],
  );
  await ledger.refresh();
  const before = ledger.version;
  const violations: string[] = [];
  const rest = chosen.values();
  const ask = async (): Promise<void> => {
    for (const answer of rest) {
      if (answer?.transfer === undefined) continue;
      const { id, replayed } = await postTransfer(ledger, answer.transfer, answer.key);
      if (id !== answer.id || !replayed)
        violations.push(
          `${answer.key}: first answer ${answer.id}, now ${id}, replayed: ${replayed}`,
        );
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, ask));
  if (ledger.version !== before) violations.push(`${ledger.version - before} entries were written`);
  const text = `${formatCount(chosen.length)} of them, asked for again by this process, have their first answers`;
  return { text, violations };
}

async function auditEntries(): Promise<Audit> {
  const audit = new Audit(job, answers);
  for await (const commit of store.readCommits({ actor: { type: "journal", id: LEDGER } })) {
    for (const { position, index, version, type, data } of commit.events) {
      // an entry's data begin with its format, when it was decided, and the command's key
      const key: unknown = Array.isArray(data) ? data[2] : undefined;
      const text = typeof key === "string" ? key : undefined;
      audit.take({ position, index, version, type, key: text });
    }
  }
  return audit;
}

async function auditPostings(): Promise<NaiveBooks> {
  const books = new NaiveBooks(answers);
  let after: string | undefined;
  do {
    const page = await ledger.transactions({ after, limit: PAGE });
    for (const transaction of page.items) books.take(transaction);
    after = page.cursor;
  } while (after !== undefined);
  return books;
}

/** What the ledger says it holds, against the postings added up. */
async function compareBalances(books: NaiveBooks): Promise<Claim[]> {
  const different: string[] = [];
  const unspendable: string[] = [];
  const unconserved: string[] = [];
  for (const [asset, opening] of OPENING) {
    let sum = 0n;
    for (const account of accountNames(accounts)) {
      const balance = await ledger.balance(account, asset);
      sum += balance;
      const added = books.balance(account, asset);
      if (balance !== added) different.push(`${account}: ${balance} ${asset}, postings: ${added}`);
      const lots = await ledger.lots(account, asset, { live: true });
      const inLots = lots.reduce((total, { remaining }) => total + remaining, 0n);
      if (lots.length > 0 && inLots !== balance)
        different.push(`${account}: ${balance} ${asset}, lots: ${inLots}`);
      const available = await ledger.available(account, asset);
      if (available === "unlimited" || available < 0n)
        unspendable.push(`${account}: ${available} ${asset}`);
    }
    const granted = opening * BigInt(accounts);
    if (sum !== granted) unconserved.push(`${granted} ${asset} granted, ${sum} there`);
  }
  for (const { asset, difference } of await ledger.trialBalance())
    if (difference !== 0n) unconserved.push(`the books are ${difference} ${asset} off`);
  return [
    { text: "of each asset there is as much as at first", violations: unconserved },
    {
      text: "all balances and lots are what the postings, added up by hand, come to",
      violations: different,
    },
    { text: "nothing that is held was spent", violations: unspendable },
  ];
}

/** The ledger's own checker, which derives this process's state anew from the journal. */
async function check(): Promise<Claim> {
  const { outcome, reason = "", chain: found, findings, checkedKeys } = await ledger.check();
  const violations = findings.map(
    ({ where, kind, key, expected, found: stands }) =>
      `${where}: ${kind} ${key}: expected ${toJson(expected)}, found ${toJson(stands)}`,
  );
  if (outcome !== "clean") violations.unshift(`${outcome} ${reason}`.trim());
  if (!found.intact) violations.push(`the chain breaks at ${found.brokenAt}`);
  const text = `the checker finds nothing in ${formatCount(checkedKeys)} values, and the chain intact`;
  return { text, violations };
}

const repeated = await repeat();
await progress("reads the journal");
const chain = await verifyChain(job);
const audit = await auditEntries();
await progress("adds up all postings");
const books = await auditPostings();
const report: VerifierReport = {
  kind: "verdict",
  verdict: {
    entries: audit.entries,
    commits: audit.commits,
    transactions: books.transactions,
    shares: audit.shares,
    unheard: audit.unheard,
    claims: [
      ...audit.claims(),
      repeated,
      ...books.claims(),
      ...(await compareBalances(books)),
      chain,
      await check(),
    ],
  },
};
await tell(report);
await ledgers.close();
await store.close();
process.disconnect();
process.exit(0);
