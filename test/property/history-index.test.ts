import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeIndex,
  encodeIndex,
  firstIndex,
  type HistoryIndex,
  nextIndex,
  pointerCount,
  pointersWithin,
} from "../../src/store/history-index.ts";

interface Commit {
  readonly sequence: number;
  readonly firstVersion: number;
  readonly lastVersion: number;
  /** undefined where a writer without index wrote it */
  readonly index: HistoryIndex | undefined;
}

interface Step {
  readonly gap: number;
  readonly events: number;
  readonly indexed: boolean;
}

function history(steps: readonly Step[]): Commit[] {
  const commits: Commit[] = [];
  for (const { gap, events, indexed } of steps) {
    const last = commits.at(-1);
    const firstVersion = (last?.lastVersion ?? 0) + 1;
    const following =
      last?.index === undefined
        ? firstIndex(last?.sequence ?? 0)
        : nextIndex(last.index, last.sequence, last.lastVersion);
    commits.push({
      sequence: (last?.sequence ?? 0) + gap,
      firstVersion,
      lastVersion: firstVersion + events - 1,
      index: indexed ? following : undefined,
    });
  }
  return commits;
}

/**
 * Follows pointers from the head, as a reader does; every commit found, how often, and in how many
 * hops.
 */
function expand(
  commits: readonly Commit[],
  head: Commit,
  from: number,
  to: number,
): { readonly found: Map<number, number>; readonly hops: number } {
  const bySequence = new Map(commits.map((commit) => [commit.sequence, commit]));
  const found = new Map<number, number>();
  let wave = [{ sequence: head.sequence, version: head.lastVersion, low: 0 }];
  let hops = -1;
  while (wave.length > 0) {
    hops++;
    const following: typeof wave = [];
    for (const { sequence, version, low } of wave) {
      const commit = bySequence.get(sequence);
      if (commit?.index === undefined) throw new Error(`no indexed commit at ${sequence}`);
      if (commit.lastVersion !== version) throw new Error(`wrong version at ${sequence}`);
      found.set(sequence, (found.get(sequence) ?? 0) + 1);
      const triples = pointersWithin(commit.index, from, to, low);
      for (let at = 0; at < triples.length; at += 3) {
        const [next = 0, nextVersion = 0, nextLow = 0] = triples.slice(at, at + 3);
        following.push({ sequence: next, version: nextVersion, low: nextLow });
      }
    }
    wave = following;
  }
  return { found, hops };
}

const indexedSteps = fc.array(
  fc.record({
    gap: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 2 ** 36 })),
    events: fc.integer({ min: 1, max: 5 }),
    indexed: fc.constant(true),
  }),
  { minLength: 1, maxLength: 700 },
);

const mixedSteps = fc.array(
  fc.record({
    gap: fc.integer({ min: 1, max: 9 }),
    events: fc.integer({ min: 1, max: 3 }),
    indexed: fc.integer({ min: 0, max: 9 }).map((n) => n > 0),
  }),
  { minLength: 1, maxLength: 400 },
);

/** P(n) straight from the definition: digit by digit, the groups before the one that n is in. */
function pointerOrdinals(n: number): number[] {
  const ordinals: number[] = [];
  for (let size = 1; size <= n; size *= 16) {
    const digit = Math.floor(n / size) % 16;
    const end = Math.floor(n / size) * size;
    for (let group = 0; group < digit; group++) ordinals.push(end - group * size - 1);
  }
  return ordinals;
}

describe("the history index", () => {
  it("derives the pointers of each ordinal from those of the one before it", () => {
    let index = firstIndex(0);
    for (let ordinal = 0; ordinal < 70_000; ordinal++) {
      if (ordinal < 5_000 || ordinal % 997 === 0 || ordinal > 65_500) {
        const expected = pointerOrdinals(ordinal).flatMap((n) => [(n + 1) * 3, n + 1]);
        expect(index.pointers).toEqual(expected);
        expect(index.pointers.length).toBe(pointerCount(ordinal) * 2);
      }
      index = nextIndex(index, (ordinal + 1) * 3, ordinal + 1);
    }
  });

  it("reaches every earlier commit exactly once, in as many hops as the ordinal has digits", () => {
    fc.assert(
      fc.property(indexedSteps, (steps) => {
        const commits = history(steps);
        const head = commits.at(-1);
        if (head === undefined) return;
        const { found, hops } = expand(commits, head, 1, head.lastVersion);
        expect([...found.keys()].toSorted((a, b) => a - b)).toEqual(
          commits.map((commit) => commit.sequence),
        );
        expect(Math.max(...found.values())).toBe(1);
        expect(hops).toBeLessThanOrEqual((commits.length - 1).toString(16).length);
      }),
      { numRuns: 60 },
    );
  });

  it("reaches every commit of a range of versions, and few others", () => {
    fc.assert(
      fc.property(indexedSteps, fc.nat(), fc.nat(), (steps, a, b) => {
        const commits = history(steps);
        const head = commits.at(-1);
        if (head === undefined) return;
        const from = 1 + (a % head.lastVersion);
        const to = from + (b % (head.lastVersion - from + 1));
        const { found, hops } = expand(commits, head, from, to);
        const wanted = commits.filter((c) => c.lastVersion >= from && c.firstVersion <= to);
        for (const commit of wanted) expect(found.get(commit.sequence) ?? 1).toBe(1);
        const digits = (commits.length - 1).toString(16).length;
        const missing = wanted.filter((c) => !found.has(c.sequence));
        expect(missing).toEqual([]);
        expect(hops).toBeLessThanOrEqual(digits);
        // beside the range itself: one commit a level on the newer edge of it
        expect(found.size).toBeLessThanOrEqual(wanted.length + digits + 1);
      }),
      { numRuns: 100 },
    );
  });

  it("reaches a whole epoch and names the commit below it where some commits have no index", () => {
    fc.assert(
      fc.property(mixedSteps, (steps) => {
        const commits = history(steps);
        for (const [at, head] of commits.entries()) {
          if (head.index === undefined || (at % 23 !== 0 && at !== commits.length - 1)) continue;
          const { ordinal, unindexedBelow } = head.index;
          const epoch = commits.slice(at - ordinal, at + 1);
          const { found } = expand(commits, head, 1, head.lastVersion);
          expect([...found.keys()].toSorted((a, b) => a - b)).toEqual(
            epoch.map((commit) => commit.sequence),
          );
          expect(epoch[0]?.index).toEqual(firstIndex(unindexedBelow));
          expect(commits[at - ordinal - 1]?.sequence ?? 0).toBe(unindexedBelow);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("has as its newest pointer the commit before it", () => {
    fc.assert(
      fc.property(indexedSteps, (steps) => {
        const commits = history(steps);
        for (const [at, commit] of commits.entries()) {
          const before = commits[at - 1];
          expect(commit.index?.pointers.slice(0, 2)).toEqual(
            before === undefined ? [] : [before.sequence, before.lastVersion],
          );
        }
      }),
      { numRuns: 20 },
    );
  });

  it("survives encoding and decoding", () => {
    fc.assert(
      fc.property(mixedSteps, fc.integer({ min: 0, max: 2 ** 52 }), (steps, offset) => {
        for (const { index } of history(
          steps.map((step, at) => (at > 0 ? step : { ...step, gap: offset + 1 })),
        )) {
          if (index === undefined) continue;
          expect(decodeIndex(encodeIndex(index), index.ordinal)).toEqual(index);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("takes about 100 bytes where an actor shares its stream with ten thousand others", () => {
    let index = firstIndex(0);
    let total = 0;
    let most = 0;
    const commits = 4096;
    for (let at = 1; at <= commits; at++) {
      const { length } = encodeIndex(index);
      total += length;
      most = Math.max(most, length);
      index = nextIndex(index, at * 10_007, at * 2);
    }
    expect(total / commits).toBeLessThan(100);
    expect(most).toBeLessThan(220);
  });

  it("never takes arbitrary bytes for an index that it would write otherwise", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat({ max: 40 }), (bytes, ordinal) => {
        const index = decodeIndex(bytes, ordinal);
        if (index !== undefined) expect(encodeIndex(index)).toEqual(bytes);
      }),
      { numRuns: 2000 },
    );
  });
});
