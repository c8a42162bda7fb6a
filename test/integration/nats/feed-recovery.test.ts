import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { afterEach, describe, expect, it } from "vitest";
import { Feed } from "../../../src/nats/feed.ts";
import { startServer } from "../../../src/server/index.ts";
import { eventually, natsUrl } from "../../support/server.ts";
import { type FeedStage, openStage, range, readUntil } from "./feed-stage.ts";

let stage: FeedStage;

afterEach(() => stage.close());

describe("Feed that loses its consumer", () => {
  it("goes on without gap or repetition when the consumer is deleted again and again", async () => {
    stage = await openStage(natsUrl());
    await stage.store(1, 20_000);
    const reasons: string[] = [];
    const feed = new Feed(stage.connection, {
      stream: stage.stream,
      maxMessages: 200,
      onRecreate: (reason) => reasons.push(reason),
    });
    const manager = await jetstreamManager(stage.nc, { checkAPI: false });
    const sequences: number[] = [];
    for (let deletions = 0; deletions < 5; deletions += 1) {
      sequences.push(...(await readUntil(feed, (deletions + 1) * 2_000)));
      const last = sequences.length;
      await eventually(async () => {
        const [consumer] = await stage.consumers();
        return (
          consumer !== undefined && (await manager.consumers.delete(stage.stream, consumer.name))
        );
      });
      expect(last).toBe(sequences.length);
    }
    sequences.push(...(await readUntil(feed, 20_000)));
    expect(sequences).toEqual(range(1, 20_000));
    expect(reasons.length).toBeGreaterThanOrEqual(5);
    await feed.close();
    expect(await stage.consumers()).toEqual([]);
  });

  it("misses nothing that is stored while a feed from now has no consumer", async () => {
    stage = await openStage(natsUrl());
    await stage.store(1, 10);
    let recreated = 0;
    const feed = new Feed(stage.connection, {
      stream: stage.stream,
      start: "new",
      onRecreate: () => {
        recreated += 1;
      },
    });
    const reading = readUntil(feed, 20);
    const name = await eventually(async () => {
      const [consumer] = await stage.consumers();
      return consumer === undefined ? false : consumer.name;
    });
    const manager = await jetstreamManager(stage.nc, { checkAPI: false });
    // In one flight, so that the messages are stored before the feed can have its next consumer.
    await Promise.all([manager.consumers.delete(stage.stream, String(name)), stage.store(11, 20)]);
    expect(await reading).toEqual(range(11, 20));
    await eventually(() => recreated === 1);
    await feed.close();
  });

  it("notices by missing heartbeats that the server is silent, and goes on when it is back", async ({
    skip,
  }) => {
    await using server = await startServer();
    const { pid } = server;
    if (pid === undefined) {
      skip("a server in a container cannot be stopped by a signal");
      return;
    }
    stage = await openStage(server.url);
    await stage.store(1, 10);
    const reasons: string[] = [];
    const feed = new Feed(stage.connection, {
      stream: stage.stream,
      idleHeartbeatMs: 100,
      timeoutMs: 500,
      onRecreate: (reason) => reasons.push(reason),
    });
    expect(await readUntil(feed, 10)).toEqual(range(1, 10));
    const reading = readUntil(feed, 20);
    process.kill(pid, "SIGSTOP");
    try {
      await eventually(() => reasons.includes("missed heartbeats"));
    } finally {
      process.kill(pid, "SIGCONT");
    }
    await stage.store(11, 20);
    expect(await reading).toEqual(range(11, 20));
    await feed.close();
    await stage.close();
  });

  it("does not take a quiet stream for a lost consumer", async () => {
    stage = await openStage(natsUrl());
    await stage.store(1, 1);
    const reasons: string[] = [];
    const feed = new Feed(stage.connection, {
      stream: stage.stream,
      idleHeartbeatMs: 100,
      onRecreate: (reason) => reasons.push(reason),
    });
    await feed.next();
    const waiting = feed.next();
    const before = stage.nc.stats().inMsgs;
    // Ten heartbeats come only to a pull that lives.
    await eventually(() => stage.nc.stats().inMsgs >= before + 10);
    expect(reasons).toEqual([]);
    await stage.store(2, 2);
    expect((await waiting)?.map(({ sequence }) => sequence)).toEqual([2]);
    await feed.close();
  });

  it("goes on without gap or repetition when the connection breaks", async () => {
    stage = await openStage(natsUrl());
    await stage.store(1, 5_000);
    const writer = await connect({ servers: natsUrl() });
    const feed = new Feed(stage.connection, { stream: stage.stream, maxMessages: 500 });
    const sequences = await readUntil(feed, 1_000);
    for (let breaks = 1; breaks <= 3; breaks += 1) {
      await stage.nc.reconnect();
      await writer.request(`${stage.stream}.later.${breaks}`, "x");
      sequences.push(...(await readUntil(feed, 1_000 + breaks * 1_000)));
    }
    sequences.push(...(await readUntil(feed, 5_003)));
    expect(sequences).toEqual(range(1, 5_003));
    await feed.close();
    await writer.close();
  });

  it("goes on without gap or repetition when the server is killed and started again", async () => {
    await using server = await startServer();
    stage = await openStage(server.url);
    await stage.store(1, 3_000);
    const reasons: string[] = [];
    const feed = new Feed(stage.connection, {
      stream: stage.stream,
      maxMessages: 500,
      onRecreate: (reason) => reasons.push(reason),
    });
    const sequences = await readUntil(feed, 1_000);
    await server.kill();
    await server.restart();
    sequences.push(...(await readUntil(feed, 3_000)));
    await stage.store(3_001, 3_500);
    sequences.push(...(await readUntil(feed, 3_500)));
    expect(sequences).toEqual(range(1, 3_500));
    expect(reasons).toContain("disconnected");
    await feed.close();
    await stage.close();
  });
});
