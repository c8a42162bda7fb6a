import { jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Bucket } from "../../../src/nats/bucket.ts";
import { natsUrl } from "../../support/server.ts";
import { publishTo, startWire } from "../../support/wire.ts";
import { type BucketStage, openBucketStage, textsOf, textOf, write } from "./bucket-stage.ts";

let stage: BucketStage;

beforeAll(async () => {
  stage = await openBucketStage(natsUrl());
});
afterAll(() => stage.close());

/** A bucket with keys `k.0` to `k.<count - 1>` of the table, each with its number. */
async function filled(count: number): Promise<Bucket> {
  const bucket = await stage.open();
  const numbers = Array.from({ length: count }, (_, index) => index);
  await Promise.all(numbers.map((number) => write(bucket, `k.${number}`, String(number))));
  return bucket;
}

describe("Bucket.entries", () => {
  it("reads what matches in the order in which it was written, and ends", async () => {
    const bucket = await stage.open();
    await write(bucket, "balance.a", "1");
    await write(bucket, "balance.b", "2");
    await write(bucket, "limit.a", "3");
    await write(bucket, "balance.a", "4");
    await write(bucket, "balance.c", "5");
    await write(bucket, "balance.b", undefined);
    await write(bucket, "limit.b", "6");
    const expected = [
      ["balance.a", "4"],
      ["balance.c", "5"],
      ["balance.b", undefined],
    ];
    expect(await readToHead(bucket, "balance.>")).toEqual(expected);
    expect(await readToHead(bucket, "balance.>", 5)).toEqual(expected.slice(1));
    expect(await readToHead(bucket, "limit.a")).toEqual([["limit.a", "3"]]);
    expect(await readToHead(bucket, "other.>")).toEqual([]);
    expect(await readToHead(bucket, "balance.>", 99)).toEqual([]);
    expect((await readToHead(bucket)).length).toBe(5);
  });

  it("ends although what stood at the head is written anew again and again", async () => {
    const bucket = await filled(2_000);
    const values = new Map<string, string | undefined>();
    const done = new AbortController();
    const rewrite = async (): Promise<void> => {
      for (let round = 0; !done.signal.aborted; round++)
        await write(bucket, "k.1999", `again ${round}`);
    };
    const read = async (): Promise<void> => {
      for await (const batch of bucket.entries({ until: "head" })) {
        for (const entry of batch) values.set(entry.key, textOf(entry));
      }
      done.abort();
    };
    await Promise.all([read(), rewrite()]);
    expect(values.size).toBe(2_000);
    expect(values.get("k.1998")).toBe("1998");
  });

  it("ends although what stood at the head was purged without a trace", async () => {
    await using wire = await startWire(natsUrl());
    const wired = await openBucketStage(wire.url);
    const bucket = await wired.open({ timeoutMs: 500 });
    await write(bucket, "a", "1");
    await write(bucket, "b", "2");
    const held = wire.hold(publishTo(/CONSUMER\.CREATE/));
    const reading = readToHead(bucket);
    await held.reached();
    const manager = await jetstreamManager(stage.nc, { checkAPI: false });
    await manager.streams.purge(`KV_${bucket.name}`, { filter: `$KV.${bucket.name}.b` });
    held.release();
    expect(await reading).toEqual([["a", "1"]]);
    await wired.close();
  });

  it("goes on with what is written later, until its reader stops", async () => {
    const bucket = await filled(1);
    const entries = bucket.entries({ filter: "k.0", until: "never" });
    expect(textsOf((await entries.next()).value ?? [])).toEqual([["k.0", "0"]]);
    const later = entries.next();
    await write(bucket, "k.1", "another");
    await write(bucket, "k.0", "later");
    expect(textsOf((await later).value ?? [])).toEqual([["k.0", "later"]]);
    const waiting = entries.next();
    await entries.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
  });

  it("ends with the signal's reason", async () => {
    const bucket = await filled(1);
    const controller = new AbortController();
    const { signal } = controller;
    const entries = bucket.entries({ fromSequence: 2, until: "never", signal });
    const waiting = entries.next();
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
  });
});

describe("Bucket.list", () => {
  it("lists what is not deleted in the order of the keys", async () => {
    const bucket = await stage.open();
    for (const key of ["t.c", "t.a", "u.a", "t.b", "t.d", "tt.a"]) await write(bucket, key, key);
    await write(bucket, "t.b", undefined);
    const keysOf = async (selection: Parameters<Bucket["keys"]>[0]): Promise<string[]> => {
      const keys: string[] = [];
      for await (const key of bucket.keys(selection)) keys.push(key);
      return keys;
    };
    expect(await keysOf({})).toEqual(["t.a", "t.c", "t.d", "tt.a", "u.a"]);
    expect(await keysOf({ prefix: "t" })).toEqual(["t.a", "t.c", "t.d"]);
    expect(await keysOf({ prefix: "t", after: "t.a" })).toEqual(["t.c", "t.d"]);
    expect(await keysOf({ prefix: "t", limit: 2 })).toEqual(["t.a", "t.c"]);
    expect(await keysOf({ prefix: "t", limit: 0 })).toEqual([]);
    expect(await keysOf({ prefix: "nothing" })).toEqual([]);
    for await (const page of bucket.list({ prefix: "u" })) {
      expect(textsOf(page)).toEqual([["u.a", "u.a"]]);
    }
  });

  it("lists more than one page", async () => {
    const bucket = await filled(1_000);
    const keys: string[] = [];
    for await (const key of bucket.keys({ prefix: "k", limit: 900 })) keys.push(key);
    expect(keys).toHaveLength(900);
    expect(keys).toEqual([...new Set(keys)].sort());
  });
});

async function readToHead(bucket: Bucket, filter?: string, fromSequence?: number) {
  const found: ReturnType<typeof textsOf> = [];
  for await (const batch of bucket.entries({ filter, fromSequence, until: "head" })) {
    found.push(...textsOf(batch));
  }
  return found;
}
