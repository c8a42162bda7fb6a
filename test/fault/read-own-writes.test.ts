import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { appendOne, counter, openStore, versionsOf } from "../support/fault-store.ts";
import { eventually, freshStream } from "../support/server.ts";
import { startWire, type Wire } from "../support/wire.ts";

/*
 * On a replicated stream a read is answered by the nearest replica. Of those right after an append some in a hundred are
 * answered by one that lags, which no test can bring about: so these look at who was asked.
 */

let cluster: NatsServer;
let wire: Wire;

beforeAll(async () => {
  cluster = await startServer({ cluster: 3, sync: "default" });
  wire = await startWire(cluster.nodes[0]?.url ?? "");
});

afterAll(async () => {
  await wire.close();
  await cluster.stop();
});

function leaderReads(): number {
  return wire.published.filter(
    ({ subject, text }) => subject.includes(".STREAM.MSG.GET.") && text.includes("last_by_subj"),
  ).length;
}

describe("a read on a replicated stream", () => {
  it("leaves the leader alone where the actor was never in the cache", async () => {
    const stream = freshStream();
    await using other = await openStore(wire.url, stream, { replicas: 3 });
    await appendOne(other, "theirs", "none");
    const { position } = await appendOne(other, "last", "none");
    await using store = await openStore(wire.url, stream, { replicas: 3 });
    await store.waitFor(position);
    expect(store.cachedVersion(counter("theirs"))).toBeUndefined();
    wire.reset();
    await eventually(async () => expect(await versionsOf(store, "theirs")).toEqual([1]));
    expect(leaderReads()).toBe(0);
  });

  it.each([
    ["is off", 0],
    ["had no room for it", 1],
  ])(
    "is answered by the leader where the cache %s, so that it shows what was just appended",
    async (_, cacheMaxActors) => {
      await using store = await openStore(wire.url, freshStream(), { replicas: 3, cacheMaxActors });
      await appendOne(store, "own", "none");
      await appendOne(store, "other", "none");
      wire.reset();
      expect(await versionsOf(store, "own")).toEqual([1]);
      expect(leaderReads()).toBe(1);
    },
  );
});
