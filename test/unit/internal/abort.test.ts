import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { abortable } from "../../../src/internal/abort.ts";
import { sleep } from "../../../src/internal/backoff.ts";
import { deferred } from "../../../src/internal/deferred.ts";
import { WaitingLine } from "../../../src/internal/waiting-line.ts";

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
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
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

  it("shares one listener among all that wait for a signal, in whatever way, and tells each of them", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on("warning", onWarning);
    const line = new WaitingLine();
    const never = new Promise<never>(() => {});
    const all = Array.from({ length: 20 }, () => [
      abortable(never, signal),
      sleep(60_000, signal),
      line.wait(signal),
    ]).flat();
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    controller.abort(reason);
    const results = await Promise.allSettled(all);
    expect(results).toEqual(all.map(() => ({ status: "rejected", reason })));
    // warnings come in a later turn
    await new Promise((resolve) => setImmediate(resolve));
    process.off("warning", onWarning);
    expect(warnings).toEqual([]);
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
  });

  it("listens again where somebody waits after all others have gone", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    await abortable(Promise.resolve(1), signal);
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
    const late = abortable(new Promise<never>(() => {}), signal);
    controller.abort(reason);
    await expect(late).rejects.toBe(reason);
  });
});
