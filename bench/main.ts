/**
 * All benches one after another, each in a process of its own, on one server.
 *
 * npm run bench -- main [--quick] [--messages N] [--rounds N] [--no-cold] [--json FILE]
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readOptions } from "./support/options.ts";
import { type BenchReport, printTargets } from "./support/report.ts";
import { openTarget } from "./support/target.ts";

const BENCHES = [
  "append",
  "sequential",
  "load",
  "read-all",
  "memory",
  "follow",
  "projection",
  "actor",
  "ledger",
] as const;

const options = readOptions();
const folder = await mkdtemp(join(tmpdir(), "annal-bench-"));
try {
  await using target = await openTarget({ sync: "default" });
  const reports: BenchReport[] = [];
  for (const bench of BENCHES) reports.push(await runBench(bench, target.url));
  if (!options.quick) {
    console.log("\nall targets");
    printTargets(reports.flatMap(({ targets }) => targets));
  }
  if (options.json !== undefined) {
    const { machine } = target;
    const text = JSON.stringify({ machine, quick: options.quick, benches: reports }, null, 2);
    await writeFile(options.json, `${text}\n`);
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function runBench(bench: string, url: string): Promise<BenchReport> {
  const file = fileURLToPath(new URL(`./${bench}.ts`, import.meta.url));
  const json = join(folder, `${bench}.json`);
  const { quick, messages, rounds, cold } = options;
  const args = ["--json", json, "--messages", String(messages), "--rounds", String(rounds)];
  if (quick) args.push("--quick");
  if (!cold) args.push("--no-cold");
  const child = spawn(process.execPath, [...process.execArgv, file, ...args], {
    stdio: "inherit",
    env: { ...process.env, NATS_URL: url },
  });
  const [code]: unknown[] = await once(child, "exit");
  if (code !== 0) throw new Error(`the bench "${bench}" ended with ${String(code)}`);
  return JSON.parse(await readFile(json, "utf8")) as BenchReport;
}
