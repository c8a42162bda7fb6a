import { describe, expect, it } from "vitest";
import { drainOrder } from "../../../src/ledger/drain-order.ts";
import { InconsistentStateError } from "../../../src/ledger/errors.ts";
import { type Grant, type Lot, LotList } from "../../../src/ledger/lot-list.ts";

const order = drainOrder("emission-first@1");
const commit = { position: 1, firstVersion: 1 };

function lot(version: number, amount: bigint, change: Partial<Grant> = {}): Lot {
  const grant: Grant = {
    version,
    lotIndex: 0,
    grantedAt: version,
    expiresAt: null,
    reference: "",
    amount,
    commit,
    ...change,
  };
  return { grant, remaining: amount };
}

function listOf(lots: Iterable<Lot>): LotList {
  let list = LotList.empty;
  for (const each of lots) list = list.insert(each, order);
  return list;
}

function versions(list: Iterable<Lot>): number[] {
  return Array.from(list, ({ grant }) => grant.version);
}

/** Counts at most this many lots, newest last, each worth 10. */
function many(count: number, change: (version: number) => Partial<Grant> = () => ({})): LotList {
  return listOf(Array.from({ length: count }, (_, n) => lot(n + 1, 10n, change(n + 1))));
}

describe("an empty list of lots", () => {
  it("has nothing, gives nothing and says so", () => {
    const { list, taken, missing } = LotList.empty.take(5n, 0);
    expect({ taken, missing }).toEqual({ taken: [], missing: 5n });
    expect(list).toBe(LotList.empty);
    expect(LotList.empty).toMatchObject({ size: 0, total: 0n });
    expect(LotList.empty.spendable(0)).toBe(0n);
    expect(LotList.empty.unexpired(0)).toBe(0n);
  });
});

describe("a list of lots", () => {
  it("L4 drains a lot from the instant of its grant until before that of its expiry", () => {
    const list = listOf([lot(1, 5n, { grantedAt: 100, expiresAt: 200 })]);
    expect([99, 100, 199, 200].map((at) => list.spendable(at))).toEqual([0n, 5n, 5n, 0n]);
    expect([99, 100, 199, 200].map((at) => list.unexpired(at))).toEqual([5n, 5n, 5n, 0n]);
    expect([99, 100, 199, 200].map((at) => list.take(5n, at).missing)).toEqual([5n, 0n, 0n, 5n]);
  });

  it("L2 keeps a lot that expired before it was granted, and never spends it", () => {
    const list = listOf([lot(1, 5n, { grantedAt: 100, expiresAt: 50 })]);
    expect(list.total).toBe(5n);
    expect([49, 50, 100].map((at) => list.spendable(at))).toEqual([0n, 0n, 0n]);
  });

  it("L5 drains across lots in order and leaves a partial take in its place", () => {
    const list = listOf([lot(1, 5n), lot(2, 5n), lot(3, 5n)]);
    const { list: left, taken, missing } = list.take(7n, 10);
    expect(missing).toBe(0n);
    expect(taken.map(({ grant, amount }) => [grant.version, amount])).toEqual([
      [1, 5n],
      [2, 2n],
    ]);
    expect(Array.from(left, ({ grant, remaining }) => [grant.version, remaining])).toEqual([
      [2, 3n],
      [3, 5n],
    ]);
    expect(versions(list)).toEqual([1, 2, 3]);
  });

  it("L2 is exact beyond 2^53", () => {
    const huge = 2n ** 70n + 1n;
    const list = listOf([lot(1, huge), lot(2, 1n)]);
    expect(list.total).toBe(huge + 1n);
    expect(list.take(huge, 10).list.total).toBe(1n);
  });

  it("steps over what has expired and what is not granted yet", () => {
    const list = listOf([
      lot(1, 5n, { expiresAt: 8 }),
      lot(2, 5n),
      lot(3, 5n, { grantedAt: 50 }),
      lot(4, 5n),
    ]);
    const { list: left, taken, missing } = list.take(20n, 10);
    expect(taken.map(({ grant }) => grant.version)).toEqual([2, 4]);
    expect(missing).toBe(10n);
    expect(versions(left)).toEqual([1, 3]);
  });

  it("drains what is preferred first, and each lot once", () => {
    const list = listOf([lot(1, 5n), lot(2, 5n), lot(3, 5n), lot(4, 5n)]);
    const { taken, missing } = list.take(18n, 10, (grant) => grant.version % 2 === 0);
    expect(missing).toBe(0n);
    expect(taken.map(({ grant, amount }) => [grant.version, amount])).toEqual([
      [2, 5n],
      [4, 5n],
      [1, 5n],
      [3, 3n],
    ]);
  });

  it("puts a lot where its grant belongs, not where it arrives", () => {
    const list = listOf([lot(5, 1n), lot(1, 1n), lot(9, 1n), lot(7, 1n)]);
    expect(versions(list)).toEqual([1, 5, 7, 9]);
  });

  it("takes nothing where nothing is asked for", () => {
    const list = listOf([lot(1, 5n)]);
    expect(list.take(0n, 10)).toEqual({ list, taken: [], missing: 0n });
  });

  it.each<[string, (list: LotList) => unknown]>([
    ["a lot of nothing", (list) => list.insert(lot(3, 0n), order)],
    ["a lot of less than nothing", (list) => list.insert(lot(3, -1n), order)],
    ["a lot that is there already", (list) => list.insert(lot(1, 5n), order)],
    ["the last lot once more", (list) => list.insert(lot(2, 5n), order)],
    ["a negative take", (list) => list.take(-1n, 10)],
    ["to replay a drain of a lot that is not there", (list) => list.remove(3, 0, 1n)],
    ["to replay a drain of an index that is not there", (list) => list.remove(1, 1, 1n)],
    ["to replay a drain of more than there is", (list) => list.remove(1, 0, 6n)],
    ["to replay a drain of nothing", (list) => list.remove(1, 0, 0n)],
  ])("refuses %s", (_, act) => {
    const list = listOf([lot(1, 5n), lot(2, 5n)]);
    expect(() => act(list)).toThrow(InconsistentStateError);
    expect(list.total).toBe(10n);
  });
});

describe("a list of 10,000 lots", () => {
  const count = 10_000;

  it("keeps all of them in order, whatever the order of arrival", () => {
    // 7,919 is prime: each number once, scattered.
    const scattered = Array.from({ length: count }, (_, n) => lot(((n * 7919) % count) + 1, 10n));
    const list = listOf(scattered);
    const ascending = Array.from({ length: count }, (_, n) => n + 1);
    expect(versions(list)).toEqual(ascending);
    expect(versions(many(count))).toEqual(ascending);
    expect(list).toMatchObject({ size: count, total: 100_000n });
    expect(() => list.insert(lot(5_000, 10n), order)).toThrow(InconsistentStateError);
  });

  it("drains to the last lot, a little at a time", () => {
    let list = many(count);
    const seen: number[] = [];
    while (list.size > 0) {
      const { list: left, taken } = list.take(1_234n, count);
      seen.push(...taken.map(({ grant }) => grant.version));
      expect(left.total).toBe(list.total - taken.reduce((sum, { amount }) => sum + amount, 0n));
      list = left;
    }
    expect(seen).toEqual(seen.toSorted((left, right) => left - right));
    expect(new Set(seen).size).toBe(count);
    expect(list).toBe(LotList.empty);
  });

  it("replays drains from any place until nothing is left", () => {
    let list = many(count);
    for (let n = 0; n < count; n++) list = list.remove(((n * 7919) % count) + 1, 0, 10n);
    expect(list).toMatchObject({ size: 0, total: 0n });
    expect([...list]).toEqual([]);
  });

  it("sums what has not expired at every instant", () => {
    const list = many(count, (version) => ({ expiresAt: 20_000 + version }));
    expect(list.spendable(20_000)).toBe(100_000n);
    expect(list.spendable(20_001)).toBe(99_990n);
    expect(list.spendable(25_000)).toBe(50_000n);
    expect(list.spendable(30_000)).toBe(0n);
    expect(list.spendable(5_000)).toBe(50_000n);
    expect(list.unexpired(5_000)).toBe(100_000n);
  });
});
