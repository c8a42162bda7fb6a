import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { appendOne, type CountingStore, openStore } from "../support/fault-store.ts";
import { freshStream } from "../support/server.ts";

let cluster: NatsServer;

beforeAll(async () => {
  cluster = await startServer({ cluster: 3, sync: "default" });
});

afterAll(() => cluster.stop());

/** A replicated stream in which each of three actors has one commit; its store looks at it all the time. */
async function threeCommits(): Promise<CountingStore> {
  const options = { replicas: 3, identityCheckMs: 10 };
  const store = await openStore(cluster.url, freshStream(), options);
  for (const id of ["alice", "bob", "carol"]) await appendOne(store, id, 0);
  return store;
}

/** An administrator purges an actor. */
async function purge({ stream }: CountingStore, id: string): Promise<void> {
  const nc = await connect({ servers: cluster.url.split(",") });
  const manager = await jetstreamManager(nc, { checkAPI: false });
  await manager.streams.purge(stream, { filter: `${stream.toLowerCase()}.counter.${id}` });
  await nc.close();
}

/** Reads one commit at a time; after the first one, what stands at the end of the stream is purged. */
async function readAndPurge(
  store: CountingStore,
  values: AsyncIterable<{ readonly actor: { readonly id: string } }>,
): Promise<string[]> {
  const seen: string[] = [];
  for await (const { actor } of values) if (seen.push(actor.id) === 1) await purge(store, "carol");
  return seen;
}

describe("on a replicated stream whose last commit was purged in the middle of a read", () => {
  it("readAll ends", async () => {
    await using store = await threeCommits();
    const values = store.readAll({ maxBufferedCommits: 1 });
    expect(await readAndPurge(store, values)).toEqual(["alice", "bob"]);
  }, 30_000);

  it("a subscription is caught up", async () => {
    await using store = await threeCommits();
    const live = store.subscribe({ maxBufferedCommits: 1 });
    const reading = readAndPurge(store, live);
    await live.caughtUp;
    await live.close();
    expect(await reading).toEqual(["alice", "bob"]);
  }, 30_000);
});
