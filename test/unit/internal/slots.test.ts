import { describe, expect, it } from "vitest";
import { Slots } from "../../../src/internal/slots.ts";

describe("Slots", () => {
  it("are handed out up to the limit", () => {
    const slots = new Slots(2);
    expect([slots.tryTake(), slots.tryTake(), slots.tryTake()]).toEqual([true, true, false]);
    expect(slots.taken).toBe(2);
    slots.release();
    expect(slots.taken).toBe(1);
    expect(slots.tryTake()).toBe(true);
  });

  it("go to those who wait, in order, and to nobody who comes later", async () => {
    const slots = new Slots(1);
    await slots.take();
    const order: string[] = [];
    const waits = ["first", "second"].map((name) => slots.take().then(() => order.push(name)));
    expect(slots.waiting).toBe(2);
    slots.release();
    expect(slots.tryTake()).toBe(false);
    expect(slots.taken).toBe(1);
    slots.release();
    await Promise.all(waits);
    expect(order).toEqual(["first", "second"]);
    slots.release();
    expect([slots.taken, slots.waiting]).toEqual([0, 0]);
  });

  it("do not get lost with those who gave up", async () => {
    const slots = new Slots(1);
    await slots.take();
    const controller = new AbortController();
    const given = slots.take(controller.signal);
    controller.abort(new Error("enough"));
    await expect(given).rejects.toThrow("enough");
    expect(slots.waiting).toBe(0);
    slots.release();
    expect(slots.taken).toBe(0);
    expect(slots.tryTake()).toBe(true);
  });

  it("do not get lost with those whose deadline came", async () => {
    const slots = new Slots(1);
    await slots.take();
    const late = slots.take(undefined, 10);
    const behind = slots.take(undefined, 11);
    slots.dismissLate(10, new Error("late"));
    await expect(late).rejects.toThrow("late");
    expect(slots.waiting).toBe(1);
    slots.release();
    await behind;
    slots.release();
    expect(slots.taken).toBe(0);
  });
});
