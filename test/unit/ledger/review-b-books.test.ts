import { describe, expect, it } from "vitest";
import { Books } from "../../../src/ledger/books.ts";
import { Holding } from "../../../src/ledger/holding.ts";
import { TouchLog } from "../../../src/ledger/touch-log.ts";

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
});

describe("a log of touches", () => {
  it("is long after so many that it is worth going to the accounts, and empty then", () => {
    const log = new TouchLog();
    const found: number[][] = [[], [], []];
    const accounts = found.map((list) => ({ addPlace: (at: number) => void list.push(at) }));
    for (let at = 0; !log.isLong; at++) log.add(at % 3, at);
    log.add(2, 100_000);
    log.flush(accounts);
    log.flush(accounts);
    expect(log.isLong).toBe(false);
    const all = found.flat();
    expect(all.length).toBe(65_537);
    expect(new Set(all).size).toBe(all.length);
    for (const list of found) expect(list).toEqual(list.toSorted((a, b) => a - b));
    expect(found[1]?.slice(0, 2)).toEqual([1, 4]);
  });
});
