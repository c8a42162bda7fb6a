import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RecentCommands, sharedId } from "../../src/actor/recent-commands.ts";
import { madeUpId } from "../../src/store/commit-id.ts";

const SUBJECT = "bank.account.alice";
const OTHER = "bank.account.bob";
const ids = fc.oneof(
  { weight: 5, arbitrary: fc.nat(30).map((n) => `c${n}`) },
  { weight: 2, arbitrary: fc.nat(30).map((n) => `${sharedId(`c${n}`, SUBJECT)}/${n % 3}`) },
  { weight: 1, arbitrary: fc.nat(30).map((n) => `${sharedId(`c${n}`, OTHER)}/1`) },
  { weight: 2, arbitrary: fc.nat(30).map((n) => madeUpId(`${"c".repeat(18)}${n}`)) },
);
/** A commit, or a trip through a snapshot, or a copy. */
const steps = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: ids },
    { weight: 1, arbitrary: fc.constantFrom("snapshot", "copy") },
  ),
  { maxLength: 120 },
);

/** Whether nobody can repeat the command of a commit at this actor. */
function isForeign(id: string): boolean {
  return id.startsWith("~") || id.includes(sharedId("", OTHER));
}

/** The positions that a list of all commits gives. */
function naiveFind(
  commits: readonly (readonly [id: string, position: number])[],
  capacity: number,
  commandId: string,
): number[] {
  const kept = capacity === 0 ? [] : commits.slice(-capacity);
  const isIts = (id: string): boolean =>
    id === commandId || id.replace(/\/\d+$/, "") === sharedId(commandId, SUBJECT);
  return kept
    .filter(([id]) => isIts(id))
    .map(([, position]) => position)
    .reverse();
}

describe("the commands that an actor remembers", () => {
  it("are the last of those that can be repeated, through snapshots and copies too", () => {
    fc.assert(
      fc.property(fc.nat(12), steps, (capacity, script) => {
        let recent = new RecentCommands(capacity);
        const commits: [string, number][] = [];
        let position = 0;
        for (const step of script) {
          if (step === "snapshot") recent = new RecentCommands(capacity, recent.toData());
          else if (step === "copy") recent = recent.copy();
          else {
            recent.add(step, ++position, SUBJECT);
            if (!isForeign(step)) commits.push([step, position]);
          }
        }
        for (let n = 0; n <= 30; n++) {
          const found = recent.find(`c${n}`, SUBJECT);
          expect(found).toEqual(naiveFind(commits, capacity, `c${n}`));
        }
        expect(recent.toData()).toHaveLength(2 * Math.min(commits.length, capacity));
      }),
      { numRuns: 300 },
    );
  });
});
