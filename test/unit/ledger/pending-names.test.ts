import { describe, expect, it } from "vitest";
import type { Decided } from "../../../src/ledger/decided.ts";
import { PendingNames } from "../../../src/ledger/pending-names.ts";

function decided(version: number): Decided {
  const commit = { position: 0, firstVersion: 1 };
  const known = { decidedAt: 1, content: 1, moved: [], dryRun: false, replayed: false };
  return { ...known, version, commit };
}

const [one, two, three] = [decided(1), decided(2), decided(3)];

describe("names of what is not acknowledged", () => {
  it("are found in the open commit and in those on their way, by key or by reference", () => {
    const names = new PendingNames();
    names.addKey(7, "a", one);
    names.addReference(7, "a", two);
    names.close();
    names.addKey(7, "b", three);
    expect([names.byKey(7, "a"), names.byKey(7, "b"), names.byKey(7, "c")]).toEqual([
      one,
      three,
      undefined,
    ]);
    expect([names.byReference(7, "a"), names.byReference(7, "b")]).toEqual([two, undefined]);
  });

  it("are dropped with their commit, and with no other", () => {
    const names = new PendingNames();
    names.addKey(7, "a", one);
    const first = names.close();
    names.addKey(7, "b", two);
    names.addReference(8, "r", two);
    const second = names.close();
    names.addKey(7, "c", three);
    if (first === undefined || second === undefined) throw new Error("nothing was noted");
    names.drop(first);
    expect([names.byKey(7, "a"), names.byKey(7, "b"), names.byReference(8, "r")]).toEqual([
      undefined,
      two,
      two,
    ]);
    names.drop(second);
    expect([names.byKey(7, "b"), names.byReference(8, "r"), names.byKey(7, "c")]).toEqual([
      undefined,
      undefined,
      three,
    ]);
  });

  it("of a command are taken back with it", () => {
    const names = new PendingNames();
    names.addKey(7, "a", one);
    names.addReference(7, "r", one);
    names.begin();
    names.addKey(7, "b", two);
    names.addReference(7, "s", two);
    names.undo();
    expect([names.byKey(7, "a"), names.byReference(7, "r")]).toEqual([one, one]);
    expect([names.byKey(7, "b"), names.byReference(7, "s")]).toEqual([undefined, undefined]);
  });

  it("are all forgotten at once", () => {
    const names = new PendingNames();
    names.addKey(7, "a", one);
    names.close();
    names.addKey(7, "b", two);
    names.clear();
    expect([names.byKey(7, "a"), names.byKey(7, "b")]).toEqual([undefined, undefined]);
  });

  it("do not come with a commit that has none", () => {
    expect(new PendingNames().close()).toBeUndefined();
  });
});
