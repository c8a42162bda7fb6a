import { describe, expect, it } from "vitest";
import { ClosedError, OverloadedError, ReadTimeoutError } from "../../../src/errors.ts";
import { CacheStage } from "./directory-stage.ts";

describe("what is cached of a ledger lives as long as it may", () => {
  it("O2 zero or a negative time to live turns the cache off: each call loads, nothing is stored", async () => {
    for (const ttlMs of [0, -1, Number.NEGATIVE_INFINITY]) {
      const stage = new CacheStage({ ttlMs });
      for (const text of ["one", "two", "three"]) expect(await stage.fill("a", text)).toBe(text);
      const together = [stage.cache.get("a"), stage.cache.get("a")];
      expect(stage.loads).toHaveLength(5);
      stage.at(3).answer("four");
      stage.at(4).answer("five");
      expect((await Promise.all(together)).map(({ text }) => text)).toEqual(["four", "five"]);
    }
  });

  it("O4 O7 it is used until its age equals the time to live, and not at that instant", async () => {
    const stage = new CacheStage({ ttlMs: 1_000 });
    await stage.fill("a", "one");
    stage.nowMs = 999;
    expect(await stage.fill("a", "two")).toBe("one");
    stage.nowMs = 1_000;
    expect(await stage.fill("a", "two")).toBe("two");
    expect(stage.loads).toHaveLength(2);
  });

  it("O5 what has expired leaves when it is met", async () => {
    const stage = new CacheStage({ ttlMs: 1_000 });
    await stage.fill("a", "one");
    await stage.fill("b", "one");
    stage.nowMs = 1_000;
    expect(stage.cache.size.names).toBe(2);
    const failing = stage.cache.get("a");
    expect(stage.cache.size.names).toBe(1);
    stage.at(2).fail(new Error("no"));
    await expect(failing).rejects.toThrow("no");
    expect(stage.cache.size.names).toBe(1);
  });

  it("O5 the removal never takes what was stored since the entry was looked at", async () => {
    const stage = new CacheStage({ ttlMs: 1_000 });
    await stage.fill("a", "one");
    stage.nowMs = 1_000;
    stage.onClock = () => {
      stage.onClock = () => {};
      stage.cache.store("a", { bucket: "eu", text: "fresh" }, stage.cache.start());
    };
    expect(await stage.fill("a", "two")).toBe("fresh");
    expect(await stage.fill("a", "three")).toBe("fresh");
    expect(stage.loads).toHaveLength(1);
  });

  it("O6 the age counts from the start of the load, not from its end", async () => {
    const stage = new CacheStage({ ttlMs: 1_000 });
    const getting = stage.cache.get("a");
    stage.nowMs = 600;
    stage.at(0).answer("one");
    await getting;
    stage.nowMs = 999;
    expect(await stage.fill("a", "two")).toBe("one");
    stage.nowMs = 1_000;
    expect(await stage.fill("a", "two")).toBe("two");
  });

  it("O8 names are independent, and evicting one that is not there is harmless", async () => {
    const stage = new CacheStage();
    await stage.fill("a", "one");
    await stage.fill("b", "two");
    stage.cache.evict("c");
    stage.cache.evictBucket("nowhere");
    expect([await stage.fill("a", "-"), await stage.fill("b", "-")]).toEqual(["one", "two"]);
    stage.cache.evict("a");
    expect([await stage.fill("a", "three"), await stage.fill("b", "-")]).toEqual(["three", "two"]);
    expect(stage.loads.map(({ name }) => name)).toEqual(["a", "b", "a"]);
  });

  it("O9 storing a name that is there replaces value and age", async () => {
    const stage = new CacheStage({ ttlMs: 1_000 });
    await stage.fill("a", "one");
    stage.nowMs = 900;
    stage.cache.store("a", { bucket: "us", text: "two" }, stage.cache.start());
    stage.nowMs = 1_899;
    expect(await stage.fill("a", "three")).toBe("two");
    stage.cache.evictBucket("eu");
    expect(await stage.fill("a", "three")).toBe("two");
    stage.nowMs = 1_900;
    expect(await stage.fill("a", "three")).toBe("three");
  });

  it("O9 what began to be loaded before what is there does not replace it", async () => {
    const stage = new CacheStage();
    const earlier = stage.cache.start();
    stage.nowMs = 1;
    await stage.fill("a", "later");
    stage.cache.store("a", { bucket: "eu", text: "earlier" }, earlier);
    expect(await stage.fill("a", "-")).toBe("later");
  });

  it("O10 an error reaches the caller and is not cached", async () => {
    const stage = new CacheStage();
    const failing = stage.cache.get("a");
    stage.at(0).fail(new Error("not found"));
    await expect(failing).rejects.toThrow("not found");
    expect(stage.cache.size).toMatchObject({ names: 0, loads: 0 });
    expect(await stage.fill("a", "there now")).toBe("there now");
  });

  it("holds so many names at most, and drops the one that was used longest ago", async () => {
    const stage = new CacheStage({ maxNames: 2 });
    await stage.fill("a", "a1");
    await stage.fill("b", "b1");
    await stage.fill("a", "-");
    await stage.fill("c", "c1");
    expect(stage.cache.size.names).toBe(2);
    expect(await stage.fill("a", "a2")).toBe("a1");
    expect(await stage.fill("b", "b2")).toBe("b2");
  });
});

describe("callers of one ledger share a load", () => {
  it("O11 50 of them cost one, and different names are loaded in parallel", async () => {
    const stage = new CacheStage();
    const all = ["a", "b"].flatMap((name) =>
      Array.from({ length: 50 }, () => stage.cache.get(name)),
    );
    expect(stage.loads.map(({ name }) => name)).toEqual(["a", "b"]);
    stage.at(1).answer("of b");
    expect((await all[99])?.text).toBe("of b");
    stage.at(0).answer("of a");
    const texts = (await Promise.all(all)).map(({ text }) => text);
    expect(texts).toEqual([...Array(50).fill("of a"), ...Array(50).fill("of b")]);
    expect(stage.loads).toHaveLength(2);
  });

  it("O12 cancelling the first caller fails only that one, at once and with its own reason", async () => {
    const stage = new CacheStage();
    const [first, third] = [new AbortController(), new AbortController()];
    const callers = [
      stage.cache.get("a", first.signal),
      stage.cache.get("a"),
      stage.cache.get("a", third.signal),
    ];
    first.abort(new Error("first left"));
    await expect(callers[0]).rejects.toThrow("first left");
    third.abort(new Error("third left"));
    await expect(callers[2]).rejects.toThrow("third left");
    expect(stage.at(0).signal.aborted).toBe(false);
    stage.at(0).answer("one");
    expect((await callers[1])?.text).toBe("one");
    await expect(stage.cache.get("a", first.signal)).rejects.toThrow("first left");
    expect(stage.loads).toHaveLength(1);
  });

  it("O12 when all have left, the load still fills the cache", async () => {
    const stage = new CacheStage();
    const leaving = new AbortController();
    const left = stage.cache.get("a", leaving.signal);
    leaving.abort(new Error("left"));
    await expect(left).rejects.toThrow("left");
    const joined = stage.cache.get("a");
    stage.at(0).answer("one");
    await joined;
    expect(await stage.fill("a", "two")).toBe("one");
    expect(stage.loads).toHaveLength(1);
  });

  it("O12 the load has a deadline of its own, which ends it for all", async () => {
    const stage = new CacheStage({ loadTimeoutMs: 20 });
    const callers = [stage.cache.get("a"), stage.cache.get("a", new AbortController().signal)];
    for (const caller of callers) await expect(caller).rejects.toThrow(ReadTimeoutError);
    expect(stage.at(0).signal.reason).toBeInstanceOf(ReadTimeoutError);
    expect(await stage.fill("a", "anew")).toBe("anew");
    expect(stage.loads).toHaveLength(2);
  });

  it("O13 a load that had to wait for its turn looks into the cache once more before it asks", async () => {
    const stage = new CacheStage({ maxLoadsInFlight: 1 });
    const first = stage.cache.get("a");
    const waiting = stage.cache.get("b");
    stage.cache.store("b", { bucket: "eu", text: "stored meanwhile" }, stage.cache.start());
    stage.at(0).answer("one");
    await first;
    expect((await waiting).text).toBe("stored meanwhile");
    expect(stage.loads.map(({ name }) => name)).toEqual(["a"]);
  });

  it("O15 a failed load fails all that wait for it, and the next call tries anew", async () => {
    const stage = new CacheStage();
    const failure = new Error("no answer");
    const callers = Array.from({ length: 3 }, () =>
      // Who asks anew at once must not be given the load that has just failed.
      stage.cache.get("a").catch((error: unknown) => [error, stage.cache.get("a")] as const),
    );
    stage.at(0).fail(failure);
    await stage.begun(2);
    stage.at(1).answer("one");
    for (const caller of callers) {
      const outcome = await caller;
      if (!Array.isArray(outcome)) throw new Error("it did not fail");
      expect(outcome[0]).toBe(failure);
      expect(await outcome[1]).toMatchObject({ text: "one" });
    }
    expect(stage.loads).toHaveLength(2);
  });

  it("lets so many loads wait at most, and ends them all when it is closed", async () => {
    const stage = new CacheStage({ maxLoadsInFlight: 1, maxQueuedLoads: 1 });
    const running = stage.cache.get("a");
    const waiting = stage.cache.get("b");
    await expect(stage.cache.get("c")).rejects.toThrow(OverloadedError);
    stage.cache.close();
    for (const call of [running, waiting, stage.cache.get("d")]) {
      await expect(call).rejects.toThrow(ClosedError);
    }
    expect(stage.loads).toHaveLength(1);
    expect(stage.cache.size).toMatchObject({ names: 0, loads: 0 });
  });
});
