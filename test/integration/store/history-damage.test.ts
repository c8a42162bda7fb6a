import { jetstreamManager } from "@nats-io/jetstream";
import { headers } from "nats";
import { describe, expect, it } from "vitest";
import { CorruptCommitError, type EventStore, type HistoryMessage } from "../../../src/index.ts";
import { freshStream } from "../../support/server.ts";
import { collect, failureOf, notes, openConnection, openStore, take } from "./bank.ts";
import { type ForeignWriter, foreignWriter } from "./foreign-writer.ts";
import { listenTo } from "./listening.ts";

const alice = { type: "account", id: "alice" } as const;
const bob = { type: "account", id: "bob" } as const;

function subjectOf(store: EventStore): string {
  return `${store.stream.toLowerCase()}.account.alice`;
}

function head(entries: Record<string, string>): ReturnType<typeof headers> {
  const block = headers();
  for (const [name, value] of Object.entries(entries)) block.set(name, value);
  return block;
}

/** A stream like another, message by message, in which messages can be deleted while it is made. */
async function copyWithout(source: EventStore, foreign: ForeignWriter, sequence: number) {
  const nc = await openConnection();
  const manager = await jetstreamManager(nc, { checkAPI: false });
  const name = freshStream();
  const { config, state } = await manager.streams.info(source.stream);
  const settings = { ...config, name, subjects: [`${name.toLowerCase()}.>`] };
  await manager.streams.add({ ...settings, deny_delete: false });
  const old = await foreign.manager();
  for (let seq = 1; seq <= state.last_seq; seq++) {
    const { subject, data, header } = await old.streams.getMessage(source.stream, { seq });
    const copied = subject.replace(source.stream.toLowerCase(), name.toLowerCase());
    expect(await foreign.publish(copied, data, header)).toBe(seq);
  }
  await manager.streams.deleteMessage(name, sequence, false);
  await manager.streams.update(name, { ...settings, deny_delete: true });
  return openStore({ stream: name });
}

/** Alice's versions 1 to 6 at the odd positions 1 to 11, bob's between them. */
async function sixVersions(): Promise<EventStore> {
  const store = await openStore();
  for (let version = 0; version < 6; version++) {
    await store.append(alice, notes(version + 1), { expectedVersion: version });
    await store.append(bob, notes(version + 1), { expectedVersion: version });
  }
  return store;
}

describe("a message that is no commit", () => {
  const good = { "Annal-Commit": "c", "Annal-Version": "1" };
  const payload = Uint8Array.of(0x93, 1, 0xc0, 0x91, 0x91, 0x92, 0xa1, 0x61, 0xc0);

  it.each<[string, Record<string, string>, Uint8Array]>([
    ["has no headers at all", {}, Buffer.from("hello")],
    ["has no commit id", { "Annal-Version": "1" }, payload],
    ["has no version", { "Annal-Commit": "c" }, payload],
    ["has version 0", { ...good, "Annal-Version": "0" }, payload],
    ["has a version that is no number", { ...good, "Annal-Version": "one" }, payload],
    ["has a negative ordinal", { ...good, "Annal-Version": "1.-1" }, payload],
    ["has an empty payload", good, new Uint8Array(0)],
    ["has a payload of another kind", good, Buffer.from("{}")],
    ["has bytes left over", good, Buffer.concat([payload, Uint8Array.of(0)])],
  ])(
    "fails reads, appends and questions where it %s, naming its position",
    async (_, entries, data) => {
      const store = await openStore();
      const foreign = await foreignWriter();
      await store.append(bob, notes(1), { expectedVersion: 0 });
      const position = await foreign.publish(subjectOf(store), data, head(entries));
      await store.append(bob, notes(2), { expectedVersion: 1 });
      const attempts = [
        () => collect(store.read(alice)),
        () => collect(store.read(alice, { direction: "backwards" })),
        () => store.readLast(alice, 1),
        () => store.latestVersion(alice),
        () => store.append(alice, notes(1), { expectedVersion: "any" }),
        () => store.append(alice, notes(1), { expectedVersion: 0 }),
        () => store.appendAll([{ actor: alice, events: notes(1), expectedVersion: "none" }]),
        () => collect(store.readAll()),
        () => collect(store.readCommits()),
        () => collect(store.subscribe()),
      ];
      for (const attempt of attempts) {
        const error = await failureOf(attempt);
        expect(error).toBeInstanceOf(CorruptCommitError);
        expect(error).toMatchObject({
          code: "corrupt_commit",
          position,
          subject: subjectOf(store),
        });
      }
      expect(await collect(store.read(bob))).toHaveLength(2);
      expect(await store.head()).toBe(3);
    },
  );

  it("of a format of the future is told from a corrupt one, and its position is named", async () => {
    const store = await openStore();
    const foreign = await foreignWriter();
    await store.append(bob, notes(1), { expectedVersion: 0 });
    await foreign.publish(subjectOf(store), Uint8Array.of(0x93, 9, 0xc0, 0x90), head(good));
    for (const attempt of [
      () => collect(store.read(alice)),
      () => store.append(alice, notes(1), { expectedVersion: "any" }),
      () => collect(store.readAll()),
    ]) {
      const error = await failureOf(attempt);
      expect(error).toMatchObject({ code: "unsupported_format", format: 9 });
      expect(error).toMatchObject({ message: expect.stringContaining("position 2") });
    }
  });

  it("hands out what stands before it, and is never skipped", async () => {
    const store = await openStore();
    const foreign = await foreignWriter();
    await store.append(alice, notes(1, 2), { expectedVersion: 0 });
    await foreign.publish(`${store.stream.toLowerCase()}.not-an-actor`, Buffer.from("x"));
    await store.append(alice, notes(3), { expectedVersion: 2 });
    expect(await take(store.readAll(), 2)).toHaveLength(2);
    const seen: number[] = [];
    const error = await failureOf(async () => {
      for await (const { version } of store.readAll()) seen.push(version);
    });
    expect(error).toMatchObject({ code: "corrupt_commit", position: 2 });
    expect(seen).not.toContain(3);
    expect(seen).toEqual([1, 2]);
  });

  it("in the middle of an actor's history fails its reads, whatever stands behind it", async () => {
    const store = await openStore();
    const foreign = await foreignWriter();
    await store.append(alice, notes(1), { expectedVersion: 0 });
    const subject = subjectOf(store);
    const position = await foreign.publish(subject, Buffer.from("hello"));
    await foreign.write({ subject, expectedSequence: position, version: "2", numbers: [2] });
    for (const direction of ["forwards", "backwards"] as const) {
      expect(await failureOf(collect(store.read(alice, { direction })))).toMatchObject({
        code: "corrupt_commit",
        position,
      });
    }
  });
});

describe("versions that do not fit together", () => {
  it.each<[string, string, number[]]>([
    ["leave a gap", "4", [4]],
    ["repeat one", "2", [2]],
    ["overlap", "3", [2, 3]],
    ["begin below 1", "1", [0, 1]],
  ])("are refused by reads where they %s", async (_, version, numbers) => {
    const store = await openStore();
    const foreign = await foreignWriter();
    await store.append(alice, notes(1, 2), { expectedVersion: 0 });
    await foreign.write({ subject: subjectOf(store), expectedSequence: 1, version, numbers });
    for (const direction of ["forwards", "backwards"] as const) {
      const error = await failureOf(collect(store.read(alice, { direction })));
      expect(error).toMatchObject({ code: "corrupt_commit", position: 2 });
    }
  });
});

describe("a hole in an actor's history", () => {
  it.each([1, 3, 5, 7, 9])(
    "left by the message at %d fails reads with its place",
    async (sequence) => {
      const source = await sixVersions();
      const store = await copyWithout(source, await foreignWriter(), sequence);
      const holes = listenTo<HistoryMessage>("annal:history", store.stream);
      const missing = (sequence + 1) / 2;
      const forwards: number[] = [];
      const error = await failureOf(async () => {
        for await (const { version } of store.read(alice)) forwards.push(version);
      });
      expect(error).toMatchObject({ code: "corrupt_commit", position: sequence + 2 });
      expect(forwards).toEqual([1, 2, 3, 4, 5].slice(0, missing - 1));
      expect(holes).toMatchObject([{ sequence }]);
      const backwards: number[] = [];
      const other = await failureOf(async () => {
        for await (const { version } of store.read(alice, { direction: "backwards" })) {
          backwards.push(version);
        }
      });
      expect(other).toMatchObject({ code: "corrupt_commit", position: sequence + 2 });
      expect(backwards).toEqual([6, 5, 4, 3, 2].slice(0, 6 - missing));
      const behind = await collect(store.read(alice, { fromVersion: missing + 1 }));
      expect(behind.at(-1)).toMatchObject({ version: 6 });
      expect(await collect(store.read(bob))).toHaveLength(6);
    },
  );

  it("that purging its first commits left fails reads that ask for them, and no others", async () => {
    const store = await sixVersions();
    const manager = await (await foreignWriter()).manager();
    await manager.streams.purge(store.stream, { filter: subjectOf(store), seq: 5 });
    const error = await failureOf(collect(store.read(alice)));
    expect(error).toMatchObject({ code: "corrupt_commit", position: 5 });
    const kept = await collect(store.read(alice, { fromVersion: 3 }));
    expect(kept.map(({ version }) => version)).toEqual([3, 4, 5, 6]);
    expect((await store.readLast(alice, 3)).map(({ version }) => version)).toEqual([4, 5, 6]);
    expect(await store.append(alice, notes(7), { expectedVersion: 6 })).toMatchObject({
      version: 7,
    });
  });
});
