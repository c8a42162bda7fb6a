import { describe, expect, it } from "vitest";
import { Books } from "../../../src/ledger/books.ts";
import { Holding } from "../../../src/ledger/holding.ts";
import { TouchLog } from "../../../src/ledger/touch-log.ts";

interface Touchable {
  addPlace(position: number): void;
}

describe("books", () => {
  it("keep nothing of a closed group to be undone: a replay would keep all that there ever was", () => {
    const books = new Books();
    const cell = books.holding(books.account("a"), "GOLD");
    for (let balance = 1n; balance <= 3n; balance++) {
      books.put(cell, new Holding(balance, 0n, undefined));
      books.confirm(books.close());
    }
    books.undo();
    expect(cell.value.balance).toBe(3n);
    expect(books.accounts.get("a")?.holding("GOLD")).toBe(cell);
  });

  it("have no memory of what was refused: the next one takes its place", () => {
    const books = new Books();
    for (let at = 0; at < 1_000; at++) {
      books.begin();
      const [one, other] = [books.account(`from:${at}`), books.account(`to:${at}`)];
      expect(new Set([one.id, other.id])).toEqual(new Set([0, 1]));
      const slots = [books.slot(one, "GOLD"), books.slot(other, "GOLD")];
      expect(new Set(slots)).toEqual(new Set([0, 1]));
      expect(books.move(slots[0] ?? 0, slots[1] ?? 0, 5n, 0)).toBe(false);
      expect(books.move(slots[0] ?? 0, slots[1] ?? 0, 5n, -5)).toBe(true);
      books.undo();
    }
    expect(books.accounts.size).toBe(0);
    const cell = books.holding(books.account("new"), "GOLD");
    expect(cell.slot).toBe(0);
    expect(cell.value.balance).toBe(0n);
    expect(cell.confirmed).toBeUndefined();
  });

  it("tell an account where it was touched, however often that was and others were", () => {
    const books = new Books();
    const names = Array.from({ length: 100 }, (_, at) => `acc:${at}`);
    const touched = new Map(names.map((name) => [name, [] as number[]]));
    const fresh: string[] = [];
    for (let position = 1; position <= 3_000; position++) {
      const some = names.filter((_, at) => (at * 31 + position * 17) % 3 === 0);
      for (const name of some) {
        touched.get(name)?.push(position);
        const account = books.account(name);
        // two holdings are one touch
        for (const asset of ["GOLD", "IRON"])
          books.put(books.holding(account, asset), new Holding(1n, 0n, undefined));
      }
      books.confirm(books.close(), position, ({ name }) => fresh.push(name));
    }
    for (const [name, positions] of touched)
      expect(books.accounts.get(name)?.places?.toArray()).toEqual(positions);
    expect(fresh.toSorted()).toEqual(names.toSorted());
  });

  it("move nothing by themselves that is no plain transfer between two holdings", () => {
    const books = new Books();
    const one = books.holding(books.account("one"), "GOLD");
    const other = books.holding(books.account("other"), "GOLD");
    books.put(one, new Holding(10n, 0n, undefined));
    const balances = (): bigint[] => [one.value.balance, other.value.balance];
    expect(books.move(one.slot, other.slot, -3n, -Infinity)).toBe(false);
    expect(books.move(one.slot, other.slot, 0n, -Infinity)).toBe(false);
    expect(books.move(one.slot, one.slot, 3n, -Infinity)).toBe(false);
    expect(books.move(one.slot, other.slot, 11n, 0)).toBe(false);
    expect(balances()).toEqual([10n, 0n]);
    expect(books.move(one.slot, other.slot, 10n, 0)).toBe(true);
    expect(books.move(one.slot, other.slot, 5n, -5)).toBe(true);
    expect(balances()).toEqual([-5n, 15n]);
    // an asset that has no name is not the first one of an account that has none
    expect(books.slot(books.account("third"), "")).not.toBe(one.slot);
  });

  it("refuse a commit that stands before another one, and confirm nothing of it", () => {
    const books = new Books();
    const cell = books.holding(books.account("a"), "GOLD");
    books.put(cell, new Holding(1n, 0n, undefined));
    books.confirm(books.close(), 7);
    books.put(cell, new Holding(2n, 0n, undefined));
    const changes = books.close();
    expect(() => books.confirm(changes, 6)).toThrow("expected a position from 7 on, found 6");
    expect(cell.confirmed?.balance).toBe(1n);
    expect(books.accounts.get("a")?.places?.toArray()).toEqual([7]);
    books.rollback([changes]);
    expect(cell.value.balance).toBe(1n);
  });
});

describe("a log of touches", () => {
  /** Lists that accounts note their places in. */
  function listed(count: number): { readonly found: number[][]; readonly accounts: Touchable[] } {
    const found = Array.from({ length: count }, (): number[] => []);
    return { found, accounts: found.map((list) => ({ addPlace: (at) => void list.push(at) })) };
  }

  it.each([3, 5_000, 100_000])("is brought to %i accounts, to each in order", (count) => {
    const log = new TouchLog();
    const { found, accounts } = listed(count);
    let added = 0;
    for (; !log.isLong(count); added++) {
      log.begin(1_000 + (added >> 2));
      log.add((added * 7_919) % count);
    }
    expect(added).toBe(Math.min(Math.max(1_024, 2 * count), 32_768));
    // few are brought in another way
    for (const more of [0, 1, 700]) {
      for (let at = 0; at < more; at++, added++) {
        log.begin(100_000 + added);
        log.add((added * 7_919) % count);
      }
      log.flush(accounts);
      log.flush(accounts);
      expect(log.isLong(count)).toBe(false);
      expect(found.reduce((sum, list) => sum + list.length, 0)).toBe(added);
      for (const list of found) expect(list).toEqual(list.toSorted((a, b) => a - b));
    }
    expect(found[0]?.[0]).toBe(1_000);
  });
});
