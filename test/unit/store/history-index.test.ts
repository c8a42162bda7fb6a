import { describe, expect, it } from "vitest";
import {
  firstIndex,
  type HistoryIndex,
  nextIndex,
  pointersWithin,
} from "../../../src/store/history-index.ts";

/**
 * The index of the commit with this ordinal; commit n stands at 100·(n+1) and ends at version
 * 10·(n+1).
 */
function indexOf(ordinal: number): HistoryIndex {
  let index = firstIndex(0);
  for (let n = 0; n < ordinal; n++) index = nextIndex(index, 100 * (n + 1), 10 * (n + 1));
  return index;
}

describe("pointersWithin", () => {
  // ordinal 0x22: siblings 33 and 32, groups that end with 31 and 15
  const index = indexOf(0x22);

  it("follows every pointer for the whole history, each with the version below its range", () => {
    expect(pointersWithin(index, 1, 350, 0)).toEqual([
      3400, 340, 330, 3300, 330, 320, 3200, 320, 160, 1600, 160, 0,
    ]);
  });

  it.each([
    ["nothing that is newer than all pointers", 341, 350, []],
    ["one sibling for the first version of its commit", 331, 331, [3400, 340, 330]],
    ["one sibling for the last version of its commit", 340, 340, [3400, 340, 330]],
    ["a group for one version in the middle of it", 200, 200, [3200, 320, 160]],
    ["a group for its last version only", 320, 320, [3200, 320, 160]],
    ["a group for its first version only", 161, 161, [3200, 320, 160]],
    ["two groups for versions across their border", 160, 161, [3200, 320, 160, 1600, 160, 0]],
    ["the oldest group for version 1", 1, 1, [1600, 160, 0]],
  ])("follows %s", (_name, from, to, expected) => {
    expect(pointersWithin(index, from, to, 0)).toEqual(expected);
  });

  it("leaves out what other pointers answer for", () => {
    expect(pointersWithin(index, 1, 350, 160)).toEqual([
      3400, 340, 330, 3300, 330, 320, 3200, 320, 160,
    ]);
    expect(pointersWithin(index, 1, 350, 340)).toEqual([]);
  });
});

describe("nextIndex", () => {
  it("refuses a commit that cannot follow", () => {
    const index = nextIndex(firstIndex(50), 100, 10);
    expect(() => nextIndex(index, 100, 11)).toThrow(RangeError);
    expect(() => nextIndex(index, 101, 10)).toThrow(RangeError);
    expect(() => nextIndex(firstIndex(50), 50, 1)).toThrow(RangeError);
  });

  it("leaves the index it starts from as it was", () => {
    const index = indexOf(15);
    const before = structuredClone(index);
    expect(nextIndex(index, 1600, 160).pointers).toEqual([1600, 160]);
    expect(index).toEqual(before);
  });
});
