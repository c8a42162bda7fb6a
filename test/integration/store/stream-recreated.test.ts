import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StreamRolledBackError } from "../../../src/index.ts";
import { deliveryOf, type Hold, publishTo } from "../../support/wire.ts";
import {
  account,
  type BankStore,
  deposits,
  rejection,
  Stage,
  write,
} from "./version-cache-stage.ts";

/*
 * A stream that is deleted and created again while somebody reads it, and of which the server's notice does not arrive:
 * the consumer is gone, and another one would go on in the middle of another history.
 */

let stage: Stage;
let store: BankStore;
let notices: Hold;
const alice = account("alice");
const bob = account("bob");
const OLD_COMMITS = 40;

beforeEach(async () => {
  stage = await Stage.open();
  store = await stage.store();
  await writeMany(stage.external, OLD_COMMITS);
  notices = stage.wire.hold(deliveryOf(/^\$JS\.EVENT\.ADVISORY\./));
});

afterEach(async () => {
  notices.release();
  await stage[Symbol.asyncDispose]();
});

/** Commits of alice, all on their way at once. */
async function writeMany(writer: BankStore, count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, () =>
      writer.append(alice, deposits(), { expectedVersion: "any" }),
    ),
  );
}

/** Another history, of so many commits of bob. */
async function recreate(commits: number): Promise<void> {
  await stage.recreate();
  await using writer = await stage.unwatchedStore();
  await write(writer, bob, commits);
}

interface Course {
  /** The actors that were read. */
  readonly actors: readonly string[];
  readonly error: unknown;
}

/** Reads; in the middle of it, at the first value, the stream is recreated. */
async function readWhile(
  values: AsyncIterable<{ readonly actor: { readonly id: string } }>,
  strike: () => Promise<void>,
): Promise<Course> {
  const actors: string[] = [];
  const error = await rejection(
    (async () => {
      for await (const { actor } of values) if (actors.push(actor.id) === 1) await strike();
    })(),
  );
  return { actors, error };
}

const readers = [
  ["readAll", () => store.readAll({ maxBufferedCommits: 4 })],
  ["readCommits", () => store.readCommits({ maxBufferedCommits: 4, actorType: "account" })],
  ["subscribe", () => store.subscribe({ maxBufferedCommits: 4 })],
] as const satisfies readonly [
  string,
  () => AsyncIterable<{ readonly actor: { readonly id: string } }>,
][];

describe.each(readers)("%s of a stream that is recreated meanwhile", (_name, open) => {
  it("gives nothing of a longer history, but StreamRolledBackError", async () => {
    const { actors, error } = await readWhile(open(), () => recreate(OLD_COMMITS + 20));
    expect(error).toBeInstanceOf(StreamRolledBackError);
    expect(actors).not.toContain("bob");
    expect(error).toMatchObject({ stream: stage.stream, position: expect.any(Number) });
  });

  it("does not take the end of a shorter history for the end", async () => {
    const { actors, error } = await readWhile(open(), () => recreate(1));
    expect(error).toBeInstanceOf(StreamRolledBackError);
    expect(actors).not.toContain("bob");
    expect(actors.length).toBeLessThan(OLD_COMMITS);
  });
});

describe("a read behind a cursor", () => {
  it("gives nothing of a stream that was recreated before its consumer was there", async () => {
    const cursors: string[] = [];
    for await (const { cursor } of stage.external.readAll({ limit: 2 })) cursors.push(cursor);
    const creation = stage.wire.hold(publishTo(/\.CONSUMER\.CREATE\./));
    const actors: string[] = [];
    const reading = rejection(
      (async () => {
        for await (const { actor } of store.readAll({ after: cursors[1] })) actors.push(actor.id);
      })(),
    );
    await creation.reached();
    await recreate(OLD_COMMITS);
    creation.release();
    expect(await reading).toBeInstanceOf(StreamRolledBackError);
    expect(await reading).toMatchObject({ position: 2 });
    expect(actors).toEqual([]);
  });
});
