import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { describe, expect, it } from "vitest";
import { AppendTooLargeError } from "../../src/index.ts";
import { startServer } from "../../src/server/index.ts";
import { auditStream } from "../support/fault-audit.ts";
import {
  type Acknowledged,
  acknowledged,
  appendOne,
  codeOf,
  counted,
  counter,
  type CountingStore,
  failureOf,
  openStore,
  versionsOf,
} from "../support/fault-store.ts";
import { freshStream } from "../support/server.ts";
import { startWire } from "../support/wire.ts";

const KB = 1024;

function padded(bytes: number): ReturnType<typeof counted> {
  return counted("x".repeat(bytes), 1);
}

/** Appends 8 KB each until it is refused; returns what was stored, and the refusal. */
async function fillUp(store: CountingStore): Promise<{ done: Acknowledged[]; error: unknown }> {
  const done: Acknowledged[] = [];
  for (let version = 0; version < 1_000; version++) {
    try {
      const options = { expectedVersion: version };
      const result = await store.append(counter("alice"), [padded(8 * KB)], options);
      done.push(acknowledged("alice", result));
    } catch (error) {
      return { done, error };
    }
  }
  throw new Error("it never filled up");
}

async function raiseMaxBytes(url: string, stream: string, maxBytes: number): Promise<void> {
  const nc = await connect({ servers: url });
  try {
    const manager = await jetstreamManager(nc);
    await manager.streams.update(stream, { max_bytes: maxBytes });
  } finally {
    await nc.close();
  }
}

describe("a stream that has reached its max_bytes", () => {
  it("refuses appends clearly and loses nothing; the store goes on when there is room again", async () => {
    await using server = await startServer();
    const stream = freshStream();
    await using store = await openStore(server.url, stream, { maxBytes: 200 * KB });
    const startedAt = performance.now();
    const { done, error } = await fillUp(store);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect(codeOf(error)).toBe("server_refused");
    expect(String(error)).toContain("maximum bytes exceeded");
    expect(String(error)).toContain("counter/alice");
    expect(done.length).toBeGreaterThan(10);

    // full, it still reads, and knows where it is
    expect(await versionsOf(store, "alice")).toEqual(done.map(({ version }) => version));
    expect(store.cachedVersion(counter("alice"))).toBe(done.length);
    expect(await store.latestVersion(counter("alice"))).toBe(done.length);
    const all = ["bob", "carol"].map((id) => ({
      actor: counter(id),
      events: [padded(20 * KB)],
      expectedVersion: 0,
    }));
    expect(codeOf(await failureOf(store.appendAll(all)))).toBe("server_refused");
    expect(await auditStream(store, done)).toHaveLength(done.length);

    await raiseMaxBytes(server.url, stream, 2_000 * KB);
    done.push(acknowledged("alice", await appendOne(store, "alice", done.length)));
    const results = await store.appendAll(all);
    done.push(...results.map((result, at) => acknowledged(all[at]?.actor.id ?? "", result)));
    expect(await auditStream(store, done)).toHaveLength(done.length);
  });

  it("stores all or nothing of an appendAll that does not fit as a whole", async () => {
    await using server = await startServer();
    const stream = freshStream();
    await using store = await openStore(server.url, stream, { maxBytes: 100 * KB });
    const all = Array.from({ length: 20 }, (_, at) => ({
      actor: counter(`actor-${at}`),
      events: [padded(8 * KB)],
      expectedVersion: 0,
    }));
    expect(codeOf(await failureOf(store.appendAll(all)))).toBe("server_refused");
    expect(await auditStream(store, [])).toEqual([]);
    await appendOne(store, "actor-0", 0);
  });
});

describe("a server whose file store is full", () => {
  it("refuses appends clearly and in time, loses nothing, and goes on to read", async () => {
    await using server = await startServer({
      config: "jetstream { max_file_store: 300KB, sync_interval: always }",
    });
    const stream = freshStream();
    await using store = await openStore(server.url, stream, { appendTimeoutMs: 3_000 });
    const { done, error } = await fillUp(store);
    expect(["server_refused", "jetstream_unavailable"]).toContain(codeOf(error));
    expect(String(error)).toMatch(/resource|storage|space/i);
    expect(done.length).toBeGreaterThan(10);
    expect(await versionsOf(store, "alice")).toEqual(done.map(({ version }) => version));
    expect(await auditStream(store, done)).toHaveLength(done.length);
    expect(store.cachedVersion(counter("alice"))).toBe(done.length);
  });
});

describe("a server with a max_payload of 64 KB", () => {
  it("is sent no append that exceeds it; the refusal tells both sizes", async () => {
    await using server = await startServer({ config: "max_payload: 64KB" });
    await using wire = await startWire(server.url);
    const stream = freshStream();
    const subject = `${stream.toLowerCase()}.counter.alice`;
    await using store = await openStore(wire.url, stream);
    await appendOne(store, "alice", 0);
    wire.reset();
    const tooLarge = (bytes: number): Promise<unknown> =>
      failureOf(store.append(counter("alice"), [padded(bytes)], { expectedVersion: 1 }));
    const refused = await tooLarge(100 * KB);
    if (!(refused instanceof AppendTooLargeError)) throw refused;
    expect(refused.limit).toBe(64 * KB);
    expect(refused.size).toBeGreaterThan(100 * KB);
    expect(refused.message).toContain(String(refused.size));
    expect(refused.message).toContain(String(refused.limit));
    expect(wire.count(subject)).toBe(0);

    // headers and frame count too: one byte over is refused, the very limit is stored
    const probe = await tooLarge(65_535);
    if (!(probe instanceof AppendTooLargeError)) throw probe;
    const fitting = 64 * KB - (probe.size - 65_535);
    expect(await tooLarge(fitting + 1)).toMatchObject({ size: 64 * KB + 1 });
    expect(wire.count(subject)).toBe(0);
    const largest = store.append(counter("alice"), [padded(fitting)], { expectedVersion: 1 });
    expect(await largest).toMatchObject({ version: 2 });
    expect(await versionsOf(store, "alice")).toEqual([1, 2]);
  });

  it("is sent nothing of an appendAll of which one part exceeds it", async () => {
    await using server = await startServer({ config: "max_payload: 64KB" });
    await using wire = await startWire(server.url);
    const stream = freshStream();
    await using store = await openStore(wire.url, stream);
    const all = [10, 100].map((size) => ({
      actor: counter(`actor-${size}`),
      events: [padded(size * KB)],
      expectedVersion: 0,
    }));
    const refused = await failureOf(store.appendAll(all));
    expect(refused).toMatchObject({ code: "append_too_large", limit: 64 * KB });
    expect(wire.count(new RegExp(`^${stream.toLowerCase()}\\.counter\\.`))).toBe(0);
    expect(await auditStream(store, [])).toEqual([]);
  });
});
