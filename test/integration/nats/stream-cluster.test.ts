import { connect, type NatsConnection } from "@nats-io/transport-node";
import { jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { borrowConnection } from "../../../src/nats/connection.ts";
import { Feed } from "../../../src/nats/feed.ts";
import { ensureStream } from "../../../src/nats/stream.ts";
import { type NatsServer, startServer } from "../../../src/server/index.ts";
import { eventually, freshStream } from "../../support/server.ts";
import { range, readUntil } from "./feed-stage.ts";

let cluster: NatsServer;
let connections: NatsConnection[];

beforeAll(async () => {
  cluster = await startServer({ cluster: 3 });
  connections = await Promise.all(
    cluster.nodes.map(({ url }) =>
      connect({
        servers: [url, ...cluster.url.split(",")],
        noRandomize: true,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 50,
      }),
    ),
  );
});
afterAll(async () => {
  await Promise.all(connections.map((connection) => connection.close()));
  await cluster.stop();
});

async function createEverywhere(name: string): Promise<string[]> {
  const streams = await Promise.all(
    connections.map((connection, index) =>
      ensureStream(connection, {
        name,
        prefix: name,
        replicas: 3,
        duplicateWindowMs: 60_000 + index,
        timeoutMs: 15_000,
      }),
    ),
  );
  return streams.map(({ created }) => created);
}

describe("a replicated stream", () => {
  it("is one stream for creators on three nodes at once", async () => {
    expect(new Set(await createEverywhere(freshStream())).size).toBe(1);
  });

  it("is read without gap or repetition when the node of the feed's consumer is killed", async () => {
    const stream = freshStream();
    await createEverywhere(stream);
    const nodes = cluster.nodes.map((node, index) => ({
      node,
      name: connections[index]?.info?.server_name,
    }));
    const [first] = connections;
    if (first === undefined) throw new Error("no connection");
    const manager = await jetstreamManager(first, { checkAPI: false });
    await eventually(() => first.request(`${stream}.a.1`, "x"));
    for (let count = 2; count <= 2_000; count += 1)
      await first.request(`${stream}.a.${count}`, "x");

    const connection = borrowConnection(first, "_INBOX");
    const feed = new Feed(connection, { stream, maxMessages: 100, idleHeartbeatMs: 250 });
    const sequences = await readUntil(feed, 500);
    const [consumer] = await manager.consumers.list(stream).next();
    const holder = nodes.find(({ name }) => name === consumer?.cluster?.leader);
    expect(holder).toBeDefined();
    await holder?.node.kill();
    sequences.push(...(await readUntil(feed, 2_000)));
    expect(sequences).toEqual(range(1, 2_000));
    await feed.close();
    await connection.close();
    await holder?.node.restart();
  });
});
