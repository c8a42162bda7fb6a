import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { appendOne, counter, type CountingStore, openStore } from "../support/fault-store.ts";
import { eventually, freshStream } from "../support/server.ts";
import { startWire } from "../support/wire.ts";

let cluster: NatsServer;

beforeAll(async () => {
  cluster = await startServer({ cluster: 3, sync: "default" });
});

afterAll(() => cluster.stop());

/** While its replicas come and go, a stream may leave a request unanswered, which is asked again then. */
const patient = { timeoutMs: 20_000 };

async function scale({ stream }: CountingStore, replicas: number): Promise<void> {
  const nc = await connect({ servers: cluster.url.split(",") });
  const manager = await jetstreamManager(nc, { checkAPI: false });
  await manager.streams.update(stream, { num_replicas: replicas });
  await nc.close();
}

describe("a stream that gets replicas while a store is open", () => {
  it("is read from its leader from then on, and no more when it has one replica again", async () => {
    await using wire = await startWire(cluster.nodes[0]?.url ?? "");
    await using store = await openStore(wire.url, freshStream(), { identityCheckMs: 50 });
    await appendOne(store, "alice", 0);
    const leaderReads = async (): Promise<number> => {
      wire.reset();
      await store.latestVersion(counter("alice"));
      return wire.published.filter(({ text }) => text.includes("last_by_subj")).length;
    };
    expect(await leaderReads()).toBe(0);
    await scale(store, 3);
    await eventually(() => store.health().replicas === 3, patient);
    await eventually(async () => expect(await leaderReads()).toBe(1), patient);
    await scale(store, 1);
    await eventually(() => store.health().replicas === 1, patient);
    await eventually(async () => expect(await leaderReads()).toBe(0), patient);
    expect(store.health().settingsProblems).toEqual([]);
  }, 60_000);

  it("is a problem where it has fewer replicas than its store asked for", async () => {
    await using store = await openStore(cluster.url, freshStream(), { replicas: 3 });
    await appendOne(store, "alice", 0);
    await scale(store, 1);
    await eventually(
      () => expect(store.health().settingsProblems).toMatchObject([{ setting: "num_replicas" }]),
      patient,
    );
  }, 60_000);
});

describe("waitFor on a replicated stream", () => {
  it("asks the leader, so that what a replica shows too late is asked of the leader from then on", async () => {
    await using wire = await startWire(cluster.nodes[0]?.url ?? "");
    await using store = await openStore(wire.url, freshStream(), { replicas: 3 });
    await using writer = await openStore(cluster.url, store.stream, { replicas: 3 });
    wire.reset();
    const waiting = store.waitFor(2);
    await appendOne(writer, "alice", 0);
    await appendOne(writer, "alice", 1);
    await waiting;
    expect(store.cachedVersion(counter("alice"))).toBe(2);
    expect(wire.count(/\.STREAM\.MSG\.GET\./)).toBeGreaterThan(0);
    expect(wire.count(/\.DIRECT\.GET\./)).toBe(0);
  }, 30_000);
});
