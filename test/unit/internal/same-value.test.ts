import { describe, expect, it } from "vitest";
import { sameValue } from "../../../src/internal/same-value.ts";

describe("sameValue", () => {
  it("takes a key whose value is undefined for another than a key that is missing", () => {
    expect(sameValue({ a: undefined }, { b: undefined })).toBe(false);
    expect(sameValue({ a: undefined }, { a: undefined })).toBe(true);
  });

  it("tells -0 from 0, and finds NaN equal to itself", () => {
    expect(sameValue([-0], [0])).toBe(false);
    expect(sameValue([Number.NaN], [Number.NaN])).toBe(true);
  });

  it("compares views of bytes by their content", () => {
    const chunk = new Uint8Array([9, 1, 2, 9]);
    expect(sameValue(chunk.subarray(1, 3), Buffer.from([1, 2]))).toBe(true);
  });
});
