import { describe, expect, it } from "vitest";
import { InvalidArgumentError } from "../../../src/errors.ts";
import {
  bucketKeyOf,
  parseBucketKey,
  splitStateKey,
  stateKey,
} from "../../../src/projection/state-key.ts";

const ids = ["alice", "a.b", "a b", "a=b", "ü", "*", ">", "\ufeffx", "😀", "_checkpoint", ".", "0"];

describe("state keys", () => {
  it.each(ids)("of %o come apart into table and id, and back from the bucket", (id) => {
    const key = stateKey("table-1_a", id);
    expect(splitStateKey(key)).toEqual({ table: "table-1_a", id });
    const bucketKey = bucketKeyOf(key);
    expect(bucketKey).toMatch(/^table-1_a\.[A-Za-z0-9_=-]+$/);
    expect(parseBucketKey(bucketKey)).toBe(key);
  });

  it("escape every byte outside letters, digits, _ and -", () => {
    expect(bucketKeyOf(stateKey("t", "a.b=ü"))).toBe("t.a=2Eb=3D=C3=BC");
    expect(bucketKeyOf(stateKey("t", "plain_1-A"))).toBe("t.plain_1-A");
  });

  it("of two ids that differ differ in the bucket", () => {
    const keys = [...ids, "a=2Eb", "A.B", "e\u0301", "é"].map((id) =>
      bucketKeyOf(stateKey("t", id)),
    );
    expect(new Set(keys).size).toBe(keys.length);
  });

  it.each(["_checkpoint", "_dead.1", "t", ".a", "t.", "t.=41", "t.a=2e", "t.a.b", "t.=FF"])(
    "are not made of the entry %o",
    (bucketKey) => {
      expect(parseBucketKey(bucketKey)).toBeUndefined();
    },
  );

  it.each([
    ["an empty id", ""],
    ["a lone surrogate", "\ud800"],
    ["an id that is too long", "a".repeat(701)],
    ["an id that is too long when escaped", "ü".repeat(117)],
    ["a number", 5],
    ["undefined", undefined],
    ["null", null],
    ["an object", {}],
  ])("refuse %s, naming the table", (_, id) => {
    const make = (): string => stateKey("balance", id as string);
    expect(make).toThrow(InvalidArgumentError);
    expect(make).toThrow(/balance/);
  });

  it("take an id of 700 bytes in its escaped form", () => {
    expect(bucketKeyOf(stateKey("t", "a".repeat(700)))).toHaveLength(702);
    expect(bucketKeyOf(stateKey("t", `${"ü".repeat(116)}aaaa`))).toHaveLength(702);
  });
});
