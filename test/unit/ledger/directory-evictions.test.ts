import { describe, expect, it } from "vitest";
import { Generations } from "../../../src/ledger/directory-generations.ts";
import { CacheStage } from "./directory-stage.ts";

type Eviction = (stage: CacheStage) => void;
const evictions: readonly (readonly [string, Eviction])[] = [
  ["of its name", ({ cache }) => cache.evict("a")],
  ["of its bucket", ({ cache }) => cache.evictBucket("eu")],
  ["of everything", ({ cache }) => cache.clear()],
];

describe.each(evictions)("an eviction %s", (_, evict) => {
  it("removes what is there", async () => {
    const stage = new CacheStage();
    await stage.fill("a", "one");
    evict(stage);
    expect(stage.cache.size.names).toBe(0);
    expect(await stage.fill("a", "two")).toBe("two");
  });

  it("O19 O21 keeps a load that began before it from being stored, also of a name never cached", async () => {
    const stage = new CacheStage();
    const before = stage.cache.get("a");
    evict(stage);
    stage.at(0).answer("old");
    expect((await before).text).toBe("old");
    expect(stage.cache.size.names).toBe(0);
    expect(await stage.fill("a", "new")).toBe("new");
  });

  it("O19 raises the generation each time", async () => {
    const stage = new CacheStage();
    for (const text of ["one", "two", "three"]) {
      const before = stage.cache.get("a");
      evict(stage);
      stage.at(stage.loads.length - 1).answer(text);
      await before;
      expect(stage.cache.size.names).toBe(0);
    }
    await stage.fill("a", "four");
    expect(stage.cache.size.names).toBe(1);
  });

  it("O20 detaches the load in flight: who asks after it never gets the older value", async () => {
    const stage = new CacheStage();
    const before = stage.cache.get("a");
    evict(stage);
    const after = stage.cache.get("a");
    expect(stage.loads).toHaveLength(2);
    stage.at(1).answer("new");
    expect((await after).text).toBe("new");
    stage.at(0).answer("old");
    expect((await before).text).toBe("old");
    expect(await stage.fill("a", "-")).toBe("new");
  });

  it("O20 a detached load that ends does not detach the one that came after it", async () => {
    const stage = new CacheStage();
    const before = stage.cache.get("a");
    evict(stage);
    const after = stage.cache.get("a");
    stage.at(0).answer("old");
    await before;
    const joined = stage.cache.get("a");
    expect(stage.loads).toHaveLength(2);
    stage.at(1).answer("new");
    expect([(await after).text, (await joined).text]).toEqual(["new", "new"]);
  });

  it("O22 keeps account of nothing while the cache is off", async () => {
    const stage = new CacheStage({ ttlMs: 0 });
    const loading = stage.cache.get("a");
    evict(stage);
    stage.cache.store("a", { bucket: "eu", text: "one" }, stage.cache.start());
    expect(stage.cache.size).toEqual({ names: 0, loads: 0, evictions: 0 });
    stage.at(0).answer("one");
    await loading;
    expect(stage.cache.size).toEqual({ names: 0, loads: 0, evictions: 0 });
  });
});

describe("evictions", () => {
  it("O17 of a bucket leave the ledgers of other buckets where they are", async () => {
    const stage = new CacheStage();
    await stage.fill("a", "a1", "eu");
    await stage.fill("b", "b1", "us");
    await stage.fill("c", "c1", "eu");
    const other = stage.cache.get("d");
    stage.cache.evictBucket("eu");
    stage.at(3).answer("d1", "us");
    await other;
    expect(stage.cache.size.names).toBe(2);
    expect([await stage.fill("b", "-", "us"), await stage.fill("d", "-", "us")]).toEqual([
      "b1",
      "d1",
    ]);
    expect([await stage.fill("a", "a2"), await stage.fill("c", "c2")]).toEqual(["a2", "c2"]);
  });

  it("O19 of one name do not concern the load of another", async () => {
    const stage = new CacheStage();
    const loading = stage.cache.get("a");
    stage.cache.evict("b");
    stage.cache.evictBucket("us");
    stage.at(0).answer("one");
    await loading;
    expect(await stage.fill("a", "two")).toBe("one");
  });

  it("leave what is known to be from after the change, and still detach loads", async () => {
    const stage = new CacheStage();
    await stage.fill("a", "one");
    const older = stage.cache.start();
    stage.cache.evict("a", ({ text }) => text !== "one");
    stage.cache.evictBucket("eu", ({ text }) => text !== "one");
    expect(await stage.fill("a", "-")).toBe("one");
    stage.cache.store("a", { bucket: "eu", text: "older" }, older);
    expect(await stage.fill("a", "-")).toBe("one");
    stage.cache.evict("a", ({ text }) => text === "one");
    expect(await stage.fill("a", "two")).toBe("two");
  });

  it("O22 records of them are bounded; who outlives his record counts as evicted", () => {
    const generations = new Generations(3);
    const before = generations.mark;
    generations.evictName("a");
    const after = generations.mark;
    for (let n = 0; n < 1_000; n++) {
      generations.evictName(`n${n}`);
      generations.evictBucket(`b${n}`);
      expect(generations.size).toBeLessThanOrEqual(3);
      expect(generations.isCurrent(before, "a", "x")).toBe(false);
    }
    expect(generations.isCurrent(after, "never evicted", "x")).toBe(false);
    const now = generations.mark;
    expect(generations.isCurrent(now, "a", "b999")).toBe(true);
    generations.evictAll();
    expect(generations.size).toBe(0);
    expect(generations.isCurrent(now, "a", "x")).toBe(false);
    expect(generations.isCurrent(generations.mark, "a", "x")).toBe(true);
  });

  it("O22 an eviction that is recorded twice is remembered by the later one", () => {
    const generations = new Generations(2);
    generations.evictName("a");
    generations.evictName("b");
    const between = generations.mark;
    generations.evictName("a");
    generations.evictName("c");
    expect(generations.isCurrent(between, "a", "x")).toBe(false);
    expect(generations.isCurrent(between, "other", "x")).toBe(true);
  });
});
