/** One of the processes of the follow bench: started with its plan, says "ready", waits for "go", says what it did. */
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { EventStore, VersionConflictError } from "../../src/index.ts";
import { sampleEvent } from "./history.ts";

/** What to do. */
export interface RacerPlan {
  readonly url: string;
  readonly stream: string;
  readonly actors: number;
  readonly durationMs: number;
  readonly follow: boolean;
}

/** What was done. */
export interface RacerResult {
  readonly appended: number;
  readonly conflicts: number;
  /** Attempts that found their expected version in the cache. */
  readonly hits: number;
}

const LANES = 8;
const REST_MS = 4;

const plan = JSON.parse(process.argv[2] ?? "{}") as RacerPlan;
const { url, stream, actors, durationMs, follow } = plan;
const store = await EventStore.connect({ servers: url, stream, follow });
let appended = 0;
let conflicts = 0;
let hits = 0;
process.send?.("ready");
await once(process, "message");
const endsAt = performance.now() + durationMs;
await Promise.all(Array.from({ length: LANES }, runLane));
await store.close();
process.send?.({ appended, conflicts, hits } satisfies RacerResult);
process.disconnect();

async function runLane(): Promise<void> {
  while (performance.now() < endsAt) {
    await attempt({ type: "shared", id: `s${Math.floor(Math.random() * actors)}` });
    await delay(REST_MS);
  }
}

async function attempt(actor: { type: string; id: string }): Promise<void> {
  const cached = store.cachedVersion(actor);
  if (cached !== undefined) hits += 1;
  const expectedVersion = cached ?? (await store.latestVersion(actor));
  try {
    await store.append(actor, [sampleEvent(1)], { expectedVersion });
    appended += 1;
  } catch (error) {
    if (!(error instanceof VersionConflictError)) throw error;
    conflicts += 1;
  }
}
