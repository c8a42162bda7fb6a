import { describe, expect, it } from "vitest";
import { eventually } from "../../support/server.ts";
import { memoryState, ProjectionFailedError } from "../../../src/projection/index.ts";
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

describe.each(["memory", "kv"] as const)("a projector with state in %s", (kind) => {
  const state = (generationEvents = 7) =>
    kind === "memory" ? memoryState() : kvState({ bucket: freshBucket(), generationEvents });

  it("ends equal to a fold of the stream", async () => {
    const store = await openScripts();
    const steps = randomSteps(300, SEED);
    await appendSteps(store, steps);
    const projector = await start(store, sums(), { state: state() });
    await projector.caughtUp();
    expect(await stateOf(projector), `seed ${SEED}`).toEqual(fold(steps));
    await eventually(() => expect(projector.status().phase).toBe("live"));
    expect(projector.status()).toMatchObject({
      applied: 300,
      lagEvents: 0,
      progress: 1,
    });
  });

  it("follows what is appended after it caught up", async () => {
    const store = await openScripts();
    const projector = await start(store, sums(), { state: state() });
    const steps = randomSteps(60, SEED + 1);
    const position = await appendSteps(store, steps);
    await projector.waitFor(position);
    expect(await stateOf(projector)).toEqual(fold(steps));
  });

  it("reads what an append has changed once it waited for its position", async () => {
    const store = await openScripts();
    const projector = await start(store, sums(), { state: state() });
    for (let n = 1; n <= 20; n++) {
      const added = { type: "Added", data: { key: "hot", n: 1 } } as const;
      const { position } = await store.append({ type: "script", id: "a" }, [added], {
        expectedVersion: n - 1,
      });
      await projector.waitFor(position);
      expect(await projector.tables.sum.get("hot")).toBe(n);
    }
  });

  it("waits for no event of others when it waits for a position", async () => {
    const store = await openScripts();
    const projector = await start(store, sums(), { state: state() });
    const heard = { type: "Heard", data: 1 } as const;
    const { position } = await store.append({ type: "noise", id: "n" }, [heard], {
      expectedVersion: "none",
    });
    await projector.waitFor(position);
    expect(projector.status().applied).toBe(0);
  });

  it("lists entries by prefix, behind an id, and up to a limit", async () => {
    const store = await openScripts();
    const ids = ["a", "ab", "ab c", "abé", "b", "ä"];
    const added = ids.map((key) => ({ type: "Added", data: { key, n: 1 } }) as const);
    await store.append({ type: "script", id: "s" }, added, { expectedVersion: "none" });
    const projector = await start(store, sums(), { state: state() });
    await projector.caughtUp();
    const list = async (options: object): Promise<string[]> => {
      const found: string[] = [];
      for await (const { id } of projector.tables.sum.entries(options)) found.push(id);
      return found;
    };
    expect((await list({})).toSorted()).toEqual(ids.toSorted());
    expect((await list({ prefix: "ab" })).toSorted()).toEqual(["ab", "ab c", "abé"].toSorted());
    const all = await list({});
    expect(await list({ after: all[2], limit: 2 })).toEqual(all.slice(3, 5));
    expect(await list({ prefix: "zz" })).toEqual([]);
    expect(await list({ limit: 0 })).toEqual([]);
  });

  it("stops at an event that apply cannot take, and keeps what stands before it", async () => {
    const store = await openScripts();
    const good = { type: "Added", data: { key: "a", n: 1 } } as const;
    const bad = { type: "Added", data: { key: "a", n: Number.NaN } } as const;
    await store.append({ type: "script", id: "s" }, [good, bad, good], { expectedVersion: "none" });
    const projection = sums();
    const strict = {
      ...projection,
      apply: (
        event: Parameters<typeof projection.apply>[0],
        t: Parameters<typeof projection.apply>[1],
      ) => {
        projection.apply(event, t);
        if (event.type === "Added" && Number.isNaN(event.data.n)) throw new Error("no number");
      },
    };
    const projector = await start(store, strict, { state: state() });
    const failure: unknown = await projector.ended.catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ProjectionFailedError);
    expect(failure).toMatchObject({
      projection: "sums",
      event: { position: 1, index: 1, type: "Added" },
    });
    expect(projector.status()).toMatchObject({ phase: "failed", applied: 1, error: failure });
    await expect(projector.caughtUp()).rejects.toBe(failure);
    expect(await projector.tables.sum.get("a")).toBe(1);
  });

  it("sets an event aside that apply cannot take where it is asked to, and goes on", async () => {
    const store = await openScripts();
    const good = { type: "Added", data: { key: "a", n: 1 } } as const;
    const bad = { type: "Added", data: { key: "a", n: Number.NaN } } as const;
    await store.append({ type: "script", id: "s" }, [good, bad, good, bad, good], {
      expectedVersion: "none",
    });
    const projection = sums();
    const strict = {
      ...projection,
      apply: (
        event: Parameters<typeof projection.apply>[0],
        t: Parameters<typeof projection.apply>[1],
      ) => {
        projection.apply(event, t);
        if (event.type === "Added" && Number.isNaN(event.data.n)) throw new Error("no number");
      },
    };
    const projector = await start(store, strict, { state: state(), onFailure: "park" });
    await projector.caughtUp();
    expect(await projector.tables.sum.get("a")).toBe(3);
    expect(await projector.deadLetters()).toMatchObject([
      { position: 1, index: 1, type: "Added", reason: "no number" },
      { position: 1, index: 3, type: "Added", reason: "no number" },
    ]);
    expect(projector.status()).toMatchObject({ parked: 2, applied: 5 });
  });

  it("applies nothing while it is paused", async () => {
    const store = await openScripts();
    const projector = await start(store, sums(), { state: state() });
    projector.pause();
    const added = { type: "Added", data: { key: "a", n: 1 } } as const;
    const { position } = await store.append({ type: "script", id: "s" }, [added], {
      expectedVersion: "none",
    });
    const late = AbortSignal.timeout(200);
    const failure = await projector
      .waitFor(position, { signal: late })
      .catch((error: unknown) => error);
    expect(failure).toBe(late.reason);
    expect(projector.status().phase).toBe("paused");
    expect(await projector.tables.sum.get("a")).toBeUndefined();
    projector.resume();
    await projector.waitFor(position);
    expect(await projector.tables.sum.get("a")).toBe(1);
  });

  it("tells its progress while it catches up, and that it is there", async () => {
    const store = await openScripts();
    await appendSteps(store, randomSteps(30, SEED));
    const seen: string[] = [];
    const projector = await start(store, sums(), {
      state: state(),
      onProgress: ({ phase }) => seen.push(phase),
    });
    await projector.caughtUp();
    await projector.close();
    expect(seen.at(-1)).toBe("stopped");
    expect(projector.status().phase).toBe("stopped");
  });

  it("ends the waits of others when it is closed", async () => {
    const store = await openScripts();
    const projector = await start(store, sums(), { state: state() });
    projector.pause();
    const added = { type: "Added", data: { key: "a", n: 1 } } as const;
    const { position } = await store.append({ type: "script", id: "s" }, [added], {
      expectedVersion: "none",
    });
    const waiting = projector.waitFor(position);
    waiting.catch(() => {});
    await projector.close();
    await expect(waiting).rejects.toMatchObject({ code: "closed" });
    await projector.ended;
  });
});
