import { setTimeout as delay } from "node:timers/promises";
import { AnnalError } from "../../src/index.ts";
import type { Answer } from "./fault-process.ts";
import {
  type Acknowledged,
  acknowledged,
  counted,
  counter,
  type CountingStore,
} from "./fault-store.ts";

/** What to do at random, and how often. */
export interface Mix {
  readonly actors: readonly string[];
  readonly operations: number;
  readonly seed: number;
}

/** Operations of one process that run side by side. */
const LANES = 6;
const MAX_DELAY_MS = 4;

interface Tally {
  readonly acknowledged: Acknowledged[];
  readonly refused: string[];
  commits: number;
}

/**
 * Appends (with right, stale and worded expectations, to one actor and to two), reads and looks, at random, with random
 * delays. Conflicts are expected; anything else ends it. Every read is checked to be dense.
 */
export async function mixOperations(
  store: CountingStore,
  name: string,
  { actors, operations, seed }: Mix,
): Promise<Answer> {
  const tally: Tally = { acknowledged: [], refused: [], commits: 0 };
  let left = operations;
  const lane = async (random: () => number): Promise<void> => {
    while (left > 0) {
      left--;
      if (random() < 0.3) await delay(Math.floor(random() * MAX_DELAY_MS));
      await operate(store, name, actors, random, tally);
    }
  };
  await Promise.all(Array.from({ length: LANES }, (_, at) => lane(randomFrom(seed + at * 7919))));
  return tally;
}

async function operate(
  store: CountingStore,
  name: string,
  actors: readonly string[],
  random: () => number,
  tally: Tally,
): Promise<void> {
  const id = pick(actors, random);
  const roll = random();
  if (roll < 0.5) {
    const known = store.cachedVersion(counter(id)) ?? 0;
    await append(store, name, [id], random() < 0.1 ? Math.max(0, known - 1) : known, random, tally);
  } else if (roll < 0.7) {
    await append(store, name, [id], random() < 0.5 ? "any" : "exists", random, tally);
  } else if (roll < 0.8) {
    const other = pick(actors, random);
    await append(store, name, id === other ? [id] : [id, other], "known", random, tally);
  } else if (roll < 0.95) {
    await store.latestVersion(counter(id));
  } else {
    let last = 0;
    for await (const { version } of store.read(counter(id))) {
      if (version !== ++last) throw new Error(`${id}: read version ${version}, expected ${last}`);
    }
  }
}

async function append(
  store: CountingStore,
  name: string,
  ids: readonly string[],
  expected: number | "any" | "exists" | "known",
  random: () => number,
  tally: Tally,
): Promise<void> {
  const n = tally.commits++;
  const commitId = `${name}-${n}`;
  const events = Array.from({ length: 1 + Math.floor(random() * 3) }, () => counted(name, n));
  const expectedOf = (id: string): number | "any" | "exists" =>
    expected === "known" ? (store.cachedVersion(counter(id)) ?? 0) : expected;
  const entries = ids.map((id) => ({
    actor: counter(id),
    events,
    expectedVersion: expectedOf(id),
  }));
  const [first] = entries;
  try {
    if (entries.length > 1) {
      const results = await store.appendAll(entries, { commitId });
      for (const [at, result] of results.entries()) {
        tally.acknowledged.push(acknowledged(ids[at] ?? "", result));
      }
    } else if (first !== undefined) {
      const { expectedVersion } = first;
      const result = await store.append(first.actor, events, { expectedVersion, commitId });
      tally.acknowledged.push(acknowledged(first.actor.id, result));
    }
  } catch (error) {
    if (!(error instanceof AnnalError) || !isConflict(error.code)) throw error;
    tally.refused.push(commitId);
  }
}

function isConflict(code: string): boolean {
  return code === "version_conflict" || code === "too_many_conflicts";
}

function pick(actors: readonly string[], random: () => number): string {
  return actors[Math.floor(random() * actors.length)] ?? "";
}

/** A linear congruential generator with the constants of Numerical Recipes; mixes the seed first. */
function randomFrom(seed: number): () => number {
  let state = (seed ^ 0x9e3779b9) >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
