import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseCsv } from "../../../examples/lib/csv.ts";

describe("parseCsv", () => {
  it("reads quotes, doubled quotes, commas and line breaks in fields", () => {
    const { columns, rows } = parseCsv('a,b\r\n"1,5","say ""hi"""\r\n"two\nlines",\r\n');
    expect(columns).toEqual(["a", "b"]);
    expect(rows).toEqual([
      { a: "1,5", b: 'say "hi"' },
      { a: "two\nlines", b: "" },
    ]);
  });

  it.each(["\n", "\r\n"])(
    "passes over empty lines, a byte order mark and a missing last break (%j)",
    (end) => {
      const { columns, rows } = parseCsv(`\uFEFFa,b${end}1,2${end}${end}3,4`);
      expect(columns).toEqual(["a", "b"]);
      expect(rows).toEqual([
        { a: "1", b: "2" },
        { a: "3", b: "4" },
      ]);
    },
  );

  it.each([
    { text: 'a,b\n1,"2', says: "line 2" },
    { text: 'a,b\n1,2"3\n', says: "line 2" },
    { text: "a,b\n1,2,3\n", says: "row 1 has 3 fields" },
  ])("refuses $text", ({ text, says }) => {
    expect(() => parseCsv(text)).toThrow(says);
  });

  it("reads back whatever is written in quotes", () => {
    const field = fc.string({ unit: fc.constantFrom("a", '"', ",", "\n", "\r", " ", "ä") });
    fc.assert(
      fc.property(fc.array(fc.tuple(field, field), { maxLength: 5 }), (records) => {
        const quote = (text: string): string => `"${text.replaceAll('"', '""')}"`;
        const lines = records.map(([a, b]) => `${quote(a)},${quote(b)}`);
        const { rows } = parseCsv(["a,b", ...lines].join("\r\n"));
        expect(rows).toEqual(records.map(([a, b]) => ({ a, b })));
      }),
    );
  });
});
