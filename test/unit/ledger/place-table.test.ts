import { describe, expect, it } from "vitest";
import { InconsistentStateError } from "../../../src/ledger/errors.ts";
import { Fingerprints } from "../../../src/ledger/fingerprint.ts";
import { PlaceTable } from "../../../src/ledger/place-table.ts";

const prints = new Fingerprints(1, 2);
const HIGHEST = 2 ** 53 - 1;

function filled(count: number, from = 0): PlaceTable {
  const table = new PlaceTable();
  for (let n = from; n < from + count; n++) note(table, n);
  return table;
}

/** Each tenth under the fingerprint of the one before. */
function note(table: PlaceTable, n: number): void {
  const print = prints.of(`key-${n % 10 === 0 ? n - 1 : n}`);
  table.add(print, 1_000 + Math.floor(n / 7), n % 7);
}

function bytesOf(table: PlaceTable): Buffer[] {
  return Array.from(table.encode(), (chunk) => Buffer.from(chunk));
}

/** Compares faster than bytes do. */
function textOf(chunks: Iterable<Uint8Array>): string[] {
  return Array.from(chunks, (chunk) => Buffer.from(chunk).toString("base64"));
}

function changed(chunk: Uint8Array | undefined, head: number[], tail: number[]): Uint8Array {
  return Buffer.concat([
    Uint8Array.from(head),
    (chunk ?? Uint8Array.of(0)).slice(head.length),
    Uint8Array.from(tail),
  ]);
}

/** 10: below the first split; 2,048 and 2,049: around it; 30,000: after many growths. */
const sizes = [0, 1, 10, 2_048, 2_049, 30_000];

describe("a table of places", () => {
  it("finds nothing where nothing was noted", () => {
    const table = new PlaceTable();
    expect(table.find(0)).toBeUndefined();
    expect(table.find(HIGHEST)).toBeUndefined();
    expect(table.size).toBe(0);
  });

  it.each(sizes.slice(1))("finds all of %i places and no other", (count) => {
    const table = filled(count);
    expect(table.size).toBe(count);
    const wrong: number[] = [];
    for (let n = 0; n < count; n++) {
      const found = table.find(prints.of(`key-${n % 10 === 0 ? n - 1 : n}`)) ?? [];
      const isThere = found.some(
        ({ position, index }) => position === 1_000 + Math.floor(n / 7) && index === n % 7,
      );
      if (!isThere || found.length > 2 || table.find(prints.of(`other-${n}`))) wrong.push(n);
    }
    expect(wrong).toEqual([]);
  });

  it("gives the places of one fingerprint in the order in which they were noted", () => {
    const table = new PlaceTable();
    const expected = [];
    for (let n = 0; n < 5_000; n++) {
      table.add(n % 50 === 0 ? 42 : prints.of(`key-${n}`), 10_000 - n, n);
      if (n % 50 === 0) expected.push({ position: 10_000 - n, index: n });
    }
    expect(table.find(42)).toEqual(expected);
  });

  it("tells fingerprints apart that differ in one bit only", () => {
    const table = filled(3_000);
    const all = Array.from({ length: 53 }, (_, bit) => 2 ** bit);
    for (const [bit, print] of all.entries()) table.add(print, bit, 0);
    for (const [bit, print] of all.entries()) {
      expect(table.find(print)).toEqual([{ position: bit, index: 0 }]);
    }
    expect(table.find(0)).toBeUndefined();
  });

  it("takes the whole range of what it keeps", () => {
    const table = new PlaceTable();
    table.add(HIGHEST, Number.MAX_SAFE_INTEGER, 2 ** 32 - 1);
    table.add(0, 0, 0);
    for (const each of [table, PlaceTable.decode(table.encode())]) {
      expect(each.find(HIGHEST)).toEqual([
        { position: Number.MAX_SAFE_INTEGER, index: 2 ** 32 - 1 },
      ]);
      expect(each.find(0)).toEqual([{ position: 0, index: 0 }]);
    }
  });

  it.each([
    [-1, 1, 1],
    [2 ** 53, 1, 1],
    [0.5, 1, 1],
    [NaN, 1, 1],
    [1, -1, 1],
    [1, 1.5, 1],
    [1, 1, -1],
    [1, 1, 2 ** 32],
  ])("refuses fingerprint %d, position %d, index %d", (fingerprint, position, index) => {
    const table = new PlaceTable();
    expect(() => table.add(fingerprint, position, index)).toThrow(InconsistentStateError);
    expect(table.size).toBe(0);
  });

  it("takes at most 50 bytes an entry, and little while it is small", () => {
    expect(new PlaceTable().bytes).toBeLessThan(400);
    for (const count of [5_000, 12_345, 30_000, 50_000]) {
      expect(filled(count).bytes / count).toBeLessThan(50);
    }
  });
});

describe("an encoded table of places", () => {
  it.each(sizes)("comes back with all of %i places, and grows on as the other one", (count) => {
    const table = filled(count);
    const decoded = PlaceTable.decode(table.encode());
    expect(decoded.size).toBe(count);
    expect(textOf(decoded.encode())).toEqual(textOf(table.encode()));
    for (let n = count; n < count + 2_100; n++) {
      note(table, n);
      note(decoded, n);
    }
    expect(textOf(decoded.encode())).toEqual(textOf(table.encode()));
    const keys = Array.from({ length: count + 2_100 }, (_, n) => prints.of(`key-${n}`));
    const findAll = (each: PlaceTable): string => JSON.stringify(keys.map((key) => each.find(key)));
    expect(findAll(decoded)).toBe(findAll(table));
  });

  it("is the same for the same places in the same order", () => {
    const encoded = textOf(filled(5_000).encode());
    expect(textOf(filled(5_000).encode())).toEqual(encoded);
    expect(textOf(filled(5_000, 1).encode())).not.toEqual(encoded);
  });

  it("never changes its form, since snapshots hold it", () => {
    const table = new PlaceTable();
    table.add(300, 1_000, 1);
    table.add(5, 1_000, 2);
    table.add(6, 999, 0);
    expect(bytesOf(table)).toEqual([
      Buffer.from([1, 3, 0xac, 2, 0xe9, 7, 1, 5, 1, 2, 6, 0, 0xe7, 7, 0]),
    ]);
  });

  it("comes in chunks of at most 256 KB", () => {
    const chunks = bytesOf(filled(60_000));
    expect(chunks.length).toBeGreaterThan(2);
    expect(Math.max(...chunks.map((chunk) => chunk.length))).toBeLessThanOrEqual(256 * 1024);
    expect(Math.min(...chunks.slice(0, -1).map((chunk) => chunk.length))).toBeGreaterThan(255_000);
  });

  it.each([100, 2_048, 30_000])(
    "is the table of %i places as it was, whatever is added meanwhile",
    (count) => {
      const table = filled(count);
      const expected = textOf(table.encode());
      const encoded = table.encode();
      const chunks: Uint8Array[] = [];
      let n = count;
      for (const chunk of encoded) {
        chunks.push(chunk);
        for (let more = 0; more < 20_000; more++) note(table, n++);
      }
      expect(textOf(chunks)).toEqual(expected);
      // Once more from the same moment.
      expect(textOf(encoded)).toEqual(expected);
      expect(table.size).toBe(n);
    },
  );

  it.each<[string, (chunks: Uint8Array[]) => Iterable<Uint8Array>]>([
    ["no chunk", () => []],
    ["an empty chunk", () => [new Uint8Array()]],
    ["another format", ([first, ...rest]) => [changed(first, [2], []), ...rest]],
    ["a missing chunk", (chunks) => chunks.slice(0, -1)],
    [
      "a chunk cut short",
      ([first, ...rest]) => [(first ?? new Uint8Array()).slice(0, -1), ...rest],
    ],
    ["a chunk too many", (chunks) => [...chunks, ...chunks.slice(-1)]],
    ["bytes too many", (chunks) => [...chunks.slice(0, -1), changed(chunks.at(-1), [], [7])]],
  ])("is refused with %s", (_, damage) => {
    const chunks = bytesOf(filled(30_000));
    expect(chunks.length).toBeGreaterThan(1);
    expect(() => PlaceTable.decode(damage(chunks))).toThrow(InconsistentStateError);
  });
});
