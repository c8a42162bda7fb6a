import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { abortable } from "../../../src/internal/abort.ts";
import { deferred } from "../../../src/internal/deferred.ts";

describe("abortable", () => {
  const reason = new Error("enough");

  it("is the promise itself without a signal", () => {
    const promise = Promise.resolve(1);
    expect(abortable(promise, undefined)).toBe(promise);
  });

  it("settles as the promise does, and takes its listener off the signal", async () => {
    const { signal } = new AbortController();
    const good = deferred<number>();
    const bad = deferred<number>();
    const failure = new Error("no");
    const results = [abortable(good.promise, signal), abortable(bad.promise, signal)];
    expect(getEventListeners(signal, "abort")).toHaveLength(2);
    good.resolve(7);
    bad.reject(failure);
    await expect(results[0]).resolves.toBe(7);
    await expect(results[1]).rejects.toBe(failure);
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
  });

  it("rejects with the signal's reason, whatever becomes of the promise", async () => {
    const controller = new AbortController();
    const work = deferred<number>();
    const result = abortable(work.promise, controller.signal);
    controller.abort(reason);
    await expect(result).rejects.toBe(reason);
    work.reject(new Error("nobody hears this"));
    const late = deferred<number>();
    await expect(abortable(late.promise, controller.signal)).rejects.toBe(reason);
    late.reject(new Error("nor this"));
    expect(getEventListeners(controller.signal, "abort")).toHaveLength(0);
  });
});
