import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ClosedError, InvalidArgumentError } from "../../../src/errors.ts";
import { MAX_COMMIT_MESSAGES, MAX_FETCH_KEYS } from "../../../src/nats/bucket.ts";
import { natsUrl } from "../../support/server.ts";
import {
  bounds,
  type BucketStage,
  bytes,
  openBucketStage,
  textOf,
  textsOf,
  write,
} from "./bucket-stage.ts";

let stage: BucketStage;
const timeoutMs = 5_000;

beforeAll(async () => {
  stage = await openBucketStage(natsUrl());
});
afterAll(() => stage.close());

describe("Bucket.put and get", () => {
  it("stores a value, and deletes it, with its headers and where it stands", async () => {
    const bucket = await stage.open();
    const headers = [["Annal-Position", "12"]] as const;
    const change = { key: "balance.alice", data: bytes("5"), headers };
    expect(await bucket.put(change, 0, timeoutMs)).toMatchObject({ kind: "stored", sequence: 1 });
    const entry = await bucket.get("balance.alice", bounds);
    expect(entry).toMatchObject({ key: "balance.alice", sequence: 1, deleted: false });
    expect(entry?.headers.get("Annal-Position")).toBe("12");
    expect(entry?.timestampMs).toBeGreaterThan(Date.now() - 60_000);
    expect(textOf(await bucket.leaderGet("balance.alice", bounds))).toBe("5");
    await write(bucket, "balance.alice", undefined);
    const deleted = { key: "balance.alice", sequence: 2, deleted: true };
    expect(await bucket.get("balance.alice", bounds)).toMatchObject(deleted);
    expect(await bucket.leaderGet("balance.alice", bounds)).toMatchObject(deleted);
    expect(await bucket.get("balance.bob", bounds)).toBeUndefined();
    expect(await bucket.leaderGet("balance.bob", bounds)).toBeUndefined();
  });

  it("K16 takes an empty value for a value", async () => {
    const bucket = await stage.open();
    await write(bucket, "a", "");
    expect(await bucket.get("a", bounds)).toMatchObject({ deleted: false });
    expect(textOf((await bucket.fetch(["a"], bounds)).get("a"))).toBe("");
    for await (const batch of bucket.entries({ until: "head" })) {
      expect(textsOf(batch)).toEqual([["a", ""]]);
    }
  });

  it("refuses a write whose expectation is stale, and tells what stands there", async () => {
    const bucket = await stage.open();
    const sequence = await write(bucket, "a", "1");
    const refused = { kind: "refused", errorCode: 10_071, lastSequence: sequence };
    const change = { key: "a", data: bytes("2") };
    expect(await bucket.put(change, 0, timeoutMs)).toMatchObject(refused);
    expect(await bucket.put(change, 99, timeoutMs)).toMatchObject(refused);
    expect(textOf(await bucket.get("a", bounds))).toBe("1");
  });

  it("counts a deletion as the key's last entry", async () => {
    const bucket = await stage.open();
    await write(bucket, "a", "1");
    const deleted = await write(bucket, "a", undefined);
    const change = { key: "a", data: bytes("2") };
    expect(await bucket.put(change, 0, timeoutMs)).toMatchObject({ lastSequence: deleted });
    expect(await bucket.put(change, deleted, timeoutMs)).toMatchObject({ kind: "stored" });
  });

  it("takes an entry of the size it names, and refuses what is too large before it is sent", async () => {
    const bucket = await stage.open();
    const data = new Uint8Array(bucket.maxEntryBytes);
    expect(await bucket.put({ key: "a", data }, 0, timeoutMs)).toMatchObject({ kind: "stored" });
    const guard = { key: "guard", data, expectedSequence: 0 };
    const committed = await bucket.commit([{ key: "b", data }], guard, timeoutMs);
    expect(committed).toMatchObject({ kind: "stored" });
    const large = { key: "c", data: new Uint8Array(bucket.maxEntryBytes + 257) };
    await expect(bucket.put(large, 0, timeoutMs)).rejects.toThrow(RangeError);
    await expect(bucket.commit([large], guard, timeoutMs)).rejects.toThrow(/key c needs/);
    expect(await bucket.state()).toMatchObject({ messages: 3 });
  });

  it("refuses keys that are not escaped before anything is sent", async () => {
    const bucket = await stage.open();
    const data = bytes("1");
    await expect(bucket.get("a.*", bounds)).rejects.toThrow(InvalidArgumentError);
    await expect(bucket.fetch(["a", ">"], bounds)).rejects.toThrow(InvalidArgumentError);
    await expect(bucket.put({ key: "a b", data }, 0, timeoutMs)).rejects.toThrow(/key: expected/);
    const guard = { key: "guard", data, expectedSequence: 0 };
    const changes = [{ key: "a.", data }];
    await expect(bucket.commit(changes, guard, timeoutMs)).rejects.toThrow(InvalidArgumentError);
    expect(await bucket.state()).toMatchObject({ messages: 0 });
  });

  it("writes nothing once the connection is closed", async () => {
    const own = await openBucketStage(natsUrl());
    const bucket = await own.open();
    await own.close();
    const change = { key: "a", data: bytes("1") };
    await expect(bucket.put(change, 0, timeoutMs)).rejects.toThrow(ClosedError);
    const guard = { key: "guard", data: bytes("1"), expectedSequence: 0 };
    await expect(bucket.commit([change], guard, timeoutMs)).rejects.toThrow(ClosedError);
  });
});

describe("Bucket.commit", () => {
  it("K23 stores changes and guard as one batch, the guard last", async () => {
    const bucket = await stage.open();
    await write(bucket, "gone", "x");
    const changes = [
      { key: "a", data: bytes("1"), headers: [["Annal-Position", "7"]] as const },
      { key: "gone", data: undefined },
      { key: "b", data: bytes("2") },
    ];
    const guard = { key: "guard", data: bytes("g"), expectedSequence: 0 };
    const outcome = await bucket.commit(changes, guard, timeoutMs);
    expect(outcome).toMatchObject({ kind: "stored", sequence: 5 });
    const found = await bucket.fetch(["a", "b", "gone", "guard", "never"], bounds);
    expect([...found.values()].map(({ key, sequence }) => [key, sequence])).toEqual([
      ["a", 2],
      ["gone", 3],
      ["b", 4],
      ["guard", 5],
    ]);
    expect(found.get("gone")).toMatchObject({ deleted: true });
    expect(found.get("a")?.headers.get("Annal-Position")).toBe("7");
  });

  it("K24 stores nothing where the guard's expectation is stale", async () => {
    const bucket = await stage.open();
    const first = await write(bucket, "guard", "1");
    await write(bucket, "a", "old");
    const last = await write(bucket, "guard", "2");
    const before = await bucket.state();
    const changes = [
      { key: "a", data: bytes("new") },
      { key: "b", data: bytes("new") },
    ];
    const guard = { key: "guard", data: bytes("3"), expectedSequence: first };
    const refused = { kind: "refused", errorCode: 10_071, lastSequence: last };
    expect(await bucket.commit(changes, guard, timeoutMs)).toMatchObject(refused);
    expect(await bucket.commit([], guard, timeoutMs)).toMatchObject(refused);
    expect(await bucket.state()).toEqual(before);
    expect(textsOf((await bucket.fetch(["a", "b", "guard"], bounds)).values())).toEqual([
      ["a", "old"],
      ["guard", "2"],
    ]);
  });

  it("lets one of several writers commit behind the same guard", async () => {
    const bucket = await stage.open();
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, (_, writer) => {
        const data = bytes(String(writer));
        const changes = Array.from({ length: 20 }, (_, index) => ({ key: `k.${index}`, data }));
        return bucket.commit(changes, { key: "guard", data, expectedSequence: 0 }, timeoutMs);
      }),
    );
    const winners = outcomes.flatMap(({ kind }, writer) => (kind === "stored" ? [writer] : []));
    expect(winners).toHaveLength(1);
    expect(outcomes.filter(({ kind }) => kind === "refused")).toHaveLength(7);
    const found = await bucket.fetch(["guard", ...range(20).map((index) => `k.${index}`)], bounds);
    expect(new Set([...found.values()].map(textOf))).toEqual(new Set([String(winners[0])]));
    expect(await bucket.state()).toMatchObject({ lastSequence: 21 });
  });

  it("commits a guard alone as one plain message", async () => {
    const bucket = await stage.open();
    const guard = { key: "guard", data: bytes("1"), expectedSequence: 0 };
    const outcome = await bucket.commit([], guard, timeoutMs);
    expect(outcome).toMatchObject({ kind: "stored", sequence: 1 });
    expect((await bucket.get("guard", bounds))?.headers.get("Nats-Batch-Id")).toBeUndefined();
  });

  it("K23 takes 1,000 messages, and refuses one more before it is sent", async () => {
    const bucket = await stage.open();
    const changes = range(MAX_COMMIT_MESSAGES).map((index) => ({
      key: `k.${index}`,
      data: bytes(String(index)),
    }));
    const guard = { key: "guard", data: bytes("1"), expectedSequence: 0 };
    await expect(bucket.commit(changes, guard, timeoutMs)).rejects.toThrow(RangeError);
    expect(await bucket.state()).toMatchObject({ messages: 0 });
    const outcome = await bucket.commit(changes.slice(1), guard, timeoutMs);
    expect(outcome).toMatchObject({ kind: "stored", sequence: 1_000 });
  });

  it("refuses changes that write the guard's own key", async () => {
    const bucket = await stage.open();
    const guard = { key: "guard", data: bytes("1"), expectedSequence: 0 };
    await expect(bucket.commit([guard], guard, timeoutMs)).rejects.toThrow(InvalidArgumentError);
  });
});

describe("Bucket.fetch", () => {
  it("K15 shows all keys and the guard as they stood at one moment", async () => {
    const bucket = await stage.open();
    const keys = range(50).map((index) => `k.${index}`);
    let expectedSequence = 0;
    const commit = async (round: number): Promise<void> => {
      const data = bytes(String(round));
      const changes = keys.map((key) => ({ key, data }));
      const guard = { key: "guard", data, expectedSequence };
      const outcome = await bucket.commit(changes, guard, timeoutMs);
      if (outcome.kind !== "stored") throw new Error(JSON.stringify(outcome));
      expectedSequence = outcome.sequence;
    };
    await commit(0);
    const done = new AbortController();
    const rounds = async (): Promise<void> => {
      for (let round = 1; round <= 60; round++) await commit(round);
      done.abort();
    };
    const reading = async (): Promise<number> => {
      const seen = new Set<string | undefined>();
      while (!done.signal.aborted) {
        const found = await bucket.fetch(["guard", ...keys], bounds);
        expect(found.size).toBe(51);
        const values = new Set([...found.values()].map(textOf));
        expect(values.size).toBe(1);
        for (const value of values) seen.add(value);
      }
      return seen.size;
    };
    const [, seen] = await Promise.all([rounds(), reading()]);
    expect(seen).toBeGreaterThan(1);
  });

  it("takes 1,000 keys, and refuses one more", async () => {
    const bucket = await stage.open();
    await write(bucket, "k.7", "x");
    const keys = range(MAX_FETCH_KEYS).map((index) => `k.${index}`);
    expect(textsOf((await bucket.fetch(keys, bounds)).values())).toEqual([["k.7", "x"]]);
    await expect(bucket.fetch([...keys, "more"], bounds)).rejects.toThrow(RangeError);
    const long = range(MAX_FETCH_KEYS).map((index) => `${"x".repeat(600)}.${index}`);
    await expect(bucket.fetch(long, bounds)).rejects.toThrow(RangeError);
    expect((await bucket.fetch([], bounds)).size).toBe(0);
  });
});

function range(length: number): number[] {
  return Array.from({ length }, (_, index) => index);
}
