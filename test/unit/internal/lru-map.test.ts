import { describe, expect, it } from "vitest";
import { LruMap } from "../../../src/internal/lru-map.ts";

function filled(capacity: number, ...keys: string[]): LruMap<string, string> {
  const map = new LruMap<string, string>(capacity);
  for (const key of keys) map.set(key, key.toUpperCase());
  return map;
}

describe("LruMap", () => {
  it("lets the entry go that was used longest ago", () => {
    const map = filled(2, "a", "b", "c");
    expect(map.size).toBe(2);
    expect([map.peek("a"), map.peek("b"), map.peek("c")]).toEqual([undefined, "B", "C"]);
  });

  it("counts get and set as uses, and peek not", () => {
    const read = filled(2, "a", "b");
    read.get("a");
    read.set("c", "C");
    expect([read.peek("a"), read.peek("b")]).toEqual(["A", undefined]);
    const written = filled(2, "a", "b");
    written.set("a", "again");
    written.set("c", "C");
    expect([written.peek("a"), written.peek("b")]).toEqual(["again", undefined]);
    const peeked = filled(2, "a", "b");
    peeked.peek("a");
    peeked.set("c", "C");
    expect([peeked.peek("a"), peeked.peek("b")]).toEqual([undefined, "B"]);
  });

  it("keeps nothing with a capacity of 0", () => {
    const map = filled(0, "a");
    expect([map.size, map.get("a")]).toEqual([0, undefined]);
  });

  it("forgets what is deleted, wherever it stands", () => {
    const map = filled(3, "a", "b", "c");
    expect([map.delete("b"), map.delete("b")]).toEqual([true, false]);
    expect(map.size).toBe(2);
    map.set("d", "D");
    map.set("e", "E");
    expect([map.peek("a"), map.peek("c"), map.peek("d"), map.peek("e")]).toEqual([
      undefined,
      "C",
      "D",
      "E",
    ]);
  });

  it("replaces a value without counting that as a use, and only where there is one", () => {
    const map = filled(2, "a", "b");
    map.replace("a", "new");
    map.replace("x", "X");
    expect([map.size, map.peek("a"), map.peek("x")]).toEqual([2, "new", undefined]);
    map.set("c", "C");
    expect([map.peek("a"), map.peek("b")]).toEqual([undefined, "B"]);
  });

  it("does what a list in the order of use does, whatever is asked of it", () => {
    const map = new LruMap<number, number>(5);
    let model: [number, number][] = [];
    let state = 1;
    const next = (limit: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
      return Math.floor((state / 0x80000000) * limit);
    };
    for (let step = 0; step < 5_000; step++) {
      const key = next(9);
      const found = model.find(([other]) => other === key);
      const rest = model.filter(([other]) => other !== key);
      const action = next(9);
      if (action < 4) {
        map.set(key, step);
        const kept: [number, number][] = [...rest, [key, step]];
        model = kept.slice(-5);
      } else if (action < 7) {
        map.get(key);
        if (found !== undefined) model = [...rest, found];
      } else if (action < 8) {
        map.delete(key);
        model = rest;
      }
      const all = Array.from({ length: 9 }, (_, other) => [other, map.peek(other)]);
      const known = new Map(model);
      expect(all).toEqual(all.map(([other]) => [other, known.get(other ?? 0)]));
      expect(map.size).toBe(model.length);
    }
  });
});
