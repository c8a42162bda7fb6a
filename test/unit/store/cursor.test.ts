import { describe, expect, it } from "vitest";
import { InvalidArgumentError } from "../../../src/errors.ts";
import { formatCursor, parseCursor } from "../../../src/store/cursor.ts";

describe("a cursor", () => {
  it.each([
    [1, 1, "c"],
    [Number.MAX_SAFE_INTEGER, 999_999_999, "x".repeat(128)],
    [7, 3, "transfer/1.2/0"],
    [7, 3, "!#$%.~"],
  ])(
    "of position %d, %d events and commit %s comes back as it was",
    (position, taken, commitId) => {
      const cursor = formatCursor(position, taken, commitId);
      expect(parseCursor(cursor, "after")).toEqual({ position, taken, commitId });
    },
  );

  it.each([
    [""],
    ["now"],
    ["5"],
    ["5.1"],
    ["5.1."],
    ["0.1.c"],
    ["5.0.c"],
    ["-5.1.c"],
    ["5.1.a b"],
    ["5.1.c\n"],
    ["9007199254740993.1.c"],
    [" 5.1.c"],
    [5],
    [undefined],
    [null],
    [{ position: 5 }],
  ])("is not %j", (value) => {
    expect(() => parseCursor(value, "after")).toThrow(InvalidArgumentError);
    expect(() => parseCursor(value, "after")).toThrow(/^after: /);
  });
});
