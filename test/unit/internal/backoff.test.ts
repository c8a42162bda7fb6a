import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { backoffMs, sleep } from "../../../src/internal/backoff.ts";

describe("backoffMs", () => {
  const backoff = { firstMs: 10, maxMs: 100 };

  it("doubles up to the bound, and draws from the upper half", () => {
    const least = [1, 2, 3, 4, 5, 99].map((attempt) => backoffMs(backoff, attempt, () => 0));
    expect(least).toEqual([5, 10, 20, 40, 50, 50]);
    const most = [1, 2, 3, 4, 5, 99].map((attempt) => backoffMs(backoff, attempt, () => 1));
    expect(most).toEqual([10, 20, 40, 80, 100, 100]);
  });

  it("stays finite however many attempts there were", () => {
    const unbounded = { firstMs: 1, maxMs: Number.MAX_VALUE };
    expect(Number.isFinite(backoffMs(unbounded, 100_000))).toBe(true);
  });

  it("is not the same for two rivals", () => {
    const waits = new Set(Array.from({ length: 50 }, () => backoffMs(backoff, 3)));
    expect(waits.size).toBeGreaterThan(25);
  });
});

describe("sleep", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("ends after its time", async () => {
    let awake = false;
    const sleeping = sleep(100).then(() => {
      awake = true;
    });
    await vi.advanceTimersByTimeAsync(99);
    expect(awake).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await sleeping;
    expect(awake).toBe(true);
  });

  it("ends with the signal's reason, and leaves no timer", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const sleeping = sleep(100, controller.signal);
    controller.abort(reason);
    await expect(sleeping).rejects.toBe(reason);
    await expect(sleep(100, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(vi.getTimerCount()).toBe(0);
  });
});
