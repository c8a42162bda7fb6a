import { describe, expect, it } from "vitest";
import { BatchedIterator } from "../../../src/internal/batched-iterator.ts";
import { deferred, type Deferred } from "../../../src/internal/deferred.ts";

type Batch = readonly number[] | undefined;

/** A source whose batches a test gives one by one, or all at once. */
function source(...batches: Batch[]) {
  const asked: Deferred<Batch>[] = [];
  const state = { closed: 0 };
  let at = 0;
  const iterator = new BatchedIterator<number>({
    next: () => {
      if (at < batches.length) return Promise.resolve(batches[at++]);
      const turn = deferred<Batch>();
      asked.push(turn);
      return turn.promise;
    },
    close: () => {
      state.closed++;
      return Promise.resolve();
    },
  });
  return { iterator, asked, state };
}

async function all(iterator: BatchedIterator<number>): Promise<number[]> {
  const values: number[] = [];
  for await (const value of iterator) values.push(value);
  return values;
}

describe("BatchedIterator", () => {
  it("gives the values of all batches in order, passes over empty ones, and closes once", async () => {
    const { iterator, state } = source([1, 2], [], [3], [], undefined);
    expect(await all(iterator)).toEqual([1, 2, 3]);
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    await iterator.return();
    expect(state.closed).toBe(1);
  });

  it("serves overlapping calls one after the other", async () => {
    const { iterator, asked, state } = source();
    const calls = Array.from({ length: 6 }, () => iterator.next());
    expect(asked).toHaveLength(1);
    asked[0]?.resolve([1, 2]);
    expect(await Promise.all(calls.slice(0, 2))).toEqual([
      { done: false, value: 1 },
      { done: false, value: 2 },
    ]);
    await Promise.resolve();
    expect(asked).toHaveLength(2);
    asked[1]?.resolve([3]);
    expect(await calls[2]).toEqual({ done: false, value: 3 });
    await new Promise(setImmediate);
    expect(asked).toHaveLength(3);
    asked[2]?.resolve(undefined);
    const done = { done: true, value: undefined };
    expect(await Promise.all(calls.slice(3))).toEqual([done, done, done]);
    expect(state.closed).toBe(1);
  });

  it("keeps the order where a call comes while earlier ones are being served", async () => {
    const { iterator, asked } = source();
    const order: number[] = [];
    const take = async (): Promise<void> => {
      const { value } = await iterator.next();
      if (value !== undefined) order.push(value);
    };
    const calls = [take(), take(), take()];
    asked[0]?.resolve([1, 2, 3, 4, 5]);
    await calls[0];
    calls.push(take(), take());
    await Promise.all(calls);
    expect(order).toEqual([1, 2, 3, 4, 5]);
  });

  it("ends with the source's error, once, and closes", async () => {
    const { iterator, asked, state } = source([1]);
    await iterator.next();
    const failure = new Error("broken");
    const failing = iterator.next();
    const behind = iterator.next();
    asked[0]?.reject(failure);
    await expect(failing).rejects.toBe(failure);
    expect(await behind).toEqual({ done: true, value: undefined });
    expect(state.closed).toBe(1);
  });

  it("closes when the loop is left, and drops what is left of the batch", async () => {
    const { iterator, state } = source([1, 2, 3]);
    for await (const value of iterator) if (value === 1) break;
    expect(state.closed).toBe(1);
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });

  it("gives nothing after return(), though a batch was on its way", async () => {
    const { iterator, asked } = source();
    const waiting = iterator.next();
    await iterator.return();
    asked[0]?.resolve([1, 2, 3]);
    await waiting;
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    expect(asked).toHaveLength(1);
  });

  it("does not ask a closed source again for a call that was waiting", async () => {
    const { iterator, asked } = source();
    const first = iterator.next();
    const second = iterator.next();
    await iterator.return();
    asked[0]?.resolve(undefined);
    const done = { done: true, value: undefined };
    expect(await Promise.all([first, second])).toEqual([done, done]);
    expect(asked).toHaveLength(1);
  });

  it("is its own iterator", () => {
    const { iterator } = source();
    expect(iterator[Symbol.asyncIterator]()).toBe(iterator);
  });

  it("forgets what is at hand when told so, and asks the source how it goes on", async () => {
    const { iterator, state } = source([1, 2, 3], [4], undefined);
    expect(await iterator.next()).toEqual({ done: false, value: 1 });
    iterator.drop();
    expect(await all(iterator)).toEqual([4]);
    expect(state.closed).toBe(1);
  });

  it("forgets also what is on its way when told so", async () => {
    const { iterator, asked } = source();
    const call = iterator.next();
    asked[0]?.resolve([1, 2]);
    iterator.drop();
    await new Promise(setImmediate);
    expect(asked).toHaveLength(2);
    asked[1]?.resolve([3]);
    expect(await call).toEqual({ done: false, value: 3 });
  });
});
