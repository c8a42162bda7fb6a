import { jetstreamManager, type StreamConfig } from "@nats-io/jetstream";
import { describe, expect, it } from "vitest";
import {
  ConnectionFailedError,
  EventStore,
  InvalidArgumentError,
  type StoreOptions,
  StreamNotFoundError,
  StreamSettingsError,
} from "../../../src/index.ts";
import { freshStream, natsUrl } from "../../support/server.ts";
import { collect, failureOf, notes, openConnection, openStore, untyped } from "./bank.ts";

const alice = { type: "account", id: "alice" } as const;

async function createStream(settings: Partial<StreamConfig>): Promise<string> {
  const name = freshStream();
  const manager = await jetstreamManager(await openConnection(), { checkAPI: false });
  await manager.streams.add({
    name,
    subjects: [`${name.toLowerCase()}.>`],
    storage: "file",
    discard: "new",
    allow_direct: true,
    allow_atomic: true,
    deny_delete: true,
    ...settings,
  });
  return name;
}

describe("opening a store", () => {
  it("creates the stream, and finds it again", async () => {
    const store = await openStore({ maxBytes: 1_000_000, duplicateWindowMs: 30_000 });
    const manager = await jetstreamManager(await openConnection(), { checkAPI: false });
    const { config } = await manager.streams.info(store.stream);
    expect(config).toMatchObject({
      subjects: [`${store.stream.toLowerCase()}.>`],
      max_bytes: 1_000_000,
      duplicate_window: 30_000_000_000,
      deny_delete: true,
    });
    await store.append(alice, notes(1), { expectedVersion: 0 });
    const again = await openStore({ stream: store.stream, create: false });
    expect(await again.latestVersion(alice)).toBe(1);
  });

  it("with create: false refuses a stream that is not there, and creates none", async () => {
    const stream = freshStream();
    const error = await failureOf(openStore({ stream, create: false }));
    expect(error).toBeInstanceOf(StreamNotFoundError);
    expect(error).toMatchObject({ code: "stream_not_found", stream });
    expect(await failureOf(openStore({ stream, create: false }))).toBeInstanceOf(
      StreamNotFoundError,
    );
  });

  it.each<[string, Partial<StreamConfig>]>([
    ["storage", { storage: "memory" }],
    ["retention", { retention: "interest" }],
    ["discard", { discard: "old" }],
    ["max_age", { max_age: 60_000_000_000 }],
    ["max_msgs", { max_msgs: 10 }],
    ["max_msgs_per_subject", { max_msgs_per_subject: 5 }],
    ["deny_delete", { deny_delete: false }],
    ["allow_direct", { allow_direct: false }],
    ["allow_atomic", untyped<Partial<StreamConfig>>({ allow_atomic: false })],
    ["compression", { compression: "s2" }],
    ["allow_rollup_hdrs", { allow_rollup_hdrs: true }],
    ["no_ack", { no_ack: true }],
    ["subjects", { subjects: [`elsewhere.${freshStream()}.>`] }],
  ])("refuses a stream whose %s could lose events, and names it", async (setting, settings) => {
    const stream = await createStream(settings);
    const error = await failureOf(openStore({ stream }));
    expect(error).toBeInstanceOf(StreamSettingsError);
    expect(error).toMatchObject({
      code: "stream_settings",
      stream,
      message: expect.stringContaining(setting),
    });
    const settingsNamed =
      error instanceof StreamSettingsError ? error.problems.map((problem) => problem.setting) : [];
    expect(settingsNamed).toContain(setting);
  });

  it("refuses a stream with fewer replicas than it is asked for", async () => {
    const stream = await createStream({});
    const error = await failureOf(openStore({ stream, replicas: 3 }));
    expect(error).toMatchObject({
      code: "stream_settings",
      problems: [{ setting: "num_replicas" }],
    });
  });

  it("refuses a prefix that another stream has", async () => {
    const store = await openStore();
    const error = await failureOf(openStore({ prefix: store.stream.toLowerCase() }));
    expect(error).toMatchObject({
      code: "server_refused",
      message: expect.stringContaining("overlap"),
    });
  });

  it.each<[string, unknown]>([
    ["stream", { stream: "" }],
    ["stream", { stream: "a.b" }],
    ["stream", { stream: "a b" }],
    ["stream", { stream: 5 }],
    ["stream", { stream: "x".repeat(201) }],
    ["prefix", { prefix: "" }],
    ["prefix", { prefix: "a.>" }],
    ["prefix", { prefix: "a..b" }],
    ["prefix", { prefix: "$JS" }],
    ["apiPrefix", { domain: "hub", apiPrefix: "$JS.hub.API" }],
    ["maxInFlight", { maxInFlight: 0 }],
    ["maxInFlight", { maxInFlight: "2" }],
    ["maxQueuedAppends", { maxQueuedAppends: -1 }],
    ["cacheMaxActors", { cacheMaxActors: 1.5 }],
    ["appendTimeoutMs", { appendTimeoutMs: 0 }],
    ["ackTimeoutMs", { ackTimeoutMs: Number.NaN }],
    ["readTimeoutMs", { readTimeoutMs: Number.POSITIVE_INFINITY }],
    ["maxBatchBytes", { maxBatchBytes: 0 }],
    ["readWindowBytes", { readWindowBytes: 0 }],
    ["readBufferCommits", { readBufferCommits: 0 }],
    ["replicas", { replicas: 0 }],
    ["replicas", { replicas: 1.5 }],
    ["maxBytes", { maxBytes: -5 }],
    ["duplicateWindowMs", { duplicateWindowMs: -1 }],
  ])("refuses a wrong %s: %j", async (argument, options) => {
    const given = untyped<StoreOptions>({ stream: freshStream(), ...(options as object) });
    const error = await failureOf(EventStore.connect({ servers: natsUrl(), ...given }));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error).toMatchObject({ argument });
    const nc = await openConnection();
    expect(await failureOf(EventStore.open(nc, given))).toMatchObject({ argument });
  });

  it("says where it looked when no server answers, within the time it has", async () => {
    const startedAt = performance.now();
    const error = await failureOf(
      EventStore.connect({
        servers: "127.0.0.1:9",
        stream: "S",
        connectTimeoutMs: 1_000,
        waitOnFirstConnect: false,
      }),
    );
    expect(error).toBeInstanceOf(ConnectionFailedError);
    expect(error).toMatchObject({ message: expect.stringContaining("127.0.0.1:9") });
    expect(performance.now() - startedAt).toBeLessThan(3_000);
  });

  it("does nothing where its signal was aborted", async () => {
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    expect(await failureOf(openStore({ signal }))).toBe(reason);
  });
});

describe("the prefix", () => {
  it("is the stream's name in lower case, or what is asked for, of several tokens too", async () => {
    const prefix = `eu.bank-${freshStream()}`;
    const store = await openStore({ prefix });
    await store.append(alice, notes(1), { expectedVersion: 0 });
    const nc = await openConnection();
    const manager = await jetstreamManager(nc, { checkAPI: false });
    const message = await manager.streams.getMessage(store.stream, { seq: 1 });
    expect(message?.subject).toBe(`${prefix}.account.alice`);
    expect(await collect(store.readAll())).toMatchObject([{ actor: alice }]);
    expect(await collect(store.actors())).toEqual([alice]);
  });

  it("keeps two stores apart that share a stream made for both", async () => {
    const name = freshStream().toLowerCase();
    const prefixes = [`${name}-a`, `${name}-b`] as const;
    const stream = await createStream({ subjects: prefixes.map((prefix) => `${prefix}.>`) });
    const [a, b] = [
      await openStore({ stream, prefix: prefixes[0] }),
      await openStore({ stream, prefix: prefixes[1] }),
    ];
    await a.append(alice, notes(1), { expectedVersion: 0 });
    await b.append(alice, notes(2), { expectedVersion: 0 });
    await a.append(alice, notes(3), { expectedVersion: 1 });
    expect(await collect(b.read(alice))).toMatchObject([{ data: { n: 2 }, version: 1 }]);
    expect(await collect(a.actors())).toEqual([alice]);
    expect((await collect(a.readAll())).map(({ data }) => data)).toEqual([{ n: 1 }, { n: 3 }]);
    expect((await collect(b.readAll())).map(({ data }) => data)).toEqual([{ n: 2 }]);
  });
});
