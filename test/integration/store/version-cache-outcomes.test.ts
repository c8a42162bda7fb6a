import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  AppendOutcomeUnknownError,
  AppendTooLargeError,
  ConnectionFailedError,
  ServerRefusedError,
  VersionConflictError,
} from "../../../src/index.ts";
import { eventually } from "../../support/server.ts";
import { answerTo, deliveryOf, publishTo } from "../../support/wire.ts";
import {
  account,
  type BankStore,
  deposits,
  rejection,
  Stage,
  versions,
  write,
} from "./version-cache-stage.ts";

let stage: Stage;
let store: BankStore;
const alice = account("alice");
const impatient = { ackTimeoutMs: 60, appendTimeoutMs: 300, readTimeoutMs: 100 } as const;

beforeEach(async () => {
  stage = await Stage.open();
  store = await stage.store(impatient);
  await write(store, alice, 2);
});

afterEach(() => stage[Symbol.asyncDispose]());

async function unknownOutcome(work: Promise<unknown>): Promise<AppendOutcomeUnknownError> {
  const error = await rejection(work);
  if (!(error instanceof AppendOutcomeUnknownError)) throw error;
  return error;
}

/** The append at version 2 finds the head in the cache. */
async function expectWarmAtTwo(): Promise<void> {
  expect(store.cachedVersion(alice)).toBe(2);
  const asked = await stage.askedBy(() => store.append(alice, deposits(), { expectedVersion: 2 }));
  expect(asked).toEqual({ appends: 1, heads: 0, others: 0 });
}

describe("V12 a failed append leaves the cache as it was", () => {
  it("V12 where it is refused before it is sent", async () => {
    const huge = [{ type: "Deposited", data: { amount: 1, note: "x".repeat(2 << 20) } }] as const;
    const refused = store.append(alice, huge, { expectedVersion: 2 });
    await expect(refused).rejects.toThrow(AppendTooLargeError);
    await expectWarmAtTwo();
  });

  it("V12 where the server refuses it", async () => {
    const settings = await stage.settings();
    const limit = { ...settings, max_msg_size: 400 };
    // A store that heard of the limit would refuse by itself.
    stage.wire.hold(deliveryOf(/^\$JS\.EVENT\.ADVISORY\./));
    await stage.admin.streams.update(stage.stream, limit);
    const refused = store.append(alice, deposits(50), { expectedVersion: 2 });
    await expect(refused).rejects.toThrow(ServerRefusedError);
    await expectWarmAtTwo();
  });

  it("V12 where there is no connection", async () => {
    stage.wire.refuse();
    stage.wire.cut();
    await eventually(() => !store.health().connected);
    const refused = store.append(alice, deposits(), { expectedVersion: 2 });
    await expect(refused).rejects.toThrow(ConnectionFailedError);
    expect(store.cachedVersion(alice)).toBe(2);
    stage.wire.accept();
    await eventually(() => store.health().connected);
    const asked = await stage.askedBy(() =>
      store.append(alice, deposits(), { expectedVersion: 2 }),
    );
    expect(asked).toMatchObject({ appends: 1, heads: 0 });
  });

  it("V12 where the caller cancels while it waits for its turn", async () => {
    const held = stage.wire.hold(publishTo(stage.subject(alice)));
    const giveUp = new AbortController();
    const { signal } = giveUp;
    const first = store.append(alice, deposits(), { expectedVersion: 2 });
    const second = rejection(store.append(alice, deposits(), { expectedVersion: 3, signal }));
    await held.reached();
    giveUp.abort(new Error("enough"));
    expect(await second).toMatchObject({ message: "enough" });
    expect(store.cachedVersion(alice)).toBe(2);
    held.release();
    await first;
    expect(store.cachedVersion(alice)).toBe(3);
  });
});

describe("V12 an append of unknown outcome leaves the cache as it was", () => {
  it("V12 where it never arrived; resolve sends it again and the cache has it", async () => {
    const lost = stage.wire.drop(publishTo(stage.subject(alice)), 1_000);
    const error = await unknownOutcome(store.append(alice, deposits(), { expectedVersion: 2 }));
    expect(lost.frames.length).toBeGreaterThan(1);
    expect(store.cachedVersion(alice)).toBe(2);
    lost.stop();
    const [result] = await store.resolve(error);
    expect(result).toMatchObject({ version: 3, commitId: error.commitId });
    expect(store.cachedVersion(alice)).toBe(3);
    const asked = await stage.askedBy(() =>
      store.append(alice, deposits(), { expectedVersion: 3 }),
    );
    expect(asked).toEqual({ appends: 1, heads: 0, others: 0 });
    expect(await versions(stage.external, alice)).toEqual([1, 2, 3, 4]);
  });

  it("V12 where it was stored and nothing came back; resolve finds it and the cache has it", async () => {
    const lost = stage.wire.drop((frame) => answerTo(/./)(frame), 1_000);
    const error = await unknownOutcome(store.append(alice, deposits(), { expectedVersion: 2 }));
    expect(store.cachedVersion(alice)).toBe(2);
    lost.stop();
    stage.wire.reset();
    const [result] = await store.resolve(error);
    expect(result).toMatchObject({ version: 3, commitId: error.commitId });
    expect(stage.asked().appends).toBe(0);
    expect(store.cachedVersion(alice)).toBe(3);
    expect(await versions(stage.external, alice)).toEqual([1, 2, 3]);
  });

  it("V12 where another took its place; resolve says so and the cache has the other", async () => {
    const lost = stage.wire.drop(publishTo(stage.subject(alice)), 1_000);
    const error = await unknownOutcome(store.append(alice, deposits(), { expectedVersion: 2 }));
    lost.stop();
    await write(stage.external, alice, 2);
    await expect(store.resolve(error)).rejects.toThrow(VersionConflictError);
    expect(store.cachedVersion(alice)).toBe(4);
    expect(await versions(stage.external, alice)).toEqual([1, 2, 3, 4]);
  });

  it("V12 where it arrives only after the head was shown without it; it is stored once", async () => {
    const late = stage.wire.hold(publishTo(stage.subject(alice)));
    const error = await unknownOutcome(store.append(alice, deposits(), { expectedVersion: 2 }));
    expect(store.cachedVersion(alice)).toBe(2);
    expect(await store.latestVersion(alice)).toBe(2);
    late.release();
    const [result] = await store.resolve(error);
    expect(result?.version).toBe(3);
    expect(store.cachedVersion(alice)).toBe(3);
    expect(await store.latestVersion(alice)).toBe(3);
    expect(await versions(stage.external, alice)).toEqual([1, 2, 3]);
  });

  it("V12 a lost ack is looked into within the deadline, and the cache has the outcome", async () => {
    const patient = await stage.store({ ackTimeoutMs: 60 });
    stage.wire.drop(answerTo(stage.subject(alice)));
    const result = await patient.append(alice, deposits(), { expectedVersion: 2 });
    expect(result).toMatchObject({ version: 3, replayed: false });
    expect(patient.cachedVersion(alice)).toBe(3);
    expect(await versions(stage.external, alice)).toEqual([1, 2, 3]);
  });

  it("V12 an appendAll of unknown outcome changes no actor's entry until it is resolved", async () => {
    const bob = account("bob");
    await write(store, bob, 1);
    const lost = stage.wire.drop((frame) => answerTo(/./)(frame), 1_000);
    const error = await unknownOutcome(
      store.appendAll([
        { actor: alice, events: deposits(), expectedVersion: 2 },
        { actor: bob, events: deposits(2), expectedVersion: 1 },
      ]),
    );
    expect([alice, bob].map((actor) => store.cachedVersion(actor))).toEqual([2, 1]);
    lost.stop();
    await store.resolve(error);
    expect([alice, bob].map((actor) => store.cachedVersion(actor))).toEqual([3, 3]);
    expect(await versions(stage.external, bob)).toEqual([1, 2, 3]);
  });
});
