import { describe, expect, it } from "vitest";
import { InconsistentStateError } from "../../../src/ledger/errors.ts";
import { RecentPlaces } from "../../../src/ledger/recent-places.ts";

/** Notes n under fingerprint n. */
function noted(recent: RecentPlaces, from: number, to: number): RecentPlaces {
  for (let n = from; n < to; n++) recent.add(n, 100 + n, n % 3);
  return recent;
}

function known(recent: RecentPlaces, upTo: number): number[] {
  return Array.from({ length: upTo }, (_, n) => n).filter((n) => recent.find(n) !== undefined);
}

function bytesOf(recent: RecentPlaces): Buffer[] {
  return Array.from(recent.encode(), (chunk) => Buffer.from(chunk));
}

describe("recent places", () => {
  it("knows the last `limit` places at least and twice as many at most, after any number", () => {
    for (const limit of [1, 2, 10]) {
      const recent = new RecentPlaces(limit);
      for (let n = 0; n < 50; n++) {
        recent.add(n, 100 + n, 0);
        const left = known(recent, 50);
        expect(left.length).toBe(recent.size);
        expect(left.length).toBeGreaterThanOrEqual(Math.min(n + 1, limit));
        expect(left.length).toBeLessThanOrEqual(2 * limit);
        // What is known is the newest, without gaps.
        expect(left.at(-1)).toBe(n);
        expect(left[0]).toBe(n + 1 - left.length);
      }
    }
  });

  it("gives the places of one fingerprint across both generations, oldest first", () => {
    const recent = new RecentPlaces(3);
    recent.add(7, 1, 0);
    noted(recent, 10, 12);
    recent.add(7, 2, 5);
    expect(recent.find(7)).toEqual([
      { position: 1, index: 0 },
      { position: 2, index: 5 },
    ]);
    expect(recent.find(10)).toEqual([{ position: 110, index: 1 }]);
    expect(recent.find(8)).toBeUndefined();
    noted(recent, 12, 15);
    expect(recent.find(7)).toEqual([{ position: 2, index: 5 }]);
  });

  it.each([0, -1, 1.5, Number.NaN])("refuses a limit of %d", (limit) => {
    expect(() => new RecentPlaces(limit)).toThrow(InconsistentStateError);
  });

  it("frees what it forgets", () => {
    const recent = noted(new RecentPlaces(1_000), 0, 2_000);
    const full = recent.bytes;
    expect(noted(recent, 2_000, 20_000).bytes).toBe(full);
  });

  it.each([0, 1, 3, 4, 6, 7, 100])("comes back from its bytes after %i places", (count) => {
    const recent = noted(new RecentPlaces(3), 0, count);
    const decoded = RecentPlaces.decode(recent.encode());
    expect(decoded.limit).toBe(3);
    for (let n = count; n < count + 10; n++) {
      expect(bytesOf(decoded)).toEqual(bytesOf(recent));
      expect(known(decoded, n + 1)).toEqual(known(recent, n + 1));
      noted(recent, n, n + 1);
      noted(decoded, n, n + 1);
    }
  });

  it("encodes what it knew at that moment", () => {
    const recent = noted(new RecentPlaces(1_000), 0, 1_700);
    const expected = bytesOf(recent);
    const encoded = recent.encode();
    noted(recent, 1_700, 9_000);
    expect(Array.from(encoded, (chunk) => Buffer.from(chunk))).toEqual(expected);
  });

  it.each<[string, (chunks: Uint8Array[]) => Uint8Array[]]>([
    ["no chunk", () => []],
    ["another format", (chunks) => [Uint8Array.of(2, 3), ...chunks.slice(1)]],
    ["no limit", (chunks) => [Uint8Array.of(1), ...chunks.slice(1)]],
    ["one generation", (chunks) => chunks.slice(0, -1)],
    ["three generations", (chunks) => [...chunks, ...chunks.slice(-1)]],
  ])("refuses chunks with %s", (_, damage) => {
    const chunks = bytesOf(noted(new RecentPlaces(3), 0, 5));
    expect(() => RecentPlaces.decode(damage(chunks))).toThrow(InconsistentStateError);
  });
});
