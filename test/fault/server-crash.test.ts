import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AppendOutcomeUnknownError } from "../../src/index.ts";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { auditStream } from "../support/fault-audit.ts";
import { StoreProcess } from "../support/fault-process.ts";
import { appendLoad, batchLoad } from "../support/fault-load.ts";
import { Losses } from "../support/fault-losses.ts";
import { pauseServer } from "../support/fault-pause.ts";
import { acknowledged, appendOne, codeOf, openStore } from "../support/fault-store.ts";
import { eventually, freshStream } from "../support/server.ts";

let server: NatsServer;

beforeEach(async () => {
  server = await startServer();
});

afterEach(() => server.stop());

const patient = { appendTimeoutMs: 30_000, ackTimeoutMs: 1_000, readTimeoutMs: 30_000 };

describe("a server that is killed in the middle of appends and restarted", () => {
  it.each([
    { what: "appends", start: appendLoad, perRound: 400 },
    { what: "appendAlls", start: batchLoad, perRound: 60 },
  ])(
    "loses and doubles none of the $what, which all end well within their deadline",
    async ({ start, perRound }) => {
      const stream = freshStream();
      await using store = await openStore(server.url, stream, patient);
      using losses = new Losses();
      const load = start(store);
      for (let round = 0; round < 6; round++) {
        await load.progress(perRound);
        await server.kill();
        await server.restart();
      }
      await load.progress(perRound);
      await load.stop();
      expect(load.failures).toEqual([]);
      const stored = await auditStream(store, load.done);
      expect(stored).toHaveLength(load.done.length);
      expect(losses.count).toBeGreaterThan(0);
    },
    90_000,
  );

  it.each([
    { what: "appends", start: appendLoad, perRound: 400 },
    { what: "appendAlls", start: batchLoad, perRound: 60 },
  ])(
    "gives $what without an answer in time an unknown outcome, which resolve settles",
    async ({ start, perRound }) => {
      const stream = freshStream();
      const hasty = { appendTimeoutMs: 600, ackTimeoutMs: 200, readTimeoutMs: 600 };
      await using store = await openStore(server.url, stream, hasty);
      const load = start(store);
      await load.progress(perRound);
      await pauseServer(server);
      // what was sent meanwhile dies with the server; nobody answers before the deadline
      await eventually(() => load.failures.length > 0);
      await load.stop();
      await server.kill();
      await server.restart();
      expect(new Set(load.failures.map(codeOf))).toEqual(new Set(["append_outcome_unknown"]));
      const before = (await auditStream(store, load.done)).length;
      let settled = 0;
      for (const failure of load.failures) {
        if (!(failure instanceof AppendOutcomeUnknownError)) throw failure;
        const results = await store.resolve(failure, { timeoutMs: 20_000 });
        const ids = failure.places.map(({ actor }) => actor.id);
        load.done.push(...results.map((result, at) => acknowledged(ids[at] ?? "", result)));
        settled += results.length;
      }
      expect(settled).toBeGreaterThan(0);
      expect(before).toBeLessThanOrEqual(load.done.length);
      expect(await auditStream(store, load.done)).toHaveLength(load.done.length);
    },
  );

  it("lets subscriptions go on without gap or repetition while another process appends", async () => {
    const stream = freshStream();
    await using store = await openStore(server.url, stream, patient);
    await using writer = await StoreProcess.start("writer", server.url, stream);
    const positions: number[] = [];
    const commitIds: string[] = [];
    const subscription = store.subscribe();
    const following = (async () => {
      for await (const event of subscription) {
        positions.push(event.position);
        commitIds.push(event.commitId);
      }
    })();
    const filling = writer.run({ do: "fill", actors: ["a", "b", "c"], appends: 1_500 });
    for (let round = 1; round <= 3; round++) {
      await eventually(() => positions.length >= round * 300, { timeoutMs: 30_000 });
      await server.kill();
      await server.restart();
    }
    const { acknowledged: written, message } = await filling;
    expect(message).toBeUndefined();
    expect(written).toHaveLength(1_500);
    await eventually(() => positions.length >= 1_500, { timeoutMs: 30_000 });
    // one more behind all of them: were anything repeated or late, it would come before this
    await appendOne(store, "last", "none", { commitId: "last" });
    await eventually(() => commitIds.includes("last"), { timeoutMs: 10_000 });
    await subscription.close();
    await following;
    expect(positions).toEqual(Array.from({ length: 1_501 }, (_, at) => at + 1));
    expect(new Set(commitIds)).toEqual(new Set([...written.map((w) => w.commitId), "last"]));
    expect(await auditStream(store, written)).toHaveLength(1_501);
  }, 90_000);
});
