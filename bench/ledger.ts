/**
 * Ledgers on a server that syncs each ack to the disk: transfers with idempotency keys among 10,000 accounts, with and
 * without lots; a single caller against a bare durable publish; balances read; 4 processes on 4 ledgers and on one; a
 * cold start.
 *
 * npm run bench -- ledger [--messages N] [--quick] [--rounds N] [--json FILE]
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { EventStore } from "../src/index.ts";
import { type Ledger, Ledgers } from "../src/ledger/index.ts";
import { readOptions } from "./support/options.ts";
import { ACCOUNTS, ASSET, fund, type Posted, postFor } from "./support/posters.ts";
import { Report } from "./support/report.ts";
import { perSecond } from "./support/rounds.ts";
import { percentile } from "./support/statistics.ts";
import { openTarget } from "./support/target.ts";

const CALLERS = 2_000;
const PROCESSES = 4;
const SUMS = { accounts: { lots: false } } as const;
const LOTS = { accounts: { lots: true } } as const;

const options = readOptions();
const { quick } = options;
const rounds = quick ? 1 : Math.min(options.rounds, 3);
const durationMs = quick ? 300 : 5_000;
const callers = quick ? 50 : CALLERS;
const transactions = options.messages;
const report = new Report("ledger", quick, { callers, rounds, accounts: ACCOUNTS, transactions });
await using target = await openTarget({ sync: "always" });
await measurePosting();
await measureSingle();
await measureProcesses();
await measureStart();
await report.finish(target.machine, options.json);

interface Opened extends AsyncDisposable {
  readonly ledger: Ledger;
  readonly stream: string;
  readonly store: EventStore;
}

async function openFresh(settings: typeof SUMS | typeof LOTS): Promise<Opened> {
  const stream = target.freshStream();
  const store = await EventStore.connect({ servers: target.url, stream });
  const ledgers = await Ledgers.open(store, { snapshotBucket: false });
  await ledgers.create("main", { bucket: "bench", settings });
  const ledger = await ledgers.open("main");
  return {
    ledger,
    stream,
    store,
    async [Symbol.asyncDispose]() {
      await ledgers.close();
      await store.close();
    },
  };
}

async function measurePosting(): Promise<void> {
  for (const [name, settings] of [
    ["running sums", SUMS],
    ["lots", LOTS],
  ] as const) {
    await using opened = await openFresh(settings);
    await fund(opened.ledger);
    const found: Posted[] = [];
    for (let round = 0; round <= rounds; round += 1) {
      const posted = await postFor(opened.ledger, callers, durationMs, `${name}-${round}`);
      if (round > 0) found.push(posted);
    }
    const rate = report.add(
      `transfers, ${name}, ${callers} callers`,
      "tx/s",
      found.map((posted) => posted.perSecond),
    );
    const p50s = found.map(({ p50 }) => p50);
    const p99s = found.map(({ p99 }) => p99);
    report.add(`the same, p50`, "ms", p50s);
    const p99 = report.add(`the same, p99`, "ms", p99s);
    report.target(`transfers, ${name}`, "tx/s", rate, "at least", 100_000);
    report.target(`transfers, ${name}, p99`, "ms", p99, "at most", 50);
    if (settings === SUMS) await measureReads(opened.ledger);
  }
}

async function measureReads(ledger: Ledger): Promise<void> {
  const reads = quick ? 2_000 : 1_000_000;
  const names = Array.from({ length: ACCOUNTS }, (_, at) => `acc:${at}`);
  const found: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const startedAt = performance.now();
    for (let at = 0; at < reads; at += 1)
      await ledger.balance(names[at % ACCOUNTS] ?? "world", ASSET);
    if (round > 0) found.push(perSecond(reads, startedAt));
  }
  const rate = report.add("balances read from memory", "reads/s", found);
  report.target("balances read from memory", "reads/s", rate, "at least", 1_000_000);
}

/** One caller, whose transfers take turns with bare publishes of as many bytes. */
async function measureSingle(): Promise<void> {
  await using opened = await openFresh(SUMS);
  await fund(opened.ledger, 100);
  const { nc } = target;
  const subject = `${opened.stream.toLowerCase()}.bare.one`;
  const payload = new Uint8Array(150);
  const times = quick ? 30 : 1_000;
  const ours: number[] = [];
  const bare: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const posts: number[] = [];
    const publishes: number[] = [];
    for (let at = 0; at < times; at += 1) {
      const startedAt = performance.now();
      await opened.ledger.transfer(
        { from: "acc:1", asset: ASSET, to: [{ account: "acc:2", amount: 1n }] },
        { idempotencyKey: `single-${round}-${at}` },
      );
      const betweenAt = performance.now();
      await nc.request(subject, payload, { timeout: 10_000 });
      posts.push(betweenAt - startedAt);
      publishes.push(performance.now() - betweenAt);
    }
    if (round === 0) continue;
    ours.push(percentile(posts, 50));
    bare.push(percentile(publishes, 50));
  }
  report.add("one caller, p50", "ms", ours);
  report.add("bare durable publish, p50", "ms", bare);
  const ratio = report.ratio("one caller / bare durable publish", ours, bare);
  report.target("one caller, p50, against a bare publish", "x", ratio, "at most", 2);
}

async function measureProcesses(): Promise<void> {
  const stream = target.freshStream();
  const store = await EventStore.connect({ servers: target.url, stream });
  const ledgers = await Ledgers.open(store, { snapshotBucket: false });
  const names = Array.from({ length: PROCESSES }, (_, at) => `own-${at}`);
  for (const name of [...names, "shared"]) {
    await ledgers.create(name, { bucket: "bench", settings: SUMS });
    await fund(await ledgers.open(name));
  }
  await ledgers.close();
  await store.close();
  const share = Math.ceil(callers / PROCESSES);
  const one: number[] = [];
  const own: number[] = [];
  const shared: number[] = [];
  const least: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    one.push(total(await race(stream, ["own-0"], callers)));
    own.push(total(await race(stream, names, share)));
    const together = await race(
      stream,
      names.map(() => "shared"),
      share,
    );
    const all = together.reduce((sum, { count }) => sum + count, 0);
    shared.push(total(together));
    least.push((100 * Math.min(...together.map(({ count }) => count))) / all);
  }
  report.add("1 process on 1 ledger", "tx/s", one);
  report.add(`${PROCESSES} processes on ${PROCESSES} ledgers, together`, "tx/s", own);
  const ratio = report.ratio("4 ledgers / 1", own, one);
  report.target("4 processes on 4 ledgers against one", "x", ratio, "at least", 1);
  report.add(`${PROCESSES} processes on one ledger, together`, "tx/s", shared);
  report.add("the least share of the four", "%", least);
}

function total(posted: readonly Posted[]): number {
  return posted.reduce((sum, { perSecond: rate }) => sum + rate, 0);
}

/** Processes that post at the same time, each to its ledger. */
async function race(
  stream: string,
  ledgers: readonly string[],
  callersEach: number,
): Promise<readonly Posted[]> {
  const file = fileURLToPath(new URL("./support/poster-child.ts", import.meta.url));
  const children = ledgers.map((name) =>
    fork(file, [target.url, stream, name, String(callersEach), String(durationMs)]),
  );
  await Promise.all(children.map((child) => once(child, "message")));
  const results = children.map(async (child) => (await messageOf(child)) as Posted);
  for (const child of children) child.send("go");
  const posted = await Promise.all(results);
  await Promise.all(
    children.map(async (child) => {
      if (child.exitCode === null) await once(child, "exit");
    }),
  );
  return posted;
}

async function messageOf(child: ChildProcess): Promise<unknown> {
  const [message]: unknown[] = await once(child, "message");
  return message;
}

/** A process that has never seen the ledger opens it, from a snapshot and the tail of its journal. */
async function measureStart(): Promise<void> {
  const stream = target.freshStream();
  const store = await EventStore.connect({ servers: target.url, stream });
  const ledgers = await Ledgers.open(store);
  await ledgers.create("big", { bucket: "bench", settings: SUMS });
  const ledger = await ledgers.open("big");
  const accounts = Math.max(100, Math.round(transactions / 10));
  await fund(ledger, accounts);
  let posted = accounts;
  while (posted < transactions) {
    const batch = Math.min(20_000, transactions - posted);
    await Promise.all(
      Array.from({ length: batch }, (_, at) => {
        const source = (posted + at) % accounts;
        const to = { account: `acc:${(source + 1) % accounts}`, amount: 1n };
        return ledger.transfer(
          { from: `acc:${source}`, asset: ASSET, to: [to] },
          { idempotencyKey: `big-${posted + at}` },
        );
      }),
    );
    posted += batch;
  }
  await ledgers.close();
  await store.close();
  const file = fileURLToPath(new URL("./support/opener-child.ts", import.meta.url));
  const took: number[] = [];
  const memory: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const child = fork(file, [target.url, stream, "big"]);
    const { ms, mb } = (await messageOf(child)) as { ms: number; mb: number };
    if (child.exitCode === null) await once(child, "exit");
    if (round === 0) continue;
    took.push(ms);
    memory.push(mb);
  }
  const ms = report.add(`cold start, ${transactions} transactions`, "ms", took);
  report.add("the same, resident memory", "MB", memory);
  report.target("cold start", "ms", ms, "at most", 2_000);
}
