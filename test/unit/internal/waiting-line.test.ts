import { describe, expect, it } from "vitest";
import { WaitingLine } from "../../../src/internal/waiting-line.ts";

/** Waiters by number, and who was called up so far. */
function waiters(line: WaitingLine, count: number): { called: number[]; waits: Promise<void>[] } {
  const called: number[] = [];
  const waits = Array.from({ length: count }, (_, n) =>
    line.wait().then(() => {
      called.push(n);
    }),
  );
  return { called, waits };
}

describe("WaitingLine", () => {
  it("calls up in the order of coming", async () => {
    const line = new WaitingLine();
    const { called, waits } = waiters(line, 3);
    expect(line.length).toBe(3);
    expect([line.callNext(), line.callNext(), line.callNext()]).toEqual([true, true, true]);
    expect(line.callNext()).toBe(false);
    await Promise.all(waits);
    expect(called).toEqual([0, 1, 2]);
    expect(line.length).toBe(0);
  });

  it("turns away whoever comes with an aborted signal", async () => {
    const line = new WaitingLine();
    const reason = new Error("enough");
    await expect(line.wait(AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(line.length).toBe(0);
    expect(line.callNext()).toBe(false);
  });

  it("skips those who gave up, and says that nobody waits when all did", async () => {
    const line = new WaitingLine();
    const controller = new AbortController();
    const reason = new Error("enough");
    const first = line.wait(controller.signal);
    const { called, waits } = waiters(line, 1);
    const third = line.wait(controller.signal);
    controller.abort(reason);
    await expect(first).rejects.toBe(reason);
    await expect(third).rejects.toBe(reason);
    expect(line.length).toBe(1);
    expect(line.callNext()).toBe(true);
    await Promise.all(waits);
    expect(called).toEqual([0]);
    expect(line.callNext()).toBe(false);
  });

  it("lets a call that came before the abort stand", async () => {
    const line = new WaitingLine();
    const controller = new AbortController();
    const wait = line.wait(controller.signal);
    expect(line.callNext()).toBe(true);
    controller.abort(new Error("too late"));
    await expect(wait).resolves.toBeUndefined();
    expect(line.length).toBe(0);
  });

  it("keeps the order, and finds who gives up, after many were called up", async () => {
    const line = new WaitingLine();
    const { called, waits } = waiters(line, 500);
    for (let n = 0; n < 400; n++) expect(line.callNext()).toBe(true);
    const controller = new AbortController();
    const given = line.wait(controller.signal);
    const behind = line.wait().then(() => called.push(-1));
    for (let n = 0; n < 60; n++) expect(line.callNext()).toBe(true);
    controller.abort(new Error("enough"));
    await expect(given).rejects.toThrow("enough");
    expect(line.length).toBe(41);
    for (let n = 0; n < 41; n++) expect(line.callNext()).toBe(true);
    expect(line.callNext()).toBe(false);
    await Promise.all([...waits, behind]);
    expect(called).toEqual([...Array.from({ length: 500 }, (_, n) => n), -1]);
  });

  it("turns away whoever's deadline has come, and nobody else", async () => {
    const line = new WaitingLine();
    const reason = new Error("late");
    const { signal } = new AbortController();
    const late = [line.wait(undefined, 10), line.wait(signal, 20)];
    const { called, waits } = waiters(line, 1);
    const later = line.wait(undefined, 20.1);
    line.dismissLate(20, reason);
    for (const wait of late) await expect(wait).rejects.toBe(reason);
    expect(line.length).toBe(2);
    expect(line.callNext()).toBe(true);
    await Promise.all(waits);
    expect(called).toEqual([0]);
    expect([line.callNext(), line.callNext()]).toEqual([true, false]);
    await later;
  });

  it("serves those who come after all were turned away", async () => {
    const line = new WaitingLine();
    const reason = new Error("late");
    const controller = new AbortController();
    const waits = [line.wait(undefined, 1), line.wait(controller.signal, 2)];
    line.dismissLate(3, reason);
    for (const wait of waits) await expect(wait).rejects.toBe(reason);
    expect(line.length).toBe(0);
    const next = line.wait();
    controller.abort(new Error("too late"));
    expect(line.length).toBe(1);
    expect(line.callNext()).toBe(true);
    await next;
  });
});
