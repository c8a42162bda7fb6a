import { describe, expect, it } from "vitest";
import { firstIndex } from "../../../src/store/history-index.ts";
import { type Head, NO_HEAD, VersionCache } from "../../../src/store/version-cache.ts";

const alice = "bank.account.alice";

function head(sequence: number, index: Head["index"] = firstIndex(0)): Head {
  return { version: sequence, sequence, commitId: `c${sequence}`, index };
}

function holding(known: Head): VersionCache {
  const cache = new VersionCache(10);
  cache.advance(alice, known);
  return cache;
}

describe("advance", () => {
  it("takes what is later, and keeps what it knows otherwise", () => {
    const cache = holding(head(5));
    expect(cache.advance(alice, head(4))).toEqual(head(5));
    expect(cache.get(alice)).toEqual(head(5));
    expect(cache.advance(alice, head(6))).toEqual(head(6));
    expect(cache.get(alice)).toEqual(head(6));
  });

  it("takes the index of a head whose index was unknown, and never gives it up again", () => {
    const cache = holding(head(5, "unknown"));
    expect(cache.advance(alice, head(5))).toEqual(head(5));
    expect(cache.advance(alice, head(5, "unknown"))).toEqual(head(5));
    expect(cache.get(alice)).toEqual(head(5));
  });

  it("holds nothing of an actor without events", () => {
    const cache = new VersionCache(10);
    expect(cache.advance(alice, NO_HEAD)).toBe(NO_HEAD);
    expect([cache.size, cache.get(alice)]).toEqual([0, undefined]);
  });
});

describe("refresh", () => {
  it("knows only actors that are in the cache", () => {
    const cache = holding(head(5));
    cache.refresh("bank.account.bob", head(9));
    cache.refresh(alice, head(7));
    cache.refresh(alice, head(6));
    expect([cache.size, cache.get(alice)]).toEqual([1, head(7)]);
  });

  it("is no use that keeps an actor in the cache", () => {
    const cache = new VersionCache(2);
    cache.advance("a", head(1));
    cache.advance("b", head(2));
    cache.refresh("a", head(3));
    cache.advance("c", head(4));
    expect([cache.get("a"), cache.get("b"), cache.get("c")]).toEqual([undefined, head(2), head(4)]);
  });
});

describe("correct", () => {
  it("lowers what is known to the leader's answer", () => {
    const known = head(5);
    const cache = holding(known);
    expect(cache.correct(alice, known, head(3))).toEqual(head(3));
    expect(cache.get(alice)).toEqual(head(3));
  });

  it("drops an actor that has no events any more", () => {
    const known = head(5);
    const cache = holding(known);
    expect(cache.correct(alice, known, NO_HEAD)).toBe(NO_HEAD);
    expect([cache.size, cache.get(alice)]).toEqual([0, undefined]);
  });

  it("lowers nothing that became known after the leader was asked", () => {
    const before = head(5);
    const cache = holding(before);
    cache.advance(alice, head(8));
    expect(cache.correct(alice, before, head(6))).toEqual(head(8));
    expect(cache.correct(alice, before, head(9))).toEqual(head(9));
    expect(cache.correct(alice, undefined, head(2))).toEqual(head(9));
  });
});

describe("distrust", () => {
  it("makes every head one to be compared, until the actor has been seen again", () => {
    const cache = holding(head(5));
    cache.distrust();
    expect([cache.get(alice), cache.peek(alice)]).toEqual([undefined, undefined]);
    expect(cache.suspect(alice)).toEqual(head(5));
    expect(cache.advance(alice, head(2))).toEqual(head(2));
    expect([cache.get(alice), cache.suspect(alice)]).toEqual([head(2), undefined]);
  });

  it("forgets a suspect that was looked into", () => {
    const cache = holding(head(5));
    cache.distrust();
    cache.settle(alice);
    expect(cache.suspect(alice)).toBeUndefined();
  });

  it("does not forget who was suspected when it comes twice", () => {
    const cache = holding(head(5));
    cache.distrust();
    cache.distrust();
    expect(cache.suspect(alice)).toEqual(head(5));
  });

  it("keeps passing heads from acquitting a suspect", () => {
    const cache = holding(head(5));
    cache.distrust();
    cache.refresh(alice, head(9));
    expect(cache.get(alice)).toBeUndefined();
    expect(cache.suspect(alice)).toEqual(head(5));
  });
});

describe("the bound", () => {
  it("lets the actor go that was used longest ago; looking is no use", () => {
    const cache = new VersionCache(2);
    cache.advance("a", head(1));
    cache.advance("b", head(2));
    cache.peek("a");
    cache.get("b");
    cache.get("a");
    cache.peek("b");
    cache.advance("c", head(3));
    expect([cache.peek("a"), cache.peek("b"), cache.size]).toEqual([head(1), undefined, 2]);
  });

  it("of 0 turns the cache off", () => {
    const cache = new VersionCache(0);
    expect(cache.off).toBe(true);
    expect(cache.advance(alice, head(1))).toEqual(head(1));
    expect([cache.size, cache.get(alice)]).toEqual([0, undefined]);
    expect(new VersionCache(1).off).toBe(false);
  });
});

describe("hasForgotten", () => {
  it("is false as long as whatever was held is held", () => {
    const cache = holding(head(5));
    cache.advance(alice, head(6));
    cache.correct(alice, head(6), head(4));
    expect(cache.hasForgotten).toBe(false);
  });

  it.each<[string, (cache: VersionCache) => void]>([
    ["forgotten", (cache) => cache.forget(alice)],
    ["suspected", (cache) => cache.suspectAll()],
    ["distrusted", (cache) => cache.distrust()],
  ])("is true once a head was %s", (_, lose) => {
    const cache = holding(head(5));
    lose(cache);
    expect(cache.hasForgotten).toBe(true);
  });

  it("is true once there was no room for another", () => {
    const cache = new VersionCache(2);
    cache.advance("a", head(1));
    expect(cache.hasForgotten).toBe(false);
    cache.advance("b", head(2));
    cache.advance("c", head(3));
    expect(cache.hasForgotten).toBe(true);
  });

  it("is true of a cache that is off", () => {
    expect(new VersionCache(0).hasForgotten).toBe(true);
  });
});
