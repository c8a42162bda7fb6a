import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { auditStream } from "../support/fault-audit.ts";
import { StoreProcess } from "../support/fault-process.ts";
import {
  acknowledged,
  type Acknowledged,
  appendOne,
  codeOf,
  counted,
  counter,
  openStore,
} from "../support/fault-store.ts";
import { freshStream } from "../support/server.ts";

let server: NatsServer;

beforeAll(async () => {
  server = await startServer({ sync: "default" });
});

afterAll(() => server.stop());

describe("racing writers", () => {
  it("V10 of two processes with warm caches that append at one version exactly one succeeds", async () => {
    const stream = freshStream();
    await using store = await openStore(server.url, stream);
    await using left = await StoreProcess.start("left", server.url, stream);
    await using right = await StoreProcess.start("right", server.url, stream);
    const actor = "contended";
    const done: Acknowledged[] = [acknowledged(actor, await appendOne(store, actor, "none"))];
    await Promise.all([left.run({ do: "look", actor }), right.run({ do: "look", actor })]);
    for (let version = 1; version <= 40; version++) {
      const append = {
        do: "append",
        actor,
        expectedVersion: version,
        atMs: Date.now() + 15,
      } as const;
      const answers = await Promise.all([left.run(append), right.run(append)]);
      const winners = answers.filter(({ code }) => code === undefined);
      const losers = answers.filter(({ code }) => code === "version_conflict");
      expect([winners.length, losers.length], `version ${version}`).toEqual([1, 1]);
      // the loser's answer shows its cache after the conflict, the winner's before the append
      expect(winners[0]?.cachedVersion).toBe(version);
      expect(losers[0]?.cachedVersion).toBe(version + 1);
      done.push(...winners.flatMap((winner) => winner.acknowledged));
    }
    expect(await auditStream(store, done)).toHaveLength(41);
  });

  it("V10 two stores that race on one actor have exactly one winner in each of 1,000 rounds", async () => {
    const stream = freshStream();
    await using left = await openStore(server.url, stream);
    await using right = await openStore(server.url, stream);
    const done: Acknowledged[] = [];
    const wins = { left: 0, right: 0 };
    for (let version = 0; version < 1_000; version++) {
      // who calls first alternates, so that each has its chance
      const stores = version % 2 === 0 ? [left, right] : [right, left];
      const outcomes = await Promise.allSettled(
        stores.map((store) => appendOne(store, "contended", version)),
      );
      const stored = outcomes.flatMap((outcome, at) =>
        outcome.status === "fulfilled" ? [{ result: outcome.value, store: stores[at] }] : [],
      );
      const refusals = outcomes.flatMap((outcome) =>
        outcome.status === "rejected" ? [codeOf(outcome.reason)] : [],
      );
      expect(stored, `round ${version}`).toHaveLength(1);
      expect(refusals).toEqual(["version_conflict"]);
      for (const { result, store } of stored) {
        expect(result.version).toBe(version + 1);
        done.push(acknowledged("contended", result));
        wins[store === left ? "left" : "right"]++;
      }
    }
    expect(Math.min(wins.left, wins.right)).toBeGreaterThan(0);
    expect(await auditStream(left, done)).toHaveLength(1_000);
  });

  it("V22 10,000 random operations by 4 processes leave dense versions, nothing lost, nothing doubled", async () => {
    const seed = Number(process.env["ANNAL_TEST_SEED"] ?? Date.now() % 1_000_000);
    process.stdout.write(`V22 seed ${seed} (repeat with ANNAL_TEST_SEED=${seed})\n`);
    const stream = freshStream();
    await using store = await openStore(server.url, stream);
    const actors = ["a", "b", "c", "d", "e"];
    const processes = await Promise.all(
      ["p0", "p1", "p2", "p3"].map((name) => StoreProcess.start(name, server.url, stream)),
    );
    try {
      const answers = await Promise.all(
        processes.map((writer, at) =>
          writer.run({ do: "mix", actors, operations: 2_500, seed: seed + at * 104_729 }),
        ),
      );
      for (const { code, message } of answers) expect(message ?? code).toBeUndefined();
      const done = answers.flatMap((answer) => answer.acknowledged);
      const refused = new Set(answers.flatMap((answer) => answer.refused));
      const stored = await auditStream(store, done);
      expect(stored).toHaveLength(done.length);
      expect(stored.filter(({ commitId }) => refused.has(commitId))).toEqual([]);
      // the mix must have raced, or it has shown nothing
      expect(refused.size).toBeGreaterThan(100);
      expect(done.length).toBeGreaterThan(2_000);
    } finally {
      await Promise.all(processes.map((writer) => writer[Symbol.asyncDispose]()));
    }
  });

  it("V23 two appendAll over the same actors in opposite order never wait for each other; one wins", async () => {
    const stream = freshStream();
    await using left = await openStore(server.url, stream);
    await using right = await openStore(server.url, stream);
    const ids = ["one", "two", "three"];
    const done: Acknowledged[] = [];
    const appendTo = async (store: typeof left, order: readonly string[], version: number) => {
      const entries = order.map((id) => ({
        actor: counter(id),
        events: [counted(store === left ? "left" : "right", version)],
        expectedVersion: version,
      }));
      const results = await store.appendAll(entries);
      return order.map((id, at) => {
        const result = results[at];
        if (result === undefined) throw new Error("a result for each entry");
        return acknowledged(id, result);
      });
    };
    for (let version = 0; version < 60; version++) {
      // in the first half two processes' worth of stores, in the second both calls within one store
      const other = version < 30 ? right : left;
      const outcomes = await Promise.allSettled([
        appendTo(left, ids, version),
        appendTo(other, ids.toReversed(), version),
      ]);
      const winners = outcomes.filter(({ status }) => status === "fulfilled");
      expect(winners, `round ${version}`).toHaveLength(1);
      const refusals = outcomes.flatMap((outcome) =>
        outcome.status === "rejected" ? [codeOf(outcome.reason)] : [],
      );
      expect(refusals).toEqual(["version_conflict"]);
      for (const outcome of outcomes) {
        if (outcome.status === "fulfilled") done.push(...outcome.value);
      }
    }
    const stored = await auditStream(left, done);
    expect(stored).toHaveLength(180);
    // one order per round: the three commits of a round have one writer and stand side by side
    for (let at = 0; at < stored.length; at += 3) {
      const ids = stored.slice(at, at + 3).map(({ commitId }) => commitId.replace(/\/\d+$/, ""));
      expect(new Set(ids).size).toBe(1);
    }
  });

  it("V23 two appendAll with any expectation in opposite order are both stored, one behind the other", async () => {
    const stream = freshStream();
    await using left = await openStore(server.url, stream);
    await using right = await openStore(server.url, stream);
    const entries = ["one", "two"].map((id) => ({
      actor: counter(id),
      events: [counted("test", 1)],
      expectedVersion: "any" as const,
    }));
    for (let round = 1; round <= 20; round++) {
      const [first, second] = await Promise.all([
        left.appendAll(entries),
        right.appendAll(entries.toReversed()),
      ]);
      const of = (results: typeof first): number[] => results.map(({ version }) => version);
      expect(new Set(of(first)).size).toBe(1);
      expect(new Set(of(second)).size).toBe(1);
      expect(new Set([...of(first), ...of(second)])).toEqual(new Set([round * 2 - 1, round * 2]));
    }
    expect(await auditStream(left, [])).toHaveLength(80);
  });

  it("V23 two appendAll in opposite order do not lock each other out while single appends hold their actors", async () => {
    await using store = await openStore(server.url, freshStream());
    const entries = ["one", "two"].map((id) => ({
      actor: counter(id),
      events: [counted("test", 1)],
      expectedVersion: "any" as const,
    }));
    // each batch finds its first actor taken; if it held that one while it waits for the other, both would wait for ever
    for (let round = 0; round < 5; round++) {
      await Promise.all([
        appendOne(store, "one", "any"),
        appendOne(store, "two", "any"),
        store.appendAll(entries),
        store.appendAll(entries.toReversed()),
      ]);
    }
    expect(await auditStream(store, [])).toHaveLength(30);
  }, 20_000);
});
