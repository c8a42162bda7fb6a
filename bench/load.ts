/**
 * Loading one actor whose commits lie scattered in a big stream, against the server's own filtered batch read.
 * Warm, and cold: 12 s after the last read, when the server has dropped the blocks from its memory.
 *
 * npm run bench -- load [--messages N] [--no-cold] [--quick] [--rounds N] [--json FILE]
 */
import { setTimeout as delay } from "node:timers/promises";
import { EventStore } from "../src/index.ts";
import { actorAt, ensureHistory, shapeOf } from "./support/history.ts";
import { readOptions } from "./support/options.ts";
import { Report } from "./support/report.ts";
import { takeTurns, timed } from "./support/rounds.ts";
import { percentile } from "./support/statistics.ts";
import { openTarget } from "./support/target.ts";

const LAST = 10;
const COLD_WAIT_MS = 12_000;
const COLD_ROUNDS = 3;

const options = readOptions();
const shape = shapeOf(options.messages);
const loads = options.quick ? 3 : 100;
const batchLoads = options.quick ? 2 : 15;
const report = new Report("load", options.quick, {
  messages: shape.actors * shape.commits,
  actors: shape.actors,
  commits: shape.commits,
  loads,
  batchLoads,
  rounds: options.rounds,
});
await using target = await openTarget({ sync: "default" });
const { stream, prefix } = await ensureHistory(target, shape);
const store = await EventStore.connect({ servers: target.url, stream });
let drawn = 0;

const latencies = { whole: new Array<number>(), last: new Array<number>() };
const batchLatencies: number[] = [];
const warm = await takeTurns(options.rounds, {
  batch: () => each(batchLoads, loadByBatch, batchLatencies),
  whole: () => each(loads, loadWhole, latencies.whole),
  last: () => each(loads, loadLast, latencies.last),
});
report.add("warm p50: direct.getBatch next_by_subj", "ms", warm.batch);
const whole = report.add(`warm p50: store.read, ${shape.commits} commits`, "ms", warm.whole);
const last = report.add(`warm p50: store.readLast(${LAST})`, "ms", warm.last);
report.add("warm p99: direct.getBatch next_by_subj", "ms", [percentile(batchLatencies, 99)]);
report.add("warm p99: store.read", "ms", [percentile(latencies.whole, 99)]);
report.add("warm p99: store.readLast", "ms", [percentile(latencies.last, 99)]);
const ratio = report.ratio("warm: direct.getBatch / store.read", warm.batch, warm.whole);
report.target("load an actor, warm, p50 against getBatch", "x", ratio, "at least", 20);
report.target("load an actor, warm, p50", "ms", whole, "at most", 3);
report.target("last 10 events, warm, p50", "ms", last, "at most", 1);
if (options.cold) await measureCold();
await store.close();
await report.finish(target.machine, options.json);

async function measureCold(): Promise<void> {
  const cold = {
    batch: new Array<number>(),
    whole: new Array<number>(),
    last: new Array<number>(),
  };
  for (let round = 0; round < COLD_ROUNDS; round += 1) {
    for (const [figures, load] of [
      [cold.batch, loadByBatch],
      [cold.whole, loadWhole],
      [cold.last, loadLast],
    ] as const) {
      await delay(COLD_WAIT_MS);
      const number = draw();
      figures.push(await timed(() => load(number)));
    }
  }
  report.add("cold, first load: direct.getBatch next_by_subj", "ms", cold.batch);
  report.add("cold, first load: store.read", "ms", cold.whole);
  report.add(`cold, first load: store.readLast(${LAST})`, "ms", cold.last);
  report.ratio("cold: direct.getBatch / store.read", cold.batch, cold.whole);
}

/** The median of several loads of different actors, one after another. */
async function each(
  count: number,
  load: (actor: number) => Promise<void>,
  all: number[],
): Promise<number> {
  const found: number[] = [];
  for (let at = 0; at < count; at += 1) {
    const number = draw();
    found.push(await timed(() => load(number)));
  }
  all.push(...found);
  return percentile(found, 50);
}

/** Actors far from each other, none twice as long as there are some left. */
function draw(): number {
  drawn += 1;
  return (drawn * 7_919) % shape.actors;
}

async function loadWhole(number: number): Promise<void> {
  let events = 0;
  for await (const _event of store.read(actorAt(number))) events += 1;
  expectCount(events, shape.commits);
}

async function loadLast(number: number): Promise<void> {
  expectCount((await store.readLast(actorAt(number), LAST)).length, LAST);
}

/** The server stops at the last commit of the actor, because no more are asked for than there are. */
function loadByBatch(number: number): Promise<void> {
  const { id } = actorAt(number);
  return new Promise((resolve, reject) => {
    let messages = 0;
    const callback = (done: { err?: Error } | null, message: unknown): void => {
      if (done === null && message !== null) messages += 1;
      else if (done?.err !== undefined) reject(done.err);
      else if (messages === shape.commits) resolve();
      else reject(new Error(`${messages} messages instead of ${shape.commits}`));
    };
    const next_by_subj = `${prefix}.account.${id}`;
    target.jsm.direct
      .getBatch(stream, { seq: 1, batch: shape.commits, next_by_subj, callback })
      .catch(reject);
  });
}

function expectCount(found: number, wanted: number): void {
  if (found !== wanted) throw new Error(`${found} events instead of ${wanted}`);
}
