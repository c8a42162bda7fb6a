import { describe, expect, it } from "vitest";
import { CommitIdReusedError, VersionConflictError } from "../../../src/index.ts";
import { collect, failureOf, notes, openStore } from "./bank.ts";

const alice = { type: "account", id: "alice" } as const;

describe("expectedVersion", () => {
  it("accepts the version an actor has, and counts events, not commits", async () => {
    const store = await openStore();
    const first = await store.append(alice, notes(1, 2, 3), { expectedVersion: 0 });
    const second = await store.append(alice, notes(4), { expectedVersion: 3 });
    expect(first).toMatchObject({ version: 3, position: 1, replayed: false });
    expect(second).toMatchObject({ version: 4, position: 2, replayed: false });
  });

  it.each([1, 2, 4, 100])("refuses version %d of an actor at version 3", async (expected) => {
    const store = await openStore();
    await store.append(alice, notes(1, 2, 3), { expectedVersion: "none" });
    const error = await failureOf(store.append(alice, notes(4), { expectedVersion: expected }));
    expect(error).toBeInstanceOf(VersionConflictError);
    expect(error).toMatchObject({
      code: "version_conflict",
      actor: alice,
      expectedVersion: expected,
      actualVersion: 3,
    });
    expect(await store.latestVersion(alice)).toBe(3);
  });

  it("takes 'none' for an actor without events only", async () => {
    const store = await openStore();
    await store.append(alice, notes(1), { expectedVersion: "none" });
    const error = await failureOf(store.append(alice, notes(2), { expectedVersion: "none" }));
    expect(error).toMatchObject({ expectedVersion: "none", actualVersion: 1 });
  });

  it("takes 'exists' for an actor with events only", async () => {
    const store = await openStore();
    const error = await failureOf(store.append(alice, notes(1), { expectedVersion: "exists" }));
    expect(error).toMatchObject({ expectedVersion: "exists", actualVersion: 0 });
    await store.append(alice, notes(1), { expectedVersion: "none" });
    expect(await store.append(alice, notes(2), { expectedVersion: "exists" })).toMatchObject({
      version: 2,
    });
  });

  it("reports 'exists' as a conflict where another process was faster, and then knows better", async () => {
    const store = await openStore();
    const other = await openStore({ stream: store.stream });
    await store.append(alice, notes(1), { expectedVersion: "none" });
    await other.append(alice, notes(2), { expectedVersion: 1 });
    const append = () => store.append(alice, notes(3), { expectedVersion: "exists" });
    expect(await failureOf(append())).toMatchObject({
      code: "version_conflict",
      expectedVersion: "exists",
      actualVersion: 2,
    });
    expect(await append()).toMatchObject({ version: 3 });
  });

  it("appends with 'any' whatever another process has appended meanwhile", async () => {
    const store = await openStore();
    const other = await openStore({ stream: store.stream });
    for (let round = 0; round < 5; round++) {
      await store.append(alice, notes(round), { expectedVersion: "any" });
      await other.append(alice, notes(round), { expectedVersion: "any" });
    }
    expect(await other.latestVersion(alice)).toBe(10);
  });

  it("lets all concurrent appends with 'any' through, each at its own version", async () => {
    const store = await openStore();
    const other = await openStore({ stream: store.stream });
    const results = await Promise.all(
      Array.from({ length: 40 }, (_, at) =>
        (at % 2 === 0 ? store : other).append(alice, notes(at), { expectedVersion: "any" }),
      ),
    );
    const versions = results.map(({ version }) => version).sort((a, b) => a - b);
    expect(versions).toEqual(Array.from({ length: 40 }, (_, at) => at + 1));
  });

  it("lets exactly one of two stores win each version", async () => {
    const one = await openStore();
    const two = await openStore({ stream: one.stream });
    for (let version = 0; version < 50; version++) {
      const outcomes = await Promise.allSettled(
        [one, two].map((store) =>
          store.append(alice, notes(version), { expectedVersion: version }),
        ),
      );
      expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
      const lost = outcomes.find((outcome) => outcome.status === "rejected");
      expect(lost?.reason).toMatchObject({
        code: "version_conflict",
        actualVersion: version + 1,
      });
    }
  });
});

describe("the commit id", () => {
  it("is generated, and differs from append to append", async () => {
    const store = await openStore();
    const first = await store.append(alice, notes(1), { expectedVersion: 0 });
    const second = await store.append(alice, notes(2), { expectedVersion: 1 });
    expect(first.commitId).toMatch(/^[!-~]{1,128}$/);
    expect(second.commitId).not.toBe(first.commitId);
  });

  it("stands in the events, whose ids count from it", async () => {
    const store = await openStore();
    await store.append(alice, notes(1, 2), { expectedVersion: 0, commitId: "payment/7" });
    const events = await collect(store.read(alice));
    expect(events.map(({ id, commitId, index }) => ({ id, commitId, index }))).toEqual([
      { id: "payment/7:0", commitId: "payment/7", index: 0 },
      { id: "payment/7:1", commitId: "payment/7", index: 1 },
    ]);
  });

  it.each([0, "none"] as const)("makes an append with %s repeatable for good", async (expected) => {
    const store = await openStore();
    const options = { expectedVersion: expected, commitId: "first" };
    const stored = await store.append(alice, notes(1, 2), options);
    await store.append(alice, notes(3), { expectedVersion: 2 });
    const again = await store.append(alice, notes(1, 2), options);
    expect(again).toEqual({ ...stored, replayed: true });
    const restarted = await openStore({ stream: store.stream });
    expect(await restarted.append(alice, notes(1, 2), options)).toEqual(again);
    expect(await store.latestVersion(alice)).toBe(3);
  });

  it.each(["any", "exists"] as const)(
    "makes a recent append with %s repeatable",
    async (expected) => {
      const store = await openStore();
      await store.append(alice, notes(0), { expectedVersion: 0 });
      const options = { expectedVersion: expected, commitId: "mine" };
      const stored = await store.append(alice, notes(1), options);
      for (let n = 0; n < 20; n++) await store.append(alice, notes(n), { expectedVersion: "any" });
      expect(await store.append(alice, notes(1), options)).toEqual({ ...stored, replayed: true });
      expect(await store.latestVersion(alice)).toBe(22);
    },
  );

  it("means the same events: others under the same id are refused", async () => {
    const store = await openStore();
    const options = { expectedVersion: 0, commitId: "mine" };
    await store.append(alice, notes(1), options);
    const error = await failureOf(store.append(alice, notes(2), options));
    expect(error).toBeInstanceOf(CommitIdReusedError);
    expect(error).toMatchObject({ actor: alice, commitId: "mine", position: 1 });
  });

  it("does not mind the order of keys nor metadata in a repetition", async () => {
    const store = await openStore();
    const options = { expectedVersion: 0, commitId: "mine" };
    await store.append(alice, [{ type: "Moved", data: { x: 1, y: [2n, null] } }], options);
    const again = store.append(alice, [{ type: "Moved", data: { y: [2n, null], x: 1 } }], {
      ...options,
      correlationId: "other",
    });
    await expect(again).resolves.toMatchObject({ replayed: true });
  });

  it("may be the same on two actors", async () => {
    const store = await openStore();
    const bob = { type: "account", id: "bob" };
    for (const actor of [alice, bob]) {
      const result = await store.append(actor, notes(1), { expectedVersion: "any", commitId: "c" });
      expect(result).toMatchObject({ version: 1, replayed: false });
    }
  });
});

describe("metadata", () => {
  it("of the event win over those of the commit, and correlation and causation stand among them", async () => {
    const store = await openStore();
    await store.append(
      alice,
      [
        { type: "Noted", data: 1 },
        { type: "Noted", data: 2, metadata: { user: "eve", causationId: "own" } },
      ],
      {
        expectedVersion: 0,
        correlationId: "c-1",
        causationId: "e-1",
        metadata: { user: "ada", tenant: 7n },
      },
    );
    const [first, second] = await collect(store.read(alice));
    expect(first?.metadata).toEqual({
      user: "ada",
      tenant: 7n,
      correlationId: "c-1",
      causationId: "e-1",
    });
    expect(second?.metadata).toEqual({
      user: "eve",
      tenant: 7n,
      correlationId: "c-1",
      causationId: "own",
    });
  });

  it("are an empty object where none were given", async () => {
    const store = await openStore();
    await store.append(alice, notes(1), { expectedVersion: 0 });
    const [event] = await collect(store.read(alice));
    expect(event?.metadata).toEqual({});
  });
});

describe("the caller's headers", () => {
  it("come back in readCommits, and nothing else does", async () => {
    const store = await openStore();
    const headers = {
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      tracestate: "vendor=a:b,other=1",
      "X-Tenant": "Zoë 🙂",
    };
    await store.append(alice, notes(1), { expectedVersion: 0, headers });
    await store.append(alice, notes(2), { expectedVersion: "any", commitId: "with-message-id" });
    const [first, second] = await collect(store.readCommits());
    expect(first?.headers).toEqual(headers);
    expect(second?.headers).toEqual({});
  });
});

describe("what is stored", () => {
  it("comes back as it was given, with the server's time and its place", async () => {
    const store = await openStore();
    const data = {
      text: "ü",
      big: 2n ** 80n,
      at: new Date(1_700_000_000_123),
      bytes: new Uint8Array([0, 255]),
      list: [1, -1.5, null, true],
    };
    const before = Date.now();
    const { cursor } = await store.append(
      alice,
      [{ type: "Filled in", data }, { type: "Closed" }],
      {
        expectedVersion: 0,
      },
    );
    const [first, second] = await collect(store.read(alice));
    expect(first).toMatchObject({ actor: alice, type: "Filled in", version: 1, position: 1, data });
    expect(second).toMatchObject({ type: "Closed", data: null, version: 2, index: 1 });
    expect(second?.cursor).toBe(cursor);
    expect(Math.abs((first?.recordedAt.getTime() ?? 0) - before)).toBeLessThan(60_000);
  });
});
