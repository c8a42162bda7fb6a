import { describe, expect, it } from "vitest";
import { HeaderBlock } from "../../../src/nats/header-block.ts";
import type { StoredMessage } from "../../../src/nats/stored-message.ts";
import { headOf, readCommit, type StoredCommit } from "../../../src/store/commit.ts";
import { indexOf } from "../../../src/store/commit.ts";
import { encodeIndex, firstIndex, nextIndex } from "../../../src/store/history-index.ts";
import { type Hole, HistoryWalk, type WalkSource } from "../../../src/store/history-walk.ts";
import { assemblePayload, encodeBody } from "../../../src/store/payload.ts";
import { type Head, NO_HEAD } from "../../../src/store/version-cache.ts";

const subject = "bank.account.alice";

function messageBehind(head: Head, indexed: boolean): StoredMessage {
  const none = head.index === "none" || head.index === "unknown";
  const start = firstIndex(head.sequence);
  const index = none ? start : nextIndex(head.index, head.sequence, head.version);
  const version = head.version + 1;
  const lines = [
    "NATS/1.0",
    `Nats-Expected-Last-Subject-Sequence: ${head.sequence}`,
    `Annal-Commit: c${version}`,
    `Annal-Version: ${version}${indexed ? `.${index.ordinal}` : ""}`,
  ];
  return {
    subject,
    sequence: head.sequence + 10,
    timestampMs: 0,
    headers: new HeaderBlock(`${lines.join("\r\n")}\r\n\r\n`),
    data: assemblePayload(
      indexed ? encodeIndex(index) : undefined,
      encodeBody([{ type: "Noted", data: version }], undefined),
    ),
  };
}

/** One event a commit, ten sequences apart; where `indexed` says no, without an index. */
function history(length: number, indexed: (version: number) => boolean = () => true) {
  const messages = new Map<number, StoredMessage>();
  let head = NO_HEAD;
  let last: StoredCommit | undefined;
  for (let version = 1; version <= length; version++) {
    const message = messageBehind(head, indexed(version));
    messages.set(message.sequence, message);
    last = readCommit(message, "bank");
    head = headOf(last);
  }
  if (last === undefined) throw new Error("a history has commits");
  return { messages, head: last };
}

interface Counted {
  readonly source: WalkSource;
  /** Fetches that were begun. */
  readonly asked: number[];
  /** How many fetches were under way, or done and not taken, at most. */
  readonly rounds: () => number;
}

/** Answers all fetches of one round together, and counts the rounds. */
function sourceOf(
  messages: ReadonlyMap<number, StoredMessage>,
  options: Partial<Pick<WalkSource, "backwards" | "windowBytes" | "expectedEvents">> = {},
): Counted {
  const asked: number[] = [];
  let rounds = 0;
  let round: Promise<void> | undefined;
  const answer = async (sequence: number): Promise<StoredMessage | undefined> => {
    asked.push(sequence);
    round ??= new Promise<void>((resolve) => {
      setImmediate(() => {
        rounds++;
        round = undefined;
        resolve();
      });
    });
    await round;
    return messages.get(sequence);
  };
  const source: WalkSource = {
    subject,
    backwards: false,
    windowBytes: 1 << 20,
    expectedEvents: undefined,
    ...options,
    fetch: answer,
    predecessor: (commit) => answer(commit.expectedSequence ?? 0),
    read: (message) => readCommit(message, "bank"),
    indexOf,
  };
  return { source, asked, rounds: () => rounds };
}

async function walkAll(walk: HistoryWalk): Promise<{ versions: number[]; hole?: Hole }> {
  const versions: number[] = [];
  for (;;) {
    const step = await walk.next();
    if (step === undefined) return { versions };
    if ("reason" in step) return { versions, hole: step };
    versions.push(step.version);
  }
}

function upTo(last: number): number[] {
  return Array.from({ length: last }, (_, at) => at + 1);
}

describe("HistoryWalk", () => {
  it.each([1, 2, 16, 17, 256, 300, 5_000])(
    "gives %d commits in order, each fetched once",
    async (length) => {
      const { messages, head } = history(length);
      for (const backwards of [false, true]) {
        const { source, asked } = sourceOf(messages, { backwards });
        const { versions, hole } = await walkAll(
          new HistoryWalk(head, { fromVersion: 1, toVersion: length }, source),
        );
        expect(hole).toBeUndefined();
        expect(versions).toEqual(backwards ? upTo(length).toReversed() : upTo(length));
        expect(asked).toHaveLength(length - 1);
        expect(new Set(asked).size).toBe(length - 1);
      }
    },
  );

  it("needs as many rounds as the index is deep, not as the history is long", async () => {
    const { messages, head } = history(500);
    const { source, rounds } = sourceOf(messages);
    await walkAll(new HistoryWalk(head, { fromVersion: 1, toVersion: 500 }, source));
    expect(rounds()).toBeLessThanOrEqual(5);
  });

  it("fetches one commit by at most as many hops as the index is deep", async () => {
    const { messages, head } = history(5_000);
    for (const version of [1, 17, 255, 256, 257, 4_095, 4_096, 4_097, 4_999]) {
      const { source, asked } = sourceOf(messages, { expectedEvents: 1 });
      const range = { fromVersion: version, toVersion: version };
      expect((await walkAll(new HistoryWalk(head, range, source))).versions).toEqual([version]);
      expect(asked.length).toBeLessThanOrEqual(4);
    }
  });

  it("gives just the commits of a range", async () => {
    const { messages, head } = history(700);
    for (const [fromVersion, toVersion] of [
      [1, 700],
      [5, 9],
      [250, 260],
      [699, 700],
      [300, 512],
    ] as const) {
      for (const backwards of [false, true]) {
        const { source } = sourceOf(messages, { backwards });
        const walk = new HistoryWalk(head, { fromVersion, toVersion }, source);
        const wanted = upTo(700).slice(fromVersion - 1, toVersion);
        const { versions } = await walkAll(walk);
        expect(versions).toEqual(backwards ? wanted.toReversed() : wanted);
      }
    }
  });

  it("keeps no more ahead of its reader than its window", async () => {
    const { messages, head } = history(400);
    const size = head.message.data.length + 100;
    for (const backwards of [false, true]) {
      const { source, asked } = sourceOf(messages, { backwards, windowBytes: 8 * size });
      const walk = new HistoryWalk(head, { fromVersion: 1, toVersion: 400 }, source);
      for (let taken = 0; taken < 400; taken++) {
        expect(await walk.next()).toBeDefined();
        await new Promise(setImmediate);
        await new Promise(setImmediate);
        expect(asked.length - taken).toBeLessThanOrEqual(60);
      }
    }
  });

  it("moves on with a window of one commit", async () => {
    const { messages, head } = history(40);
    for (const backwards of [false, true]) {
      const { source } = sourceOf(messages, { backwards, windowBytes: 1 });
      const walk = new HistoryWalk(head, { fromVersion: 1, toVersion: 40 }, source);
      expect((await walkAll(walk)).versions).toHaveLength(40);
    }
  });

  it("goes on below an epoch, one by one, and into the epoch below that", async () => {
    const { messages, head } = history(120, (version) => version < 50 || version > 80);
    for (const backwards of [false, true]) {
      const { source } = sourceOf(messages, { backwards });
      const walk = new HistoryWalk(head, { fromVersion: 1, toVersion: 120 }, source);
      const { versions, hole } = await walkAll(walk);
      expect(hole).toBeUndefined();
      expect(versions).toEqual(backwards ? upTo(120).toReversed() : upTo(120));
    }
  });

  it("gives up forwards beyond 64 commits without index in a row, backwards never", async () => {
    const fits = history(65, (version) => version === 1);
    const fitting = sourceOf(fits.messages);
    const range = { fromVersion: 1, toVersion: 65 };
    expect(await walkAll(new HistoryWalk(fits.head, range, fitting.source))).toEqual({
      versions: upTo(65),
    });
    const { messages, head } = history(200, () => false);
    const all = { fromVersion: 1, toVersion: 200 };
    const forwards = await walkAll(new HistoryWalk(head, all, sourceOf(messages).source));
    expect(forwards.hole?.reason).toContain("64");
    const { source } = sourceOf(messages, { backwards: true });
    expect((await walkAll(new HistoryWalk(head, all, source))).versions).toHaveLength(200);
  });

  it("tells a hole at its place, behind everything that comes before it", async () => {
    const { messages, head } = history(100);
    messages.delete(500);
    const range = { fromVersion: 1, toVersion: 100 };
    const walk = new HistoryWalk(head, range, sourceOf(messages).source);
    const { versions, hole } = await walkAll(walk);
    expect(hole).toMatchObject({ sequence: 500 });
    expect(versions).toEqual(upTo(versions.length));
    expect(versions.length).toBeLessThan(50);
    const { source } = sourceOf(messages, { backwards: true });
    const back = await walkAll(new HistoryWalk(head, range, source));
    expect(back.versions).toEqual(upTo(100).slice(50).toReversed());
  });

  it("takes another actor's commit, or another version, for a hole", async () => {
    const range = { fromVersion: 1, toVersion: 20 };
    const { messages, head } = history(20);
    const message = messages.get(100);
    if (message === undefined) throw new Error("no message");
    messages.set(100, { ...message, subject: "bank.account.bob" });
    const other = await walkAll(new HistoryWalk(head, range, sourceOf(messages).source));
    expect(other.hole).toMatchObject({ sequence: 100, reason: expect.stringContaining("bob") });
    messages.set(100, messages.get(90) ?? message);
    const shifted = await walkAll(new HistoryWalk(head, range, sourceOf(messages).source));
    expect(shifted.hole).toMatchObject({ sequence: 100 });
  });

  it("throws the error of a fetch where its commit would have come", async () => {
    const { messages, head } = history(20);
    const failure = new Error("late");
    const { source } = sourceOf(messages, { backwards: true });
    const walk = new HistoryWalk(
      head,
      { fromVersion: 1, toVersion: 20 },
      {
        ...source,
        fetch: (sequence) => (sequence === 150 ? Promise.reject(failure) : source.fetch(sequence)),
      },
    );
    const versions: number[] = [];
    const reading = async (): Promise<void> => {
      for (let step = await walk.next(); step !== undefined; step = await walk.next()) {
        if ("version" in step) versions.push(step.version);
      }
    };
    await expect(reading()).rejects.toBe(failure);
    expect(versions).toEqual([20, 19, 18, 17, 16]);
  });
});
