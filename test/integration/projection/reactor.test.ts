import { jetstreamManager } from "@nats-io/jetstream";
import { describe, expect, it } from "vitest";
import { ClosedError, InvalidArgumentError, StreamRolledBackError } from "../../../src/errors.ts";
import { deferred } from "../../../src/internal/deferred.ts";
import { startReactor } from "../../../src/projection/index.ts";
import { eventually, natsUrl } from "../../support/server.ts";
import { startWire } from "../../support/wire.ts";
import { failureOf, openConnection, untyped } from "../store/bank.ts";
import {
  checkpointOf,
  Notes,
  openShop,
  place,
  react,
  selection,
  type ShopOptions,
  upTo,
} from "./reactor-stage.ts";

describe("a reactor", () => {
  it("handles the selected events of the stream in their order, then those that are appended", async () => {
    const store = await openShop();
    await place(store, 1, 2);
    await store.append(
      { type: "order", id: "o1" },
      [
        { type: "Shipped", data: { n: 100 } },
        { type: "Placed", data: { n: 3 } },
        { type: "Shipped", data: { n: 101 } },
      ],
      { expectedVersion: "any" },
    );
    await store.append({ type: "noise", id: "x" }, [{ type: "Heard", data: "psst" }], {
      expectedVersion: 0,
    });
    await place(store, 4);
    const notes = new Notes();
    const reactor = await react(store, notes);
    await reactor.caughtUp();
    expect(notes.numbers).toEqual([1, 2, 3, 4]);
    expect(notes.calls.every(({ attempt }) => attempt === 1)).toBe(true);
    expect(new Set(notes.calls.map(({ id }) => id)).size).toBe(4);
    await eventually(() => reactor.status().phase === "live");
    for (const n of [5, 6, 7]) await place(store, n);
    await reactor.caughtUp();
    expect(notes.numbers).toEqual(upTo(7));
    expect(notes.most).toBe(1);
    expect(reactor.status()).toMatchObject({
      reactor: "mailer",
      position: 7,
      head: 7,
      handled: 7,
      retries: 0,
      parked: 0,
      lagEvents: 0,
      lagSeconds: 0,
      error: undefined,
    });
  });

  it("goes on behind what it handled when it is started again", async () => {
    const store = await openShop();
    for (let n = 1; n <= 250; n += 5) await place(store, n, n + 1, n + 2, n + 3, n + 4);
    const first = new Notes();
    const gate = deferred();
    const stopAt = new Notes((n) => {
      first.calls.push({ n, attempt: 1, id: "" });
      if (n === 123) gate.resolve();
    });
    const reactor = await react(store, stopAt);
    await gate.promise;
    await reactor.close();
    expect(reactor.status().phase).toBe("stopped");
    const second = new Notes();
    const next = await react(store, second);
    await next.caughtUp();
    expect([...first.numbers, ...second.numbers]).toEqual(upTo(250));
    expect(first.numbers.length).toBeGreaterThanOrEqual(123);
  });

  it("repeats after a crash at most what it had not saved", async () => {
    const store = await openShop();
    const dying = await openShop({ stream: store.stream });
    await place(store, ...upTo(95));
    const notes = new Notes();
    const hang = deferred();
    const stuck = new Notes((n) => (n === 77 ? hang.promise : undefined));
    const options = { checkpointEvery: 10, checkpointMs: 60_000, leaseMs: 300 };
    await react(dying, stuck, options);
    await eventually(() => stuck.numbers.length === 77);
    // as a process that is killed: nothing is saved any more
    await dying.close();
    hang.resolve();
    const next = await react(store, notes, options);
    await next.caughtUp();
    expect(notes.numbers).toEqual(upTo(95).slice(70));
  });

  it("saves how far it is while it has nothing to do", async () => {
    const store = await openShop();
    const reactor = await react(store, new Notes(), { checkpointMs: 60_000 });
    await place(store, 1, 2, 3);
    await reactor.caughtUp();
    await eventually(async () => (await checkpointOf(store))?.applied === 3);
    expect(await checkpointOf(store)).toMatchObject({ position: 1, taken: 3, complete: 1 });
  });

  it("saves how far it is in the middle of a handle that takes long, also within a commit", async () => {
    const store = await openShop();
    const hang = deferred();
    const stuck = new Notes((n) => (n === 3 ? hang.promise : undefined));
    await react(store, stuck, { checkpointMs: 50 });
    await place(store, 1, 2, 3);
    await eventually(async () => (await checkpointOf(store))?.applied === 2);
    expect(await checkpointOf(store)).toMatchObject({ position: 1, taken: 2, complete: 0 });
    hang.resolve();
    await eventually(async () => (await checkpointOf(store))?.applied === 3);
  });

  it("begins behind what stands there now where it is asked to, and never again", async () => {
    const store = await openShop();
    await place(store, 1, 2);
    const notes = new Notes();
    const reactor = await react(store, notes, { startAt: "now" });
    await reactor.caughtUp();
    await place(store, 3);
    await reactor.caughtUp();
    await reactor.close();
    await place(store, 4);
    const next = await react(store, notes, { startAt: "now" });
    await next.caughtUp();
    expect(notes.numbers).toEqual([3, 4]);
  });

  it("begins with the first event where it was asked to begin now and there was none", async () => {
    const store = await openShop();
    const notes = new Notes();
    const reactor = await react(store, notes, { startAt: "now" });
    await eventually(() => reactor.status().phase === "live");
    await reactor.close();
    await place(store, 1);
    const next = await react(store, notes, { startAt: "now" });
    await next.caughtUp();
    expect(notes.numbers).toEqual([1]);
  });

  it("is kept apart from one of the same name on another stream", async () => {
    const [one, other] = [await openShop(), await openShop()];
    await place(one, 1);
    await place(other, 2);
    const [notes, others] = [new Notes(), new Notes()];
    await (await react(one, notes)).caughtUp();
    await (await react(other, others)).caughtUp();
    expect([notes.numbers, others.numbers]).toEqual([[1], [2]]);
  });

  it("refuses a stream in which another commit stands at its checkpoint", async () => {
    const store = await openShop();
    await place(store, 1);
    await place(store, 2);
    const reactor = await react(store, new Notes());
    await reactor.caughtUp();
    await reactor.close();
    const manager = await jetstreamManager(await openConnection(), { checkAPI: false });
    const { config } = await manager.streams.info(store.stream);
    await manager.streams.delete(store.stream);
    await manager.streams.add(config);
    const fresh = await openShop({ stream: store.stream });
    for (const n of [7, 8, 9]) await place(fresh, n);
    const notes = new Notes();
    const refused = await react(fresh, notes);
    const error = await failureOf(refused.ended);
    expect(error).toBeInstanceOf(StreamRolledBackError);
    expect(error).toMatchObject({ position: 2 });
    expect(refused.status()).toMatchObject({ phase: "failed", error });
    expect(await failureOf(refused.caughtUp())).toBe(error);
    expect(notes.numbers).toEqual([]);
  });

  it("fails where the stream is rolled back under it", async () => {
    const store = await openShop();
    const notes = new Notes();
    const reactor = await react(store, notes);
    await place(store, 1);
    await reactor.caughtUp();
    const manager = await jetstreamManager(await openConnection(), { checkAPI: false });
    const { config } = await manager.streams.info(store.stream);
    await manager.streams.delete(store.stream);
    await manager.streams.add(config);
    expect(await failureOf(reactor.ended)).toBeInstanceOf(StreamRolledBackError);
    expect(notes.numbers).toEqual([1]);
  });
});

describe("closing a reactor", () => {
  it("waits for the event that is being handled, and begins no other", async () => {
    const store = await openShop();
    await place(store, 1, 2, 3);
    const [begun, finish] = [deferred(), deferred()];
    const notes = new Notes(async (_, { signal }) => {
      begun.resolve();
      await finish.promise;
      expect(signal.aborted).toBe(false);
    });
    const reactor = await react(store, notes);
    await begun.promise;
    let closed = false;
    const closing = Promise.all([reactor.close(), reactor.close()]).then(() => (closed = true));
    expect(await failureOf(reactor.caughtUp())).toBeInstanceOf(ClosedError);
    expect(closed).toBe(false);
    finish.resolve();
    await closing;
    await reactor.ended;
    expect(notes.numbers).toEqual([1]);
    expect(await checkpointOf(store)).toMatchObject({ position: 1, taken: 1, applied: 1 });
  });

  it("aborts the running handle when its signal does, and leaves the event to the next", async () => {
    const store = await openShop();
    await place(store, 1);
    const begun = deferred();
    const notes = new Notes((_, { signal }) => {
      begun.resolve();
      return new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      });
    });
    const reactor = await react(store, notes);
    await begun.promise;
    const reason = new Error("no more time");
    const abort = new AbortController();
    const closing = failureOf(reactor.close({ signal: abort.signal }));
    abort.abort(reason);
    expect(await closing).toBe(reason);
    await reactor.ended;
    expect(reactor.status()).toMatchObject({ phase: "stopped", handled: 0, retries: 0 });
    const again = new Notes();
    await (await react(store, again)).caughtUp();
    expect(again.calls).toMatchObject([{ n: 1, attempt: 1 }]);
  });

  it("ends the wait for another attempt", async () => {
    const store = await openShop();
    await place(store, 1);
    const notes = new Notes(() => Promise.reject(new Error("not yet")));
    const reactor = await react(store, notes, { retryMs: 60_000, maxRetryMs: 60_000 });
    await eventually(() => reactor.status().phase === "retrying");
    await reactor.close();
    expect(notes.numbers).toEqual([1]);
    expect(reactor.status().phase).toBe("stopped");
  });

  it("ends while the server cannot be reached", async () => {
    await using wire = await startWire(natsUrl());
    const store = await openShop({ url: wire.url });
    await place(store, 1);
    const notes = new Notes();
    const reactor = await react(store, notes, { leaseMs: 500 });
    await reactor.caughtUp();
    wire.refuse();
    wire.cut();
    await reactor.close();
    expect(reactor.status().phase).toBe("stopped");
    wire.accept();
  });

  it("is what remains to be done when the store was closed before", async () => {
    const store = await openShop();
    const reactor = await react(store, new Notes());
    await reactor.caughtUp();
    await store.close();
    expect(await failureOf(reactor.ended)).toBeInstanceOf(ClosedError);
    await reactor.close();
    expect(reactor.status().phase).toBe("failed");
  });
});

describe("starting a reactor", () => {
  it("refuses options that are none, naming them", async () => {
    const store = await openShop();
    const wrong: readonly [string, unknown][] = [
      ["name", { name: "a.b" }],
      ["name", { name: "" }],
      ["events", { events: {} }],
      ["events.order", { events: { order: [] } }],
      ["handle", { handle: "nothing" }],
      ["bucket", { bucket: "a b" }],
      ["maxAttempts", { maxAttempts: 0 }],
      ["retryMs", { retryMs: -1 }],
      ["maxRetryMs", { maxRetryMs: 2 ** 31 }],
      ["handleTimeoutMs", { handleTimeoutMs: 0 }],
      ["onFailure", { onFailure: "skip" }],
      ["startAt", { startAt: "never" }],
      ["checkpointEvery", { checkpointEvery: 0 }],
      ["checkpointMs", { checkpointMs: 0.5 }],
      ["leaseMs", { leaseMs: 1 }],
    ];
    for (const [argument, options] of wrong) {
      const all = {
        name: "mailer",
        events: selection,
        handle: () => {},
        ...untyped<ShopOptions>(options),
      };
      const error = await failureOf(startReactor(store, all));
      expect(error).toBeInstanceOf(InvalidArgumentError);
      expect(error).toMatchObject({ argument });
    }
  });

  it("stops when its signal has aborted", async () => {
    const store = await openShop();
    const reason = new Error("no");
    const options = { name: "mailer", events: selection, handle: () => {} };
    const signal = AbortSignal.abort(reason);
    expect(await failureOf(startReactor(store, { ...options, signal }))).toBe(reason);
  });
});
