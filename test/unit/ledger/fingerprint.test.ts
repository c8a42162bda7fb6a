import { describe, expect, it } from "vitest";
import { Fingerprints } from "../../../src/ledger/fingerprint.ts";

const SEED_A = 0x01234567;
const SEED_B = 0x89abcdef;

/** HalfSipHash-1-3 with 64 bits of output as its reference implementation states it, over whole words. */
function halfSipHash(seedA: number, seedB: number, words: readonly number[]): bigint {
  const v = Uint32Array.of(seedA, seedB ^ 0xee, 0x6c796765 ^ seedA, 0x74656462 ^ seedB);
  const at = (index: number): number => v[index] ?? 0;
  const rotate = (index: number, by: number): void => {
    v[index] = (at(index) << by) | (at(index) >>> (32 - by));
  };
  const half = (a: number, b: number, by: number): void => {
    v[a] = at(a) + at(b);
    rotate(b, by);
    v[b] = at(b) ^ at(a);
  };
  const round = (): void => {
    half(0, 1, 5);
    rotate(0, 16);
    half(2, 3, 8);
    half(0, 3, 7);
    half(2, 1, 13);
    rotate(2, 16);
  };
  const tail = (): bigint => {
    round();
    round();
    round();
    return BigInt((at(1) ^ at(3)) >>> 0);
  };
  for (const word of words) {
    v[3] = at(3) ^ word;
    round();
    v[0] = at(0) ^ word;
  }
  v[2] = at(2) ^ 0xee;
  const low = tail();
  v[1] = at(1) ^ 0xdd;
  return (tail() << 32n) | low;
}

/** The words of one text, as the fingerprint lays them out. */
function wordsOf(text: string): number[] {
  const words = [1, text.length];
  for (let index = 0; index < text.length; index += 2) {
    const next = index + 1 < text.length ? text.charCodeAt(index + 1) : 0;
    words.push((text.charCodeAt(index) | (next << 16)) >>> 0);
  }
  return [...words, 8, words.length];
}

type Value = string | number | bigint | null | undefined;

function ofList(prints: Fingerprints, values: readonly Value[]): number {
  prints.begin();
  for (const value of values) {
    if (value === undefined) prints.addNothing();
    else if (value === null) prints.addNull();
    else if (typeof value === "string") prints.add(value);
    else if (typeof value === "number") prints.addNumber(value);
    else prints.addBigint(value);
  }
  return prints.end();
}

describe("a fingerprint", () => {
  const prints = new Fingerprints(SEED_A, SEED_B);

  it("is HalfSipHash-1-3 of the text's words, less its highest 11 bits", () => {
    for (const text of ["", "a", "ab", "abc", "é\u{1F600}", "\uD800", "order-4711".repeat(9)]) {
      const expected = halfSipHash(SEED_A, SEED_B, wordsOf(text)) & (2n ** 53n - 1n);
      expect(BigInt(prints.of(text))).toBe(expected);
    }
  });

  it("never changes, since snapshots hold it", () => {
    expect(prints.of("")).toBe(5_651_409_978_670_370);
    expect(prints.of("order-4711")).toBe(5_484_749_190_193_261);
    const list = ["alice", undefined, null, 0, -1, 2 ** 40, 0.5, 10_000n, -(2n ** 80n)];
    expect(ofList(prints, list)).toBe(5_313_524_957_274_236);
  });

  it("is an integer from 0 to 2^53 - 1", () => {
    let highest = 0;
    const wrong: number[] = [];
    for (let n = 0; n < 20_000; n++) {
      const print = prints.of(`key-${n}`);
      if (!Number.isSafeInteger(print) || print < 0) wrong.push(print);
      highest = Math.max(highest, print);
    }
    expect(wrong).toEqual([]);
    expect(highest).toBeGreaterThan(2 ** 53 * 0.999);
  });

  it("is the same for the same text, however the text came to be", () => {
    const pieces = ["order", "-", "47", "11"].join("");
    expect(prints.of(pieces)).toBe(prints.of("order-4711"));
    expect(new Fingerprints(SEED_A, SEED_B).of("order-4711")).toBe(prints.of(pieces));
    // Seeds beyond 32 bits and negative ones are their lowest 32 bits.
    expect(new Fingerprints(SEED_A + 2 ** 32, SEED_B | 0).of(pieces)).toBe(prints.of(pieces));
  });

  it("depends on both seeds", () => {
    const seen = new Set<number>();
    for (let bit = 0; bit < 32; bit++) {
      seen.add(new Fingerprints(SEED_A ^ (1 << bit), SEED_B).of("order-4711"));
      seen.add(new Fingerprints(SEED_A, SEED_B ^ (1 << bit)).of("order-4711"));
    }
    expect(seen.size).toBe(64);
  });

  it("changes half of its bits with any bit of the text", () => {
    let flipped = 0;
    let samples = 0;
    for (let place = 0; place < 20; place++) {
      for (let bit = 0; bit < 16; bit++) {
        const units = Array.from({ length: 20 }, (_, n) => 97 + n);
        const before = BigInt(prints.of(String.fromCharCode(...units)));
        units[place] = (97 + place) ^ (1 << bit);
        const after = BigInt(prints.of(String.fromCharCode(...units)));
        flipped += (before ^ after).toString(2).replaceAll("0", "").length;
        samples++;
      }
    }
    expect(flipped / samples).toBeGreaterThan(53 / 2 - 2);
    expect(flipped / samples).toBeLessThan(53 / 2 + 2);
  });

  it("does not repeat among 200,000 similar texts", () => {
    const seen = new Set<number>();
    for (let n = 0; n < 200_000; n++) seen.add(prints.of(`order-${n}`));
    expect(seen.size).toBe(200_000);
  });

  it("of a list tells apart where a value ends, of what kind it is and whether it is there", () => {
    const lists: readonly (readonly Value[])[] = [
      [],
      [""],
      ["", ""],
      [undefined],
      [null],
      [undefined, undefined],
      ["ab", "c"],
      ["a", "bc"],
      ["abc"],
      ["abc", ""],
      ["", "abc"],
      ["abc\0"],
      [0],
      [0n],
      ["0"],
      [1],
      [-1],
      [1n],
      [-1n],
      [0.5],
      [2 ** 32],
      [2 ** 32 - 1],
      [2n ** 32n - 1n],
      [2 ** 32 + 1],
      [-(2 ** 32)],
      [2 ** 53],
      [2 ** 54],
      [NaN],
      [Infinity],
      [-Infinity],
      [2n ** 53n - 1n],
      [2n ** 53n],
      [2n ** 64n],
      [-(2n ** 64n)],
      [(2n ** 64n).toString(36)],
      [1, 2],
      [2, 1],
      [2, 0],
    ];
    const seen = new Map(lists.map((values) => [ofList(prints, values), values]));
    expect(seen.size).toBe(lists.length);
    for (const values of lists) expect(seen.get(ofList(prints, values))).toBe(values);
  });

  it("of a list starts anew, whatever was left unfinished", () => {
    const expected = ofList(prints, ["alice", 5n]);
    prints.begin();
    prints.add("left over");
    expect(ofList(prints, ["alice", 5n])).toBe(expected);
    expect(prints.of("x")).toBe(ofList(prints, ["x"]));
    expect(ofList(prints, [-0])).toBe(ofList(prints, [0]));
  });
});
