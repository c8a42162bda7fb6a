/**
 * Projections: state in memory against `readAll` alone; state in a KV bucket; how far a live projection lags behind;
 * the memory of a projector whose state is far larger than its cache.
 *
 * npm run bench -- projection [--messages N] [--quick] [--rounds N] [--json FILE]
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { EventStore } from "../src/index.ts";
import { kvState, memoryState, startProjector } from "../src/projection/index.ts";
import { actorAt, ensureHistory, sampleEvent, shapeOf } from "./support/history.ts";
import { readOptions } from "./support/options.ts";
import { balances, sums } from "./support/projections.ts";
import { Report } from "./support/report.ts";
import { perSecond, takeTurns } from "./support/rounds.ts";
import { percentile } from "./support/statistics.ts";
import { openTarget } from "./support/target.ts";

const LIVE_EVENTS_PER_SECOND = 5_000;
/** Appends are sent in so many bursts a second. */
const BURSTS_PER_SECOND = 200;

const options = readOptions();
const shape = shapeOf(options.messages);
const events = shape.actors * shape.commits;
const keys = Math.max(100, Math.round(events / 10));
const rounds = Math.min(options.rounds, 3);
const liveSeconds = options.quick ? 1 : 10;
const report = new Report("projection", options.quick, { events, keys, rounds, liveSeconds });
await using target = await openTarget({ sync: "default" });
const { stream } = await ensureHistory(target, shape);
const store = await EventStore.connect({ servers: target.url, stream });
await measureReplay();
await measureLag();
await measureMemory();
await store.close();
await report.finish(target.machine, options.json);

async function measureReplay(): Promise<void> {
  const figures = await takeTurns(rounds, {
    all: readAll,
    memory: projectIntoMemory,
    bucket: projectIntoBucket,
  });
  report.add("store.readAll", "events/s", figures.all);
  const memory = report.add("projector, state in memory", "events/s", figures.memory);
  const bucket = report.add(`projector, ${keys} keys in a bucket`, "events/s", figures.bucket);
  const share = report.ratio("projector in memory / readAll", figures.memory, figures.all);
  report.target("projector, state in memory", "events/s", memory, "at least", 200_000);
  report.target("projector in memory against readAll", "x", share, "at least", 0.6);
  report.target("projector, state in a bucket", "events/s", bucket, "at least", 50_000);
}

async function readAll(): Promise<number> {
  const startedAt = performance.now();
  let read = 0;
  for await (const _event of store.readAll()) read += 1;
  return perSecond(read, startedAt);
}

async function projectIntoMemory(): Promise<number> {
  const startedAt = performance.now();
  await using projector = await startProjector(store, balances(), { state: memoryState() });
  await projector.caughtUp();
  return perSecond(events, startedAt);
}

async function projectIntoBucket(): Promise<number> {
  const state = kvState({ bucket: target.freshStream() });
  const startedAt = performance.now();
  await using projector = await startProjector(store, sums(keys), { state });
  await projector.caughtUp();
  return perSecond(events, startedAt);
}

/** From the ack of an append to its effect in the bucket, at a steady rate of appends. */
async function measureLag(): Promise<void> {
  const fresh = await EventStore.connect({ servers: target.url, stream: target.freshStream() });
  const state = kvState({ bucket: target.freshStream() });
  const projector = await startProjector(fresh, sums(keys), { state });
  const lags: number[] = [];
  const running: Promise<unknown>[] = [];
  const startedAt = performance.now();
  const burst = LIVE_EVENTS_PER_SECOND / BURSTS_PER_SECOND;
  for (let at = 0; at < liveSeconds * BURSTS_PER_SECOND; at += 1) {
    const dueMs = startedAt + (at * 1_000) / BURSTS_PER_SECOND - performance.now();
    if (dueMs > 0) await delay(dueMs);
    for (let n = 0; n < burst; n += 1) running.push(appendAndWait(at * burst + n));
  }
  await Promise.all(running);
  const elapsed = performance.now() - startedAt;
  await projector.close();
  await fresh.close();
  report.add("live: appends", "appends/s", [(running.length * 1_000) / elapsed]);
  report.add("live: from ack to effect, p50", "ms", [percentile(lags, 50)]);
  const slowest = report.add("live: from ack to effect, p99", "ms", [percentile(lags, 99)]);
  report.target("live: from ack to effect, p99", "ms", slowest, "at most", 50);

  async function appendAndWait(number: number): Promise<void> {
    const actor = actorAt(number % 1_000);
    const { position } = await fresh.append(actor, [sampleEvent(number)], {
      expectedVersion: "any",
    });
    const ackedAt = performance.now();
    await projector.waitFor(position);
    lags.push(performance.now() - ackedAt);
  }
}

async function measureMemory(): Promise<void> {
  const file = fileURLToPath(new URL("./support/projector-child.ts", import.meta.url));
  const child = fork(file, [target.url, stream, target.freshStream()]);
  const [message]: unknown[] = await once(child, "message");
  await once(child, "exit");
  const { mb, applied } = message as { readonly mb: number; readonly applied: number };
  if (applied !== events) throw new Error(`${applied} of ${events} events were applied`);
  report.add(`resident, ${events} keys, generations of 50,000`, "MB", [mb]);
  report.target(`resident memory with ${events} keys`, "MB", mb, "at most", 300);
}
