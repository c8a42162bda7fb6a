import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { AppendOutcomeUnknownError, type AppendResult } from "../../src/index.ts";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { auditStream } from "../support/fault-audit.ts";
import { pauseServer } from "../support/fault-pause.ts";
import {
  appendOne,
  counted,
  counter,
  type CountingStore,
  failureOf,
  openStore,
} from "../support/fault-store.ts";
import { freshStream } from "../support/server.ts";
import { publishTo, startWire } from "../support/wire.ts";

let server: NatsServer;

beforeAll(async () => {
  server = await startServer();
});

// a test that failed must not leave the next one a paused server
afterEach(() => server.resume());

afterAll(() => server.stop());

/** Bounds so short that a paused server outlasts them. */
const bounds = { appendTimeoutMs: 500, ackTimeoutMs: 150, readTimeoutMs: 400 };
const all = ["one", "two", "three"];

/** An append (or appendAll) behind version 1 of its actors, of which nothing is known when its time is over. */
interface Kind {
  readonly kind: "append" | "appendAll";
  readonly send: (store: CountingStore) => Promise<unknown>;
  readonly actors: readonly string[];
}

const kinds: readonly Kind[] = [
  { kind: "append", actors: ["one"], send: (store) => appendOne(store, "one", 1) },
  { kind: "appendAll", actors: all, send: (store) => appendToAll(store, 1) },
];

function appendToAll(store: CountingStore, version: number): Promise<readonly AppendResult[]> {
  return store.appendAll(
    all.map((id) => ({
      actor: counter(id),
      events: [counted("batch", version + 1)],
      expectedVersion: version,
    })),
  );
}

async function unknownOutcomeOf(work: Promise<unknown>): Promise<AppendOutcomeUnknownError> {
  const error = await failureOf(work);
  if (error instanceof AppendOutcomeUnknownError) return error;
  throw error;
}

/** The store and an error of unknown outcome: the server is paused, and may hold what was sent. */
async function stalled({ send }: Kind): Promise<{
  store: CountingStore;
  stream: string;
  error: AppendOutcomeUnknownError;
}> {
  const stream = freshStream();
  const store = await openStore(server.url, stream, bounds);
  await appendToAll(store, 0);
  await pauseServer(server);
  const error = await unknownOutcomeOf(send(store));
  return { store, stream, error };
}

describe.each(kinds)("an $kind without any answer before its deadline", (kind) => {
  const { actors } = kind;
  const expected = actors.map(() => 2);

  it("is of unknown outcome, names its places, and leaves the cache as it was (V12)", async () => {
    const { store, error } = await stalled(kind);
    try {
      expect(error).toMatchObject({ code: "append_outcome_unknown" });
      expect(error.places.map(({ actor, firstVersion }) => [actor.id, firstVersion])).toEqual(
        actors.toSorted().map((id) => [id, 2]),
      );
      for (const id of actors) expect(store.cachedVersion(counter(id))).toBe(1);
    } finally {
      await server.resume();
      await store.close();
    }
  });

  it("resolves to its result once the server goes on with what it held", async () => {
    const { store, error } = await stalled(kind);
    await server.resume();
    const results = await store.resolve(error, { timeoutMs: 10_000 });
    expect(results.map(({ version }) => version)).toEqual(expected);
    expect(store.cachedVersion(counter("one"))).toBe(2);
    expect(await auditStream(store, [])).toHaveLength(3 + actors.length);
    await store.close();
  });

  it("resolves to the same result when it is resolved again", async () => {
    const { store, error } = await stalled(kind);
    await server.resume();
    const first = await store.resolve(error, { timeoutMs: 10_000 });
    await appendOne(store, "one", 2);
    expect(await store.resolve(error, { timeoutMs: 10_000 })).toEqual(first);
    expect(await auditStream(store, [])).toHaveLength(4 + actors.length);
    await store.close();
  });

  it("is sent again, and stored once, where the server was killed with it", async () => {
    const { store, error } = await stalled(kind);
    await server.kill();
    await server.restart();
    const results = await store.resolve(error, { timeoutMs: 10_000 });
    expect(results.map(({ version, replayed }) => [version, replayed])).toEqual(
      actors.map(() => [2, false]),
    );
    expect(await auditStream(store, [])).toHaveLength(3 + actors.length);
    await store.close();
  });

  it("is a conflict where another writer took its place meanwhile", async () => {
    const { store, stream, error } = await stalled(kind);
    await server.kill();
    await server.restart();
    const other = await openStore(server.url, stream);
    await appendOne(other, "one", 1);
    const resolved = await failureOf(store.resolve(error, { timeoutMs: 10_000 }));
    expect(resolved).toMatchObject({
      code: "version_conflict",
      actor: counter("one"),
      actualVersion: 2,
    });
    expect(store.cachedVersion(counter("one"))).toBe(2);
    expect(await auditStream(other, [])).toHaveLength(4);
    await Promise.all([store.close(), other.close()]);
  });

  it("stays of unknown outcome while the server does not answer, and resolves later", async () => {
    const { store, error } = await stalled(kind);
    const again = await failureOf(store.resolve(error, { timeoutMs: 400 }));
    await server.resume();
    expect(again).toMatchObject({ code: "append_outcome_unknown", commitId: error.commitId });
    if (!(again instanceof AppendOutcomeUnknownError)) throw again;
    const results = await store.resolve(again, { timeoutMs: 10_000 });
    expect(results.map(({ version }) => version)).toEqual(expected);
    expect(await auditStream(store, [])).toHaveLength(3 + actors.length);
    await store.close();
  });

  it("stays of unknown outcome while the server is gone, and resolves later", async () => {
    const { store, error } = await stalled(kind);
    await server.kill();
    const again = await failureOf(store.resolve(error, { timeoutMs: 400 }));
    await server.restart();
    expect(again).toMatchObject({ code: "append_outcome_unknown", commitId: error.commitId });
    const results = await store.resolve(error, { timeoutMs: 10_000 });
    expect(results.map(({ version }) => version)).toEqual(expected);
    await store.close();
  });
});

describe("an append that the wire swallows", () => {
  it("is of unknown outcome while the leader shows the old head, and lands when the wire lets it", async () => {
    const stream = freshStream();
    await using wire = await startWire(server.url);
    await using store = await openStore(wire.url, stream, bounds);
    await appendOne(store, "one", 0);
    const held = wire.hold(publishTo(`${stream.toLowerCase()}.counter.one`));
    const error = await unknownOutcomeOf(appendOne(store, "one", 1));
    expect(held.frames.length).toBeGreaterThan(1);
    expect(await store.latestVersion(counter("one"))).toBe(1);
    held.release();
    const results = await store.resolve(error);
    expect(results.map(({ version }) => version)).toEqual([2]);
    expect(await auditStream(store, [])).toHaveLength(2);
  });

  it("with any expectation is stored once, however often it was sent", async () => {
    const stream = freshStream();
    await using wire = await startWire(server.url);
    await using store = await openStore(wire.url, stream, { ackTimeoutMs: 100 });
    await appendOne(store, "one", 0);
    const held = wire.hold(publishTo(`${stream.toLowerCase()}.counter.one`));
    const appending = appendOne(store, "one", "any");
    await held.reached(3);
    held.release();
    expect(await appending).toMatchObject({ version: 2 });
    await appendOne(store, "one", 2);
    expect(await auditStream(store, [])).toHaveLength(3);
  });

  it.each(["any", "exists", 1] as const)(
    "is refused where its caller's commit id stands for other events already (%s)",
    async (expectedVersion) => {
      const stream = freshStream();
      await using wire = await startWire(server.url);
      await using other = await openStore(server.url, stream);
      await using store = await openStore(wire.url, stream, { ackTimeoutMs: 100 });
      await appendOne(store, "one", 0);
      const held = wire.hold(publishTo(`${stream.toLowerCase()}.counter.one`));
      const appending = appendOne(store, "one", expectedVersion, { commitId: "pay-1", n: 222 });
      await held.reached();
      await appendOne(other, "one", 1, { commitId: "pay-1", n: 111 });
      expect(await failureOf(appending)).toMatchObject({ code: "commit_id_reused" });
      held.release();
    },
  );

  it("is a success where its caller's commit id stands for the same events", async () => {
    const stream = freshStream();
    await using wire = await startWire(server.url);
    await using other = await openStore(server.url, stream);
    await using store = await openStore(wire.url, stream, { ackTimeoutMs: 100 });
    await appendOne(store, "one", 0);
    const held = wire.hold(publishTo(`${stream.toLowerCase()}.counter.one`));
    const appending = appendOne(store, "one", 1, { commitId: "pay-1" });
    await held.reached();
    const { position } = await appendOne(other, "one", 1, { commitId: "pay-1" });
    expect(await appending).toMatchObject({ version: 2, position, replayed: false });
    held.release();
    expect(await auditStream(other, [])).toHaveLength(2);
  });

  it.each(["any", "exists", 1] as const)(
    "is a conflict that names what the append expected where it never will be stored (%s)",
    async (expectedVersion) => {
      const stream = freshStream();
      await using wire = await startWire(server.url);
      await using other = await openStore(server.url, stream);
      await using store = await openStore(wire.url, stream, bounds);
      await appendOne(store, "one", 0);
      const lost = wire.drop(publishTo(`${stream.toLowerCase()}.counter.one`), 1_000);
      const error = await unknownOutcomeOf(appendOne(store, "one", expectedVersion));
      lost.stop();
      await appendOne(other, "one", 1);
      expect(await failureOf(store.resolve(error))).toMatchObject({
        code: "version_conflict",
        expectedVersion,
        actualVersion: 2,
      });
    },
  );
});
