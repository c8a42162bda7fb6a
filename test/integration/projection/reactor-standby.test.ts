import { describe, expect, it } from "vitest";
import { type Deferred, deferred } from "../../../src/internal/deferred.ts";
import { LeaseLostError, ProjectorFencedError } from "../../../src/projection/index.ts";
import { eventually, natsUrl } from "../../support/server.ts";
import { publishTo, startWire } from "../../support/wire.ts";
import { write } from "../nats/bucket-stage.ts";
import {
  checkpointOf,
  Notes,
  openReactorBucket,
  openShop,
  place,
  react,
  upTo,
} from "./reactor-stage.ts";

/** The whole process does nothing, as when it is stopped. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

describe("several reactors of one name", () => {
  it("are active one at a time, and hand over at once when one is closed", async () => {
    const stores = [await openShop()];
    const [first] = stores;
    if (first === undefined) throw new Error("no store");
    for (let n = 0; n < 2; n++) stores.push(await openShop({ stream: first.stream }));
    let running = 0;
    let most = 0;
    const all: number[] = [];
    const notes = new Notes(async (n) => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 1));
      all.push(n);
      running--;
    });
    const reactors = await Promise.all(
      stores.map((store) => react(store, notes, { leaseMs: 20_000 })),
    );
    for (let closed = 0; closed < 3; closed++) {
      const from = closed * 20;
      for (let n = 1; n <= 20; n++) await place(first, from + n);
      await eventually(() => all.length >= from + 10);
      const active = reactors.filter((reactor) =>
        ["catching_up", "live"].includes(reactor.status().phase),
      );
      expect(active.length).toBe(1);
      await active[0]?.close();
    }
    expect(most).toBe(1);
    // closed ones had saved, so nothing was repeated
    expect(all).toEqual(upTo(all.length));
    expect(reactors.every((reactor) => reactor.status().handled > 0)).toBe(true);
  });

  it("make no further attempt where the process stood still for longer than its lease", async () => {
    const store = await openShop();
    await place(store, 1);
    const leaseMs = 300;
    const notes = new Notes(() => {
      if (notes.calls.length > 1) return;
      // while it waits for the next attempt, whose timer is due before the one that ends the lease
      setTimeout(() => standStill(leaseMs + 50), 0);
      throw new Error("not yet");
    });
    const reactor = await react(store, notes, { leaseMs, retryMs: 100 });
    await reactor.caughtUp();
    // as the active one again, from the first attempt on
    expect(notes.calls.map(({ attempt }) => attempt)).toEqual([1, 1]);
  });

  it("call no attempt failed that came to its end when the lease was over", async () => {
    const store = await openShop();
    await place(store, 1);
    const leaseMs = 300;
    const notes = new Notes(() => {
      if (notes.calls.length > 1) return;
      standStill(leaseMs + 50);
      throw new Error("what it was connected to is gone");
    });
    const reactor = await react(store, notes, { leaseMs, maxAttempts: 1 });
    await reactor.caughtUp();
    expect(notes.calls.map(({ attempt }) => attempt)).toEqual([1, 1]);
    expect(reactor.status()).toMatchObject({ handled: 1, retries: 1, parked: 0 });
  });

  it("stand by without handling anything, and take over when the active one's process is gone", async () => {
    const store = await openShop();
    const dying = await openShop({ stream: store.stream });
    await place(store, 1, 2);
    const [first, second] = [new Notes(), new Notes()];
    const active = await react(dying, first, { leaseMs: 600 });
    await active.caughtUp();
    const other = await react(store, second, { leaseMs: 600 });
    await eventually(async () => (await checkpointOf(store))?.applied === 2);
    expect(other.status()).toMatchObject({ phase: "standby", handled: 0 });
    // its connection ends: nothing is released, nothing saved
    await dying.close();
    await place(store, 3);
    await other.caughtUp();
    expect(first.numbers).toEqual([1, 2]);
    expect(second.numbers).toEqual([3]);
  });
});

/** A handler that hangs at a number until it is told to go on, or its signal aborts. */
function hanging(
  at: number,
  heeds: boolean,
): { notes: Notes; go: Deferred<void>; reasons: unknown[] } {
  const go = deferred();
  const reasons: unknown[] = [];
  const notes = new Notes(async (n, { signal }) => {
    if (n !== at) return;
    const aborted = new Promise<void>((_, reject) => {
      signal.addEventListener("abort", () => {
        reasons.push(signal.reason);
        if (heeds) reject(signal.reason);
      });
    });
    await Promise.race([go.promise, aborted]);
  });
  return { notes, go, reasons };
}

describe("a reactor that loses its lease", () => {
  it("aborts the running handle, stands by, and leaves the event to the other", async () => {
    const store = await openShop();
    await using wire = await startWire(natsUrl());
    const cutOff = await openShop({ url: wire.url, stream: store.stream });
    await place(store, ...upTo(5));
    const { notes, reasons } = hanging(3, true);
    const old = await react(cutOff, notes, { leaseMs: 500 });
    await eventually(() => notes.numbers.length === 3);
    const others = new Notes();
    const partition = wire.pause();
    const other = await react(store, others, { leaseMs: 500 });
    await other.caughtUp();
    await eventually(() => reasons.length === 1);
    expect(reasons[0]).toBeInstanceOf(LeaseLostError);
    partition.release();
    await eventually(() => old.status().phase === "standby");
    // what the first had handled it could not save, or had saved: each event was handled, in order
    expect(others.numbers).toEqual(upTo(5).slice((others.numbers[0] ?? 0) - 1));
    expect(others.numbers[0]).toBeLessThanOrEqual(3);
    await other.close();
    await place(store, 6);
    await eventually(() => notes.numbers.at(-1) === 6);
    expect(notes.numbers).toEqual([1, 2, 3, 6]);
  });

  it("waits for a handle that heeds no signal, and does not move the checkpoint back", async () => {
    const store = await openShop();
    await using wire = await startWire(natsUrl());
    const cutOff = await openShop({ url: wire.url, stream: store.stream });
    await place(store, ...upTo(3));
    const { notes, go, reasons } = hanging(2, false);
    const old = await react(cutOff, notes, { leaseMs: 500, checkpointMs: 60_000 });
    await eventually(() => notes.numbers.length === 2);
    const partition = wire.pause();
    const others = new Notes();
    const other = await react(store, others, { leaseMs: 500 });
    await place(store, 4);
    await other.caughtUp();
    await eventually(() => reasons.length === 1);
    await eventually(async () => (await checkpointOf(store))?.applied === 4);
    const standing = await checkpointOf(store);
    partition.release();
    go.resolve();
    await eventually(() => old.status().phase === "standby");
    expect(await checkpointOf(store)).toEqual(standing);
    expect(notes.numbers).toEqual([1, 2]);
    expect(others.numbers).toEqual(upTo(4));
    expect(old.status()).toMatchObject({ handled: 2 });
  });

  it("is fenced where another one claimed the checkpoint while a save was on its way", async () => {
    const store = await openShop();
    await using wire = await startWire(natsUrl());
    const cutOff = await openShop({ url: wire.url, stream: store.stream });
    await place(store, 1);
    const notes = new Notes();
    const old = await react(cutOff, notes, { leaseMs: 400 });
    await old.caughtUp();
    await eventually(async () => (await checkpointOf(store))?.applied === 1);
    // neither saves nor renewals get through, and land after the other has taken over
    const late = wire.hold(publishTo(/^\$KV\./));
    await place(store, 2);
    await old.caughtUp();
    await late.reached(2);
    const others = new Notes();
    const other = await react(store, others, { leaseMs: 400 });
    await other.caughtUp();
    await place(store, 3);
    await other.caughtUp();
    await eventually(async () => (await checkpointOf(store))?.applied === 3);
    const standing = await checkpointOf(store);
    late.release();
    await eventually(() => old.status().phase === "standby");
    await place(store, 4);
    await other.caughtUp();
    expect(notes.numbers).toEqual([1, 2]);
    expect(others.numbers).toEqual([2, 3, 4]);
    expect((await checkpointOf(store))?.writer).toBe(standing?.writer);
    expect((await checkpointOf(store))?.position).toBeGreaterThanOrEqual(standing?.position ?? 0);
  });

  it("stops handling where another one claimed the checkpoint in spite of the lease", async () => {
    const store = await openShop();
    const hung = hanging(2, true);
    const reactor = await react(store, hung.notes, { checkpointMs: 50, leaseMs: 20_000 });
    await place(store, 1);
    await reactor.caughtUp();
    const bucket = await openReactorBucket(store);
    await eventually(async () => (await checkpointOf(store))?.applied === 1);
    const { sequence: _, ...standing } = (await checkpointOf(store)) ?? { sequence: 0 };
    const claimed = JSON.stringify({
      format: 1,
      ...standing,
      writer: "other",
      nonce: "n",
      epoch: 7,
    });
    await write(bucket, `${store.stream}.mailer.checkpoint`, claimed);
    await store.append(
      { type: "order", id: "x" },
      [
        { type: "Placed", data: { n: 9 } },
        { type: "Placed", data: { n: 2 } },
      ],
      { expectedVersion: 0 },
    );
    await eventually(() => hung.reasons.length === 1);
    expect(hung.reasons[0]).toBeInstanceOf(ProjectorFencedError);
    // nobody else holds the lease: it claims the checkpoint again, and goes on where that stands
    await eventually(() => hung.notes.numbers.length >= 5);
    expect(hung.notes.numbers).toEqual([1, 9, 2, 9, 2]);
    hung.go.resolve();
    await reactor.caughtUp();
  });
});
