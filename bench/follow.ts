/**
 * Two processes that append to the same actors, each expecting what its cache holds: how often they are refused, with
 * and without following what the other appends.
 *
 * npm run bench -- follow [--quick] [--rounds N] [--json FILE]
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { EventStore } from "../src/index.ts";
import { readOptions } from "./support/options.ts";
import type { RacerPlan, RacerResult } from "./support/racer.ts";
import { Report } from "./support/report.ts";
import { openTarget } from "./support/target.ts";

const PROCESSES = 2;
const racerFile = fileURLToPath(new URL("./support/racer.ts", import.meta.url));

const options = readOptions();
const actors = 200;
const durationMs = options.quick ? 250 : 3_000;
const rounds = options.quick ? 1 : Math.min(options.rounds, 3);
const report = new Report("follow", options.quick, {
  processes: PROCESSES,
  actors,
  durationMs,
  rounds,
});
await using target = await openTarget({ sync: "default" });
const stream = target.freshStream();
await (await EventStore.connect({ servers: target.url, stream })).close();

const modes = ["without", "with"] as const;
const results = { without: new Array<RacerResult>(), with: new Array<RacerResult>() };
for (let round = 0; round < rounds; round += 1) {
  for (const mode of modes) results[mode].push(await race(mode));
}
for (const mode of modes) {
  const found = results[mode];
  const about = `${mode} follow`;
  const share = (part: (result: RacerResult) => number): number[] =>
    found.map((result) => (100 * part(result)) / (result.appended + result.conflicts));
  report.add(`${about}: appended`, "appends/s", found.map(ratePerSecond));
  report.add(
    `${about}: refused`,
    "%",
    share(({ conflicts }) => conflicts),
  );
  report.add(
    `${about}: version found in the cache`,
    "%",
    share(({ hits }) => hits),
  );
}
await report.finish(target.machine, options.json);

function ratePerSecond({ appended }: RacerResult): number {
  return (appended * 1_000) / durationMs;
}

/** One race of fresh processes; the sum over them counts. */
async function race(mode: (typeof modes)[number]): Promise<RacerResult> {
  const plan: RacerPlan = { url: target.url, stream, actors, durationMs, follow: mode === "with" };
  const racers = Array.from({ length: PROCESSES }, () =>
    fork(racerFile, [JSON.stringify(plan)], { execArgv: process.execArgv }),
  );
  await Promise.all(racers.map((racer) => messageOf(racer)));
  for (const racer of racers) racer.send("go");
  const ended = await Promise.all(racers.map((racer) => messageOf(racer)));
  const parts = ended as readonly RacerResult[];
  const sum = (pick: (part: RacerResult) => number): number =>
    parts.reduce((total, part) => total + pick(part), 0);
  return {
    appended: sum((part) => part.appended),
    conflicts: sum((part) => part.conflicts),
    hits: sum((part) => part.hits),
  };
}

async function messageOf(racer: ChildProcess): Promise<unknown> {
  const ended = once(racer, "exit").then(() => {
    throw new Error("a racing process ended early");
  });
  const [message]: unknown[] = await Promise.race([once(racer, "message"), ended]);
  return message;
}
