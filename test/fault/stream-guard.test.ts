import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { ReconnectMessage, RetryMessage } from "../../src/index.ts";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { internalsOf } from "../../src/store/internals.ts";
import type { StreamGuard } from "../../src/store/stream-guard.ts";
import { leaderOf } from "../support/fault-leader.ts";
import { appendLoad } from "../support/fault-load.ts";
import { pauseServer } from "../support/fault-pause.ts";
import { appendOne, type CountingStore, openStore } from "../support/fault-store.ts";
import { eventually, freshStream } from "../support/server.ts";

let cluster: NatsServer;
let startedAt: number;

beforeAll(async () => {
  cluster = await startServer({ cluster: 3, sync: "default" });
  startedAt = performance.now();
});

afterAll(() => cluster.stop());

const patient = {
  replicas: 3,
  appendTimeoutMs: 45_000,
  ackTimeoutMs: 1_000,
  readTimeoutMs: 30_000,
  connectTimeoutMs: 15_000,
};

function guardOf(store: CountingStore): StreamGuard {
  return internalsOf(store).context.guard;
}

/** What a channel says of a stream while a test runs. */
function hear<Message extends { readonly stream: string }>(
  channel: string,
  stream: string,
): readonly Message[] {
  const heard: Message[] = [];
  const take = (message: unknown): void => {
    const said = message as Message;
    if (said.stream === stream) heard.push(said);
  };
  subscribe(channel, take);
  onTestFinished(() => void unsubscribe(channel, take));
  return heard;
}

/** Follows a stream; `upTo` waits until all positions up to one were read, each once and in order, and ends it. */
function follow(store: CountingStore): { upTo(position: number): Promise<void> } {
  const live = store.subscribe();
  let last = 0;
  const reading = (async () => {
    for await (const { position } of live) {
      expect(position).toBe(last + 1);
      last = position;
    }
  })();
  reading.catch(() => {});
  return {
    async upTo(position) {
      const reached = eventually(() => last >= position, { timeoutMs: 30_000 });
      await Promise.race([reached, reading]);
      await live.close();
      await reading;
      expect(last).toBe(position);
    },
  };
}

describe("a commit that a replica has shown, and the leader has not yet", () => {
  /** A store that has seen the commit of position 2 before it is there. */
  async function aheadOfLeader(): Promise<CountingStore> {
    const store = await openStore(cluster.url, freshStream(), patient);
    await appendOne(store, "alice", 0);
    const retries = hear<RetryMessage>("annal:retry", store.stream);
    guardOf(store).saw(2, "second");
    guardOf(store).suspect();
    await eventually(() => retries.some(({ reason }) => reason.includes("position 2")));
    return store;
  }

  it("is waited for", async () => {
    await using store = await aheadOfLeader();
    await using other = await openStore(cluster.url, store.stream, patient);
    await appendOne(other, "bob", 0, { commitId: "second" });
    await guardOf(store).checking;
    expect(guardOf(store).epoch).toBe(0);
    expect((await appendOne(store, "alice", 1)).position).toBe(3);
  }, 30_000);

  it("is a rollback at once where another commit comes to stand there", async () => {
    await using store = await aheadOfLeader();
    await using other = await openStore(cluster.url, store.stream, patient);
    await appendOne(other, "bob", 0, { commitId: "other" });
    await guardOf(store).checking;
    expect(guardOf(store).rollback).toEqual({
      position: 2,
      expectedCommitId: "second",
      actualCommitId: "other",
    });
  }, 30_000);

  it("is a rollback in the end where nothing ever stands there", async () => {
    await using store = await aheadOfLeader();
    // What is seen meanwhile does not cover up what is missing.
    guardOf(store).saw(3, "third");
    await guardOf(store).checking;
    expect(guardOf(store).rollback).toEqual({
      position: 2,
      expectedCommitId: "second",
      actualCommitId: undefined,
    });
    expect(guardOf(store).epoch).toBe(1);
  }, 30_000);
});

describe("a replicated stream that loses its leader under a live reader", () => {
  /** From then on a group without a leader lets its members say how far they themselves are. */
  async function untilLeaderlessAnswers(): Promise<void> {
    await eventually(() => performance.now() - startedAt > 12_000, { timeoutMs: 15_000 });
  }

  it.each(["killed", "paused"])(
    "is never taken for rolled back when the leader is %s",
    async (how) => {
      const stream = freshStream();
      const told = hear<ReconnectMessage>("annal:reconnect", stream);
      await using founder = await openStore(cluster.url, stream, patient);
      const leader = await leaderOf(cluster, founder.stream);
      const follower = cluster.nodes.find((node) => node !== leader);
      await using store = await openStore(follower?.url ?? "", stream, {
        ...patient,
        ignoreClusterUpdates: true,
        identityCheckMs: 10,
      });
      const load = appendLoad(store, 32);
      // The server puts their consumers on any of the nodes: some are at one that is ahead of the leader.
      const readers = Array.from({ length: 6 }, () => follow(store));
      await load.progress(200);
      await untilLeaderlessAnswers();
      if (how === "killed") await leader.kill();
      else await pauseServer(leader);
      try {
        await load.progress(500, 40_000);
      } finally {
        if (how === "killed") await leader.restart();
        else await leader.resume();
      }
      await load.progress(500, 40_000);
      await load.stop();
      expect(load.failures).toEqual([]);
      for (const reader of readers) await reader.upTo(load.done.length);
      expect(told.filter(({ what }) => what === "rolled_back" || what === "purged")).toEqual([]);
    },
    120_000,
  );
});
