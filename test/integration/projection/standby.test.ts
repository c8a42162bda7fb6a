import { expect, it } from "vitest";
import { eventually } from "../../support/server.ts";
import { internalsOf } from "../../../src/store/internals.ts";
import type { AppendResult } from "../../../src/index.ts";
import { openKv } from "./kv-client.ts";
import {
  deleteVersion,
  memoryState,
  openTables,
  type ProjectorOptions,
} from "../../../src/projection/index.ts";
import {
  appendSteps,
  fold,
  freshBucket,
  kvState,
  openScripts,
  randomSteps,
  start,
  stateOf,
  sums,
} from "./stage.ts";

it("has one active projector and others that take over when it is closed", async () => {
  const store = await openScripts();
  const state = kvState({ bucket: freshBucket() });
  const options = { state, standby: true, leaseMs: 5_000 };
  const first = await start(store, sums(), options);
  await eventually(() => expect(first.status().phase).toBe("live"));
  const others = [await start(store, sums(), options), await start(store, sums(), options)];
  const steps = randomSteps(90, 3);
  await appendSteps(store, steps.slice(0, 40));
  await first.caughtUp();
  expect(others.map((projector) => projector.status().phase)).toEqual(["standby", "standby"]);
  const startedAt = performance.now();
  await first.close();
  await eventually(() => {
    const phases = others.map((projector) => projector.status().phase);
    expect(phases.toSorted()).toEqual(["live", "standby"]);
  });
  // At once, not when the lease has run out.
  expect(performance.now() - startedAt).toBeLessThan(4_500);
  await appendSteps(store, steps.slice(40));
  await Promise.all(others.map((projector) => projector.caughtUp()));
  for (const projector of others) expect(await stateOf(projector)).toEqual(fold(steps));
});

it("waits for a position also while another projector is the active one", async () => {
  const store = await openScripts();
  const state = kvState({ bucket: freshBucket() });
  const active = await start(store, sums(), { state, standby: true });
  await eventually(() => expect(active.status().phase).toBe("live"));
  const waiting = await start(store, sums(), { state, standby: true });
  expect(waiting.status().phase).toBe("standby");
  for (let n = 1; n <= 10; n++) {
    const added = { type: "Added", data: { key: "hot", n: 1 } } as const;
    const { position } = await store.append({ type: "script", id: "a" }, [added], {
      expectedVersion: n - 1,
    });
    await waiting.waitFor(position);
    expect(await waiting.tables.sum.get("hot")).toBe(n);
  }
  expect(waiting.status()).toMatchObject({ phase: "standby", applied: 10 });
});

it("takes over from a projector whose process no longer renews its lease", async () => {
  const stream = (await openScripts()).stream;
  const dying = await openScripts({ stream });
  const store = await openScripts({ stream });
  const state = kvState({ bucket: freshBucket(), requestTimeoutMs: 500 });
  const options = { state, standby: true, leaseMs: 500 };
  const first = await start(dying, sums(), options);
  await eventually(() => expect(first.status().phase).toBe("live"));
  const second = await start(store, sums(), options);
  // As a killed process: nothing is said, nothing is renewed.
  await internalsOf(dying).context.connection.nc.close();
  await eventually(() => expect(second.status().phase).toBe("live"));
  const position = await appendSteps(store, randomSteps(10, 4));
  await second.waitFor(position);
  expect(await stateOf(second)).toEqual(fold(randomSteps(10, 4)));
});

it("waits on a standby also for events that change nothing", async () => {
  const store = await openScripts();
  const state = kvState({ bucket: freshBucket() });
  const active = await start(store, sums(), { state, standby: true });
  await eventually(() => expect(active.status().phase).toBe("live"));
  const waiting = await start(store, sums(), { state, standby: true });
  const removed = { type: "Removed", data: { key: "nothing" } } as const;
  const options = { expectedVersion: "none" } as const;
  const { position } = await store.append({ type: "script", id: "a" }, [removed], options);
  await waiting.waitFor(position);
  expect(waiting.status()).toMatchObject({ phase: "standby", position, applied: 1 });
});

it("stores how far it is also where no event was of interest", async () => {
  const store = await openScripts();
  const bucket = freshBucket();
  const projection = { ...sums(), selection: new Map([["script", new Set(["Moved"])]]) };
  const projector = await start(store, projection, { state: kvState({ bucket }) });
  const steps = randomSteps(30, 8).filter(({ type }) => type !== "Moved");
  const position = await appendSteps(store, steps);
  await eventually(async () => {
    const checkpoint = (await (await openKv(`${bucket}_v1`)).get("_checkpoint"))?.json();
    expect(checkpoint).toMatchObject({ position, applied: 0 });
  });
  expect(projector.status().phase).toBe("live");
});

it("refuses options before it deletes the state that it is to reset", async () => {
  const store = await openScripts();
  const state = kvState({ bucket: freshBucket() });
  const steps = randomSteps(10, 8);
  await appendSteps(store, steps);
  const first = await start(store, sums(), { state });
  await first.caughtUp();
  const wrong: [string, Partial<ProjectorOptions>][] = [
    ["leaseMs: expected a whole number", { standby: true, leaseMs: 1 }],
    ["leaseMs: expected nothing without standby", { leaseMs: 5_000 }],
    ["standby: expected a boolean", { standby: "yes" as never }],
    ["startAt: expected", { startAt: -1 }],
  ];
  for (const [message, options] of wrong) {
    const starting = start(store, sums(), { state, reset: true, ...options });
    await expect(starting).rejects.toThrow(message);
  }
  expect(await stateOf(first)).toEqual(fold(steps));
});

it("refuses to stand by with state in memory", async () => {
  const store = await openScripts();
  const starting = start(store, sums(), { state: memoryState(), standby: true });
  await expect(starting).rejects.toThrow("standby: expected false");
});

it("builds a new version beside the old one, and swaps it in when it has caught up", async () => {
  const store = await openScripts();
  const state = kvState({ bucket: freshBucket() });
  const steps = randomSteps(120, 5);
  await appendSteps(store, steps);
  const old = await start(store, sums(1), { state });
  await old.caughtUp();
  const reader = await openTables(store, sums(1), { state });
  expect(reader.version).toBe(1);
  const expected = fold(steps);
  expect(await stateOf(reader)).toEqual(expected);

  const rebuilt = await start(store, doubled(), { state });
  rebuilt.pause();
  expect(await stateOf(reader)).toEqual(expected);
  rebuilt.resume();
  // Whatever a reader sees until then is whole: all of the old version or all of the new one.
  const double = { sum: mapValues(expected["sum"], (n) => n * 2), moves: expected["moves"] };
  while (reader.version === 1) {
    const [first] = Object.keys(double.sum);
    const seen = await reader.tables.sum.get(first ?? "");
    expect([double.sum[first ?? ""], (double.sum[first ?? ""] ?? 0) / 2]).toContain(seen);
  }
  expect(await stateOf(reader)).toEqual(double);
  expect(await stateOf(old)).toEqual(expected);
  await reader.close();
  await old.close();

  await expect(deleteVersion(store, { state, version: 2 })).rejects.toThrow("one that is not live");
  await deleteVersion(store, { state, version: 1 });
  const later = await openTables(store, sums(2), { state });
  expect(later.version).toBe(2);
  expect(await stateOf(later)).toEqual(double);
  await later.close();
});

it("swaps a rebuilt version in only when it knows what was appended meanwhile", async () => {
  const store = await openScripts();
  const state = kvState({ bucket: freshBucket() });
  const append = (count: number): Promise<AppendResult> => {
    const added = { type: "Added", data: { key: "hot", n: 1 } } as const;
    const events = Array.from({ length: count }, () => added);
    return store.append({ type: "script", id: "hot" }, events, { expectedVersion: "any" });
  };
  await append(1_500);
  const old = await start(store, sums(1), { state });
  await old.caughtUp();
  const reader = await openTables(store, sums(1), { state });
  // Two events at a time: a rebuild of seconds, during which a writer goes on.
  const rebuilt = await start(store, sums(2), { state, maxBatchEvents: 2 });
  let shown = 0;
  while (reader.version === 1) {
    const { position } = await append(1);
    await old.waitFor(position);
    shown = (await reader.tables.sum.get("hot")) ?? 0;
  }
  // Behind by a moment at most, not by all that was appended during the rebuild.
  expect(shown).toBeGreaterThan(1_650);
  expect(await reader.tables.sum.get("hot")).toBeGreaterThan(shown - 120);
  await rebuilt.caughtUp();
  expect(await reader.tables.sum.get("hot")).toBeGreaterThanOrEqual(shown);
  await reader.close();
});

it("begins anew where it is asked to reset, or from a time", async () => {
  const store = await openScripts();
  const state = kvState({ bucket: freshBucket() });
  const steps = randomSteps(30, 6);
  await appendSteps(store, steps);
  const first = await start(store, sums(), { state });
  await first.caughtUp();
  await first.close();
  const again = await start(store, sums(), { state, reset: true });
  await again.caughtUp();
  expect(again.status().applied).toBe(30);
  expect(await stateOf(again)).toEqual(fold(steps));
  await again.close();
  const startAt = new Date(Date.now() + 60_000);
  const none = await start(store, sums(), { state, reset: true, startAt });
  await none.caughtUp();
  expect(none.status().applied).toBe(0);
  await none.close();
  const last = first.status().position;
  const part = await start(store, sums(), { state, reset: true, startAt: last });
  await part.caughtUp();
  expect(part.status().applied).toBeGreaterThan(0);
  expect(part.status().applied).toBeLessThanOrEqual(3);
});

function doubled(): ReturnType<typeof sums> {
  const projection = sums(2);
  return {
    ...projection,
    apply: (event, t) => {
      const data =
        event.type === "Added"
          ? { ...event.data, n: (event.data as { n: number }).n * 2 }
          : event.data;
      projection.apply({ ...event, data } as typeof event, t);
    },
  };
}

function mapValues(values: unknown, change: (n: number) => number): Record<string, number> {
  const entries = Object.entries(values as Record<string, number>);
  return Object.fromEntries(entries.map(([key, value]) => [key, change(value)]));
}
