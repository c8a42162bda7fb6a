import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type HistoryMessage, StreamRolledBackError } from "../../../src/index.ts";
import { encodeIndex } from "../../../src/store/history-index.ts";
import { eventually } from "../../support/server.ts";
import { answerTo, deliveryOf, type Hold } from "../../support/wire.ts";
import { foreignWriter } from "./foreign-writer.ts";
import { listenTo } from "./listening.ts";
import {
  account,
  type BankStore,
  rejection,
  Stage,
  versions,
  write,
} from "./version-cache-stage.ts";

/* The server's notice of what happens to the stream does not arrive: the reads themselves must notice. */

let stage: Stage;
let store: BankStore;
let notices: Hold;
const alice = account("alice");
const bob = account("bob");

beforeEach(async () => {
  stage = await Stage.open();
  await write(stage.external, bob, 1);
  await write(stage.external, alice, 3);
  store = await stage.store();
  await versions(store, alice);
  notices = stage.wire.hold(deliveryOf(/^\$JS\.EVENT\.ADVISORY\./));
});

afterEach(async () => {
  notices.release();
  await stage[Symbol.asyncDispose]();
});

const looks = [
  ["read", () => versions(store, alice)],
  ["readLast", () => store.readLast(alice, 2)],
] as const satisfies readonly [string, () => Promise<readonly unknown[]>][];

describe.each(looks)(
  "%s of an actor of which the store knows more than stands there",
  (_, look) => {
    it("fails with StreamRolledBackError once where the stream was created anew, and then shows what is there", async () => {
      await stage.recreate();
      const error = await rejection(look());
      expect(error).toBeInstanceOf(StreamRolledBackError);
      expect(error).toMatchObject({ position: 4, actualCommitId: undefined });
      expect(await look()).toEqual([]);
    });

    it("fails so where another history of the same length stands there", async () => {
      await stage.recreate();
      await using writer = await stage.unwatchedStore();
      await write(writer, bob, 1);
      await write(writer, alice, 3);
      const [last] = await writer.readLast(alice, 1);
      expect(await rejection(look())).toMatchObject({
        code: "stream_rolled_back",
        position: 4,
        actualCommitId: last?.commitId,
      });
      expect(await look()).not.toEqual([]);
    });

    it("fails so where the actor was purged, and then shows that it has no events", async () => {
      await stage.admin.streams.purge(stage.stream, { filter: stage.subject(alice) });
      expect(await rejection(look())).toBeInstanceOf(StreamRolledBackError);
      expect(await look()).toEqual([]);
      expect(store.cachedVersion(alice)).toBeUndefined();
      expect(await versions(store, bob)).toEqual([1]);
    });

    it("is no reason to fail where the store itself has appended meanwhile", async () => {
      const answer = stage.wire.hold(answerTo(stage.headRequest(alice)));
      const reading = look();
      await answer.reached();
      await write(store, alice, 1);
      expect(store.cachedVersion(alice)).toBe(4);
      answer.release();
      expect((await reading).length).toBeGreaterThan(0);
    });
  },
);

describe("a read of an actor in the middle of which a rollback is noticed", () => {
  it("fails with StreamRolledBackError instead of going on", async () => {
    const events = store.read(alice);
    await events.next();
    notices.release();
    await stage.recreate();
    await eventually(() => store.cachedVersion(alice) === undefined);
    expect(await rejection(events.next())).toBeInstanceOf(StreamRolledBackError);
    expect(await events.next()).toEqual({ done: true, value: undefined });
  });

  it.each(["forwards", "backwards"] as const)(
    "fails so, read %s, where an index did not hold and it goes on without",
    async (direction) => {
      await write(stage.external, bob, 1);
      await write(stage.external, alice, 3);
      const foreign = await foreignWriter();
      // Version 4 stands at position 6; at 5 is the other actor.
      const pointers = [8, 6, 7, 5, 5, 4, 4, 3, 3, 2, 2, 1];
      const index = encodeIndex({ ordinal: 6, unindexedBelow: 0, pointers });
      const subject = stage.subject(alice);
      await foreign.write({ subject, expectedSequence: 8, version: "7.6", numbers: [7], index });
      const holes = listenTo<HistoryMessage>("annal:history", stage.stream);
      const events = store.read(alice, { direction });
      for (let n = 0; n < 4; n++) await events.next();
      expect(holes).toHaveLength(1);
      notices.release();
      await stage.recreate();
      await eventually(() => store.cachedVersion(alice) === undefined);
      expect(await rejection(events.next())).toBeInstanceOf(StreamRolledBackError);
      expect(await events.next()).toEqual({ done: true, value: undefined });
    },
  );
});
