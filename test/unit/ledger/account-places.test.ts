import { describe, expect, it } from "vitest";
import { AccountPlaces } from "../../../src/ledger/account-places.ts";
import { InconsistentStateError } from "../../../src/ledger/errors.ts";

/** Ascending with gaps of one to nine digits. */
function ascending(count: number): number[] {
  const positions: number[] = [];
  let last = 0;
  for (let n = 0; n < count; n++) {
    last += n % 97 === 96 ? 123_456_789 : 1 + ((n * 7919) % 300);
    positions.push(last);
  }
  return positions;
}

function placesOf(positions: readonly number[]): AccountPlaces {
  const places = new AccountPlaces();
  for (const position of positions) places.add(position);
  return places;
}

/** Around what stands in an array, in one block of 1,024, in several. */
const counts = [0, 1, 15, 16, 17, 18, 1_023, 1_024, 1_025, 2_048, 2_049, 10_000];

describe("the places of an account", () => {
  it.each(counts)("keeps %i positions in order, each once", (count) => {
    const positions = ascending(count);
    const places = new AccountPlaces();
    for (const position of positions) {
      places.add(position);
      places.add(position);
    }
    expect(places.count).toBe(count);
    expect(places.toArray()).toEqual(positions);
    expect([...places.positions()]).toEqual(positions);
  });

  it.each(counts)("pages backwards through %i positions", (count) => {
    const positions = ascending(count);
    const places = placesOf(positions);
    const newestFirst = positions.toReversed();
    expect(places.backwards(undefined, count + 1)).toEqual(newestFirst);
    expect(places.backwards(undefined, 10)).toEqual(newestFirst.slice(0, 10));
    expect(places.backwards(undefined, 0)).toEqual([]);
    const paged: number[] = [];
    for (;;) {
      const page = places.backwards(paged.at(-1), 700);
      if (page.length === 0) break;
      paged.push(...page);
    }
    expect(paged).toEqual(newestFirst);
  });

  it("pages from any position, whether it is there or not", () => {
    const positions = ascending(3_000);
    const places = placesOf(positions);
    for (let n = 0; n < 3_000; n += 61) {
      const at = positions[n] ?? 0;
      const below = positions.slice(0, n).reverse().slice(0, 5);
      expect(places.backwards(at, 5)).toEqual(below);
      expect(places.backwards(at + 0.5, 5)).toEqual([at, ...below].slice(0, 5));
    }
    // Around the begin of a block.
    for (const n of [1_023, 1_024, 1_025, 2_047, 2_048, 2_049]) {
      const expected = positions.slice(0, n).reverse();
      expect(places.backwards(positions[n], 5_000)).toEqual(expected);
    }
    expect(places.backwards(1, 5)).toEqual([]);
    expect(places.backwards(0, 5)).toEqual([]);
  });

  it.each([5, 16, 2_000])(
    "iterates over the %i that were there, whatever is added meanwhile",
    (count) => {
      const positions = ascending(count);
      const places = placesOf(positions);
      const seen: number[] = [];
      for (const position of places.positions()) {
        seen.push(position);
        for (let n = 1; n <= 10; n++) places.add((places.backwards(undefined, 1)[0] ?? 0) + n);
      }
      expect(seen).toEqual(positions);
      expect(places.count).toBe(count * 11);
    },
  );

  it.each([0, 4, -1, 5.5, Number.NaN, 2 ** 53])("refuses %d after 5", (position) => {
    for (const places of [placesOf([5]), placesOf(ascending(0).concat(5))]) {
      expect(() => places.add(position)).toThrow(InconsistentStateError);
      expect(places.toArray()).toEqual([5]);
    }
  });

  it("refuses a position below the last of many", () => {
    const positions = ascending(100);
    const places = placesOf(positions);
    expect(() => places.add((positions.at(-1) ?? 0) - 1)).toThrow(InconsistentStateError);
    expect(places.toArray()).toEqual(positions);
  });

  it("takes positions up to the greatest", () => {
    const greatest = Number.MAX_SAFE_INTEGER;
    const places = placesOf([...ascending(20), greatest - 1, greatest]);
    expect(places.backwards(undefined, 2)).toEqual([greatest, greatest - 1]);
    expect(AccountPlaces.decode(places.encode()).toArray()).toEqual(places.toArray());
  });

  it("takes little memory", () => {
    expect(placesOf([1]).bytes).toBeLessThanOrEqual(8);
    const many = Array.from({ length: 100_000 }, (_, n) => n * 5 + 1);
    expect(placesOf(many).bytes / many.length).toBeLessThan(1.6);
  });
});

describe("the encoded places of an account", () => {
  it.each(counts)("come back with %i positions and go on as before", (count) => {
    const positions = ascending(count + 1_100);
    const places = placesOf(positions.slice(0, count));
    const decoded = AccountPlaces.decode(places.encode());
    expect(decoded.encode()).toEqual(places.encode());
    for (const position of positions.slice(count)) decoded.add(position);
    expect(decoded.toArray()).toEqual(positions);
    expect(decoded.backwards(undefined, 3)).toEqual(positions.slice(-3).reverse());
    expect(decoded.encode()).toEqual(placesOf(positions).encode());
  });

  it("never change their form, since snapshots hold them", () => {
    expect([...placesOf([]).encode()]).toEqual([0]);
    expect([...placesOf([1, 3, 303]).encode()]).toEqual([3, 1, 2, 0xac, 2]);
  });

  it.each<[string, number[]]>([
    ["nothing", []],
    ["too few positions", [3, 1, 2]],
    ["too many positions", [1, 1, 2]],
    ["a position twice", [2, 1, 0]],
    ["a position cut short", [2, 1, 0x80]],
    ["position zero", [1, 0]],
  ])("are refused with %s", (_, bytes) => {
    expect(() => AccountPlaces.decode(Uint8Array.from(bytes))).toThrow(InconsistentStateError);
  });
});
