import { describe, expect, it } from "vitest";
import type { EventStore, HistoryMessage, ReadOptions } from "../../../src/index.ts";
import { encodeIndex } from "../../../src/store/history-index.ts";
import { collect, notes, openStore } from "./bank.ts";
import { foreignWriter } from "./foreign-writer.ts";
import { listenTo } from "./listening.ts";

const alice = { type: "account", id: "alice" } as const;
const bob = { type: "account", id: "bob" } as const;

function subjectOf(store: EventStore, id = "alice"): string {
  return `${store.stream.toLowerCase()}.account.${id}`;
}

async function versions(store: EventStore, options?: ReadOptions): Promise<number[]> {
  const events = await collect(store.read(alice, options));
  expect(events.map(({ data }) => data)).toEqual(events.map(({ version }) => ({ n: version })));
  return events.map(({ version }) => version);
}

function upTo(last: number): number[] {
  return Array.from({ length: last }, (_, at) => at + 1);
}

describe("a history that Annal and a client of another library write", () => {
  it("is one history for both, in every direction and range", async () => {
    const store = await openStore();
    const foreign = await foreignWriter();
    let version = 0;
    let sequence = 0;
    const runs: [foreign: boolean, commits: number][] = [
      [true, 3],
      [false, 20],
      [true, 1],
      [false, 1],
      [true, 2],
      [false, 40],
      [true, 5],
      [false, 3],
    ];
    for (const [isForeign, commits] of runs) {
      if (isForeign) {
        sequence = await foreign.writeRun(subjectOf(store), { sequence, version }, commits);
      } else {
        for (let at = 0; at < commits; at++) {
          const expectedVersion = version + at;
          const n = expectedVersion + 1;
          sequence = (await store.append(alice, notes(n), { expectedVersion })).position;
        }
      }
      version += commits;
    }
    const reader = await openStore({ stream: store.stream });
    const holes = listenTo<HistoryMessage>("annal:history", store.stream);
    expect(await versions(reader)).toEqual(upTo(75));
    expect(await versions(reader, { direction: "backwards" })).toEqual(upTo(75).toReversed());
    for (let fromVersion = 1; fromVersion <= 75; fromVersion += 4) {
      for (const toVersion of [fromVersion, fromVersion + 3, fromVersion + 40]) {
        const wanted = upTo(75).slice(fromVersion - 1, toVersion);
        expect(await versions(reader, { fromVersion, toVersion })).toEqual(wanted);
        const backwards = { fromVersion, toVersion, direction: "backwards" } as const;
        expect(await versions(reader, backwards)).toEqual(wanted.toReversed());
      }
    }
    expect(holes).toEqual([]);
  });

  it.each([63, 64, 65, 200])("goes on across %d commits without index in a row", async (count) => {
    const store = await openStore();
    const foreign = await foreignWriter();
    for (let version = 0; version < 20; version++) {
      await store.append(alice, notes(version + 1), { expectedVersion: version });
    }
    const behind = { sequence: 20, version: 20 };
    await foreign.writeRun(subjectOf(store), behind, count);
    const last = 20 + count;
    const reader = await openStore({ stream: store.stream });
    const holes = listenTo<HistoryMessage>("annal:history", store.stream);
    expect(await versions(reader)).toEqual(upTo(last));
    expect(holes.length > 0).toBe(count > 64);
    expect(await versions(reader, { direction: "backwards" })).toEqual(upTo(last).toReversed());
    await store.append(alice, notes(last + 1), { expectedVersion: "any" });
    await store.append(alice, notes(last + 2), { expectedVersion: "any" });
    expect(await versions(reader)).toEqual(upTo(last + 2));
    const middle = { fromVersion: 15, toVersion: last - 3 };
    expect(await versions(reader, middle)).toEqual(upTo(last - 3).slice(14));
    const back = { direction: "backwards", fromVersion: 18, limit: last - 17 } as const;
    expect(await versions(reader, back)).toEqual(
      upTo(last + 2)
        .slice(19)
        .toReversed(),
    );
  });

  it("holds where the foreign writer states no expectation", async () => {
    const store = await openStore();
    const foreign = await foreignWriter();
    const subject = subjectOf(store);
    for (let version = 1; version <= 4; version++) {
      const commit = { subject, version: String(version), numbers: [version] };
      await foreign.write({ ...commit, expectedSequence: undefined });
      await foreign.write({
        ...commit,
        subject: subjectOf(store, "bob"),
        expectedSequence: undefined,
      });
    }
    await store.append(alice, notes(5), { expectedVersion: 4 });
    expect(await versions(store)).toEqual(upTo(5));
    expect(await versions(store, { direction: "backwards" })).toEqual(upTo(5).toReversed());
  });

  it("is decoded the same whoever wrote it, commits of several events included", async () => {
    const store = await openStore();
    const foreign = await foreignWriter();
    const subject = subjectOf(store);
    const commit = { subject, expectedSequence: 0, version: "3", numbers: [1, 2, 3] };
    await foreign.write({ ...commit, commitId: "uuid-1" });
    expect(await collect(store.read(alice))).toMatchObject([
      { type: "Noted", version: 1, id: "uuid-1:0" },
      { type: "Noted", version: 2, id: "uuid-1:1" },
      { type: "Noted", version: 3, id: "uuid-1:2", index: 2, metadata: {} },
    ]);
  });
});

describe("a commit whose index lies", () => {
  /** Four good commits of alice at sequences 1, 3, 5, 7; those of bob between them. */
  async function fourCommits(): Promise<EventStore> {
    const store = await openStore();
    for (let version = 0; version < 4; version++) {
      await store.append(alice, notes(version + 1), { expectedVersion: version });
      await store.append(bob, notes(-1), { expectedVersion: version });
    }
    return store;
  }

  const truth = [7, 4, 5, 3, 3, 2, 1, 1];

  it.each<[string, number[]]>([
    ["another actor's commit", [7, 4, 6, 3, 3, 2, 1, 1]],
    ["its own commit of another version", [7, 4, 3, 3, 2, 2, 1, 1]],
    ["another version of its own commit", [7, 4, 5, 2, 3, 1]],
  ])(
    "by pointing to %s is told on annal:history, and the history is right",
    async (_, pointers) => {
      const store = await fourCommits();
      const foreign = await foreignWriter();
      const ordinal = pointers.length / 2;
      await foreign.write({
        subject: subjectOf(store),
        expectedSequence: 7,
        version: `5.${ordinal}`,
        numbers: [5],
        index: encodeIndex({ ordinal, unindexedBelow: 0, pointers }),
      });
      const holes = listenTo<HistoryMessage>("annal:history", store.stream);
      expect(await versions(store)).toEqual(upTo(5));
      expect(holes).toHaveLength(1);
      expect(holes[0]).toEqual({
        stream: store.stream,
        subject: subjectOf(store),
        sequence: expect.any(Number),
        reason: expect.any(String),
      });
      expect(await versions(store, { direction: "backwards" })).toEqual(upTo(5).toReversed());
      await store.append(alice, notes(6), { expectedVersion: 5 });
      const fresh = await openStore({ stream: store.stream });
      expect(await versions(fresh)).toEqual(upTo(6));
      expect(await versions(fresh, { fromVersion: 2, toVersion: 4 })).toEqual([2, 3, 4]);
      expect(await versions(fresh, { direction: "backwards" })).toEqual(upTo(6).toReversed());
    },
  );

  it.each<[string, number, number[], number]>([
    ["leaves commits out", 2, [7, 4, 1, 1], 0],
    ["leaves all but the predecessor out", 1, [7, 4], 0],
    ["calls good commits unindexed", 0, [], 7],
  ])("that %s is survived", async (_, ordinal, pointers, unindexedBelow) => {
    const store = await fourCommits();
    const foreign = await foreignWriter();
    await foreign.write({
      subject: subjectOf(store),
      expectedSequence: 7,
      version: `5.${ordinal}`,
      numbers: [5],
      index: encodeIndex({ ordinal, unindexedBelow, pointers }),
    });
    await store.append(alice, notes(6), { expectedVersion: 5 });
    const fresh = await openStore({ stream: store.stream });
    expect(await versions(fresh)).toEqual(upTo(6));
    expect(await versions(fresh, { direction: "backwards" })).toEqual(upTo(6).toReversed());
    expect(await versions(fresh, { fromVersion: 2, toVersion: 4 })).toEqual([2, 3, 4]);
    const backwards = { fromVersion: 2, toVersion: 4, direction: "backwards" } as const;
    expect(await versions(fresh, backwards)).toEqual([4, 3, 2]);
  });

  it.each<[string, string, Uint8Array]>([
    [
      "with a newest pointer that is not the predecessor",
      "5.4",
      encodeIndex({ ordinal: 4, unindexedBelow: 0, pointers: [6, 4, 5, 3, 3, 2, 1, 1] }),
    ],
    [
      "with too few pointers for its ordinal",
      "5.9",
      encodeIndex({ ordinal: 4, unindexedBelow: 0, pointers: truth }),
    ],
    ["without an ordinal", "5", encodeIndex({ ordinal: 4, unindexedBelow: 0, pointers: truth })],
    ["of arbitrary bytes", "5.4", new Uint8Array(40).fill(255)],
    ["of no bytes", "5.4", new Uint8Array(0)],
  ])("%s counts as one without index", async (_, version, index) => {
    const store = await fourCommits();
    const foreign = await foreignWriter();
    const commit = { subject: subjectOf(store), expectedSequence: 7, numbers: [5] };
    await foreign.write({ ...commit, version, index });
    await store.append(alice, notes(6), { expectedVersion: "any" });
    await store.append(alice, notes(7), { expectedVersion: 6 });
    const fresh = await openStore({ stream: store.stream });
    expect(await versions(fresh)).toEqual(upTo(7));
    expect(await versions(fresh, { direction: "backwards" })).toEqual(upTo(7).toReversed());
    expect(await versions(fresh, { fromVersion: 4, toVersion: 6 })).toEqual([4, 5, 6]);
  });
});
