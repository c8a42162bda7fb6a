import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AppendOutcomeUnknownError, type RetryMessage } from "../../../src/index.ts";
import { eventually } from "../../support/server.ts";
import { answerTo, publishTo } from "../../support/wire.ts";
import { listenTo } from "./listening.ts";
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
 * The server is there but does not answer. What has little time must end before what has much, whoever's turn it is:
 * so the tests compare the order in which appends end, not the clock.
 */

let stage: Stage;
let store: BankStore;
const alice = account("alice");
const bob = account("bob");
const short = { timeoutMs: 150 } as const;
const long = { timeoutMs: 1_500 } as const;

beforeEach(async () => {
  stage = await Stage.open();
  store = await stage.store({ ackTimeoutMs: 100 });
  await write(store, alice, 1);
  await write(store, bob, 1);
});

afterEach(() => stage[Symbol.asyncDispose]());

function entryOf(id: string) {
  return { actor: account(id), events: deposits(), expectedVersion: "any" as const };
}

/** Notes the order in which promises reject. */
class Ends {
  readonly order: string[] = [];
  readonly #codes = new Map<string, unknown>();
  readonly #all: Promise<void>[] = [];

  watch(name: string, work: Promise<unknown>): void {
    const end = rejection(work).then((error) => {
      this.order.push(name);
      this.#codes.set(name, error);
    });
    this.#all.push(end);
  }

  /** What all of them rejected with, by name. */
  async errors(): Promise<ReadonlyMap<string, unknown>> {
    await Promise.all(this.#all);
    return this.#codes;
  }
}

const notStored = {
  code: "jetstream_unavailable",
  message: expect.stringMatching(/took no append.* within 150 ms; nothing was stored/),
};

describe("queued appends", () => {
  it("to one actor all end within their own timeout", async () => {
    const pause = stage.wire.pause();
    const ends = new Ends();
    ends.watch("bob", store.append(bob, deposits(), { expectedVersion: 1, ...long }));
    ends.watch("first", store.append(alice, deposits(), { expectedVersion: 1, ...short }));
    const queued = Array.from({ length: 20 }, (_, n) => `queued ${n}`);
    for (const name of queued) {
      ends.watch(name, store.append(alice, deposits(), { expectedVersion: "any", ...short }));
    }
    const errors = await ends.errors();
    expect(ends.order.at(-1)).toBe("bob");
    expect(errors.get("first")).toMatchObject({ code: "append_outcome_unknown" });
    for (const name of queued) expect(errors.get(name)).toMatchObject(notStored);
    expect(store.health().appendsInFlight).toBe(0);
    pause.release();
    await eventually(async () => expect(await versions(stage.external, bob)).toEqual([1, 2]));
    expect(await versions(stage.external, alice)).toEqual([1, 2]);
    expect(await store.append(alice, deposits(), { expectedVersion: 2 })).toMatchObject({
      version: 3,
    });
  });

  it("to an actor that has to be looked at first all end within their own timeout", async () => {
    const cold = await stage.store();
    stage.wire.pause();
    const ends = new Ends();
    ends.watch("bob", cold.append(bob, deposits(), { expectedVersion: 1, ...long }));
    ends.watch("first", cold.append(alice, deposits(), { expectedVersion: 1, ...short }));
    ends.watch("second", cold.append(alice, deposits(), { expectedVersion: 1, ...short }));
    const errors = await ends.errors();
    expect(ends.order.at(-1)).toBe("bob");
    expect(errors.get("first")).toMatchObject({ code: "read_timeout" });
    expect(errors.get("second")).toMatchObject(notStored);
  });

  it("beyond maxInFlight end within their own timeout, and give their actor's lock back", async () => {
    const narrow = await stage.store({ maxInFlight: 1 });
    await narrow.latestVersion(bob);
    const held = stage.wire.hold(publishTo(stage.subject(bob)));
    const ends = new Ends();
    const running = narrow.append(bob, deposits(), { expectedVersion: 1 });
    ends.watch("waiting", narrow.append(alice, deposits(), { expectedVersion: 1, ...short }));
    const errors = await ends.errors();
    expect(errors.get("waiting")).toMatchObject(notStored);
    held.release();
    await running;
    await narrow.append(alice, deposits(), { expectedVersion: 1 });
  });

  it("in doubt end within their own timeout, however few looks at the stream go at once", async () => {
    const narrow = await stage.store({ ackTimeoutMs: 50, maxReadsInFlight: 1 });
    await narrow.latestVersion(alice);
    await narrow.latestVersion(bob);
    const pause = stage.wire.pause();
    const ends = new Ends();
    ends.watch("bob", narrow.append(bob, deposits(), { expectedVersion: 1, ...long }));
    await pause.reached();
    ends.watch("alice", narrow.append(alice, deposits(), { expectedVersion: 1, ...short }));
    const errors = await ends.errors();
    expect(ends.order).toEqual(["alice", "bob"]);
    expect(errors.get("alice")).toMatchObject({ code: "append_outcome_unknown" });
  });

  it("that run within their time are stored, however many wait with them", async () => {
    const appends = Array.from({ length: 200 }, () =>
      store.append(alice, deposits(), { expectedVersion: "any" }),
    );
    expect((await Promise.all(appends)).map(({ version }) => version)).toEqual(
      Array.from({ length: 200 }, (_, n) => n + 2),
    );
  });
});

describe("queued appendAlls", () => {
  it("end within their own timeout where others keep the server's few places for batches", async () => {
    stage.wire.pause();
    const ends = new Ends();
    for (let n = 0; n < 8; n++) {
      ends.watch(`running ${n}`, store.appendAll([entryOf(`n${n}`)], long));
    }
    ends.watch("waiting", store.appendAll([entryOf("alice"), entryOf("bob")], short));
    const errors = await ends.errors();
    expect(ends.order[0]).toBe("waiting");
    expect(errors.get("waiting")).toMatchObject(notStored);
  });

  it("that wait for one of their actors give all others back at their deadline", async () => {
    const held = stage.wire.hold(publishTo(stage.subject(bob)));
    const running = store.append(bob, deposits(), { expectedVersion: 1 });
    const error = await rejection(store.appendAll([entryOf("alice"), entryOf("bob")], short));
    expect(error).toMatchObject(notStored);
    await store.append(alice, deposits(), { expectedVersion: 1 });
    held.release();
    await running;
  });
});

describe("a read that an append begins with", () => {
  it("has no more time than what is left of the append's, however often it is repeated", async () => {
    const cold = await stage.store();
    const answer = answerTo(stage.headRequest(alice));
    stage.wire.drop(answer, 1_000);
    const held = stage.wire.hold(publishTo(stage.subject(bob)));
    await cold.latestVersion(bob);
    const ends = new Ends();
    ends.watch("bob", cold.append(bob, deposits(), { expectedVersion: 1, timeoutMs: 600 }));
    // With its full time again for each repetition it would end after twice 400 ms.
    ends.watch("alice", cold.append(alice, deposits(), { expectedVersion: 1, timeoutMs: 400 }));
    await ends.errors();
    expect(ends.order).toEqual(["alice", "bob"]);
    held.release();
  });
});

describe("a read that waits for another while the connection is lost", () => {
  it("is sent on the next connection, not into nowhere", async () => {
    const narrow = await stage.store({ maxReadsInFlight: 1 });
    const retries = listenTo<RetryMessage>("annal:retry", stage.stream);
    const held = stage.wire.hold(publishTo(stage.headRequest(alice)));
    const reads = Promise.all([narrow.latestVersion(alice), narrow.latestVersion(bob)]);
    await held.reached();
    stage.wire.refuse();
    stage.wire.cut();
    await eventually(() => !narrow.health().connected);
    held.release();
    stage.wire.accept();
    expect(await reads).toEqual([1, 1]);
    expect(retries.map(({ reason }) => reason)).not.toContain("timeout");
  });
});

describe("a resolve that gets no turn in time", () => {
  it.each(["append", "appendAll"] as const)(
    "leaves the outcome of its %s unknown, and can be repeated",
    async (kind) => {
      const held = stage.wire.hold(publishTo(new RegExp(`^${stage.subject(alice)}$`)));
      const send =
        kind === "append"
          ? store.append(alice, deposits(), { expectedVersion: 1, ...short })
          : store.appendAll([entryOf("alice")], short);
      const unknown = await rejection(send);
      expect(unknown).toMatchObject({ code: "append_outcome_unknown" });
      const running = store.append(alice, deposits(), { expectedVersion: "any" });
      await held.reached(held.frames.length + 1);
      const resolve = store.resolve.bind(store);
      const again = await rejection(resolve(asUnknown(unknown), short));
      expect(again).toMatchObject({ code: "append_outcome_unknown" });
      held.release();
      await running;
      const [result] = await resolve(asUnknown(again));
      expect(result).toMatchObject({ version: 2 });
    },
  );
});

function asUnknown(error: unknown): Parameters<BankStore["resolve"]>[0] {
  if (error instanceof AppendOutcomeUnknownError) return error;
  throw error;
}
