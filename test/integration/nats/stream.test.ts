import { createServer, type Server } from "node:net";
import { jetstreamManager, type StreamConfig } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  JetStreamUnavailableError,
  ServerTooOldError,
  StreamNotFoundError,
  StreamSettingsError,
} from "../../../src/errors.ts";
import { checkServer, ensureStream, streamState } from "../../../src/nats/stream.ts";
import { freshStream, natsUrl } from "../../support/server.ts";

let nc: NatsConnection;
const timeoutMs = 5_000;

beforeAll(async () => {
  nc = await connect({ servers: natsUrl() });
});
afterAll(() => nc.close());

const sound: Partial<StreamConfig> = {
  storage: "file",
  discard: "new",
  allow_direct: true,
  allow_atomic: true,
  deny_delete: true,
};

async function withSettings(changes: Partial<StreamConfig>): Promise<{ name: string }> {
  const name = freshStream();
  const manager = await jetstreamManager(nc, { checkAPI: false });
  await manager.streams.add({ name, subjects: [`${name}.>`], ...sound, ...changes });
  return { name };
}

async function refusedSettings(name: string, replicas?: number): Promise<string[]> {
  const error = await ensureStream(nc, { name, prefix: name, replicas, timeoutMs }).then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (!(error instanceof StreamSettingsError)) throw error ?? new Error("it was accepted");
  return error.problems.map(({ setting }) => setting);
}

describe("ensureStream", () => {
  it("creates a stream with the settings that it accepts itself", async () => {
    const name = freshStream();
    const asked = { name, prefix: "p.q." + name, timeoutMs, duplicateWindowMs: 30_000 };
    const created = await ensureStream(nc, { ...asked, maxBytes: 1_000_000, description: "d" });
    expect(created).toMatchObject({ name, replicas: 1, duplicateWindowMs: 30_000 });
    expect(created.state).toMatchObject({ lastSequence: 0, messages: 0 });
    expect(Date.parse(created.created)).not.toBeNaN();
    expect((await ensureStream(nc, asked)).created).toBe(created.created);
    const manager = await jetstreamManager(nc, { checkAPI: false });
    expect((await manager.streams.info(name)).config).toMatchObject({
      subjects: [`${asked.prefix}.>`],
      storage: "file",
      retention: "limits",
      discard: "new",
      max_bytes: 1_000_000,
      allow_direct: true,
      allow_atomic: true,
      deny_delete: true,
      compression: "none",
    });
  });

  it("gives the same stream to eight processes that create it at once, each its own way", async () => {
    const name = freshStream();
    const connections = await Promise.all(
      Array.from({ length: 8 }, () => connect({ servers: natsUrl() })),
    );
    const streams = await Promise.all(
      connections.map((connection, index) =>
        ensureStream(connection, {
          name,
          prefix: name,
          timeoutMs,
          duplicateWindowMs: 60_000 + index * 1_000,
        }),
      ),
    );
    await Promise.all(connections.map((connection) => connection.close()));
    expect(new Set(streams.map(({ created }) => created)).size).toBe(1);
  });

  it("does not create a stream where it must not", async () => {
    const asked = { name: freshStream(), prefix: "x", create: false, timeoutMs };
    await expect(ensureStream(nc, asked)).rejects.toThrow(StreamNotFoundError);
    await expect(streamState(nc, asked.name, asked)).rejects.toThrow(StreamNotFoundError);
  });

  it.each<[string, Partial<StreamConfig>]>([
    ["storage", { storage: "memory" }],
    ["retention", { retention: "interest" }],
    ["retention", { retention: "workqueue" }],
    ["discard", { discard: "old" }],
    ["max_age", { max_age: 3_600_000_000_000 }],
    ["max_msgs", { max_msgs: 1_000 }],
    ["max_msgs_per_subject", { max_msgs_per_subject: 10 }],
    ["deny_delete", { deny_delete: false }],
    ["allow_direct", { allow_direct: false }],
    ["allow_atomic", { allow_atomic: false }],
    ["allow_rollup_hdrs", { allow_rollup_hdrs: true, deny_delete: true }],
    ["allow_msg_ttl", { allow_msg_ttl: true }],
    ["allow_msg_schedules", { allow_msg_schedules: true, discard: "old" }],
    ["allow_batched", { allow_batched: true }],
    ["compression", { compression: "s2" }],
    ["no_ack", { no_ack: true }],
    ["sources", { sources: [{ name: "ELSEWHERE" }] }],
    ["subject_transform", { subject_transform: { src: "a.>", dest: "b.>" } }],
    ["consumer_limits", { consumer_limits: { inactive_threshold: 1_000_000_000 } }],
  ])("refuses a stream by its %s: %j", async (setting, changes) => {
    const { name } = await withSettings(changes);
    expect(await refusedSettings(name)).toContain(setting);
  });

  it("refuses counters, asynchronous persistence and limits per subject together with others", async () => {
    const counter = await withSettings({ allow_msg_counter: true, discard: "old" });
    expect(await refusedSettings(counter.name)).toEqual(["discard", "allow_msg_counter"]);
    const hasty = await withSettings({ persist_mode: "async", allow_atomic: false });
    expect(await refusedSettings(hasty.name)).toEqual(["persist_mode", "allow_atomic"]);
    const once = await withSettings({ max_msgs_per_subject: 1, discard_new_per_subject: true });
    expect(await refusedSettings(once.name)).toEqual([
      "discard_new_per_subject",
      "max_msgs_per_subject",
    ]);
  });

  it("refuses delete markers, mirrors and sealed streams", async () => {
    const marker = await withSettings({
      allow_msg_ttl: true,
      subject_delete_marker_ttl: 60_000_000_000,
      deny_delete: false,
    });
    expect(await refusedSettings(marker.name)).toContain("subject_delete_marker_ttl");
    const manager = await jetstreamManager(nc, { checkAPI: false });
    const mirror = freshStream();
    await manager.streams.add({ name: mirror, mirror: { name: marker.name } });
    expect(await refusedSettings(mirror)).toContain("mirror");
    const sealed = await withSettings({ deny_delete: false });
    const { config } = await manager.streams.info(sealed.name);
    const update = JSON.stringify({ ...config, sealed: true });
    await nc.request(`$JS.API.STREAM.UPDATE.${sealed.name}`, update);
    expect(await refusedSettings(sealed.name)).toContain("sealed");
  });

  it("refuses subjects that leave out some of the prefix, and fewer replicas than asked for", async () => {
    const { name } = await withSettings({});
    const narrow = freshStream();
    const manager = await jetstreamManager(nc, { checkAPI: false });
    await manager.streams.add({ name: narrow, subjects: [`${narrow}.*.1`], ...sound });
    expect(await refusedSettings(narrow)).toEqual(["subjects"]);
    expect(await refusedSettings(name, 3)).toEqual(["num_replicas"]);
    expect((await ensureStream(nc, { name, prefix: name, timeoutMs })).replicas).toBe(1);
  });

  it("tells what the server says where it refuses the stream", async () => {
    const { name } = await withSettings({});
    const overlapping = { name: freshStream(), prefix: name, timeoutMs };
    await expect(ensureStream(nc, overlapping)).rejects.toMatchObject({
      code: "server_refused",
      errorCode: 10_065,
    });
  });

  it("says that nobody answers where the JetStream domain is not there", async () => {
    const asked = { name: freshStream(), prefix: "x", domain: "nowhere", timeoutMs };
    await expect(ensureStream(nc, asked)).rejects.toThrow(JetStreamUnavailableError);
  });
});

describe("streamState", () => {
  it("tells how far the stream is", async () => {
    const { name } = await withSettings({});
    await nc.request(`${name}.a.1`, "x");
    await nc.request(`${name}.a.2`, "y");
    expect(await streamState(nc, name, { timeoutMs })).toMatchObject({
      firstSequence: 1,
      lastSequence: 2,
      messages: 2,
    });
  });
});

describe("checkServer", () => {
  it("accepts the server of these tests", () => {
    expect(() => checkServer(nc)).not.toThrow();
  });

  it("refuses a server that introduces itself with an older version", async () => {
    const old = await listenAs("2.12.0");
    const connection = await connect({ servers: old.url, reconnect: false });
    expect(() => checkServer(connection)).toThrow(ServerTooOldError);
    expect(() => checkServer(connection)).toThrow(/2\.12\.0 .*2\.12\.1/);
    await connection.close();
    old.server.close();
  });
});

/** A handshake and nothing else: no released server of that age is at hand. */
async function listenAs(version: string): Promise<{ server: Server; url: string }> {
  const server = createServer((socket) => {
    const info = { server_id: "X", version, proto: 1, headers: true, max_payload: 1_048_576 };
    socket.write(`INFO ${JSON.stringify(info)}\r\n`);
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      if (chunk.includes("PING")) socket.write("PONG\r\n");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { server, url: `127.0.0.1:${address.port}` };
}
