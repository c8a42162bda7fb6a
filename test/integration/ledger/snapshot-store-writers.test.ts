import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { LedgerSnapshot, SnapshotStore } from "../../../src/ledger/snapshot-store.ts";
import { deferred } from "../../../src/internal/deferred.ts";
import { eventually, natsUrl } from "../../support/server.ts";
import { answerTo, publishTo, startWire } from "../../support/wire.ts";
import { failureOf } from "../store/bank.ts";
import {
  at,
  entryAt,
  freshBucket,
  listen,
  openRaw,
  openSnapshots,
  signal,
  stateAt,
} from "./snapshot-store-stage.ts";

/** So many that they take several batches. */
const CHUNKS = 40;

/** Whether all chunks are of one state, the checkpoint's. */
function expectWhole(restored: LedgerSnapshot | undefined, version?: number): void {
  const { version: of } = restored?.checkpoint ?? at(0);
  expect(restored).toEqual({ checkpoint: at(version ?? of), chunks: stateAt(of, CHUNKS) });
}

/** Chunks of which those behind the first ones come when they are let. */
function slowly(version: number, first: number) {
  const reached = deferred();
  const go = deferred();
  const make = async function* (): AsyncGenerator<Uint8Array> {
    const chunks = stateAt(version, CHUNKS);
    yield* chunks.slice(0, first);
    reached.resolve();
    await go.promise;
    yield* chunks.slice(first);
  };
  return { chunks: make(), reached: reached.promise, go: () => go.resolve() };
}

describe("several processes", () => {
  it("write whole snapshots, each further than the one before, and read nothing else", async () => {
    const bucket = freshBucket();
    const heard = listen("rivals");
    const open = (): Promise<SnapshotStore> => openSnapshots(bucket, { ledger: "rivals" });
    const writers = await Promise.all([open(), open(), open(), open()]);
    let version = 0;
    const written: number[] = [];
    const writeAll = async (snapshots: SnapshotStore): Promise<void> => {
      for (let n = 0; n < 20; n++) {
        const own = ++version;
        const { kind } = await snapshots.write(at(own), stateAt(own, CHUNKS), signal);
        if (kind === "written") written.push(own);
      }
    };
    const reader = await open();
    const over = new AbortController();
    const seen: number[] = [];
    const readAll = async (): Promise<void> => {
      while (!over.signal.aborted) {
        const restored = await reader.restore(signal);
        if (restored === undefined) continue;
        expectWhole(restored);
        seen.push(restored.checkpoint.version);
      }
    };
    const reading = readAll();
    try {
      await Promise.all(writers.map(writeAll));
    } finally {
      over.abort();
      await reading;
    }
    expect(heard.what()).toContain("dropped");
    expect(written.length).toBeGreaterThan(1);
    expectWhole(await reader.restore(signal), Math.max(...written));
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  });

  it("write over nothing of one that has overtaken them, and are told", async () => {
    await using wire = await startWire(natsUrl());
    const bucket = freshBucket();
    const slow = await openSnapshots(bucket, { url: wire.url });
    const fast = await openSnapshots(bucket);
    // All but its first claim: else the server would refuse the rest, and it would look who has overtaken it.
    let claims = 0;
    const isClaim = publishTo(/\.main\.claim$/);
    const isPart = publishTo(/\.main\.a\./);
    const held = wire.hold((frame) => isPart(frame) || (isClaim(frame) && claims++ > 0));
    const late = slow.write(at(1), stateAt(1, CHUNKS), signal);
    await held.reached();
    const outcome = await fast.write(at(2), stateAt(2, CHUNKS), signal);
    expect(outcome).toMatchObject({ kind: "written" });
    held.release();
    expect(await late).toMatchObject({ kind: "needless", checkpoint: at(2) });
    expectWhole(await fast.restore(signal), 2);
  });

  it("look again once they have the claim: another one may have been faster", async () => {
    await using wire = await startWire(natsUrl());
    const bucket = freshBucket();
    const slow = await openSnapshots(bucket, { url: wire.url });
    const fast = await openSnapshots(bucket);
    const held = wire.hold(publishTo(/\.main\.claim$/));
    const late = slow.write(at(1), stateAt(1, CHUNKS), signal);
    await held.reached();
    const outcome = await fast.write(at(2), stateAt(2, CHUNKS), signal);
    expect(outcome).toMatchObject({ kind: "written" });
    held.release();
    expect(await late).toMatchObject({ kind: "needless", checkpoint: at(2) });
    expectWhole(await slow.restore(signal), 2);
  });

  it("let one that is writing go on, however long it takes, unless it stands still", async () => {
    const bucket = freshBucket();
    const options = { requestTimeoutMs: 300 };
    const slow = await openSnapshots(bucket, options);
    const other = await openSnapshots(bucket, options);
    // Writes several batches, then waits.
    const { chunks, reached, go } = slowly(1, CHUNKS - 1);
    const writing = slow.write(at(1), chunks, signal);
    await reached;
    const outcome = await other.write(at(9), stateAt(9, CHUNKS), signal);
    expect(outcome).toMatchObject({ kind: "needless", checkpoint: undefined });
    go();
    expect(await writing).toMatchObject({ kind: "written" });
    expectWhole(await other.restore(signal), 1);
    const again = slowly(3, CHUNKS - 1);
    const standing = slow.write(at(3), again.chunks, signal);
    await again.reached;
    await eventually(async () => {
      const { kind } = await other.write(at(9), stateAt(9, CHUNKS), signal);
      expect(kind).toBe("written");
    });
    again.go();
    expect(await standing).toMatchObject({ kind: "needless", checkpoint: at(9) });
    expectWhole(await slow.restore(signal), 9);
  });

  it("read the next one where theirs is written over under them", async () => {
    await using wire = await startWire(natsUrl());
    const bucket = freshBucket();
    const writer = await openSnapshots(bucket);
    await writer.write(at(1), stateAt(1, CHUNKS), signal);
    const reader = await openSnapshots(bucket, { url: wire.url });
    const held = wire.hold(answerTo(/MSG\.GET/));
    const restoring = reader.restore(signal);
    await held.reached();
    await writer.write(at(2), stateAt(2, CHUNKS), signal);
    await writer.write(at(3), stateAt(3, CHUNKS), signal);
    held.release();
    expectWhole(await restoring, 3);
  });
});

describe("a writer that does not come to its end", () => {
  it("leaves the snapshot before it where its process dies; another one writes the next", async () => {
    await using wire = await startWire(natsUrl());
    const bucket = freshBucket();
    const other = await openSnapshots(bucket, { requestTimeoutMs: 200 });
    await other.write(at(1), stateAt(1, CHUNKS), signal);
    const stopped = new AbortController();
    const dying = await openSnapshots(bucket, { url: wire.url });
    const killed = wire.hold(publishTo(/\.main\.manifest$/));
    const lost = failureOf(dying.write(at(2), stateAt(2, CHUNKS), stopped.signal));
    await killed.reached();
    wire.refuse();
    wire.cut();
    // Its chunks were there already, all but the last batch.
    expect((await entryAt(await openRaw(bucket), "main.b.0.0")).data[0]).toBe(2);
    expectWhole(await other.restore(signal), 1);
    await eventually(async () => {
      const { kind } = await other.write(at(3), stateAt(3, CHUNKS), signal);
      expect(kind).toBe("written");
    });
    expectWhole(await other.restore(signal), 3);
    stopped.abort();
    await lost;
  });

  it("leaves it where it is aborted while it waits for a chunk, and may try again", async () => {
    const bucket = freshBucket();
    const heard = listen("aborted");
    const snapshots = await openSnapshots(bucket, { ledger: "aborted" });
    await snapshots.write(at(1), stateAt(1, CHUNKS), signal);
    const { chunks, reached } = slowly(2, CHUNKS / 2);
    const stopped = new AbortController();
    const writing = failureOf(snapshots.write(at(2), chunks, stopped.signal));
    await reached;
    const reason = new Error("enough");
    stopped.abort(reason);
    expect(await writing).toBe(reason);
    expectWhole(await snapshots.restore(signal), 1);
    expect(heard.messages[1]).toMatchObject({ what: "dropped", version: 2, reason: "enough" });
    const outcome = await snapshots.write(at(3), stateAt(3, CHUNKS), signal);
    expect(outcome).toMatchObject({ kind: "written" });
    expectWhole(await snapshots.restore(signal), 3);
  });

  it("leaves it where the state cannot be written down, and leaves the source", async () => {
    const bucket = freshBucket();
    const snapshots = await openSnapshots(bucket);
    await snapshots.write(at(1), stateAt(1, CHUNKS), signal);
    const broken = async function* (): AsyncGenerator<Uint8Array> {
      yield* stateAt(2, CHUNKS / 2);
      throw new Error("it is too deep");
    };
    expect(await failureOf(snapshots.write(at(2), broken(), signal))).toMatchObject({
      message: "it is too deep",
    });
    expectWhole(await snapshots.restore(signal), 1);
    let left = false;
    const stopped = new AbortController();
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for (let n = 0; ; n++) {
          if (n === CHUNKS) stopped.abort(new Error("enough"));
          yield Uint8Array.of(3);
        }
      } finally {
        left = true;
      }
    };
    const failure = await failureOf(snapshots.write(at(3), endless(), stopped.signal));
    expect(failure).toMatchObject({ message: "enough" });
    await eventually(() => left);
    expectWhole(await snapshots.restore(signal), 1);
  });

  it("does not end before what it has sent is settled: else that could be written later", async () => {
    await using wire = await startWire(natsUrl());
    const bucket = freshBucket();
    const snapshots = await openSnapshots(bucket, { url: wire.url });
    await snapshots.write(at(1), stateAt(1, CHUNKS), signal);
    const held = wire.hold(publishTo(/\.main\.b\./));
    const thrown = deferred();
    const broken = async function* (): AsyncGenerator<Uint8Array> {
      yield* stateAt(2, CHUNKS / 4);
      await held.reached();
      thrown.resolve();
      throw new Error("it is too deep");
    };
    const writing = failureOf(snapshots.write(at(2), broken(), signal));
    await thrown.promise;
    await turn();
    const outcome = await snapshots.write(at(3), stateAt(3, CHUNKS), signal);
    expect(outcome).toMatchObject({ kind: "needless", checkpoint: undefined });
    held.release();
    expect(await writing).toMatchObject({ message: "it is too deep" });
    expect((await snapshots.write(at(3), stateAt(3, CHUNKS), signal)).kind).toBe("written");
    expectWhole(await snapshots.restore(signal), 3);
  });

  it("lets no other call of its own process in between", async () => {
    const bucket = freshBucket();
    const snapshots = await openSnapshots(bucket);
    const { chunks, reached, go } = slowly(1, CHUNKS / 2);
    const writing = snapshots.write(at(1), chunks, signal);
    await reached;
    const outcome = await snapshots.write(at(2), stateAt(2, CHUNKS), signal);
    expect(outcome).toMatchObject({ kind: "needless", checkpoint: undefined });
    go();
    expect(await writing).toMatchObject({ kind: "written" });
    expectWhole(await snapshots.restore(signal), 1);
    expect((await snapshots.write(at(2), stateAt(2, CHUNKS), signal)).kind).toBe("written");
  });

  it("says so where the bucket is gone, and does not wait", async () => {
    const bucket = freshBucket();
    const heard = listen("gone");
    const snapshots = await openSnapshots(bucket, { ledger: "gone", requestTimeoutMs: 300 });
    await snapshots.write(at(1), stateAt(1, 1), signal);
    await (await openRaw(bucket)).destroy();
    expect(await snapshots.restore(signal)).toBeUndefined();
    expect(await failureOf(snapshots.write(at(2), stateAt(2, 1), signal))).toMatchObject({
      code: expect.any(String),
    });
    expect(heard.what()).toEqual(["written", "ignored", "dropped"]);
    expect(heard.messages[1]?.reason).toContain(bucket);
  });
});
