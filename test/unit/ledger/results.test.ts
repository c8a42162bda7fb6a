import { describe, expect, it } from "vitest";
import { preparePost } from "../../../src/ledger/prepare.ts";
import { transactionResult } from "../../../src/ledger/results.ts";

const decided = {
  decidedAt: 5,
  content: undefined,
  moved: [{ amount: 7n }],
  version: 4,
  dryRun: false,
  replayed: false,
  commit: { position: 9, firstVersion: 3 },
};
const told = {
  id: "9.1",
  position: 9,
  index: 1,
  version: 4,
  decidedAt: new Date(5),
  replayed: false,
  amounts: [7n],
};

describe("what callers are told of a transaction", () => {
  it("is a plain object of its own, with its own date and list", () => {
    const [one, other] = [transactionResult(decided), transactionResult(decided)];
    expect(one).toStrictEqual(told);
    expect(other).toStrictEqual(told);
    expect(Object.keys(one)).toEqual(Object.keys(told));
    one.decidedAt.setTime(6);
    expect(other.decidedAt).toEqual(new Date(5));
    expect(other.amounts).not.toBe(one.amounts);
  });

  it("has no place where it was only tried, nor after one that had", () => {
    transactionResult(decided);
    const tried = { ...decided, dryRun: true, commit: undefined };
    expect(transactionResult(tried)).toStrictEqual({ ...told, id: "", position: 0, index: 0 });
  });
});

describe("a list of postings", () => {
  it("with nothing in its one place is refused", () => {
    const postings = Array.from<never>({ length: 0 });
    postings.length = 1;
    expect(() => preparePost({ postings })).toThrow(/postings\[0\]/);
  });
});
