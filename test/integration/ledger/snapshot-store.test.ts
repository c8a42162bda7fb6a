import { describe, expect, it } from "vitest";
import { InvalidArgumentError } from "../../../src/index.ts";
import { makeNarrowBucket } from "../projection/snapshot-stage.ts";
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

describe("snapshots of a ledger", () => {
  it("gives another process what was written", async () => {
    const bucket = freshBucket();
    const heard = listen("main");
    const chunks = [Uint8Array.of(1, 2, 3), new Uint8Array(0), new Uint8Array(70_000).fill(7)];
    const writer = await openSnapshots(bucket);
    const outcome = await writer.write(at(12), chunks, signal);
    expect(outcome).toEqual({ kind: "written", chunks: 3, bytes: 70_003 });
    const reader = await openSnapshots(bucket);
    const restored = await reader.restore(signal);
    expect(restored).toEqual({ checkpoint: at(12), chunks });
    // A buffer of its own may be seen as an array of larger numbers.
    expect(
      restored?.chunks.map(({ byteOffset, buffer }) => [byteOffset, buffer.byteLength]),
    ).toEqual(chunks.map(({ length }) => [0, length]));
    expect(await reader.standing(signal)).toEqual(at(12));
    const common = { ledger: "main", version: 12, chunks: 3, bytes: 70_003, reason: undefined };
    expect(heard.messages).toEqual([
      { ...common, what: "written", durationMs: expect.any(Number) },
      { ...common, what: "restored", durationMs: expect.any(Number) },
    ]);
    expect(heard.messages.every(({ durationMs }) => durationMs > 0)).toBe(true);
  });

  it("takes chunks as they are made, in their order, also more than go out at once", async () => {
    const bucket = freshBucket();
    const snapshots = await openSnapshots(bucket);
    const make = async function* (): AsyncGenerator<Uint8Array> {
      for (let n = 0; n < 100; n++) yield Uint8Array.of(n, n);
    };
    await snapshots.write(at(5), make(), signal);
    const restored = await snapshots.restore(signal);
    expect(restored?.chunks.map(([n]) => n)).toEqual(Array.from({ length: 100 }, (_, n) => n));
  });

  it("holds an empty list", async () => {
    const bucket = freshBucket();
    const snapshots = await openSnapshots(bucket);
    const outcome = await snapshots.write(at(3), [], signal);
    expect(outcome).toEqual({ kind: "written", chunks: 0, bytes: 0 });
    expect(await snapshots.restore(signal)).toEqual({ checkpoint: at(3), chunks: [] });
  });

  it("gives nothing, and says nothing, where none was written", async () => {
    const heard = listen("none");
    const snapshots = await openSnapshots(freshBucket(), { ledger: "none" });
    expect(await snapshots.restore(signal)).toBeUndefined();
    expect(await snapshots.standing(signal)).toBeUndefined();
    expect(heard.what()).toEqual([]);
  });

  it("keeps those of several ledgers in one bucket apart", async () => {
    const bucket = freshBucket();
    const [one, other] = [
      await openSnapshots(bucket, { ledger: "one" }),
      await openSnapshots(bucket, { ledger: "one_" }),
    ];
    await one.write(at(1), stateAt(1, 2), signal);
    await other.write(at(9), stateAt(9, 1), signal);
    expect(await one.restore(signal)).toEqual({ checkpoint: at(1), chunks: stateAt(1, 2) });
    expect(await other.restore(signal)).toEqual({ checkpoint: at(9), chunks: stateAt(9, 1) });
  });

  it("splits chunks that are larger than an entry may be, and joins them", async () => {
    const bucket = freshBucket();
    const snapshots = await openSnapshots(bucket);
    const large = Uint8Array.from({ length: (512 << 10) * 3 + 1 }, (_, n) => (n * 31) % 251);
    const chunks = [Uint8Array.of(1), large, Uint8Array.of(2)];
    await snapshots.write(at(4), chunks, signal);
    const raw = await openRaw(bucket);
    const sizes: number[] = [];
    for await (const key of raw.keys({ prefix: "main.a" })) {
      sizes.push((await entryAt(raw, key)).data.length);
    }
    expect(sizes).toEqual([1, 512 << 10, 512 << 10, 512 << 10, 1, 1]);
    const restored = await snapshots.restore(signal);
    expect(restored?.chunks.map(({ length }) => length)).toEqual(
      chunks.map(({ length }) => length),
    );
    expect(Buffer.compare(restored?.chunks[1] ?? large.subarray(1), large)).toBe(0);
  });

  it("splits them as a bucket of another client needs it", async () => {
    const bucket = freshBucket();
    await makeNarrowBucket(bucket);
    const snapshots = await openSnapshots(bucket);
    const chunks = [5_000, 100, 2_000].map((length) =>
      Uint8Array.from({ length }, (_, n) => (n * 31) % 251),
    );
    await snapshots.write(at(4), chunks, signal);
    expect(await snapshots.restore(signal)).toEqual({ checkpoint: at(4), chunks });
  });

  it("can be read by people: the manifest is JSON that begins with its format", async () => {
    const bucket = freshBucket();
    const snapshots = await openSnapshots(bucket);
    await snapshots.write(at(4), stateAt(4, 2), signal);
    const { data } = await entryAt(await openRaw(bucket), "main.manifest");
    const text = Buffer.from(data).toString();
    expect(text).toMatch(/^\{"format":1,/);
    expect(JSON.parse(text)).toEqual({
      format: 1,
      ...at(4),
      nonce: expect.any(String),
      slot: "a",
      chunks: 2,
      bytes: 128,
    });
  });

  it("writes each beside the one before", async () => {
    const bucket = freshBucket();
    const snapshots = await openSnapshots(bucket);
    for (const version of [1, 2, 3, 4]) {
      await snapshots.write(at(version), stateAt(version, 5 - version), signal);
      const restored = await snapshots.restore(signal);
      expect(restored).toEqual({ checkpoint: at(version), chunks: stateAt(version, 5 - version) });
      const { data } = await entryAt(await openRaw(bucket), "main.manifest");
      expect(JSON.parse(Buffer.from(data).toString())).toMatchObject({
        slot: version % 2 === 1 ? "a" : "b",
      });
    }
  });

  it.each([
    ["ledger", { ledger: "a.b" }],
    ["everyEntries", { everyEntries: 0 }],
    ["requestTimeoutMs", { requestTimeoutMs: 0.5 }],
  ])("refuses options of which %s is wrong", async (argument, options) => {
    const failure = await failureOf(openSnapshots(freshBucket(), options));
    expect(failure).toBeInstanceOf(InvalidArgumentError);
    expect(failure).toMatchObject({ argument });
  });

  it("refuses a checkpoint that it could not give back", async () => {
    const snapshots = await openSnapshots(freshBucket());
    const failure = await failureOf(snapshots.write({ ...at(1), position: -1 }, [], signal));
    expect(failure).toMatchObject({ code: "invalid_argument", argument: "checkpoint.position" });
    expect(await snapshots.standing(signal)).toBeUndefined();
  });
});

describe("a snapshot that is not needed", () => {
  it("is not written where one stands that is as far, or nearly", async () => {
    const bucket = freshBucket();
    const heard = listen("main");
    const [one, other] = [
      await openSnapshots(bucket, { everyEntries: 10 }),
      await openSnapshots(bucket, { everyEntries: 10 }),
    ];
    await one.write(at(50), stateAt(50, 2), signal);
    for (const version of [40, 50, 59]) {
      const outcome = await other.write(at(version), stateAt(version, 1), signal);
      expect(outcome).toMatchObject({ kind: "needless", checkpoint: at(50) });
    }
    expect(await other.restore(signal)).toEqual({ checkpoint: at(50), chunks: stateAt(50, 2) });
    expect(await other.write(at(60), stateAt(60, 1), signal)).toMatchObject({ kind: "written" });
    expect(await one.restore(signal)).toEqual({ checkpoint: at(60), chunks: stateAt(60, 1) });
    const dropped = heard.messages.filter(({ what }) => what === "dropped");
    expect(dropped.map(({ version }) => version)).toEqual([40, 50, 59]);
    expect(dropped[0]?.reason).toContain("version 50");
  });

  it("is written for fewer entries where the caller says so, but never over one as far", async () => {
    const bucket = freshBucket();
    const snapshots = await openSnapshots(bucket, { everyEntries: 1_000 });
    await snapshots.write(at(50), stateAt(50, 2), signal);
    const last = { everyEntries: 10 };
    for (const version of [50, 59]) {
      const outcome = await snapshots.write(at(version), [], signal, last);
      expect(outcome).toMatchObject({ kind: "needless", checkpoint: at(50) });
    }
    expect((await snapshots.write(at(60), stateAt(60, 1), signal, last)).kind).toBe("written");
    const failure = await failureOf(snapshots.write(at(99), [], signal, { everyEntries: 0 }));
    expect(failure).toMatchObject({ argument: "everyEntries" });
    expect(await snapshots.restore(signal)).toEqual({ checkpoint: at(60), chunks: stateAt(60, 1) });
  });

  it("is written over one that is further of a journal that is no more, but over no other", async () => {
    const bucket = freshBucket();
    const snapshots = await openSnapshots(bucket);
    await snapshots.write(at(100, "old"), stateAt(100, 3), signal);
    const restored = await snapshots.restore(signal);
    snapshots.refuse(restored?.checkpoint ?? at(0));
    const third = await openSnapshots(bucket);
    third.refuse(at(100, "another"));
    expect(await third.write(at(7), stateAt(7, 1), signal)).toMatchObject({ kind: "needless" });
    expect(await snapshots.write(at(7), stateAt(7, 1), signal)).toMatchObject({ kind: "written" });
    expect(await snapshots.restore(signal)).toEqual({ checkpoint: at(7), chunks: stateAt(7, 1) });
    expect(await snapshots.write(at(6), [], signal)).toMatchObject({ checkpoint: at(7) });
  });
});
