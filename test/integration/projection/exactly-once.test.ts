import { describe, expect, it, onTestFinished } from "vitest";
import {
  CorruptStateError,
  CoverageError,
  ProjectionFailedError,
  projectionChannels,
  ProjectorFencedError,
  type UnitMessage,
} from "../../../src/projection/index.ts";
import { eventually, natsUrl } from "../../support/server.ts";
import { answerTo, publishTo, startWire } from "../../support/wire.ts";
import { added, append, openKv, removed } from "./kv-client.ts";
import { readTables } from "../../../src/projection/read-tables.ts";
import type { ClaimedState } from "../../../src/projection/state-backend.ts";
import { StagedRun } from "./kv-stage.ts";
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

const SEED = Date.now() % 100_000;

describe("state in a bucket", () => {
  it("K11 equals what is cached after every batch, tombstones included", async () => {
    const store = await openScripts();
    const steps = randomSteps(250, SEED, 30);
    const position = await appendSteps(store, steps);
    const bucket = freshBucket();
    const staged = await StagedRun.start(store, sums(), {
      bucket,
      generationEvents: 6,
      maxEvents: 4,
    });
    const running = staged.run.run();
    await Promise.race([staged.progress.reached(position, undefined), running]);
    expect(staged.claimed.cache.size, `seed ${SEED}`).toBeGreaterThan(0);
    await staged.run.stop();
    await running;
  });

  it("fetches nothing into an empty bucket until the cache has forgotten something", async () => {
    const store = await openScripts();
    const state = kvState({ bucket: freshBucket(), generationEvents: 10 });
    const projection = sums(1, freshBucket());
    let fetched = 0;
    const count = (unit: UnitMessage): void => {
      if (unit.projection === projection.name) fetched += unit.fetched;
    };
    projectionChannels.unit.subscribe(count);
    onTestFinished(() => void projectionChannels.unit.unsubscribe(count));
    const steps = Array.from({ length: 60 }, (_, n) => added(`k${n % 15}`, 1));
    const first = await start(store, projection, { state });
    await first.waitFor(await append(store, ...steps.slice(0, 20)));
    expect(fetched).toBe(0);
    await first.waitFor(await append(store, ...steps.slice(20)));
    expect(fetched).toBeGreaterThan(0);
    expect(await stateOf(first)).toEqual(fold(steps));
    await first.close();
    fetched = 0;
    const second = await start(store, projection, { state });
    await second.waitFor(await append(store, added("k0", 1)));
    expect(fetched).toBe(1);
    expect(await second.tables.sum.get("k0")).toBe(5);
  });

  it("K14 plans a unit again whose cache has moved on since, and counts it", async () => {
    const store = await openScripts();
    const steps = randomSteps(40, SEED + 3, 6);
    const position = await appendSteps(store, steps);
    let moved = 0;
    const duringFetch = ({ cache }: ClaimedState): void => {
      // Into the generation that the waiting unit belongs to.
      const next = cache.generationOf(staged.progress.applied + 1);
      if (next === cache.generation || moved > 3) return;
      moved++;
      cache.rotateTo(next);
    };
    const staged: StagedRun = await StagedRun.start(store, sums(), {
      bucket: freshBucket(),
      generationEvents: 4,
      maxEvents: 4,
      interference: { duringFetch },
    });
    const running = staged.run.run();
    await Promise.race([staged.progress.reached(position, undefined), running]);
    await staged.run.stop();
    await running;
    expect(moved).toBeGreaterThan(0);
    expect(staged.progress.status()).toMatchObject({ applied: 40, replans: moved });
    expect(await stateOf({ tables: readTables(sums().tables, staged.state) })).toEqual(fold(steps));
  });

  it("K23 holds the changes of a batch and its checkpoint, or nothing", async () => {
    const store = await openScripts();
    const bucket = freshBucket();
    const position = await append(store, added("a", 1), added("b", 2));
    const projector = await start(store, sums(), { state: kvState({ bucket }) });
    await projector.waitFor(position);
    const kv = await openKv(`${bucket}_v1`);
    const entry = await kv.get("_checkpoint");
    expect(entry?.json()).toMatchObject({ format: 1, position, taken: 2, applied: 2, epoch: 1 });
    // The batch is the entries right before the checkpoint.
    const keys = await Promise.all(["sum.a", "sum.b"].map((key) => kv.get(key)));
    expect(keys.map((found) => (entry?.revision ?? 0) - (found?.revision ?? 0))).toEqual([2, 1]);
  });

  it("K23 stops at an event whose own changes exceed a batch, with the sizes", async () => {
    const store = await openScripts();
    const position = await append(store, added("a", 1));
    const projection = {
      ...sums(),
      apply: (...[event, t]: Parameters<ReturnType<typeof sums>["apply"]>) => {
        for (let n = 0; n < 1_000; n++) t.sum.put(`${event.id}-${n}`, n);
      },
    };
    const projector = await start(store, projection, { state: kvState({ bucket: freshBucket() }) });
    const failure = await projector.ended.catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ProjectionFailedError);
    expect(failure).toMatchObject({
      event: { position },
      cause: { code: "state_too_large", size: 1_000, limit: 998, unit: "keys" },
    });
  });

  it("K23 splits a unit whose changes exceed a batch between events", async () => {
    const store = await openScripts();
    const steps = Array.from({ length: 40 }, (_, n) => added(`k${n}`, n));
    const position = await append(store, ...steps);
    const projection = {
      ...sums(),
      apply: (...[event, t]: Parameters<ReturnType<typeof sums>["apply"]>) => {
        for (let n = 0; n < 100; n++) t.sum.put(`${event.index}-${n}`, n);
      },
    };
    const bucket = freshBucket();
    const projector = await start(store, projection, { state: kvState({ bucket }) });
    await projector.waitFor(position);
    let entries = 0;
    for await (const _ of projector.tables.sum.entries()) entries++;
    expect(entries).toBe(4_000);
    const kv = await openKv(`${bucket}_v1`);
    expect((await kv.get("_checkpoint"))?.json()).toMatchObject({
      position,
      taken: 40,
      applied: 40,
    });
  });

  it("K24 a second projector fences off the first, which writes nothing more", async () => {
    const store = await openScripts();
    const bucket = freshBucket();
    const first = await start(store, sums(), { state: kvState({ bucket }) });
    const second = await start(store, sums(), { state: kvState({ bucket }) });
    const position = await append(store, added("a", 1), added("a", 2));
    await second.waitFor(position);
    const failure = await first.ended.catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ProjectorFencedError);
    expect(failure).toMatchObject({ code: "projector_fenced", projection: "sums" });
    expect(first.status().phase).toBe("failed");
    expect(await second.tables.sum.get("a")).toBe(3);
  });

  it("K24 recognises its own batch when the ack of it was lost", async () => {
    await using wire = await startWire(natsUrl());
    const stream = (await openScripts()).stream;
    const store = await openScripts({ url: wire.url, stream });
    const bucket = freshBucket();
    const projector = await start(store, sums(), {
      state: kvState({ bucket, requestTimeoutMs: 300 }),
    });
    const lost = wire.drop(answerTo(new RegExp(`\\$KV\\.${bucket}_v1\\._checkpoint`)));
    const position = await append(store, added("a", 1));
    await lost.reached(1);
    lost.stop();
    await projector.waitFor(position);
    expect(await projector.tables.sum.get("a")).toBe(1);
    const next = await append(store, added("a", 1));
    await projector.waitFor(next);
    expect(await projector.tables.sum.get("a")).toBe(2);
    expect(projector.status().phase).toBe("live");
  });

  it("K24 sends a batch again that never arrived", async () => {
    await using wire = await startWire(natsUrl());
    const stream = (await openScripts()).stream;
    const store = await openScripts({ url: wire.url, stream });
    const bucket = freshBucket();
    const projector = await start(store, sums(), {
      state: kvState({ bucket, requestTimeoutMs: 300 }),
    });
    const lost = wire.drop(publishTo(`$KV.${bucket}_v1._checkpoint`));
    const position = await append(store, added("a", 1), added("b", 1));
    await lost.reached(1);
    lost.stop();
    await projector.waitFor(position);
    expect(await stateOf(projector)).toMatchObject({ sum: { a: 1, b: 1 } });
  });

  it("K17 refuses a batch for which an entry is corrupt, and names key and bucket", async () => {
    const store = await openScripts();
    const bucket = freshBucket();
    await append(store, added("a", 1), added("b", 1));
    const projector = await start(store, sums(), { state: kvState({ bucket }) });
    await projector.caughtUp();
    await projector.close();
    const kv = await openKv(`${bucket}_v1`);
    const before = (await kv.get("_checkpoint"))?.json<{ applied: number }>();
    await kv.put("sum.b", Uint8Array.of(0xc1, 1, 2));
    await append(store, added("a", 5), added("b", 5));
    const again = await start(store, sums(), { state: kvState({ bucket }) });
    const failure = await again.ended.catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(CorruptStateError);
    expect(failure).toMatchObject({ bucket: `${bucket}_v1`, key: "sum.b" });
    expect(await again.tables.sum.get("a")).toBe(1);
    expect((await kv.get("_checkpoint"))?.json()).toMatchObject({ applied: before?.applied });
  });

  it("K21 stores nothing of a unit with an undeclared read, also where apply caught the error", async () => {
    const store = await openScripts();
    const bucket = freshBucket();
    await append(store, added("a", 1), added("peek", 1), added("b", 1));
    const projection = {
      ...sums(),
      apply: (...[event, t]: Parameters<ReturnType<typeof sums>["apply"]>) => {
        sums().apply(event, t);
        if (event.type !== "Added" || event.data.key !== "peek") return;
        try {
          t.sum.get("a");
        } catch {
          // Swallowed on purpose.
        }
      },
    };
    const projector = await start(store, projection, { state: kvState({ bucket }) });
    const failure = await projector.ended.catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(CoverageError);
    expect(failure).toMatchObject({
      projection: "sums",
      key: "sum.a",
      event: { position: 1, index: 1 },
    });
    expect(await stateOf(projector)).toEqual({ sum: {}, moves: {} });
  });

  it("K10 writes one delete for a key, and none for a key that is not there", async () => {
    const store = await openScripts();
    const bucket = freshBucket();
    const projector = await start(store, sums(), {
      state: kvState({ bucket, generationEvents: 1 }),
    });
    await projector.waitFor(await append(store, added("a", 1)));
    const kv = await openKv(`${bucket}_v1`);
    await projector.waitFor(await append(store, removed("a"), removed("a"), removed("nothing")));
    const gone = await kv.get("sum.a");
    expect(gone?.operation).toBe("DEL");
    expect(await kv.get("sum.nothing")).toBeNull();
    await projector.waitFor(await append(store, removed("a")));
    expect((await kv.get("sum.a"))?.revision).toBe(gone?.revision);
  });

  it("K13 a key deleted after it left the cache stays away over a restart and two rotations", async () => {
    const store = await openScripts();
    const bucket = freshBucket();
    const state = kvState({ bucket, generationEvents: 2 });
    let projector = await start(store, sums(), { state });
    await append(store, added("a", 1), added("x", 1), added("x", 1), added("x", 1), added("x", 1));
    await projector.waitFor(await append(store, removed("a")));
    await projector.close();
    projector = await start(store, sums(), { state });
    expect(await projector.tables.sum.get("a")).toBeUndefined();
    const more = [added("x", 1), added("x", 1), added("x", 1), added("x", 1), added("x", 1)];
    await projector.waitFor(await append(store, ...more));
    expect(await projector.tables.sum.get("a")).toBeUndefined();
    await projector.waitFor(await append(store, added("a", 7)));
    expect(await projector.tables.sum.get("a")).toBe(7);
  });

  it("K16 keeps an empty value apart from no value, also once it was fetched", async () => {
    const store = await openScripts();
    const bucket = freshBucket();
    const values: unknown[] = ["", null, 0, false, new Uint8Array(0), [], {}];
    const seen: unknown[] = [];
    const projection = {
      ...sums(),
      apply: (...[event, t]: Parameters<ReturnType<typeof sums>["apply"]>) => {
        if (event.type !== "Added") return;
        const { key, n } = event.data;
        const known: unknown = t.sum.get(key);
        if (known === undefined) t.sum.put(key, values[n] as number);
        else seen.push(known);
      },
    };
    const state = kvState({ bucket, generationEvents: 1 });
    const first = await start(store, projection, { state });
    await first.waitFor(await append(store, ...values.map((_, n) => added(`k${n}`, n))));
    await first.close();
    const second = await start(store, projection, { state });
    await second.waitFor(await append(store, ...values.map((_, n) => added(`k${n}`, n))));
    expect(seen).toEqual(values);
  });

  it("refuses entries whose checkpoint is gone, which would be applied a second time", async () => {
    const store = await openScripts();
    const bucket = freshBucket();
    const projector = await start(store, sums(), { state: kvState({ bucket }) });
    await projector.waitFor(await append(store, added("a", 1)));
    await projector.close();
    await (await openKv(`${bucket}_v1`)).delete("_checkpoint");
    const starting = start(store, sums(), { state: kvState({ bucket }) });
    const failure = await starting.catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(CorruptStateError);
    expect(failure).toMatchObject({ bucket: `${bucket}_v1`, key: "_checkpoint" });
  });

  it("fetches keys that are too long for one request together", async () => {
    const store = await openScripts();
    const state = kvState({ bucket: freshBucket(), generationEvents: 1_000 });
    const long = Array.from({ length: 900 }, (_, n) => added(`${"k".repeat(650)}${n}`, 1));
    const first = await start(store, sums(), { state });
    await first.waitFor(await append(store, ...long));
    await first.close();
    const second = await start(store, sums(), { state });
    await second.waitFor(await append(store, ...long));
    const [one] = long;
    expect(await second.tables.sum.get(one?.type === "Added" ? one.data.key : "")).toBe(2);
  });

  it("watches a key as it changes", async () => {
    const store = await openScripts();
    const projector = await start(store, sums(), { state: kvState({ bucket: freshBucket() }) });
    const seen: unknown[] = [];
    const watch = projector.tables.sum.watch("a");
    const watching = (async () => {
      for await (const { value } of watch) if (seen.push(value) === 4) break;
    })();
    await eventually(() => expect(seen).toEqual([undefined]));
    for (const step of [added("a", 1), added("a", 1), removed("a")]) {
      await projector.waitFor(await append(store, step));
      const length = seen.length;
      await eventually(() => expect(seen.length).toBeGreaterThanOrEqual(length));
    }
    await watching;
    expect(seen).toEqual([undefined, 1, 2, undefined]);
  });

  it("is readable by any client, with JSON values where asked", async () => {
    const store = await openScripts();
    const bucket = freshBucket();
    const projector = await start(store, sums(), { state: kvState({ bucket, values: "json" }) });
    await projector.waitFor(await append(store, added("é.x", 3)));
    const kv = await openKv(`${bucket}_v1`);
    expect((await kv.get("sum.=C3=A9=2Ex"))?.json()).toBe(3);
    expect((await (await openKv(bucket)).get("live"))?.json()).toEqual({
      format: 1,
      version: 1,
      bucket: `${bucket}_v1`,
    });
  });

  it("ends equal to a fold when it is closed and started again and again", async () => {
    const store = await openScripts();
    const bucket = freshBucket();
    const steps = randomSteps(240, SEED + 7, 20);
    for (let at = 0; at < steps.length; at += 40) {
      const position = await appendSteps(store, steps.slice(at, at + 40));
      const state = kvState({ bucket, generationEvents: 9 });
      const projector = await start(store, sums(), { state, maxBatchEvents: 1 + (at % 7) });
      if (at % 80 === 0) await projector.waitFor(position);
      await projector.close();
    }
    const last = await start(store, sums(), { state: kvState({ bucket }) });
    await last.caughtUp();
    expect(await stateOf(last), `seed ${SEED + 7}`).toEqual(fold(steps));
    expect(last.status().applied).toBe(240);
  });
});
