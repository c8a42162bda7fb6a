import { describe, expect, it } from "vitest";
import { ClosedError, InvalidArgumentError } from "../../../src/errors.ts";
import { deferred } from "../../../src/internal/deferred.ts";
import { ReactorFailedError, startReactor } from "../../../src/projection/index.ts";
import { eventually } from "../../support/server.ts";
import { failureOf } from "../store/bank.ts";
import {
  bounds,
  checkpointOf,
  Notes,
  openReactorBucket,
  openShop,
  place,
  react,
  upTo,
} from "./reactor-stage.ts";

/** Fails at one number for so many times. */
function failing(at: number, times: number): Notes {
  let left = times;
  return new Notes((n) => {
    if (n === at && left-- > 0) throw new Error(`no ${n} today`);
  });
}

describe("a reactor whose handle fails", () => {
  it("tries again before it goes on, and says so", async () => {
    const store = await openShop();
    await place(store, 1, 2, 3);
    const again = deferred();
    const notes = new Notes(async (n, { attempt }) => {
      if (n !== 2) return;
      if (attempt < 4) throw new Error(`no ${attempt}`);
      await again.promise;
    });
    const reactor = await react(store, notes, { retryMs: 1 });
    await eventually(() => notes.calls.length === 5);
    expect(reactor.status()).toMatchObject({ phase: "retrying", retries: 3, handled: 1 });
    expect(reactor.status().error).toMatchObject({ message: "no 3" });
    again.resolve();
    await reactor.caughtUp();
    expect(notes.numbers).toEqual([1, 2, 2, 2, 2, 3]);
    expect(notes.calls.map(({ attempt }) => attempt)).toEqual([1, 1, 2, 3, 4, 1]);
    expect(new Set(notes.calls.map(({ id }) => id)).size).toBe(3);
    expect(reactor.status()).toMatchObject({ handled: 3, retries: 3, parked: 0 });
    expect(reactor.status().phase).not.toBe("retrying");
  });

  it("waits longer each time, up to a bound", async () => {
    const store = await openShop();
    await place(store, 1);
    const at: number[] = [];
    const notes = new Notes(() => {
      at.push(performance.now());
      if (at.length < 7) throw new Error("no");
    });
    const reactor = await react(store, notes, { retryMs: 20, maxRetryMs: 80 });
    await reactor.caughtUp();
    const waits = at.slice(1).map((time, index) => time - (at[index] ?? 0));
    const least = [10, 20, 40, 40, 40, 40];
    // a timer may fire a millisecond early
    expect(waits.every((wait, index) => wait >= (least[index] ?? 0) - 1.5)).toBe(true);
  });

  it("stops at the event after its last attempt, and goes on there when it is started again", async () => {
    const store = await openShop();
    await place(store, ...upTo(5));
    const notes = failing(3, 4);
    const reactor = await react(store, notes, { maxAttempts: 3 });
    const error = await failureOf(reactor.ended);
    expect(error).toBeInstanceOf(ReactorFailedError);
    expect(error).toMatchObject({
      code: "reactor_failed",
      reactor: "mailer",
      attempts: 3,
      event: { position: 1, index: 2, type: "Placed", actor: { type: "order", id: "o1" } },
      cause: { message: "no 3 today" },
    });
    expect(reactor.status()).toMatchObject({ phase: "failed", error, handled: 2 });
    expect(await failureOf(reactor.caughtUp())).toBe(error);
    expect(notes.numbers).toEqual([1, 2, 3, 3, 3]);
    expect(await checkpointOf(store)).toMatchObject({ position: 1, taken: 2, complete: 0 });
    const next = await react(store, notes, { maxAttempts: 3 });
    await next.caughtUp();
    expect(notes.numbers).toEqual([1, 2, 3, 3, 3, 3, 3, 4, 5]);
  });

  it("tries for ever where it is asked to", async () => {
    const store = await openShop();
    await place(store, 1);
    const notes = failing(1, 40);
    const options = { maxAttempts: Number.POSITIVE_INFINITY, retryMs: 1, maxRetryMs: 2 };
    const reactor = await react(store, notes, options);
    await reactor.caughtUp();
    expect(notes.calls.at(-1)?.attempt).toBe(41);
  });

  it("aborts an attempt that takes too long, and counts it as failed", async () => {
    const store = await openShop();
    await place(store, 1, 2);
    const reasons: unknown[] = [];
    const notes = new Notes((n, { attempt, signal }) => {
      if (n === 2 || attempt === 3) return Promise.resolve();
      return new Promise<void>((_, reject) => {
        signal.addEventListener("abort", () => {
          reasons.push(signal.reason);
          reject(signal.reason);
        });
      });
    });
    const reactor = await react(store, notes, { handleTimeoutMs: 20 });
    await reactor.caughtUp();
    expect(notes.numbers).toEqual([1, 1, 1, 2]);
    expect(reasons).toMatchObject([{ name: "TimeoutError" }, { name: "TimeoutError" }]);
  });

  it("takes what was done too late as done", async () => {
    const store = await openShop();
    await place(store, 1);
    const notes = new Notes((_, { signal }) => {
      return new Promise((resolve) => {
        signal.addEventListener("abort", () => resolve());
      });
    });
    const reactor = await react(store, notes, { handleTimeoutMs: 20 });
    await reactor.caughtUp();
    expect(notes.numbers).toEqual([1]);
  });
});

describe("a reactor that parks what fails", () => {
  const park = { onFailure: "park", maxAttempts: 2, retryMs: 1 } as const;

  it("sets event and error aside with the checkpoint behind it, and goes on", async () => {
    const store = await openShop();
    await place(store, ...upTo(4));
    await place(store, 5);
    const notes = failing(3, 100);
    const reactor = await react(store, notes, { ...park, checkpointMs: 60_000 });
    await reactor.caughtUp();
    expect(notes.numbers).toEqual([1, 2, 3, 3, 4, 5]);
    expect(reactor.status()).toMatchObject({ handled: 4, parked: 1, retries: 1 });
    const letters = await reactor.deadLetters();
    expect(letters).toMatchObject([
      {
        id: "1-2",
        event: { position: 1, index: 2, type: "Placed", actor: { type: "order", id: "o1" } },
        data: { n: 3 },
        attempts: 2,
      },
    ]);
    expect(letters[0]?.error).toContain("no 3 today");
    expect(Math.abs(Date.now() - (letters[0]?.parkedAt.getTime() ?? 0))).toBeLessThan(60_000);
    await reactor.close();
    const again = new Notes();
    await (await react(store, again)).caughtUp();
    expect(again.numbers).toEqual([]);
  });

  it("has stored the letter and the checkpoint in one batch", async () => {
    const store = await openShop();
    const bucket = await openReactorBucket(store);
    await place(store, 1, 2);
    const hang = deferred();
    const notes = new Notes((n) => {
      if (n === 1) throw new Error("no");
      return hang.promise;
    });
    await react(store, notes, { ...park, checkpointMs: 60_000, checkpointEvery: 1_000 });
    await eventually(() => notes.numbers.includes(2));
    const letter = await bucket.leaderGet(`${store.stream}.mailer.dead.1-0`, bounds);
    const checkpoint = await checkpointOf(store);
    expect(letter?.headers.get("Nats-Batch-Id")).toBeDefined();
    expect(checkpoint).toMatchObject({
      position: 1,
      taken: 1,
      sequence: (letter?.sequence ?? 0) + 1,
    });
    hang.resolve();
  });

  it("handles a dead letter again when it is told to, and keeps it until that succeeds", async () => {
    const store = await openShop();
    await place(store, 1, 2, 3);
    const notes = new Notes((n, { attempt }) => {
      if (n === 2 && attempt < 5) throw new Error(`not at attempt ${attempt}`);
    });
    const reactor = await react(store, notes, { ...park, maxAttempts: 3 });
    await reactor.caughtUp();
    const error = await failureOf(reactor.retryDeadLetter("1-1"));
    expect(error).toBeInstanceOf(ReactorFailedError);
    expect(error).toMatchObject({ attempts: 4, cause: { message: "not at attempt 4" } });
    expect(await reactor.deadLetters()).toMatchObject([{ id: "1-1", attempts: 4 }]);
    await reactor.retryDeadLetter("1-1");
    expect(await reactor.deadLetters()).toEqual([]);
    expect(notes.calls.at(-1)).toMatchObject({ n: 2, attempt: 5 });
    expect(notes.calls.at(-1)?.id).toBe(notes.calls[1]?.id);
    for (const id of ["1-1", "1-0", "", "a.b", "1"]) {
      expect(await failureOf(reactor.retryDeadLetter(id))).toBeInstanceOf(InvalidArgumentError);
    }
    await reactor.close();
    expect(await failureOf(reactor.retryDeadLetter("1-1"))).toBeInstanceOf(ClosedError);
  });

  it("handles a dead letter between two other events, never beside one", async () => {
    const store = await openShop();
    await place(store, 1);
    const gates = new Map([[2, deferred()]]);
    let ill = true;
    const notes = new Notes(async (n) => {
      if (n === 1 && ill) throw new Error("ill");
      await gates.get(n)?.promise;
    });
    const reactor = await react(store, notes, park);
    await reactor.caughtUp();
    ill = false;
    await place(store, 2);
    await eventually(() => notes.numbers.includes(2));
    const retried = reactor.retryDeadLetter("1-0");
    await place(store, 3);
    gates.get(2)?.resolve();
    await Promise.all([retried, reactor.caughtUp()]);
    expect(notes.most).toBe(1);
    expect(notes.numbers.toSorted((a, b) => a - b)).toEqual([1, 1, 1, 2, 3]);
    expect(await reactor.deadLetters()).toEqual([]);
  });

  it("lists letters in the order of the stream, whatever their data are", async () => {
    const store = await openShop();
    const big = "x".repeat(900_000);
    const actor = { type: "noise", id: "n" } as const;
    for (let at = 0; at < 12; at++) {
      const data = at === 4 ? big : `noise ${at}`;
      await store.append(actor, [{ type: "Heard", data }], { expectedVersion: at });
    }
    await using reactor = await startReactor(store, {
      name: "ear",
      events: { noise: "all" },
      handle: (event) => {
        throw new Error(event.data.length > 1_000 ? big : "too loud");
      },
      ...park,
    });
    await reactor.caughtUp();
    const letters = await reactor.deadLetters();
    expect(letters.map(({ id }) => id)).toEqual(upTo(12).map((n) => `${n}-0`));
    expect(letters.map(({ data }) => typeof data)).toContain("string");
    expect(letters[4]?.error.length).toBeLessThanOrEqual(10_000);
  });
});
