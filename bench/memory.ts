/**
 * What the version cache and a slow reader hold in memory.
 *
 * npm run bench -- memory [--messages N] [--quick] [--json FILE]
 */
import { setTimeout as delay } from "node:timers/promises";
import { EventStore } from "../src/index.ts";
import { actorAt, ensureHistory, sampleEvent, shapeOf } from "./support/history.ts";
import { usedMb } from "./support/memory.ts";
import { readOptions } from "./support/options.ts";
import { Report } from "./support/report.ts";
import { inLanes } from "./support/rounds.ts";
import { openTarget } from "./support/target.ts";

const CACHED_ACTORS = 100_000;
/** A slow reader rests after so many events. */
const EVENTS_BEFORE_REST = 50;
const REST_MS = 5;

const options = readOptions();
const shape = shapeOf(options.messages);
const actors = options.quick ? 2_000 : CACHED_ACTORS;
const readerMs = options.quick ? 400 : 12_000;
const report = new Report("memory", options.quick, {
  actors,
  messages: shape.actors * shape.commits,
  readerMs,
});
await using target = await openTarget({ sync: "default" });
const { stream } = await ensureHistory(target, shape);
await measureNewActors();
await measureKnownActors();
await measureSlowReader();
await report.finish(target.machine, options.json);

/** Actors whose only commit this process wrote. */
async function measureNewActors(): Promise<void> {
  const store = await EventStore.connect({ servers: target.url, stream: target.freshStream() });
  await store.append(actorAt(0), [sampleEvent(0)], { expectedVersion: "none" });
  const before = await usedMb();
  await inLanes(actors, 1_024, (at) =>
    store.append(actorAt(at + 1), [sampleEvent(at)], { expectedVersion: "none" }),
  );
  const grown = (await usedMb()) - before;
  const cached = store.health().cachedActors;
  await store.close();
  const scaled = (grown * CACHED_ACTORS) / cached;
  report.add("100 k cached actors of 1 commit", "MB", [scaled]);
  report.target("100 k cached actors of 1 commit", "MB", scaled, "at most", 100);
}

/** Actors whose last commits carry a long index. */
async function measureKnownActors(): Promise<void> {
  const store = await EventStore.connect({ servers: target.url, stream });
  const known = Math.min(actors, shape.actors);
  await store.latestVersion(actorAt(0));
  const before = await usedMb();
  await inLanes(known, 256, (at) => store.latestVersion(actorAt(at)));
  const grown = (await usedMb()) - before;
  await store.close();
  const scaled = (grown * CACHED_ACTORS) / known;
  report.add(`100 k cached actors of ${shape.commits} commits (from ${known})`, "MB", [scaled]);
  report.target(`100 k cached actors of ${shape.commits} commits`, "MB", scaled, "at most", 100);
}

/** A reader that the server could overrun: what is held at most, live and resident. */
async function measureSlowReader(): Promise<void> {
  const store = await EventStore.connect({ servers: target.url, stream });
  await readFor(store, Math.min(1_000, readerMs));
  const idle = { used: await usedMb(), resident: residentMb() };
  const peak = await readFor(store, readerMs);
  await store.close();
  const used = peak.used - idle.used;
  const resident = peak.resident - idle.resident;
  report.add("slow readAll: live above idle", "MB", [used]);
  report.add("slow readAll: resident above idle", "MB", [resident]);
  report.add("slow readAll: speed", "events/s", [peak.eventsPerSecond]);
  report.target("slow readAll, live above idle", "MB", used, "at most", 64);
  report.target("slow readAll, resident above idle", "MB", resident, "at most", 64);
}

interface Peak {
  readonly used: number;
  readonly resident: number;
  readonly eventsPerSecond: number;
}

/** Looks at what is resident at each rest, and at what is live (after a collection) about ten times. */
async function readFor(store: EventStore, durationMs: number): Promise<Peak> {
  const startedAt = performance.now();
  let read = 0;
  let used = 0;
  let resident = 0;
  let nextLookAt = startedAt + durationMs / 10;
  for await (const _event of store.readAll()) {
    read += 1;
    if (read % EVENTS_BEFORE_REST !== 0) continue;
    await delay(REST_MS);
    resident = Math.max(resident, residentMb());
    const now = performance.now();
    if (now >= nextLookAt) {
      used = Math.max(used, await usedMb());
      nextLookAt += durationMs / 10;
    }
    if (now - startedAt >= durationMs) break;
  }
  if (used === 0) used = await usedMb();
  const eventsPerSecond = (read * 1_000) / (performance.now() - startedAt);
  return { used, resident, eventsPerSecond };
}

function residentMb(): number {
  return process.memoryUsage.rss() / 1e6;
}
