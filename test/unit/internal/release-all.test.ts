import { describe, expect, it } from "vitest";
import { releaseAll } from "../../../src/internal/release-all.ts";

describe("releaseAll", () => {
  it("releases one after the other, in their order", async () => {
    const done: number[] = [];
    await releaseAll([
      () => new Promise(setImmediate).then(() => void done.push(1)),
      () => void done.push(2),
      () => Promise.resolve(void done.push(3)),
    ]);
    expect(done).toEqual([1, 2, 3]);
  });

  it("releases the others too where some fail, and then throws what the first one threw", async () => {
    const done: number[] = [];
    const failure = new Error("first");
    const releasing = releaseAll([
      () => void done.push(1),
      () => Promise.reject(failure),
      () => {
        throw new Error("second");
      },
      () => void done.push(4),
    ]);
    await expect(releasing).rejects.toBe(failure);
    expect(done).toEqual([1, 4]);
  });
});
