import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StreamRolledBackError } from "../../../src/index.ts";
import { answerTo, type Hold } from "../../support/wire.ts";
import {
  account,
  type BankStore,
  deposits,
  rejection,
  Stage,
  versions,
  write,
} from "./version-cache-stage.ts";

/*
 * An answer that left the server before the stream was deleted speaks of the old history. It may arrive after the
 * store has noticed the new one, and must not make it trust the old again.
 */

let stage: Stage;
let store: BankStore;
const alice = account("alice");
const bob = account("bob");

beforeEach(async () => {
  stage = await Stage.open();
  store = await stage.store();
  await write(store, bob, 1);
  await write(stage.external, alice, 3);
});

afterEach(() => stage[Symbol.asyncDispose]());

function holdHead(): Hold {
  const isHead = answerTo(stage.headRequest(alice));
  let left = 1;
  return stage.wire.hold((frame) => isHead(frame) && left-- > 0);
}

/** Another history in which alice has as many commits at the same sequences; the store has noticed it by the end. */
async function replaceHistory(commits: number): Promise<void> {
  await stage.recreate();
  await using writer = await stage.unwatchedStore();
  await write(writer, bob, 1);
  await write(writer, alice, commits);
  const error = await rejection(store.append(bob, deposits(), { expectedVersion: 1 }));
  expect(error).toBeInstanceOf(StreamRolledBackError);
}

/**
 * Lets the answer come, and appends at the version that the old history had. Whether that is refused or not, the store
 * has to look at the new history first: what came late proves nothing about it.
 */
async function lookBeforeAppend(
  held: Hold,
  late: Promise<unknown>,
  version: number,
): Promise<{ looked: boolean; outcome: unknown }> {
  held.release();
  await late;
  stage.wire.reset();
  const outcome = await store.append(alice, deposits(), { expectedVersion: version }).then(
    () => "appended",
    (error: unknown) => (error instanceof StreamRolledBackError ? "refused" : error),
  );
  const { heads, others } = stage.asked();
  return { looked: heads + others > 0, outcome };
}

const lookedFirst = { looked: true, outcome: expect.stringMatching(/^(refused|appended)$/) };

describe("V9 an answer of the old history that comes after the rollback was noticed", () => {
  it("V9 to latestVersion is not trusted", async () => {
    const held = holdHead();
    const latest = store.latestVersion(alice).catch(() => {});
    await held.reached();
    await replaceHistory(3);
    expect(await lookBeforeAppend(held, latest, 3)).toEqual(lookedFirst);
  });

  it("V9 to a read is not trusted", async () => {
    const held = holdHead();
    const read = versions(store, alice).catch(() => {});
    await held.reached();
    await replaceHistory(3);
    expect(await lookBeforeAppend(held, read, 3)).toEqual(lookedFirst);
  });

  it("V9 to a cold append is not trusted, by that append or the next", async () => {
    const held = holdHead();
    const append = rejection(store.append(alice, deposits(), { expectedVersion: 3 }));
    await held.reached();
    await replaceHistory(3);
    expect(await lookBeforeAppend(held, append, 3)).toEqual(lookedFirst);
    expect(await append).toBeInstanceOf(StreamRolledBackError);
  });

  it("V9 to an append, which was stored in the old history, is not trusted by the next", async () => {
    await store.latestVersion(alice);
    const held = stage.wire.hold(answerTo(stage.subject(alice)));
    const append = store.append(alice, deposits(), { expectedVersion: 3 }).catch(() => {});
    await held.reached();
    await replaceHistory(4);
    expect(await lookBeforeAppend(held, append, 4)).toEqual(lookedFirst);
  });

  it("V9 to an append that lost its race is not gone on with in the new history", async () => {
    await store.latestVersion(alice);
    await write(stage.external, alice, 1);
    const held = holdHead();
    const append = rejection(store.append(alice, deposits(), { expectedVersion: "any" }));
    await held.reached();
    await replaceHistory(4);
    held.release();
    expect(await append).toBeInstanceOf(StreamRolledBackError);
    expect(await stage.external.latestVersion(alice)).toBe(4);
  });
});
