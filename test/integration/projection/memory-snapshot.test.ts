import { describe, expect, it } from "vitest";
import { ProjectionMismatchError } from "../../../src/projection/index.ts";
import { eventually, natsUrl } from "../../support/server.ts";
import { publishTo, startWire } from "../../support/wire.ts";
import {
  added,
  append,
  inMemory,
  listen,
  makeNarrowBucket,
  manyKeys,
  openKv,
  openManager,
  removed,
  rewrite,
} from "./snapshot-stage.ts";
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

describe("state in memory with snapshots", () => {
  it("begins with the last snapshot and reads only what was appended since", async () => {
    const store = await openScripts();
    const bucket = freshBucket();
    const projection = sums(1, bucket);
    const steps = randomSteps(250, SEED);
    await appendSteps(store, steps.slice(0, 200));
    const first = await start(store, projection, { state: inMemory(bucket, 1_000) });
    await first.caughtUp();
    await first.close();
    const position = await appendSteps(store, steps.slice(200));
    const heard = listen(bucket);
    const second = await start(store, projection, { state: inMemory(bucket, 1_000) });
    expect(second.status()).toMatchObject({ applied: 200 });
    await second.waitFor(position);
    expect(await stateOf(second), `seed ${SEED}`).toEqual(fold(steps));
    expect(second.status()).toMatchObject({ applied: 250 });
    expect(heard.events()).toBe(50);
    expect(heard.snapshots).toMatchObject([{ what: "restored", reason: undefined }]);
    expect(heard.snapshots[0]?.bytes).toBeGreaterThan(100);
  });

  it("writes one after so many events, and one on close unless nothing was applied since", async () => {
    const store = await openScripts();
    const bucket = freshBucket();
    const projection = sums(1, bucket);
    const heard = listen(bucket);
    const first = await start(store, projection, { state: inMemory(bucket, 10) });
    await append(store, ...manyKeys(9));
    await first.caughtUp();
    expect(heard.what()).toEqual([]);
    await append(store, added("tenth", 1));
    await eventually(() => expect(heard.what()).toEqual(["written"]));
    expect(heard.snapshots[0]).toMatchObject({ entries: 10, reason: undefined });
    await first.close();
    expect(heard.what()).toEqual(["written"]);
    const second = await start(store, projection, { state: inMemory(bucket, 10) });
    await second.waitFor(await append(store, added("eleventh", 1)));
    await second.close();
    expect(heard.what()).toEqual(["written", "restored", "written"]);
    const entry = await (await openKv(`${bucket}_v1`)).get("_snapshot");
    expect(entry?.json()).toEqual({
      format: 1,
      position: 3,
      taken: 1,
      commitId: expect.any(String),
      applied: 11,
      complete: 3,
      nonce: expect.any(String),
      slot: "b",
      chunks: 1,
      entries: 11,
      deadLetters: 0,
    });
  });

  it("goes on inside a commit of which events were parked, and keeps what was set aside", async () => {
    const store = await openScripts();
    const bucket = freshBucket();
    const failing = sums(1, bucket);
    const apply: typeof failing.apply = (event, t) => {
      if (event.type === "Added" && event.data.key === "bad") throw new Error("it is bad");
      failing.apply(event, t);
    };
    const projection = { ...failing, apply };
    const options = { state: inMemory(bucket), onFailure: "park" } as const;
    const position = await append(store, added("a", 1), added("bad", 1), added("b", 1));
    const first = await start(store, projection, options);
    await first.waitFor(position);
    const letters = await first.deadLetters();
    expect(letters).toMatchObject([{ position, index: 1, reason: "it is bad" }]);
    await first.close();
    const second = await start(store, projection, options);
    expect(await second.deadLetters()).toEqual(letters);
    expect(await stateOf(second)).toMatchObject({ sum: { a: 1, b: 1 } });
    expect(second.status().applied).toBe(3);
  });

  it("loses nothing that happens while a snapshot is being written", async () => {
    await using wire = await startWire(natsUrl());
    const store = await openScripts();
    const bucket = freshBucket();
    const projection = sums(1, bucket);
    const heard = listen(bucket);
    const first = await start(
      await openScripts({ url: wire.url, stream: store.stream }),
      projection,
      {
        state: inMemory(bucket, 4),
      },
    );
    const held = wire.hold(publishTo(`$KV.${bucket}_v1._snapshot`));
    await append(store, added("a", 1), added("b", 1), added("c", 1), added("d", 1));
    await held.reached();
    const position = await append(store, added("a", 1), removed("b"), added("e", 1), removed("d"));
    await first.waitFor(position);
    const state = { sum: { a: 2, c: 1, e: 1 }, moves: {} };
    expect(await stateOf(first)).toEqual(state);
    expect(await first.tables.sum.get("b")).toBeUndefined();
    await first.waitFor(await append(store, removed("e"), added("d", 5), removed("d")));
    held.release();
    await eventually(() => expect(heard.what()).toEqual(["written"]));
    delete (state.sum as { e?: number }).e;
    expect(heard.snapshots[0]).toMatchObject({ entries: 4 });
    expect(await stateOf(first)).toEqual(state);
    await first.close();
    const second = await start(store, projection, { state: inMemory(bucket) });
    expect(await stateOf(second)).toEqual(state);
    expect(second.status().applied).toBe(11);
  });

  it("keeps the snapshot before one whose writer died", async () => {
    await using wire = await startWire(natsUrl());
    const store = await openScripts();
    const bucket = freshBucket();
    await makeNarrowBucket(`${bucket}_v1`);
    const projection = sums(1, bucket);
    const position = await append(store, ...manyKeys(300));
    const first = await start(store, projection, { state: inMemory(bucket, 1_000) });
    await first.waitFor(position);
    await first.close();
    const heard = listen(bucket);
    const throughWire = await openScripts({ url: wire.url, stream: store.stream });
    const dying = await start(throughWire, projection, { state: inMemory(bucket, 300) });
    const killed = wire.hold(publishTo(`$KV.${bucket}_v1._snapshot`));
    await append(store, ...manyKeys(300, 2));
    await killed.reached();
    wire.refuse();
    wire.cut();
    expect((await (await openKv(`${bucket}_v1`)).get("snapshot-b.0"))?.length).toBeGreaterThan(100);
    const second = await start(store, projection, { state: inMemory(bucket) });
    expect(heard.what()).toEqual(["restored", "restored"]);
    await second.caughtUp();
    const sum = Object.fromEntries(manyKeys(300).map(({ data }) => ["key" in data && data.key, 3]));
    expect(await stateOf(second)).toEqual({ sum, moves: {} });
    await second.close();
    const third = await start(store, projection, { state: inMemory(bucket) });
    expect(await stateOf(third)).toEqual({ sum, moves: {} });
    expect(third.status().applied).toBe(600);
    await throughWire.close();
    await dying.close();
  });

  it("shares the snapshots between processes, each of which another one may write", async () => {
    const store = await openScripts();
    const bucket = freshBucket();
    const projection = sums(1, bucket);
    const heard = listen(bucket);
    const options = { state: inMemory(bucket, 20) };
    const others = await Promise.all([0, 1, 2].map(() => openScripts({ stream: store.stream })));
    const projectors = await Promise.all(others.map((one) => start(one, projection, options)));
    const steps = randomSteps(300, SEED + 1);
    for (let at = 0; at < 300; at += 20) {
      const position = await appendSteps(store, steps.slice(at, at + 20));
      await Promise.all(projectors.map((projector) => projector.waitFor(position)));
    }
    await Promise.all(projectors.map((projector) => projector.close()));
    expect(heard.what()).toContain("written");
    expect(heard.events()).toBe(900);
    const last = await start(store, projection, options);
    expect(heard.what()).not.toContain("ignored");
    expect(await stateOf(last), `seed ${SEED}`).toEqual(fold(steps));
    expect(last.status().applied).toBe(300);
    expect(heard.events()).toBe(900);
  });

  it("stays as it is where snapshots cannot be written", async () => {
    const store = await openScripts();
    const bucket = freshBucket();
    const heard = listen(bucket);
    const projector = await start(store, sums(1, bucket), { state: inMemory(bucket, 5) });
    await (await openManager()).streams.delete(`KV_${bucket}_v1`);
    await projector.waitFor(await append(store, ...manyKeys(6)));
    await eventually(() => expect(heard.what()).toEqual(["dropped"]));
    expect(heard.snapshots[0]?.reason).toContain(bucket);
    await projector.waitFor(await append(store, added("later", 1)));
    expect(projector.status()).toMatchObject({ applied: 7 });
    expect(await projector.tables.sum.get("later")).toBe(1);
  });

  it("writes none of a stream that was rolled back under it", async () => {
    const store = await openScripts();
    const bucket = freshBucket();
    const heard = listen(bucket);
    const projector = await start(store, sums(1, bucket), { state: inMemory(bucket) });
    await projector.waitFor(await append(store, ...manyKeys(3)));
    await (await openManager()).streams.delete(store.stream);
    await append(await openScripts({ stream: store.stream }), added("x", 1));
    await projector.close();
    expect(heard.snapshots).toMatchObject([{ what: "dropped" }]);
    expect(heard.snapshots[0]?.reason).toContain("rolled back");
    expect(await (await openKv(`${bucket}_v1`)).get("_snapshot")).toBeNull();
  });

  it("is reset with its snapshots", async () => {
    const store = await openScripts();
    const bucket = freshBucket();
    const projection = sums(1, bucket);
    const first = await start(store, projection, { state: inMemory(bucket) });
    await first.waitFor(await append(store, ...manyKeys(3)));
    await first.close();
    const heard = listen(bucket);
    const second = await start(store, projection, { state: inMemory(bucket), reset: true });
    await second.caughtUp();
    expect(heard.what()).toEqual([]);
    expect(heard.events()).toBe(3);
    expect(second.status().applied).toBe(3);
  });

  it("K26 refuses a bucket that holds entries, and the other way round", async () => {
    const store = await openScripts();
    const [one, other] = [freshBucket(), freshBucket()];
    await (await start(store, sums(), { state: kvState({ bucket: one }) })).close();
    await (await start(store, sums(), { state: inMemory(other) })).close();
    for (const state of [inMemory(one), kvState({ bucket: other })]) {
      const failure = await start(store, sums(), { state }).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(ProjectionMismatchError);
      expect(failure).toMatchObject({ what: "state" });
    }
  });
});

describe("a snapshot that cannot be used", () => {
  /** A snapshot of three keys, damaged; then another start, and one more. */
  async function damage(
    how: (store: Awaited<ReturnType<typeof openScripts>>, bucket: string) => Promise<void>,
    expected = { a: 1, b: 2, c: 3 } as Record<string, number>,
  ): Promise<string | undefined> {
    const store = await openScripts();
    const bucket = freshBucket();
    const projection = sums(1, bucket);
    const first = await start(store, projection, { state: inMemory(bucket) });
    await first.waitFor(await append(store, added("a", 1), added("b", 2), added("c", 3)));
    await first.close();
    await how(store, `${bucket}_v1`);
    const heard = listen(bucket);
    const reader = await openScripts({ stream: store.stream });
    const second = await start(reader, projection, { state: inMemory(bucket) });
    await second.caughtUp();
    expect(await stateOf(second)).toEqual({ sum: expected, moves: {} });
    expect(heard.what()).toEqual(["ignored"]);
    await second.close();
    expect(heard.what()).toEqual(["ignored", "written"]);
    const third = await start(reader, projection, { state: inMemory(bucket) });
    expect(heard.what()).toEqual(["ignored", "written", "restored"]);
    expect(await stateOf(third)).toEqual({ sum: expected, moves: {} });
    return heard.snapshots[0]?.reason;
  }

  const text = (data: Uint8Array): string => Buffer.from(data).toString();

  it("is ignored and replaced where a chunk is corrupt", async () => {
    const reason = await damage((_, bucket) =>
      // Still a list of entries, with another number.
      rewrite(bucket, "snapshot-a.0", (data) => Uint8Array.from([...data.subarray(0, -1), 7])),
    );
    expect(reason).toContain("checksum");
  });

  it("is ignored and replaced where a chunk belongs to another one", async () => {
    const reason = await damage(async (_, bucket) => {
      const kv = await openKv(bucket);
      await kv.put("snapshot-a.0", (await kv.get("snapshot-a.0"))?.value ?? "");
    });
    expect(reason).toContain("another snapshot");
  });

  it("is ignored and replaced where a chunk is missing", async () => {
    const reason = await damage(async (_, bucket) => {
      await (await openManager()).streams.purge(`KV_${bucket}`, {
        filter: `$KV.${bucket}.snapshot-a.0`,
      });
    });
    expect(reason).toContain("missing");
  });

  it("is ignored and replaced where the counts do not agree", async () => {
    const reason = await damage((_, bucket) =>
      rewrite(bucket, "_snapshot", (data) =>
        Buffer.from(text(data).replace('"entries":3', '"entries":4')),
      ),
    );
    expect(reason).toContain("3 and 0 entries");
  });

  it.each(["no JSON", '{"format":2}', "[]", ""])(
    "is ignored and replaced where its manifest is '%s'",
    async (manifest) => {
      const reason = await damage((_, bucket) =>
        rewrite(bucket, "_snapshot", () => Buffer.from(manifest)),
      );
      expect(reason).toContain("_snapshot");
    },
  );

  it("is ignored and replaced where the stream was rolled back, although it is further", async () => {
    const reason = await damage(
      async (store) => {
        await (await openManager()).streams.delete(store.stream);
        const again = await openScripts({ stream: store.stream });
        await append(again, added("x", 1));
      },
      { x: 1 },
    );
    expect(reason).toContain("rolled back");
  });
});
