import { describe, expect, it } from "vitest";
import { Generations, TOMBSTONE } from "../../../src/projection/generations.ts";

const spans = [1, 2, 3, 5];

function cells(map: ReadonlyMap<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(map);
}

/** A cache in generation 1 with `old` in its previous generation and nothing in the current one. */
function withPrevious(): Generations {
  const cache = new Generations(2);
  cache.put("old", 1);
  cache.rotateTo(1);
  return cache;
}

describe("generations", () => {
  it("K1 get looks into the current generation, then into the previous one", () => {
    const cache = withPrevious();
    cache.put("new", 2);
    expect([cache.get("old"), cache.get("new"), cache.get("none")]).toEqual([1, 2, undefined]);
    cache.put("old", 3);
    expect(cache.get("old")).toBe(3);
  });

  it("K2 put writes the current generation and leaves the previous one as it is", () => {
    const cache = withPrevious();
    cache.put("old", 2);
    const { current, previous } = cache.snapshot();
    expect([cells(current), cells(previous)]).toEqual([{ old: 2 }, { old: 1 }]);
  });

  it.each(spans)(
    "K3 a span of %i events makes the generations, by the event's number alone",
    (k) => {
      const cache = new Generations(k);
      for (let p = 1; p <= 4 * k; p++) {
        const generation = cache.generationOf(p);
        expect(generation).toBe(Math.floor((p - 1) / k));
        expect(cache.lastOf(generation)).toBe((generation + 1) * k);
      }
    },
  );

  it("K3 rotating by one makes the current generation the previous one", () => {
    const cache = withPrevious();
    cache.put("new", 2);
    cache.rotateTo(2);
    const { current, previous } = cache.snapshot();
    expect([cache.generation, cells(current), cells(previous)]).toEqual([2, {}, { new: 2 }]);
  });

  it.each([3, 4, 100])("K3 a jump from 1 to %i empties both generations", (generation) => {
    const cache = withPrevious();
    cache.put("new", 2);
    cache.rotateTo(generation);
    expect([cache.generation, cache.size]).toEqual([generation, 0]);
  });

  it("K3 rotating to the same generation changes nothing, to an earlier one is refused", () => {
    const cache = withPrevious();
    cache.rotateTo(1);
    expect(cache.get("old")).toBe(1);
    expect(() => cache.rotateTo(0)).toThrow(RangeError);
    expect(cache.get("old")).toBe(1);
  });

  it("K4 entries leave by rotation only, however many they are and whatever is read", () => {
    const cache = withPrevious();
    for (let n = 0; n < 10_000; n++) {
      cache.put(`k${n}`, n);
      cache.get("none");
    }
    expect(cache.size).toBe(10_001);
    expect(cache.get("old")).toBe(1);
    cache.rotateTo(2);
    expect([cache.get("old"), cache.get("k0"), cache.size]).toEqual([undefined, 0, 10_000]);
  });

  it("K4 a read does not carry an entry over into the current generation", () => {
    const cache = withPrevious();
    cache.get("old");
    expect(cache.snapshot().current.size).toBe(0);
  });

  it("K6 deleting a key of the current generation leaves a tombstone in its place", () => {
    const cache = new Generations(2);
    cache.put("a", { secret: 1 });
    expect(cache.delete("a")).toBe(true);
    expect(cells(cache.snapshot().current)).toEqual({ a: TOMBSTONE });
    expect(cache.get("a")).toBe(TOMBSTONE);
  });

  it("K7 deleting a key of the previous generation makes a tombstone in the current one", () => {
    const cache = withPrevious();
    expect(cache.delete("old")).toBe(true);
    const { current, previous } = cache.snapshot();
    expect([cells(current), cells(previous)]).toEqual([{ old: TOMBSTONE }, { old: 1 }]);
    expect(cache.get("old")).toBe(TOMBSTONE);
  });

  it("K8 deleting a key of neither generation finds nothing and makes nothing up", () => {
    const cache = withPrevious();
    expect(cache.delete("none")).toBe(false);
    expect(cache.get("none")).toBeUndefined();
    const { current, previous } = cache.snapshot();
    expect([cells(current), cells(previous)]).toEqual([{}, { old: 1 }]);
  });

  it("K9 the next rotation moves a tombstone on, and the value is nowhere", () => {
    const cache = withPrevious();
    cache.delete("old");
    cache.rotateTo(2);
    const { current, previous } = cache.snapshot();
    expect([cells(current), cells(previous)]).toEqual([{}, { old: TOMBSTONE }]);
    cache.rotateTo(3);
    expect(cache.size).toBe(0);
  });

  it("K9 a put revives a deleted key, in the tombstone's generation and in the next", () => {
    const cache = withPrevious();
    cache.delete("old");
    cache.put("old", 2);
    expect(cache.get("old")).toBe(2);
    cache.delete("old");
    cache.rotateTo(2);
    cache.put("old", 3);
    expect(cache.get("old")).toBe(3);
  });

  it("K9 deleting twice is stable, before and after a rotation", () => {
    const cache = withPrevious();
    expect([cache.delete("old"), cache.delete("old")]).toEqual([true, false]);
    cache.rotateTo(2);
    expect(cache.delete("old")).toBe(false);
    const { current, previous } = cache.snapshot();
    expect([cells(current), cells(previous)]).toEqual([{}, { old: TOMBSTONE }]);
  });

  it("K14 for the same generation both count, for the next only the current one", () => {
    const cache = withPrevious();
    cache.put("new", 2);
    const asked = ["old", "new", "none"];
    expect(asked.map((key) => cache.covers(key, 1))).toEqual([true, true, false]);
    expect(asked.map((key) => cache.covers(key, 2))).toEqual([false, true, false]);
  });

  it("K14 a tombstone is known too", () => {
    const cache = withPrevious();
    cache.delete("old");
    expect([cache.covers("old", 1), cache.covers("old", 2)]).toEqual([true, true]);
  });

  it.each([-1, 0, 3, 4])(
    "K14 of generation %i nothing can be said in generation 1",
    (generation) => {
      const cache = withPrevious();
      cache.put("new", 2);
      expect(cache.covers("old", generation)).toBe(false);
      expect(cache.covers("new", generation)).toBe(false);
    },
  );

  it("K15 a fetched value takes no place that is taken, not even by a tombstone", () => {
    const cache = withPrevious();
    cache.put("new", 2);
    cache.put("gone", 2);
    cache.delete("gone");
    for (const key of ["old", "new", "gone", "free"]) cache.take(key, "fetched");
    const { current, previous } = cache.snapshot();
    expect(cells(previous)).toEqual({ old: 1 });
    expect(cells(current)).toEqual({ new: 2, gone: TOMBSTONE, free: "fetched" });
  });

  it.each([[null], [""], [0], [false], [0n], [[]], [{}], [new Uint8Array()]])(
    "K16 %o is a value: it is found, covers, shadows, can be deleted",
    (empty) => {
      const cache = withPrevious();
      cache.put("old", empty);
      expect(cache.get("old")).toBe(empty);
      expect(cache.covers("old", 2)).toBe(true);
      cache.take("old", "fetched");
      expect(cache.get("old")).toBe(empty);
      expect(cache.delete("old")).toBe(true);
      expect(cache.get("old")).toBe(TOMBSTONE);
    },
  );

  it("restore takes a change back, so that the previous generation shows again", () => {
    const cache = withPrevious();
    const before = cache.current("old");
    cache.delete("old");
    cache.restore("old", before);
    expect(cache.get("old")).toBe(1);
    expect(cache.snapshot().current.size).toBe(0);
  });

  it("entries gives the newer of two cells of a key", () => {
    const cache = withPrevious();
    cache.put("old", 2);
    expect([...cache.entries()]).toEqual([["old", 2]]);
  });

  it("snapshot does not change with the cache", () => {
    const cache = withPrevious();
    const { current, previous } = cache.snapshot();
    cache.put("new", 2);
    cache.rotateTo(2);
    expect([cells(current), cells(previous)]).toEqual([{}, { old: 1 }]);
  });
});

describe("generations that are the whole state", () => {
  it("know of every key whether it is there, and forget nothing", () => {
    const cache = new Generations(Number.POSITIVE_INFINITY);
    cache.put("a", 1);
    expect(cache.complete).toBe(true);
    expect([1, 10, 1e12].map((p) => cache.generationOf(p))).toEqual([0, 0, 0]);
    expect(cache.lastOf(0)).toBe(Number.POSITIVE_INFINITY);
    expect([cache.covers("a", 0), cache.covers("none", 0)]).toEqual([true, true]);
  });

  it("keep no tombstones", () => {
    const cache = new Generations(Number.POSITIVE_INFINITY);
    cache.put("a", 1);
    expect([cache.delete("a"), cache.delete("a")]).toEqual([true, false]);
    expect([cache.get("a"), cache.size]).toEqual([undefined, 0]);
  });
});
