// Instances of an HTTP service with accounts, under load; one is killed, one is told to end; the stream proves the rest.
// npm run example -- microservice --help
import { EventStore, StreamNotFoundError } from "annal";
import { useServer } from "annal/server";
import { type Claim, holds, printClaims } from "./lib/proof.ts";
import { printServerProgress } from "./lib/server-progress.ts";
import { formatCount, formatTable } from "./lib/table.ts";
import type { Bank } from "./microservice/account.ts";
import { Audit } from "./microservice-proof/audit.ts";
import { Fleet } from "./microservice-proof/fleet.ts";
import type { Load } from "./microservice-proof/load.ts";
import { HELP, parseOptions, type ProofOptions } from "./microservice-proof/options.ts";

interface Place {
  readonly servers: string;
  readonly stream: string;
}

async function main(options: ProofOptions): Promise<boolean> {
  const { instances, clients, accounts, seconds } = options;
  console.log(`Service  ${instances} instances, one will be killed, one will be told to end`);
  console.log(`Load     ${clients} clients, ${accounts} accounts, ${seconds} s\n`);
  await using server = await useServer({ onProgress: printServerProgress() });
  const place: Place = { servers: server.url, stream: options.stream ?? `BANK_${Date.now()}` };
  await assertNew(place);
  await using fleet = await Fleet.start(place, options);
  const load = await fleet.run();
  printInstances(fleet, load);

  console.log("The stream is replayed and compared with what the clients were told:\n");
  const audit = new Audit(load.answers);
  await using store = await EventStore.connect<Bank>(place);
  for await (const commit of store.readCommits()) audit.take(commit);
  const claims = [...audit.claims(await fleet.balances()), answeredAlike(load), endedWell(fleet)];
  printClaims(claims);
  const proved = holds(claims);
  console.log(`\n${conclusion(load, proved)}`);
  if (!server.started) console.log(`The stream ${place.stream} is left on ${server.url}.`);
  return proved;
}

/** @throws {Error} where the stream holds something that no client of this run can know of */
async function assertNew(place: Place): Promise<void> {
  try {
    // the instances create it
    await using store = await EventStore.connect({ ...place, create: false });
    if ((await store.head()) > 0) throw new Error(`--stream ${place.stream} holds events already`);
  } catch (error) {
    if (!(error instanceof StreamNotFoundError)) throw error;
  }
}

function answeredAlike({ askedAgain, answeredOtherwise }: Load): Claim {
  return {
    text: `${formatCount(askedAgain)} requests that were asked again got their first answer again`,
    violations: answeredOtherwise,
  };
}

function endedWell({ instances, stopCode }: Fleet): Claim {
  const stopped = instances.find(({ fate }) => fate.startsWith("stopped"));
  const cut = stopped?.counts.cut ?? 0;
  return {
    text: "SIGTERM has cut no request, and the instance ended by itself",
    violations: [
      ...(cut > 0 ? [`${cut} requests have been cut`] : []),
      ...(stopCode === 0 ? [] : [`it ended with ${stopCode ?? "SIGKILL"}`]),
    ],
  };
}

function printInstances({ instances }: Fleet, load: Load): void {
  const right = { align: "right" } as const;
  const columns = [
    { title: "" },
    { title: "requests", ...right },
    { title: "acknowledged", ...right },
    { title: "refused", ...right },
    { title: "repeated", ...right },
    { title: "conflicts", ...right },
    { title: "p50 ms", ...right },
    { title: "p99 ms", ...right },
    { title: "" },
  ];
  const rows = instances.map(({ name, counts, conflicts, fate }) => {
    const { sent, acknowledged, refused, latenciesMs } = counts;
    const repeated = counts.cut + counts.unheard + counts.unavailable + counts.lost;
    const times = [percentile(latenciesMs, 50), percentile(latenciesMs, 99)];
    return [name, sent, acknowledged, refused, repeated, conflicts, ...times, fate];
  });
  const sum = (of: number): number => rows.reduce((total, row) => total + Number(row[of]), 0);
  const times = [percentile(load.latenciesMs, 50), percentile(load.latenciesMs, 99)];
  const all = ["all", sum(1), sum(2), sum(3), sum(4), sum(5), ...times, ""];
  console.log(`\n${formatTable(columns, [...rows, undefined, all])}\n`);
  const replayed = load.answers.filter((answer) => "replayed" in answer && answer.replayed).length;
  console.log(
    "  repeated:  not answered there, or the answer was lost (as clients pretend for one in fifty);",
  );
  console.log("             sent to another instance under the same key");
  console.log("  conflicts: decided again, because another commit was faster (from /metrics)");
  console.log(
    "  ms:        an answer waits until the server has written to the disk (fsync); server, instances and",
  );
  console.log("             clients share this machine");
  console.log(
    `  ${formatCount(replayed)} of the repeated had been stored already, and got the answer that was lost\n`,
  );
}

function percentile(values: readonly number[], percent: number): string {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.ceil((sorted.length * percent) / 100) - 1];
  return value === undefined ? "–" : value.toFixed(1);
}

function conclusion({ answers }: Load, proved: boolean): string {
  if (!proved) return "NOT PROVED: the stream is not what the clients were told, see ✗ above.";
  const acknowledged = answers.filter(({ outcome }) => outcome === "acknowledged").length;
  return (
    `Proved: ${formatCount(acknowledged)} acknowledged requests through kill -9 and a graceful end: ` +
    "none lost, none doubled, and money is conserved."
  );
}

process.once("SIGINT", () => process.exit(130));
process.once("SIGTERM", () => process.exit(143));
try {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) console.log(HELP.trim());
  else if (!(await main(options))) process.exitCode = 1;
} catch (error) {
  console.error(`\n${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
