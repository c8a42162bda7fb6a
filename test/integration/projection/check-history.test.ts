import { connect } from "@nats-io/transport-node";
import { describe, expect, it, onTestFinished } from "vitest";
import { EventStore } from "../../../src/index.ts";
import { type CheckReport, check, defineProjection, table } from "../../../src/projection/index.ts";
import { natsUrl } from "../../support/server.ts";
import { backUp } from "../store/stream-backup.ts";
import { atOnce, type Shop, ShopStage, stock } from "./check-stage.ts";

/** A shop whose state has one entry that would be a finding. */
async function withFlippedEntry(): Promise<ShopStage> {
  const stage = await ShopStage.open();
  await stage.fill();
  await stage.project();
  await (await stage.kv()).put("article.k0", "flipped");
  expect((await stage.check()).findingCount).toBe(1);
  return stage;
}

function expectIncomplete(report: CheckReport, reason: RegExp | string): void {
  expect(report).toMatchObject({ outcome: "incomplete", findings: [], findingCount: 0 });
  expect(report.reason).toMatch(reason);
}

/** Makes the stream anew, each message as it was but for its payload. */
async function rewrite(
  { nc, store }: ShopStage,
  change: (sequence: number, data: Uint8Array) => Uint8Array | undefined,
): Promise<EventStore<Shop>> {
  const manager = await nc.jetstreamManager();
  const { config, state } = await manager.streams.info(store.stream);
  const messages = [];
  for (let seq = 1; seq <= state.last_seq; seq++) {
    messages.push(await manager.streams.getMessage(store.stream, { seq }));
  }
  await manager.streams.delete(store.stream);
  await manager.streams.add(config);
  for (const { seq, subject, header, data } of messages) {
    const changed = change(seq, data);
    if (changed !== undefined) await nc.jetstream().publish(subject, changed, { headers: header });
  }
  return reopen(store.stream);
}

async function reopen(stream: string): Promise<EventStore<Shop>> {
  const store = await EventStore.connect<Shop>({ servers: natsUrl(), stream });
  onTestFinished(() => store.close());
  return store;
}

describe("a check of a projection whose history is broken", () => {
  it("C4 is incomplete where the stream's beginning was purged", async () => {
    const stage = await withFlippedEntry();
    const manager = await stage.nc.jetstreamManager();
    await manager.streams.purge(stage.store.stream, { seq: 4 });
    expectIncomplete(await stage.check(), "its first message is at position 4");
  });

  it("C4 is incomplete where a message is missing from the stream's midst", async () => {
    const stage = await withFlippedEntry();
    const manager = await stage.nc.jetstreamManager();
    const filter = `${stage.store.stream.toLowerCase()}.article.k4`;
    await manager.streams.purge(stage.store.stream, { filter });
    expectIncomplete(await stage.check(), "1 of its 26 messages are missing");
  });

  it("C4 is incomplete where the stream is purged while it is checked", async () => {
    const stage = await withFlippedEntry();
    let purged = false;
    const report = await stage.check({
      onProgress: ({ phase }) => {
        if (phase !== "settling" || purged) return;
        purged = true;
        const purge = "await (await nc.jetstreamManager()).streams.purge(args[0], { seq: 4 })";
        atOnce(purge, stage.store.stream);
      },
    });
    expect(purged).toBe(true);
    expectIncomplete(report, "messages are missing");
  });

  it("C4 is incomplete where a commit cannot be read", async () => {
    const stage = await withFlippedEntry();
    const store = await rewrite(stage, (sequence, data) =>
      sequence === 5 ? Buffer.from("rubbish") : data,
    );
    expectIncomplete(await check(store, stock(), { state: stage.state() }), "at position 5");
  });

  it("C4 is incomplete where the stream was cut behind the checkpoint", async () => {
    const stage = await ShopStage.open();
    await stage.fill(5);
    const nc = await connect({ servers: natsUrl() });
    onTestFinished(() => nc.close());
    const backup = await backUp(nc, stage.store.stream);
    await stage.fill(12);
    await stage.project();
    await (await stage.kv()).put("article.k0", "flipped");
    await (await stage.nc.jetstreamManager()).streams.delete(stage.store.stream);
    await backup.restore();
    const store = await reopen(stage.store.stream);
    const report = await check(store, stock(), { state: stage.state() });
    expectIncomplete(report, "found nothing: the stream was restored");
  });

  it("C4 is incomplete where the stream is another one", async () => {
    const stage = await withFlippedEntry();
    await (await stage.nc.jetstreamManager()).streams.delete(stage.store.stream);
    const store = await reopen(stage.store.stream);
    for (let n = 0; n < 30; n++) {
      const stocked = { type: "Stocked", data: { count: 1n, tag: "" } } as const;
      await store.append({ type: "article", id: "k0" }, [stocked], { expectedVersion: n });
    }
    const report = await check(store, stock(), { state: stage.state() });
    expectIncomplete(report, "the stream was restored, recreated or rolled back");
  });

  it("C4 is incomplete where the projection fails now at an event that it took", async () => {
    const stage = await withFlippedEntry();
    expectIncomplete(await stage.check({}, stock(1, 21n)), /stopped at event .*unlucky/);
  });

  it("C4 is incomplete where the projection reads what it does not declare", async () => {
    const stage = await withFlippedEntry();
    const careless = defineProjection<Shop>()({
      name: "stock",
      version: 1,
      events: { article: "all" },
      tables: { article: table<number>() },
      apply: (event, t) => void t.article.get(event.actor.id),
    });
    const report = await check(stage.store, careless, { state: stage.state() });
    expectIncomplete(report, "had not declared");
  });

  it("C4 is incomplete where the checkpoint names a commit that is none of the projection's", async () => {
    const stage = await withFlippedEntry();
    const heard = stage.store.readCommits({ actorType: "noise" });
    const { value: commit } = await heard.next();
    await heard.return?.();
    const { data } = await stage.entry("_checkpoint");
    const { position, commitId } = commit ?? { position: 0, commitId: "" };
    const standing = JSON.parse(Buffer.from(data).toString());
    const forged = JSON.stringify({ ...standing, position, commitId, taken: 1 });
    await (await stage.kv()).put("_checkpoint", forged);
    expectIncomplete(await stage.check(), "which holds no event of the projection");
  });

  it("C4 is incomplete where the projection was never run", async () => {
    const stage = await ShopStage.open();
    expectIncomplete(await stage.check(), "there is no bucket");
    await stage.fill(1);
    await stage.nc.jetstream().views.kv(`${stage.bucket}_v1`, { history: 1 });
    expectIncomplete(await stage.check(), "holds no state");
  });
});

describe.each([1_000, 4])("a check with %i keys in memory", (maxKeysInMemory) => {
  const options = { maxKeysInMemory };

  async function withDeadLetters(): Promise<ShopStage> {
    const stage = await ShopStage.open();
    await stage.fill();
    for (const id of ["k0", "never", "k0"]) await stage.stockUp(id, 13n);
    await stage.stockUp("k0", 1n);
    await stage.project({ onFailure: "park" });
    return stage;
  }

  it("C5 finds nothing where events were set aside", async () => {
    const stage = await withDeadLetters();
    expect(await stage.check(options)).toMatchObject({ outcome: "clean", checkedKeys: 13 + 3 });
  });

  it("C6 finds dead letters that are missing, added and changed, and reads no reasons", async () => {
    const stage = await withDeadLetters();
    const kv = await stage.kv();
    const change = async (key: string, from: string, to: string): Promise<void> => {
      const text = Buffer.from((await stage.entry(key)).data).toString();
      expect(text).toContain(from);
      await kv.put(key, text.replace(from, to));
    };
    await kv.delete("_dead.27.0");
    await change("_dead.28.0", "never", "nobody");
    await change("_dead.29.0", "unlucky", "a bad day");
    await kv.put("_dead.1.0", "{}");
    const { findings } = await stage.check(options);
    expect(Object.fromEntries(findings.map(({ key, kind }) => [key, kind]))).toEqual({
      "_dead.27.0": "missing",
      "_dead.28.0": "different",
      "_dead.1.0": "injected",
    });
  });

  it("C5 finds nothing where the projector stopped within a commit", async () => {
    const stage = await ShopStage.open();
    await stage.fill();
    const event = (count: bigint) => ({ type: "Stocked", data: { count, tag: "x" } }) as const;
    const events = [event(1n), event(2n), event(13n), event(3n)];
    await stage.store.append({ type: "article", id: "k0" }, events, { expectedVersion: "any" });
    await expect(stage.project()).rejects.toThrow("unlucky");
    expect(await stage.check(options)).toMatchObject({ outcome: "clean", position: 27 });
    await stage.project({ onFailure: "park" });
    expect(await stage.check(options)).toMatchObject({ outcome: "clean", position: 27 });
  });
});
