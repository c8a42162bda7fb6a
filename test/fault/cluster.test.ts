import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { auditStream } from "../support/fault-audit.ts";
import { leaderOf } from "../support/fault-leader.ts";
import { appendLoad, batchLoad } from "../support/fault-load.ts";
import { pauseServer } from "../support/fault-pause.ts";
import {
  appendOne,
  counter,
  type CountingStore,
  openStore,
  versionsOf,
} from "../support/fault-store.ts";
import { eventually, freshStream } from "../support/server.ts";
import { startWire } from "../support/wire.ts";

let cluster: NatsServer;

beforeAll(async () => {
  cluster = await startServer({ cluster: 3, sync: "default" });
});

afterAll(() => cluster.stop());

const patient = {
  replicas: 3,
  appendTimeoutMs: 45_000,
  ackTimeoutMs: 1_000,
  readTimeoutMs: 30_000,
  connectTimeoutMs: 15_000,
};

async function followerOf(stream: string): Promise<NatsServer> {
  const leader = await leaderOf(cluster, stream);
  const follower = cluster.nodes.find((node) => node !== leader);
  if (follower === undefined) throw new Error("a cluster has followers");
  return follower;
}

/** Counts reads that fell back to the server's filtered read because the index led nowhere. */
class Holes implements Disposable {
  count = 0;
  readonly #take = (): void => {
    this.count++;
  };

  constructor() {
    subscribe("annal:history", this.#take);
  }

  [Symbol.dispose](): void {
    unsubscribe("annal:history", this.#take);
  }
}

/** The ways to see an actor's version. */
const looks = [
  ["readLast", async (store, id) => (await store.readLast(counter(id), 1))[0]?.version],
  ["latestVersion", (store, id) => store.latestVersion(counter(id))],
  ["read", async (store, id) => (await versionsOf(store, id)).at(-1)],
] as const satisfies readonly [string, (store: CountingStore, id: string) => Promise<unknown>][];

describe("replicas that lag", () => {
  it("never hide a store's own writes from it, 1,000 times at a follower", async () => {
    const stream = freshStream();
    const founder = await openStore(cluster.url, stream, patient);
    await appendOne(founder, "founder", 0);
    const follower = await followerOf(stream);
    await using store = await openStore(follower.url, stream, {
      ...patient,
      ignoreClusterUpdates: true,
    });
    using holes = new Holes();
    for (let version = 1; version <= 1_000; version++) {
      const id = `actor-${version % 10}`;
      const expected = Math.floor((version - 1) / 10);
      await appendOne(store, id, expected);
      const [how, look] = looks[version % looks.length] ?? looks[0];
      expect({ how, version: await look(store, id) }).toEqual({ how, version: expected + 1 });
    }
    expect(holes.count).toBe(0);
    expect(await auditStream(store, [])).toHaveLength(1_001);
    await founder.close();
  });

  it("never hide what the leader has shown: pointers that a replica lacks are asked of the leader", async () => {
    const stream = freshStream();
    const founder = await openStore(cluster.url, stream, patient);
    await appendOne(founder, "alice", 0);
    const leader = await leaderOf(cluster, stream);
    const follower = await followerOf(stream);
    const near = { ...patient, ignoreClusterUpdates: true };
    await using writer = await openStore(leader.url, stream, near);
    using holes = new Holes();
    let version = 1;
    for (let round = 0; round < 3; round++) {
      await using wire = await startWire(leader.url);
      await using reader = await openStore(`${wire.url},${follower.url}`, stream, {
        ...near,
        noRandomize: true,
        reconnectTimeWait: 1,
      });
      await pauseServer(follower);
      const ids = Array.from({ length: 4_000 }, (_, at) => `other-${at}`);
      const burst = ids.map((id) => appendOne(writer, id, "any", { writer: "x".repeat(500) }));
      for (let more = 0; more < 20; more++) await appendOne(writer, "alice", version++);
      await Promise.all(burst);
      expect(await reader.latestVersion(counter("alice"))).toBe(version);
      // knowing the leader's head, it moves to the follower, which answers before it has caught up
      wire.refuse();
      wire.cut();
      const reading = versionsOf(reader, "alice");
      await follower.resume();
      expect(await reading).toHaveLength(version);
    }
    expect(holes.count).toBe(0);
    await founder.close();
  });
});

describe("a cluster that loses nodes in the middle of appends", () => {
  it.each([
    { what: "appends", start: appendLoad, perRound: 200 },
    { what: "appendAlls", start: batchLoad, perRound: 60 },
  ])(
    "loses and doubles none of the $what when the stream's leader is killed",
    async ({ start, perRound }) => {
      const stream = freshStream();
      await using store = await openStore(cluster.url, stream, patient);
      const load = start(store);
      await load.progress(perRound);
      const leader = await leaderOf(cluster, stream);
      await leader.kill();
      await load.progress(perRound, 40_000);
      await leader.restart();
      await load.progress(perRound, 40_000);
      await load.stop();
      expect(load.failures).toEqual([]);
      expect(await auditStream(store, load.done)).toHaveLength(load.done.length);
    },
    120_000,
  );

  it("loses and doubles nothing when the leader is paused and comes back as it was", async () => {
    const stream = freshStream();
    const founder = await openStore(cluster.url, stream, patient);
    await appendOne(founder, "founder", 0);
    await founder.close();
    const leader = await leaderOf(cluster, stream);
    const follower = await followerOf(stream);
    await using store = await openStore(follower.url, stream, {
      ...patient,
      ignoreClusterUpdates: true,
    });
    const load = appendLoad(store, 20);
    await load.progress(100);
    await pauseServer(leader);
    try {
      await load.progress(200, 40_000);
    } finally {
      await leader.resume();
    }
    await load.progress(100, 40_000);
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(await auditStream(store, load.done)).toHaveLength(load.done.length + 1);
  }, 120_000);

  it("loses and doubles nothing when all nodes are killed at once, and subscriptions go on", async () => {
    const stream = freshStream();
    await using store = await openStore(cluster.url, stream, patient);
    const positions: number[] = [];
    const subscription = store.subscribe();
    const following = (async () => {
      for await (const event of subscription) positions.push(event.position);
    })();
    const load = appendLoad(store, 20);
    await load.progress(200);
    await cluster.kill();
    await cluster.restart();
    await load.progress(200, 40_000);
    await load.stop();
    expect(load.failures).toEqual([]);
    const stored = await auditStream(store, load.done);
    expect(stored).toHaveLength(load.done.length);
    await eventually(() => positions.length >= stored.length, { timeoutMs: 30_000 });
    expect(positions).toEqual(stored.map(({ position }) => position));
    await subscription.close();
    await following;
  }, 120_000);
});
