import { describe, expect, it } from "vitest";
import { isOfCommand, RecentCommands, sharedId } from "../../../src/actor/recent-commands.ts";
import { madeUpId } from "../../../src/store/commit-id.ts";
import { collidingIds, fnv1a } from "../../integration/actor/colliding-ids.ts";

const alice = "bank.account.alice";
const bob = "bank.account.bob";

describe("RecentCommands", () => {
  it("finds where a command's commits stand, the latest first", () => {
    const recent = new RecentCommands(4);
    recent.add("a", 1, alice);
    recent.add("b", 2, alice);
    recent.add("a", 3, alice);
    expect(recent.find("a", alice)).toEqual([3, 1]);
    expect(recent.find("b", alice)).toEqual([2]);
    expect(recent.find("c", alice)).toEqual([]);
  });

  it("forgets the oldest when all places are taken", () => {
    const recent = new RecentCommands(2);
    for (const [at, id] of ["a", "b", "c", "d", "e"].entries()) recent.add(id, at + 1, alice);
    expect(["a", "b", "c", "d", "e"].map((id) => recent.find(id, alice))).toEqual([
      [],
      [],
      [],
      [4],
      [5],
    ]);
  });

  it("remembers nothing with a capacity of 0", () => {
    const recent = new RecentCommands(0, [1, 2]);
    recent.add("a", 1, alice);
    expect(recent.find("a", alice)).toEqual([]);
    expect(recent.toData()).toEqual([]);
  });

  it("keeps the latest of data that were written with a larger capacity", () => {
    const large = new RecentCommands(5);
    for (const [at, id] of ["a", "b", "c", "d", "e", "f"].entries()) large.add(id, at + 1, alice);
    const small = new RecentCommands(2, large.toData());
    expect(small.find("d", alice)).toEqual([]);
    expect(small.find("f", alice)).toEqual([6]);
    small.add("g", 7, alice);
    expect([small.find("e", alice), small.find("f", alice)]).toEqual([[], [6]]);
  });

  it("goes on with data of a smaller capacity", () => {
    const small = new RecentCommands(1);
    small.add("a", 1, alice);
    const large = new RecentCommands(3, small.toData());
    for (const [at, id] of ["b", "c", "d"].entries()) large.add(id, at + 2, alice);
    expect([large.find("a", alice), large.find("b", alice)]).toEqual([[], [2]]);
  });

  it("takes no place for commands that nobody can repeat", () => {
    const recent = new RecentCommands(1);
    recent.add("a", 1, alice);
    recent.add(madeUpId("x".repeat(18)), 2, alice);
    expect(recent.find("a", alice)).toEqual([1]);
  });

  it("finds a part of an append to several actors, at the actor that decided it only", () => {
    const recent = new RecentCommands(3);
    recent.add(`${sharedId("a", alice)}/0`, 1, alice);
    expect(recent.find("a", alice)).toEqual([1]);
    expect(recent.find("a", bob)).toEqual([]);
  });

  it("takes no place for parts that another actor decided", () => {
    const recent = new RecentCommands(1);
    recent.add("a", 1, alice);
    recent.add(`${sharedId("b", bob)}/1`, 2, alice);
    expect(recent.find("a", alice)).toEqual([1]);
  });

  it("holds positions beyond 32 bits, through its data too", () => {
    const recent = new RecentCommands(3);
    const positions = [1, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER];
    for (const position of positions) recent.add("a", position, alice);
    const last = positions.slice(1).reverse();
    expect(recent.find("a", alice)).toEqual(last);
    expect(new RecentCommands(3, recent.toData()).find("a", alice)).toEqual(last);
  });

  it("finds both where two hashes are the same", () => {
    const [one, two] = collidingIds();
    expect([one === two, fnv1a(one) === fnv1a(two)]).toEqual([false, true]);
    const recent = new RecentCommands(3);
    recent.add(one, 1, alice);
    recent.add(two, 2, alice);
    expect(recent.find(one, alice)).toEqual([2, 1]);
  });

  it("copies itself: the copy is another one", () => {
    const recent = new RecentCommands(2);
    recent.add("a", 1, alice);
    const copy = recent.copy();
    copy.add("b", 2, alice);
    expect([recent.find("b", alice), copy.find("a", alice)]).toEqual([[], [1]]);
  });
});

describe("the commit ids of commands", () => {
  it("are told apart by who decided", () => {
    expect(sharedId("a", alice)).toMatch(/^a@[0-9a-z]{14}$/);
    expect(sharedId("a", alice)).not.toBe(sharedId("a", bob));
    const part = `${sharedId("a", alice)}/12`;
    expect(isOfCommand("a", "a", alice)).toBe(true);
    expect(isOfCommand(part, "a", alice)).toBe(true);
    expect(isOfCommand(part, "a", bob)).toBe(false);
    expect(isOfCommand(part, "b", alice)).toBe(false);
  });

  it("may look like parts themselves", () => {
    const odd = "me@home/12";
    const recent = new RecentCommands(3);
    recent.add(odd, 1, alice);
    expect(recent.find(odd, alice)).toEqual([1]);
    expect(isOfCommand(odd, odd, alice)).toBe(true);
  });
});
