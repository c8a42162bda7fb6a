import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { Bucket } from "../../src/nats/bucket.ts";
import { startReactor } from "../../src/projection/index.ts";
import { decodeCheckpoint } from "../../src/projection/checkpoint.ts";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { internalsOf } from "../../src/store/internals.ts";
import {
  LEASE_MS,
  REACTOR,
  ReactorProcess,
  readLines,
  SAVED_EVERY,
  turnsOf,
} from "../support/fault-reactor.ts";
import { Load } from "../support/fault-load.ts";
import { acknowledged, appendOne, type CountingStore, openStore } from "../support/fault-store.ts";
import { eventually, freshStream } from "../support/server.ts";

let server: NatsServer;
let directory: string;

beforeAll(async () => {
  server = await startServer({ sync: "default" });
  directory = await mkdtemp(join(tmpdir(), "annal-reactor-"));
});

afterAll(async () => {
  await server.stop();
  await rm(directory, { recursive: true, force: true });
});

/** Patient, because processes start slowly on a busy machine. */
const patience = { timeoutMs: 30_000 };

/** All values that the checkpoint takes, as counts of handled events. */
async function followCheckpoint(
  store: CountingStore,
): Promise<AsyncDisposable & { readonly applied: number[] }> {
  const { connection } = internalsOf(store).context;
  const bucket = await Bucket.open(connection, { name: "reactors", timeoutMs: 5_000 });
  const key = `${store.stream}.${REACTOR}.checkpoint`;
  const entries = bucket.entries({ filter: key, until: "never" });
  const applied: number[] = [];
  const following = (async () => {
    for await (const batch of entries) {
      for (const { data } of batch) applied.push(decodeCheckpoint("", key, data).applied);
    }
  })();
  return {
    applied,
    async [Symbol.asyncDispose]() {
      await entries.return?.();
      await following;
    },
  };
}

/** Appends numbered events, never far ahead of what is handled. */
function appending(store: CountingStore, file: string): Load {
  return new Load(1, async (_, version) => {
    const isNear = (): boolean => version < (readLines(file).at(-1)?.n ?? 0) + 60;
    await eventually(isNear, patience);
    return [acknowledged("one", await appendOne(store, "one", version))];
  });
}

/** Ends the load, and tells how many events there are. */
async function end(load: Load): Promise<number> {
  await load.stop();
  expect(load.failures).toEqual([]);
  return load.done.length;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, at) => from + at);
}

describe("reactors in several processes", () => {
  it("handle every event at least once and in order where the active one is killed again and again", async () => {
    const stream = freshStream();
    const file = join(directory, stream);
    await using store = await openStore(server.url, stream);
    await using followed = await followCheckpoint(store);
    const { applied } = followed;
    const running = new Set<ReactorProcess>();
    onTestFinished(async () => {
      await Promise.all([...running].map((each) => each.kill()));
    });
    const add = async (): Promise<void> => {
      running.add(await ReactorProcess.start(server.url, stream, file));
    };
    await Promise.all([add(), add()]);
    const load = appending(store, file);
    const kills = 5;
    for (let round = 1; round <= kills; round++) {
      const before = readLines(file).length;
      await eventually(() => readLines(file).length >= before + 90, patience);
      const active = [...running].find(({ pid }) => pid === readLines(file).at(-1)?.pid);
      if (active === undefined) throw new Error("a process is active that is none of these");
      running.delete(active);
      await active.kill();
      await add();
    }
    const last = await end(load);
    await eventually(() => readLines(file).at(-1)?.n === last, patience);
    await eventually(() => readLines(file).at(-1)?.what === "end");
    const turns = turnsOf(readLines(file));
    expect(turns.length).toBe(kills + 1);
    expect(new Set(turns.map(({ pid }) => pid)).size).toBe(kills + 1);
    let done = 0;
    for (const { begun, ended } of turns) {
      const from = begun[0] ?? 0;
      // no event was left out, and no more repeated than was unsaved
      expect(from).toBeLessThanOrEqual(done + 1);
      expect(from).toBeGreaterThan(done - SAVED_EVERY);
      expect(begun).toEqual(range(from, begun.at(-1) ?? 0));
      expect(ended).toEqual(begun.slice(0, ended.length));
      expect(begun.length - ended.length).toBeLessThanOrEqual(1);
      done = ended.at(-1) ?? done;
    }
    expect(done).toBe(last);
    await eventually(() => applied.at(-1) === last);
    expect(applied).toEqual(applied.toSorted((a, b) => a - b));
    expect([...running].flatMap(({ failures }) => failures)).toEqual([]);
  }, 120_000);

  it("begin nothing more where the active one stands still until another has taken over", async () => {
    const stream = freshStream();
    const file = join(directory, stream);
    await using store = await openStore(server.url, stream);
    await using followed = await followCheckpoint(store);
    const { applied } = followed;
    await using one = await ReactorProcess.start(server.url, stream, file);
    await using other = await ReactorProcess.start(server.url, stream, file);
    const load = appending(store, file);
    for (let round = 1; round <= 4; round++) {
      const before = readLines(file).length;
      await eventually(() => readLines(file).length >= before + 40, patience);
      const pid = readLines(file).at(-1)?.pid;
      const [active, standby] = pid === one.pid ? [one, other] : [other, one];
      active.stop();
      const isOther = (): boolean => readLines(file).at(-1)?.pid === standby.pid;
      await eventually(isOther, patience);
      const stopped = readLines(file).length;
      active.continue();
      await eventually(() => readLines(file).length >= stopped + LEASE_MS / 10, patience);
      const late = readLines(file)
        .slice(stopped)
        .filter((line) => line.pid === active.pid);
      // what it was doing it may have done; it begins nothing
      expect(late.filter(({ what }) => what === "begin")).toEqual([]);
      expect(late.length).toBeLessThanOrEqual(1);
    }
    const last = await end(load);
    await eventually(() => applied.at(-1) === last, patience);
    expect(applied).toEqual(applied.toSorted((a, b) => a - b));
    const ended = readLines(file).filter(({ what }) => what === "end");
    expect(new Set(ended.map(({ n }) => n)).size).toBe(last);
    expect([...one.failures, ...other.failures]).toEqual([]);
  }, 120_000);
});

describe("a reactor whose server dies", () => {
  it("goes on behind what it handled when the server is there again, without losing an event", async () => {
    const own = await startServer({ sync: "default" });
    onTestFinished(() => own.stop());
    await using store = await openStore(own.url, freshStream());
    const handled: number[] = [];
    const positions: number[] = [];
    const start = () =>
      startReactor(store, {
        name: REACTOR,
        events: { counter: ["Counted"] },
        leaseMs: LEASE_MS,
        checkpointEvery: SAVED_EVERY,
        handle: async ({ position, data }) => {
          await new Promise((resolve) => setImmediate(resolve));
          positions.push(position);
          handled.push(data.n);
        },
      });
    await using one = await start();
    await using other = await start();
    const load = new Load(1, async (_, version) => {
      await eventually(() => version < (handled.at(-1) ?? 0) + 60, patience);
      return [acknowledged("one", await appendOne(store, "one", version, { timeoutMs: 30_000 }))];
    });
    for (let round = 1; round <= 3; round++) {
      const before = handled.length;
      await eventually(() => handled.length >= before + 200, patience);
      await own.kill();
      // once it is away for so long that the lease is lost
      const isStandby = (): boolean =>
        [one, other].every((each) => each.status().phase === "standby");
      if (round === 2) await eventually(isStandby, patience);
      await own.restart();
    }
    const last = await end(load);
    await eventually(() => handled.at(-1) === last, patience);
    expect(new Set(handled)).toEqual(new Set(range(1, last)));
    // backwards only by what was unsaved, forwards one by one
    positions.forEach((position, at) => {
      const before = positions[at - 1] ?? 0;
      expect(position).toBeLessThanOrEqual(before + 1);
      expect(position).toBeGreaterThan(before - SAVED_EVERY);
    });
    expect([one, other].map((each) => each.status().phase)).not.toContain("failed");
  }, 120_000);
});
