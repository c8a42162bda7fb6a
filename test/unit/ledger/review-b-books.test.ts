import { describe, expect, it } from "vitest";
import { Books } from "../../../src/ledger/books.ts";
import { Holding } from "../../../src/ledger/holding.ts";

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
});
