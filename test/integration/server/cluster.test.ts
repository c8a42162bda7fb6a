import { jetstream } from "@nats-io/jetstream";
import { expect, test } from "vitest";
import { startServer } from "../../../src/server/index.ts";
import { eventually } from "../../support/server.ts";
import { countStored, isRunning, pidOf, storeOne, withConnection } from "./server-probe.ts";

test("a cluster of three takes a stream with three replicas at once", async () => {
  await using cluster = await startServer({ cluster: 3 });
  expect(cluster.nodes).toHaveLength(3);
  expect(cluster.url).toBe(cluster.nodes.map((node) => node.url).join(","));
  await storeOne(cluster.url, "REPLICATED", 3);
  expect(await countStored(cluster.url, "REPLICATED")).toBe(1);
});

test("a cluster goes on without one node, paused or killed, which then catches up", async () => {
  await using cluster = await startServer({ cluster: 3 });
  await storeOne(cluster.url, "REPLICATED", 3);
  const [first, second, third] = cluster.nodes;
  if (first === undefined || second === undefined || third === undefined) throw new Error("three");

  await third.pause();
  const rest = `${first.url},${second.url}`;
  await withConnection(rest, async (nc) => {
    await eventually(() => jetstream(nc).publish("REPLICATED.a", "y"), { timeoutMs: 20_000 });
  });
  await third.resume();

  await first.kill();
  const remaining = `${second.url},${third.url}`;
  await eventually(() => storeOne(remaining, "REPLICATED", 3), { timeoutMs: 20_000 });
  await first.restart();
  await eventually(async () => (await countStored(first.url, "REPLICATED")) >= 3, {
    timeoutMs: 20_000,
  });
});

test("a cluster that was killed as a whole comes back with its data", async () => {
  await using cluster = await startServer({ cluster: 3 });
  await storeOne(cluster.url, "REPLICATED", 3);
  const { url } = cluster;
  const pids = cluster.nodes.map(pidOf);
  await cluster.kill();
  expect(pids.filter(isRunning)).toEqual([]);
  await cluster.restart();
  expect(cluster.url).toBe(url);
  const count = await eventually(() => countStored(url, "REPLICATED"), { timeoutMs: 20_000 });
  expect(count).toBe(1);
});
