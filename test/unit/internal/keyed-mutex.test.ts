import { describe, expect, it } from "vitest";
import { KeyedMutex } from "../../../src/internal/keyed-mutex.ts";

describe("KeyedMutex", () => {
  it("gives each key to one holder at a time, without waiting for other keys", () => {
    const mutex = new KeyedMutex();
    expect(mutex.tryLock("a")).toBe(true);
    expect(mutex.tryLock("a")).toBe(false);
    expect(mutex.tryLock("b")).toBe(true);
    expect(mutex.size).toBe(2);
    mutex.unlock("a");
    expect(mutex.tryLock("a")).toBe(true);
  });

  it("grants a key in the order of asking, and to nobody between", async () => {
    const mutex = new KeyedMutex();
    const order: number[] = [];
    let holders = 0;
    await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        await mutex.lock("a");
        expect(++holders).toBe(1);
        expect(mutex.tryLock("a")).toBe(false);
        order.push(n);
        await Promise.resolve();
        holders--;
        mutex.unlock("a");
      }),
    );
    expect(order).toEqual(Array.from({ length: 20 }, (_, n) => n));
  });

  it("keeps nothing of keys that nobody holds", async () => {
    const mutex = new KeyedMutex();
    await mutex.lock("a");
    const second = mutex.lock("a");
    mutex.unlock("a");
    await second;
    expect(mutex.size).toBe(1);
    mutex.unlock("a");
    expect(mutex.size).toBe(0);
  });

  it("passes over those who gave up, and frees the key when all did", async () => {
    const mutex = new KeyedMutex();
    const controller = new AbortController();
    const reason = new Error("enough");
    await mutex.lock("a");
    const given = mutex.lock("a", controller.signal);
    const behind = mutex.lock("a");
    const alsoGiven = mutex.lock("a", controller.signal);
    controller.abort(reason);
    await expect(given).rejects.toBe(reason);
    await expect(alsoGiven).rejects.toBe(reason);
    mutex.unlock("a");
    await behind;
    mutex.unlock("a");
    expect(mutex.size).toBe(0);
    expect(mutex.tryLock("a")).toBe(true);
  });

  it("turns away whoever's deadline has come, whatever the key", async () => {
    const mutex = new KeyedMutex();
    const reason = new Error("late");
    await Promise.all([mutex.lock("a"), mutex.lock("b")]);
    const late = [mutex.lock("a", undefined, 10), mutex.lock("b", undefined, 5)];
    const behind = mutex.lock("a", undefined, 11);
    mutex.dismissLate(10, reason);
    for (const wait of late) await expect(wait).rejects.toBe(reason);
    mutex.unlock("a");
    await behind;
    mutex.unlock("a");
    mutex.unlock("b");
    expect(mutex.size).toBe(0);
  });
});
