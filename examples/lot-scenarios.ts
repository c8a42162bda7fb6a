// Plays scenarios of credits with expiry through a ledger, under both drain policies, and compares each answer with the
// one that the file expects.
// npm run example -- lot-scenarios --help
import { parseArgs } from "node:util";
import { EventStore } from "annal";
import { DRAIN_POLICIES, type DrainPolicyName, Ledgers } from "annal/ledger";
import { useServer } from "annal/server";
import { readJson } from "./lib/json-input.ts";
import { ProgressLine } from "./lib/progress-line.ts";
import { printServerProgress } from "./lib/server-progress.ts";
import { formatCount, formatTable } from "./lib/table.ts";
import { answer, expectedAnswer } from "./lot-scenarios/answer.ts";
import { builtInScenarios } from "./lot-scenarios/built-in-scenarios.ts";
import { play } from "./lot-scenarios/play.ts";
import { parseScenarios, type Query, type Scenario } from "./lot-scenarios/scenario.ts";

const HELP = `
Plays scenarios of credits with expiry through a ledger, each under both drain policies, and compares every answer with
the one that the file expects.

  npm run example -- lot-scenarios [options]

  --input FILE.json      scenarios: events in, balances and lots out (a few, built in)
  --only TEXT            scenarios whose names contain it
  --stream NAME          stream to write to (a new one)
  --help

With NATS_URL it uses that server and leaves the stream there; else it starts a server and removes it at the end.
`;

/** How a policy fared. */
interface Score {
  readonly policy: DrainPolicyName;
  readonly scenarios: number;
  readonly passed: number;
  readonly queries: number;
  readonly differences: readonly string[];
}

async function main(scenarios: readonly Scenario[], named: string | undefined): Promise<boolean> {
  if (scenarios.length === 0) throw new Error("there is no such scenario");
  await using server = await useServer({ onProgress: printServerProgress() });
  const stream = named ?? `SCENARIOS_${Date.now()}`;
  await using store = await EventStore.connect({ servers: server.url, stream });
  await using ledgers = await Ledgers.open(store, { snapshotBucket: false });
  const progress = new ProgressLine(process.stdout);
  const scores: Score[] = [];
  for (const [done, policy] of DRAIN_POLICIES.entries()) {
    const score = await playAll(ledgers, scenarios, policy, (played) =>
      progress.show((done + played) / DRAIN_POLICIES.length, policy),
    );
    scores.push(score);
  }
  progress.end();
  printScores(scores);
  if (!server.started) console.log(`The stream ${stream} is left on ${server.url}.`);
  return scores.every(({ passed, scenarios: all }) => passed === all);
}

/** Plays every scenario on a ledger of its own. */
async function playAll(
  ledgers: Ledgers,
  scenarios: readonly Scenario[],
  policy: DrainPolicyName,
  onProgress: (fraction: number) => void,
): Promise<Score> {
  let passed = 0;
  let queries = 0;
  const differences: string[] = [];
  for (const [at, scenario] of scenarios.entries()) {
    const ledgerName = `${policy.replace("@", "-")}_${at + 1}`;
    await ledgers.create(ledgerName, { bucket: "scenarios", settings: { drainPolicy: policy } });
    const ledger = await ledgers.open(ledgerName);
    const before = differences.length;
    try {
      await play(ledger, scenario);
      for (const [number, query] of scenario.queries.entries()) {
        const expected = expectedAnswer(query, expectationOf(query, policy));
        const found = await answer(ledger, query);
        queries++;
        if (found === expected) continue;
        const what = `${scenario.name}, query ${number + 1} (${query.kind})`;
        differences.push(`${what}\n      expected ${expected}\n      found    ${found}`);
      }
    } catch (error) {
      differences.push(`${scenario.name}\n      ended with ${String(error)}`);
    }
    if (differences.length === before) passed++;
    onProgress((at + 1) / scenarios.length);
  }
  return { policy, scenarios: scenarios.length, passed, queries, differences };
}

function expectationOf({ expect, expectExpirationFirst }: Query, policy: DrainPolicyName): unknown {
  switch (policy) {
    case "emission-first@1":
      return expect;
    case "expiration-first@1":
      return expectExpirationFirst;
    default:
      throw new Error(`an unknown policy: ${String(policy satisfies never)}`);
  }
}

function printScores(scores: readonly Score[]): void {
  const right = { align: "right" } as const;
  const columns = [
    { title: "drain policy" },
    { title: "answers compared", ...right },
    { title: "differences", ...right },
    { title: "scenarios passed", ...right },
  ];
  const rows = scores.map(({ policy, scenarios, passed, queries, differences }) => [
    policy,
    queries,
    differences.length,
    `${formatCount(passed)} of ${formatCount(scenarios)}`,
  ]);
  console.log(`\n${formatTable(columns, rows)}\n`);
  for (const { policy, differences } of scores)
    for (const difference of differences) console.log(`  ✗ ${policy}: ${difference}`);
}

try {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  const { values } = parseArgs({
    options: {
      input: text,
      only: { ...text, default: "" },
      stream: text,
      help: { ...flag, short: "h" },
    },
  });
  const { input, only, stream } = values;
  if (values.help) {
    console.log(HELP.trim());
  } else {
    const all = parseScenarios(input === undefined ? builtInScenarios : readJson(input));
    const scenarios = all.filter(({ name }) => name.includes(only));
    if (!(await main(scenarios, stream))) process.exitCode = 1;
  }
} catch (error) {
  console.error(`\n${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
