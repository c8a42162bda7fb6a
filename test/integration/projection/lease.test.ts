import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ClosedError, InvalidArgumentError } from "../../../src/errors.ts";
import type { Bucket } from "../../../src/nats/bucket.ts";
import { LeaseLostError } from "../../../src/projection/errors.ts";
import { Lease } from "../../../src/projection/lease.ts";
import { eventually, natsUrl } from "../../support/server.ts";
import { startWire } from "../../support/wire.ts";
import { type BucketStage, bounds, openBucketStage, textOf, write } from "../nats/bucket-stage.ts";
import { failureOf } from "../store/bank.ts";

const key = "lease";
let stage: BucketStage;
let bucket: Bucket;

beforeAll(async () => {
  stage = await openBucketStage(natsUrl());
  bucket = await stage.open();
});

afterAll(() => stage.close());

let leases = 0;

/** Contenders for a lease of their own. */
function contenders(ttlMs: number) {
  const leaseKey = `${key}-${++leases}`;
  return (holder: string, from: Bucket = bucket) =>
    new Lease(from, { key: leaseKey, holder, ttlMs });
}

/** Who holds it by the bucket; undefined for nobody. */
async function holderOf(leaseKey: string): Promise<unknown> {
  const text = textOf(await bucket.leaderGet(leaseKey, bounds));
  return text === undefined ? undefined : JSON.parse(text).holder;
}

async function elapsed(work: Promise<unknown>): Promise<number> {
  const since = performance.now();
  await work;
  return performance.now() - since;
}

describe("a lease", () => {
  it("is taken at once where nobody holds it, and says who does", async () => {
    const contend = contenders(20_000);
    await using lease = contend("a");
    expect(lease.lost.aborted).toBe(true);
    await lease.acquire();
    expect(lease.lost.aborted).toBe(false);
    lease.assertHeld();
    expect(await holderOf(`${key}-${leases}`)).toBe("a");
  });

  it("outlives its time for as long as it is renewed", async () => {
    const contend = contenders(300);
    await using held = contend("a");
    await using other = contend("b");
    await held.acquire();
    const waiting = other.acquire();
    waiting.catch(() => {});
    const before = (await bucket.leaderGet(`${key}-${leases}`, bounds))?.sequence ?? 0;
    await eventually(async () => {
      const now = (await bucket.leaderGet(`${key}-${leases}`, bounds))?.sequence ?? 0;
      return now >= before + 12;
    });
    expect(held.lost.aborted).toBe(false);
    expect(other.lost.aborted).toBe(true);
    await other.close();
    expect(await failureOf(waiting)).toBeInstanceOf(ClosedError);
  });

  it("goes to one of those who wait as soon as it is released, long before its time is over", async () => {
    const contend = contenders(20_000);
    const waiting = ["b", "c", "d"].map((holder) => contend(holder));
    await using held = contend("a");
    await held.acquire();
    const acquired: Lease[] = [];
    const all = waiting.map((lease) => lease.acquire().then(() => acquired.push(lease)));
    for (let turn = 1; turn <= 3; turn++) {
      const holder = acquired.at(-1) ?? held;
      expect(acquired.length).toBe(turn - 1);
      const since = performance.now();
      await holder.release();
      expect(holder.lost.reason).toBeInstanceOf(LeaseLostError);
      await eventually(() => acquired.length === turn);
      expect(performance.now() - since).toBeLessThan(5_000);
    }
    await Promise.all(all);
    await Promise.all(waiting.map((lease) => lease.close()));
    expect(await holderOf(`${key}-${leases}`)).toBeUndefined();
  });

  it("is held by one at a time, whoever comes, goes and hands over", async () => {
    const contend = contenders(2_000);
    let holding = 0;
    let most = 0;
    let turns = 0;
    const run = async (holder: string): Promise<void> => {
      await using lease = contend(holder);
      for (let turn = 0; turn < 10; turn++) {
        await lease.acquire();
        most = Math.max(most, ++holding);
        turns++;
        await bucket.get("nothing", bounds);
        lease.assertHeld();
        holding--;
        await lease.release();
      }
    };
    await Promise.all(["a", "b", "c", "d"].map(run));
    expect(most).toBe(1);
    expect(turns).toBe(40);
  });

  it("is lost where renewals do not get through, before another one takes it", async () => {
    const contend = contenders(600);
    await using wire = await startWire(natsUrl());
    const cutOff = await openBucketStage(wire.url);
    const behind = await cutOff.open({ name: bucket.name });
    const held = contend("a", behind);
    await using other = contend("b");
    await held.acquire();
    const order: string[] = [];
    held.lost.addEventListener("abort", () => order.push("lost"));
    const taken = other.acquire().then(() => order.push("taken"));
    const partition = wire.pause();
    const waited = await elapsed(taken);
    expect(order).toEqual(["lost", "taken"]);
    expect(waited).toBeLessThan(5_000);
    expect(held.lost.reason).toMatchObject({ code: "lease_lost", holder: "a" });
    expect(await failureOf(() => held.assertHeld())).toBeInstanceOf(LeaseLostError);
    partition.release();
    // a renewal that was held up must not take it back
    await held.close();
    other.assertHeld();
    expect(await holderOf(`${key}-${leases}`)).toBe("b");
    await cutOff.close();
  });

  it("is lost at once where another one has written in its place", async () => {
    const contend = contenders(3_000);
    await using lease = contend("a");
    await lease.acquire();
    await write(bucket, `${key}-${leases}`, '{"holder":"z","ttlMs":200,"renewal":"z1"}');
    await eventually(() => lease.lost.aborted, { timeoutMs: 2_500 });
    // and it waits for the other's time, not for its own
    expect(await elapsed(lease.acquire())).toBeLessThan(2_500);
  });

  it("survives answers to renewals that get lost", async () => {
    const contend = contenders(1_500);
    await using wire = await startWire(natsUrl());
    const far = await openBucketStage(wire.url);
    const behind = await far.open({ name: bucket.name });
    await using lease = contend("a", behind);
    await lease.acquire();
    const subject = `$KV.${bucket.name}.${key}-${leases}`;
    const lost = wire.drop(({ answerTo }) => answerTo === subject, 1);
    await lost.reached(1);
    const renewals = wire.count(subject);
    await eventually(() => wire.count(subject) >= renewals + 2);
    lease.assertHeld();
    await lease.close();
    await far.close();
  });

  it("is taken back without waiting by the contender who lost it to nobody", async () => {
    const contend = contenders(20_000);
    await using lease = contend("a");
    const record = '{"holder":"a","ttlMs":20000,"renewal":"r"}';
    await write(bucket, `${key}-${leases}`, record);
    expect(await elapsed(lease.acquire())).toBeLessThan(5_000);
  });

  it("runs out after the contender's own time where what stands there cannot be read", async () => {
    const contend = contenders(200);
    await using lease = contend("a");
    await write(bucket, `${key}-${leases}`, "not JSON");
    await lease.acquire();
    expect(await holderOf(`${key}-${leases}`)).toBe("a");
  });

  it("stops waiting when the caller gives up", async () => {
    const contend = contenders(20_000);
    await using held = contend("a");
    await using other = contend("b");
    await held.acquire();
    const abort = new AbortController();
    const waiting = other.acquire(abort.signal);
    const reason = new Error("enough");
    abort.abort(reason);
    expect(await failureOf(waiting)).toBe(reason);
    held.assertHeld();
  });

  it("is refused with a time that is none", async () => {
    for (const ttlMs of [0, 99, 3_600_001, Number.NaN, 0.5]) {
      const error = await failureOf(() => new Lease(bucket, { key, holder: "a", ttlMs }));
      expect(error).toBeInstanceOf(InvalidArgumentError);
    }
  });
});
