import { describe, expect, it } from "vitest";
import type { AppendEntry, ExpectedVersion } from "../../src/index.ts";
import { auditStream } from "./fault-audit.ts";
import {
  appendOne,
  codeOf,
  counted,
  counter,
  type Counting,
  type CountingStore,
  failureOf,
  openStore,
} from "./fault-store.ts";
import { eventually, freshStream } from "./server.ts";
import { answerTo, publishTo, startWire, type Wire } from "./wire.ts";

/** Where a suite runs. */
export interface Place {
  /** URL of one server; of a cluster, of any of its nodes. */
  readonly url: string;
  readonly replicas: number;
}

interface Stage extends AsyncDisposable {
  readonly stream: string;
  readonly wire: Wire;
  /** Behind the wire. */
  readonly store: CountingStore;
  /** Another store, which no fault meets. */
  readonly other: CountingStore;
  /** A process that starts after the fault: nothing cached. */
  fresh(): Promise<CountingStore>;
}

/** Short enough for a test to outlive it. */
const WINDOW_MS = 400;
const ALICE = "alice";

async function openStage({ url, replicas }: Place, duplicateWindowMs: number): Promise<Stage> {
  const stream = freshStream();
  const wire = await startWire(url);
  const shared = { replicas, duplicateWindowMs };
  const other = await openStore(url, stream, shared);
  const store = await openStore(wire.url, stream, { ...shared, ackTimeoutMs: 300 });
  const opened = [store, other];
  return {
    stream,
    wire,
    store,
    other,
    async fresh() {
      const one = await openStore(url, stream, shared);
      opened.push(one);
      return one;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(opened.map((one) => one.close()));
      await wire.close();
    },
  };
}

function subjectOf({ stream }: Stage, id: string): string {
  return `${stream.toLowerCase()}.counter.${id}`;
}

function entriesFor(ids: readonly string[], expectedVersion: number): AppendEntry<Counting>[] {
  return ids.map((id) => ({ actor: counter(id), events: [counted("batch", 1)], expectedVersion }));
}

/** Appends `count` commits with numbered versions behind `version`. */
async function appendMore(store: CountingStore, version: number, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await appendOne(store, ALICE, version + n);
}

async function outlive(windowMs: number): Promise<void> {
  const end = performance.now() + windowMs * 2;
  await eventually(() => performance.now() > end);
}

/** Brings the actor to where the expectation holds; returns its version. */
async function prepare(store: CountingStore, expected: ExpectedVersion): Promise<number> {
  const versions = { none: 0, any: 2, exists: 2 };
  const version = typeof expected === "number" ? expected : versions[expected];
  await appendMore(store, 0, version);
  return version;
}

/** V13 in all parts that need one server or one healthy cluster. */
export function describeRepetition(name: string, place: () => Place): void {
  describe(`V13 on ${name}, an append whose ack is lost`, () => {
    lostAcks(place);
  });
  describe(`V13 on ${name}, an append repeated with its commit id`, () => {
    repetitions(place);
  });
  describe(`V13 on ${name}, an appendAll`, () => {
    batches(place);
  });
}

function lostAcks(place: () => Place): void {
  it.each([0, "none", 2, "any", "exists"] as const)(
    "reports success and is stored once where the ack is dropped (expected %s)",
    async (expected) => {
      await using stage = await openStage(place(), 60_000);
      const { store, wire, other } = stage;
      const before = await prepare(other, expected);
      const dropped = wire.drop(answerTo(subjectOf(stage, ALICE)));
      const result = await appendOne(store, ALICE, expected, { commitId: "mine" });
      expect(dropped.frames).toHaveLength(1);
      expect(result).toMatchObject({ version: before + 1, commitId: "mine", replayed: false });
      const stored = await auditStream(other, [{ actor: ALICE, ...result }]);
      expect(stored).toHaveLength(before + 1);
      expect(store.cachedVersion(counter(ALICE))).toBe(before + 1);
    },
  );

  it.each([0, "none", 2, "any", "exists"] as const)(
    "reports success and is stored once where the connection is cut before the ack (expected %s)",
    async (expected) => {
      await using stage = await openStage(place(), 60_000);
      const { store, wire, other } = stage;
      const before = await prepare(other, expected);
      const held = wire.hold(answerTo(subjectOf(stage, ALICE)));
      const appending = appendOne(store, ALICE, expected);
      await held.reached();
      wire.cut();
      held.release();
      const result = await appending;
      expect(result).toMatchObject({ version: before + 1, replayed: false });
      const stored = await auditStream(other, [{ actor: ALICE, ...result }]);
      expect(stored).toHaveLength(before + 1);
    },
  );

  it("reports the original version though others have appended behind it meanwhile", async () => {
    await using stage = await openStage(place(), 60_000);
    const { store, wire, other } = stage;
    await appendMore(other, 0, 2);
    const held = wire.hold(answerTo(subjectOf(stage, ALICE)));
    const appending = appendOne(store, ALICE, 2);
    await held.reached();
    await appendMore(other, 3, 20);
    wire.cut();
    held.release();
    const result = await appending;
    expect(result).toMatchObject({ version: 3, replayed: false });
    expect(await auditStream(other, [{ actor: ALICE, ...result }])).toHaveLength(23);
  });

  it("is a conflict where it never arrived and another writer took its place", async () => {
    await using stage = await openStage(place(), 60_000);
    const { store, wire, other } = stage;
    await appendMore(other, 0, 2);
    const dropped = wire.drop(publishTo(subjectOf(stage, ALICE)));
    const failing = failureOf(appendOne(store, ALICE, 2, { commitId: "mine" }));
    await dropped.reached();
    await appendOne(other, ALICE, 2);
    expect(await failing).toMatchObject({
      code: "version_conflict",
      expectedVersion: 2,
      actualVersion: 3,
    });
    const stored = await auditStream(other, []);
    expect(stored.filter(({ commitId }) => commitId === "mine")).toEqual([]);
  });

  it("is sent again, and stored once, where it never arrived", async () => {
    await using stage = await openStage(place(), 60_000);
    const { store, wire, other } = stage;
    const dropped = wire.drop(publishTo(subjectOf(stage, ALICE)), 2);
    const result = await appendOne(store, ALICE, 0);
    expect(dropped.frames).toHaveLength(2);
    expect(await auditStream(other, [{ actor: ALICE, ...result }])).toHaveLength(1);
  });
}

function repetitions(place: () => Place): void {
  it.each([0, "none", 2] as const)(
    "reports its first result at once, and long after the window with others behind it (expected %s)",
    async (expected) => {
      await using stage = await openStage(place(), WINDOW_MS);
      const { store, other } = stage;
      const before = await prepare(other, expected);
      const first = await appendOne(store, ALICE, expected, { commitId: "mine" });
      const again = { ...first, replayed: true };
      expect(await appendOne(store, ALICE, expected, { commitId: "mine" })).toEqual(again);
      const fresh = await stage.fresh();
      expect(await appendOne(fresh, ALICE, expected, { commitId: "mine" })).toEqual(again);
      await appendMore(other, before + 1, 80);
      await outlive(WINDOW_MS);
      for (const late of [store, fresh, await stage.fresh()]) {
        expect(await appendOne(late, ALICE, expected, { commitId: "mine" })).toEqual(again);
      }
      expect(await auditStream(other, [])).toHaveLength(before + 81);
    },
  );

  it.each(["any", "exists"] as const)(
    "with %s reports its first result within the window, however many commits stand behind it",
    async (expected) => {
      await using stage = await openStage(place(), 60_000);
      const { store, other } = stage;
      await appendMore(other, 0, 2);
      const first = await appendOne(store, ALICE, expected, { commitId: "mine", n: 9 });
      await appendMore(other, 3, 80);
      for (const late of [store, await stage.fresh()]) {
        const again = await appendOne(late, ALICE, expected, { commitId: "mine", n: 9 });
        expect(again).toEqual({ ...first, replayed: true });
      }
      expect(await auditStream(other, [])).toHaveLength(83);
    },
  );

  it.each(["any", "exists"] as const)(
    "with %s reports its first result after the window while it is among the last 64 commits",
    async (expected) => {
      await using stage = await openStage(place(), WINDOW_MS);
      const { store, other } = stage;
      await appendMore(other, 0, 2);
      const first = await appendOne(store, ALICE, expected, { commitId: "mine", n: 9 });
      await appendMore(other, 3, 63);
      await outlive(WINDOW_MS);
      for (const late of [store, await stage.fresh()]) {
        const again = await appendOne(late, ALICE, expected, { commitId: "mine", n: 9 });
        expect(again).toEqual({ ...first, replayed: true });
      }
      expect(await auditStream(other, [])).toHaveLength(66);
    },
  );

  it.each([0, "none", 2, "any", "exists"] as const)(
    "but with other events is refused (expected %s)",
    async (expected) => {
      await using stage = await openStage(place(), 60_000);
      const { store, other } = stage;
      const before = await prepare(other, expected);
      const first = await appendOne(store, ALICE, expected, { commitId: "mine", n: 7 });
      await appendMore(other, before + 1, 3);
      for (const one of [store, other, await stage.fresh()]) {
        const reused = failureOf(appendOne(one, ALICE, expected, { commitId: "mine", n: 8 }));
        expect(await reused).toMatchObject({
          code: "commit_id_reused",
          commitId: "mine",
          position: first.position,
        });
      }
      expect(await auditStream(other, [])).toHaveLength(before + 4);
    },
  );
}

function batches(place: () => Place): void {
  const ids = ["carol", "bob", "dave"];

  it.each(["dropped", "cut off"] as const)(
    "whose ack is %s reports success and is stored once",
    async (fault) => {
      await using stage = await openStage(place(), 60_000);
      const { store, wire, other } = stage;
      const ack = answerTo(new RegExp(`^${stage.stream.toLowerCase()}\\.counter\\.`));
      const held = fault === "dropped" ? wire.drop(ack) : wire.hold(ack);
      const appending = store.appendAll(entriesFor(ids, 0), { commitId: "all" });
      await held.reached();
      if ("release" in held) {
        wire.cut();
        held.release();
      }
      const results = await appending;
      expect(results.map(({ version, replayed }) => [version, replayed])).toEqual(
        ids.map(() => [1, false]),
      );
      const done = results.map((result, at) => ({ actor: ids[at] ?? "", ...result }));
      expect(await auditStream(other, done)).toHaveLength(3);
    },
  );

  it("that is repeated reports its first results, also long after the window", async () => {
    await using stage = await openStage(place(), WINDOW_MS);
    const { store, other } = stage;
    const first = await store.appendAll(entriesFor(ids, 0), { commitId: "all" });
    const again = first.map((result) => ({ ...result, replayed: true }));
    expect(await store.appendAll(entriesFor(ids, 0), { commitId: "all" })).toEqual(again);
    for (let version = 1; version <= 5; version++) await appendOne(other, "bob", version);
    await outlive(WINDOW_MS);
    const fresh = await stage.fresh();
    expect(await fresh.appendAll(entriesFor(ids, 0), { commitId: "all" })).toEqual(again);
    expect(await auditStream(other, [])).toHaveLength(8);
  });

  it("that never arrived is a conflict, and stores nothing, where another took one of its places", async () => {
    await using stage = await openStage(place(), 60_000);
    const { store, wire, other } = stage;
    const all = publishTo(new RegExp(`^${stage.stream.toLowerCase()}\\.counter\\.`));
    const dropped = wire.drop(all, ids.length);
    const failing = failureOf(store.appendAll(entriesFor(ids, 0)));
    await dropped.reached(ids.length);
    await appendOne(other, "bob", 0);
    const error = await failing;
    expect(codeOf(error)).toBe("version_conflict");
    expect(error).toMatchObject({ actor: counter("bob"), actualVersion: 1 });
    expect(await auditStream(other, [])).toHaveLength(1);
  });
}
