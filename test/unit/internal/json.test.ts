import { describe, expect, it } from "vitest";
import { jsonReplacer, toJson } from "../../../src/internal/json.ts";

describe("toJson", () => {
  it("writes big integers as decimal strings, dates in ISO 8601, bytes as base64", () => {
    const value = {
      amount: -12345678901234567890n,
      when: new Date(0),
      bytes: new Uint8Array([1, 2, 3]),
      buffer: Buffer.from([255]),
      list: [1n, null, "x"],
    };
    expect(JSON.parse(toJson(value))).toEqual({
      amount: "-12345678901234567890",
      when: "1970-01-01T00:00:00.000Z",
      bytes: "AQID",
      buffer: "/w==",
      list: ["1", null, "x"],
    });
  });

  it("writes what stands alone, and null for what has no JSON", () => {
    expect(toJson(5n)).toBe('"5"');
    expect(toJson(Buffer.from([1]))).toBe('"AQ=="');
    expect(toJson(undefined)).toBe("null");
  });

  it("indents where asked to, and is the replacer of JSON.stringify otherwise", () => {
    expect(toJson({ a: 1n }, 2)).toBe('{\n  "a": "1"\n}');
    expect(JSON.stringify({ a: 1n }, jsonReplacer)).toBe('{"a":"1"}');
  });
});
