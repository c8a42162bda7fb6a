import { jetstreamManager, type StreamConfig } from "@nats-io/jetstream";
import { connect, type KV, type NatsConnection, StorageType } from "nats";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  InvalidArgumentError,
  StreamNotFoundError,
  StreamSettingsError,
} from "../../../src/errors.ts";
import { startServer } from "../../../src/server/index.ts";
import { freshStream, natsUrl } from "../../support/server.ts";
import { startWire } from "../../support/wire.ts";
import { bounds, type BucketStage, bytes, openBucketStage, textOf, write } from "./bucket-stage.ts";

let stage: BucketStage;
/** Of the package `nats`, another client. */
let foreign: NatsConnection;
const timeoutMs = 5_000;

beforeAll(async () => {
  stage = await openBucketStage(natsUrl());
  foreign = await connect({ servers: natsUrl() });
});
afterAll(async () => {
  await stage.close();
  await foreign.close();
});

async function configOf(name: string): Promise<StreamConfig> {
  const manager = await jetstreamManager(stage.nc, { checkAPI: false });
  return (await manager.streams.info(`KV_${name}`)).config;
}

async function refused(name: string): Promise<readonly string[]> {
  const error: unknown = await stage.open({ name }).then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (!(error instanceof StreamSettingsError)) throw error ?? new Error("it was accepted");
  return error.problems.map(({ setting }) => setting);
}

describe("Bucket.open", () => {
  it("creates a bucket with the settings that it accepts itself", async () => {
    const bucket = await stage.open();
    expect(bucket.replicated).toBe(false);
    expect(await configOf(bucket.name)).toMatchObject({
      subjects: [`$KV.${bucket.name}.>`],
      storage: "file",
      retention: "limits",
      discard: "new",
      max_msgs_per_subject: 1,
      allow_direct: true,
      allow_atomic: true,
      allow_rollup_hdrs: true,
      deny_delete: true,
      compression: "none",
    });
    await write(bucket, "a", "1");
    const again = await stage.open({ name: bucket.name, create: false });
    expect(textOf(await again.get("a", bounds))).toBe("1");
  });

  it("gives the same bucket to eight that open it at once", async () => {
    const name = freshStream("B");
    await Promise.all(Array.from({ length: 8 }, () => stage.open({ name })));
    expect((await configOf(name)).max_msgs_per_subject).toBe(1);
  });

  it("does not create a bucket where it must not, nor one of another kind of name", async () => {
    await expect(stage.open({ create: false })).rejects.toThrow(StreamNotFoundError);
    await expect(stage.open({ name: "a.b" })).rejects.toThrow(InvalidArgumentError);
  });

  it("takes over a bucket that another client made", async () => {
    const name = freshStream("B");
    const kv = await foreign.jetstream().views.kv(name);
    const sequence = await kv.put("guard", "1");
    expect((await configOf(name)).allow_atomic ?? false).toBe(false);
    const bucket = await stage.open({ name, create: false });
    expect((await configOf(name)).allow_atomic).toBe(true);
    const guard = { key: "guard", data: bytes("2"), expectedSequence: sequence };
    const outcome = await bucket.commit([{ key: "a", data: bytes("x") }], guard, timeoutMs);
    expect(outcome).toMatchObject({ kind: "stored", sequence: sequence + 2 });
    expect((await kv.get("a"))?.string()).toBe("x");
  });

  it.each<[string, Parameters<ReturnType<typeof viewsOf>["kv"]>[1]]>([
    ["max_msgs_per_subject", { history: 5 }],
    ["max_age", { ttl: 60_000 }],
    ["storage", { storage: StorageType.Memory }],
    ["compression", { compression: true }],
    ["allow_direct", { allow_direct: false }],
  ])("refuses a bucket by its %s: %j", async (setting, options) => {
    const name = freshStream("B");
    await viewsOf().kv(name, options);
    expect(await refused(name)).toEqual([setting]);
    expect((await configOf(name)).allow_atomic ?? false).toBe(false);
  });

  it.each<[string, Partial<StreamConfig>]>([
    ["max_msgs", { max_msgs: 1_000 }],
    ["discard", { discard: "old" }],
    ["allow_msg_ttl", { allow_msg_ttl: true }],
    ["subjects", { subjects: ["$KV.elsewhere.>"] }],
    ["sources", { sources: [{ name: "KV_ELSEWHERE" }] }],
  ])("refuses a stream in a bucket's place by its %s: %j", async (setting, changes) => {
    const name = freshStream("B");
    const { config } = await withSettings(name, changes);
    expect(config.name).toBe(`KV_${name}`);
    expect(await refused(name)).toEqual([setting]);
    const manager = await jetstreamManager(stage.nc, { checkAPI: false });
    await manager.streams.delete(`KV_${name}`);
  });

  it("refuses a mirror of a bucket", async () => {
    const { name } = await stage.open();
    const mirror = freshStream("B");
    await viewsOf().kv(mirror, { mirror: { name } });
    expect(await refused(mirror)).toContain("mirror");
  });

  it("takes no larger entries than the bucket does", async () => {
    const name = freshStream("B");
    await viewsOf().kv(name, { maxValueSize: 1_000 });
    const bucket = await stage.open({ name });
    const data = new Uint8Array(bucket.maxEntryBytes);
    expect(data.length).toBeGreaterThan(700);
    expect(await bucket.put({ key: "a", data }, 0, timeoutMs)).toMatchObject({ kind: "stored" });
    const large = { key: "a", data: new Uint8Array(1_000) };
    await expect(bucket.put(large, 1, timeoutMs)).rejects.toThrow(RangeError);
  });

  it("writes below the API of a JetStream domain, as leaf nodes let nothing else through", async () => {
    await using server = await startServer({ config: "jetstream { domain: hub }" });
    await using wire = await startWire(server.url);
    const far = await openBucketStage(wire.url);
    const bucket = await far.open({ name: "far", apiPrefix: "$JS.hub.API" });
    const guard = { key: "guard", data: bytes("2"), expectedSequence: 0 };
    const outcome = await bucket.commit([{ key: "a", data: bytes("x") }], guard, timeoutMs);
    expect(outcome).toMatchObject({ kind: "stored", sequence: 2 });
    expect(textOf(await bucket.get("a", bounds))).toBe("x");
    expect(wire.count(/^\$JS\.hub\.API\./)).toBe(wire.published.length);
    await far.close();
  });

  it("removes a bucket, once or twice", async () => {
    const bucket = await stage.open();
    await bucket.destroy();
    await bucket.destroy();
    await expect(bucket.state()).rejects.toThrow(StreamNotFoundError);
  });
});

describe("another client of NATS", () => {
  it("reads what a batch wrote, and sees what it deleted", async () => {
    const bucket = await stage.open();
    const kv: KV = await viewsOf().kv(bucket.name);
    await write(bucket, "t.a", "1");
    await write(bucket, "t.b", "2");
    const changes = [
      { key: "t.a", data: undefined },
      { key: "t.b", data: bytes("3") },
      { key: "t.c", data: bytes("") },
    ];
    const guard = { key: "guard", data: bytes("g"), expectedSequence: 0 };
    await bucket.commit(changes, guard, timeoutMs);
    expect(await kv.get("t.a")).toMatchObject({ operation: "DEL", length: 0, revision: 3 });
    expect((await kv.get("t.b"))?.string()).toBe("3");
    expect(await kv.get("t.c")).toMatchObject({ operation: "PUT", length: 0 });
    const keys: string[] = [];
    for await (const key of await kv.keys("t.>")) keys.push(key);
    expect(keys.sort()).toEqual(["t.b", "t.c"]);
  });

  it("deletes and purges keys as a bucket shows it", async () => {
    const bucket = await stage.open();
    const kv: KV = await viewsOf().kv(bucket.name);
    await kv.put("a", "1");
    await kv.put("b", "2");
    await kv.put("c", "3");
    await kv.delete("a");
    await kv.purge("b");
    const found = await bucket.fetch(["a", "b", "c"], bounds);
    expect([...found.values()].map(({ key, deleted }) => [key, deleted])).toEqual([
      ["c", false],
      ["a", true],
      ["b", true],
    ]);
  });
});

function viewsOf() {
  return foreign.jetstream().views;
}

async function withSettings(name: string, changes: Partial<StreamConfig>) {
  const manager = await jetstreamManager(stage.nc, { checkAPI: false });
  return manager.streams.add({
    name: `KV_${name}`,
    subjects: [`$KV.${name}.>`],
    storage: "file",
    discard: "new",
    max_msgs_per_subject: 1,
    allow_direct: true,
    allow_rollup_hdrs: true,
    ...changes,
  });
}
