import { describe, expect, it } from "vitest";
import { NameTable } from "../../../src/ledger/name-table.ts";

/** What stands in it, in its order. */
function all(table: NameTable<string>): [number, string][] {
  const found: [number, string][] = [];
  table.forEach((fingerprint, value) => found.push([fingerprint, value]));
  return found;
}

describe("names in a table", () => {
  it("are told apart where they share a fingerprint", () => {
    const table = new NameTable<string>();
    table.add(7, "a", "of a");
    table.add(7, "b", "of b");
    expect([table.find(7, "a"), table.find(7, "b")]).toEqual(["of a", "of b"]);
    expect(table.find(7, "c")).toBeUndefined();
  });

  it("are told apart where only a part of their fingerprints chooses the slot", () => {
    const table = new NameTable<string>();
    const prints = Array.from({ length: 6 }, (_, at) => 3 + at * 2 ** 40);
    for (const print of prints) table.add(print, `${print}`, `of ${print}`);
    for (const print of prints) expect(table.find(print, `${print}`)).toBe(`of ${print}`);
    expect(table.find(3 + 6 * 2 ** 40, "3")).toBeUndefined();
  });

  it("are found under their fingerprint only", () => {
    const table = new NameTable<string>();
    expect(table.find(7, "a")).toBeUndefined();
    table.add(7, "a", "of a");
    expect(table.find(8, "a")).toBeUndefined();
  });

  it("stay as it grows, in the order in which they came", () => {
    const table = new NameTable<string>();
    const names = Array.from({ length: 3_000 }, (_, at) => ({
      // many share a slot, some a fingerprint
      fingerprint: Math.floor(at / 3) * 2 ** 30,
      text: `name ${at}`,
    }));
    for (const { fingerprint, text } of names) table.add(fingerprint, text, text);
    expect(table.size).toBe(3_000);
    for (const { fingerprint, text } of names) expect(table.find(fingerprint, text)).toBe(text);
    expect(all(table)).toEqual(names.map(({ fingerprint, text }) => [fingerprint, text]));
  });

  it("that came last are forgotten, and nothing else is", () => {
    const table = new NameTable<string>();
    const noted = Array.from({ length: 40 }, (_, at) => `name ${at}`);
    for (const [at, text] of noted.entries()) table.add(at % 4, text, text);
    for (const size of [40, 33, 7, 0]) {
      table.cutTo(size);
      expect(table.size).toBe(size);
      const found = noted.filter((text, at) => table.find(at % 4, text) === text);
      expect(found).toEqual(noted.slice(0, size));
    }
    table.add(3, "name 3", "again");
    expect(all(table)).toEqual([[3, "again"]]);
    expect(table.find(3, "name 3")).toBe("again");
  });

  it("leave their room to others when they are forgotten", () => {
    const table = new NameTable<string>();
    table.add(0, "kept", "kept");
    // far more than there are slots: a search would find no end
    for (let at = 1; at < 1_000; at++) {
      table.add(at, "tried", "tried");
      table.cutTo(1);
      expect(table.find(at, "tried")).toBeUndefined();
    }
    expect(all(table)).toEqual([[0, "kept"]]);
  });
});
