import { setImmediate as turn } from "node:timers/promises";
import { expect, it } from "vitest";
import { forEachChunk } from "../../../src/projection/snapshot-entries.ts";

it("does each chunk once, up to eight at once", async () => {
  const done: number[] = [];
  let running = 0;
  let most = 0;
  const act = async (chunk: number): Promise<void> => {
    most = Math.max(most, ++running);
    await turn();
    running--;
    done.push(chunk);
  };
  await forEachChunk(30, act, undefined);
  expect(done.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, n) => n));
  expect(most).toBe(8);
  await forEachChunk(0, act, undefined);
  expect(done).toHaveLength(30);
});

it("begins no more after the first failure, and tells those that were begun", async () => {
  const begun: number[] = [];
  let told = 0;
  const act = (chunk: number, signal: AbortSignal): Promise<void> => {
    begun.push(chunk);
    if (chunk === 3) return Promise.reject(new Error("third"));
    return new Promise((resolve) => {
      signal.addEventListener("abort", () => {
        told++;
        resolve();
      });
    });
  };
  await expect(forEachChunk(30, act, undefined)).rejects.toThrow("third");
  await turn();
  expect(begun).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(told).toBe(7);
});

it("ends with the reason of its signal, also where nobody heeds it", async () => {
  const stopped = new AbortController();
  const reason = new Error("enough");
  let begun = 0;
  const act = async (): Promise<void> => {
    if (++begun === 10) stopped.abort(reason);
    await turn();
  };
  await expect(forEachChunk(100, act, stopped.signal)).rejects.toBe(reason);
  expect(begun).toBeLessThan(20);
  await expect(forEachChunk(0, act, stopped.signal)).rejects.toBe(reason);
});
