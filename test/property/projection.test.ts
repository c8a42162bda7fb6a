import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { SourceCommit } from "../../src/projection/event-source.ts";
import { type Generations, TOMBSTONE } from "../../src/projection/generations.ts";
import { DurableModel, ModelRun, naiveFold, type RunShape } from "../support/projection-model.ts";
import { scriptedCommit, type Step } from "../support/projection-script.ts";

const id = fc.constantFrom("a", "b", "c", "d", "e", "f");
const value = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constantFrom(null, "", 0, false));
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(fc.constant("add" as const), id, fc.integer({ min: 1, max: 9 })),
  },
  { weight: 3, arbitrary: fc.tuple(fc.constant("put" as const), id, value) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("get" as const), id) },
  { weight: 3, arbitrary: fc.tuple(fc.constant("deleteIfPresent" as const), id) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("delete" as const), id) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("throw" as const)) },
);
const script = fc.array(step, { maxLength: 3 });
/** Events of a commit, and how many stand before and behind them that are not selected. */
const commit = fc.tuple(
  fc.array(script, { maxLength: 4 }),
  fc.integer({ min: 0, max: 1 }),
  fc.integer({ min: 0, max: 1 }),
);
const stream: fc.Arbitrary<SourceCommit[]> = fc
  .array(commit, { minLength: 1, maxLength: 15 })
  .map((commits) =>
    commits.map(([scripts, first, last], at) =>
      scriptedCommit(at * 3 + 1, scripts, {
        first,
        total: Math.max(1, first + scripts.length + last),
      }),
    ),
  );
const span = fc.constantFrom(1, 2, 3, 5);
const shape: fc.Arbitrary<RunShape> = fc.record({
  maxEvents: fc.integer({ min: 1, max: 7 }),
  maxKeys: fc.integer({ min: 1, max: 7 }),
  batchCommits: fc.integer({ min: 1, max: 6 }),
  // No event changes more.
  maxChanges: fc.integer({ min: 3, max: 8 }),
});
const bits = fc.infiniteStream(fc.boolean());
const RUNS = { numRuns: 500 };

type Snapshot = ReturnType<Generations["snapshot"]>;

function take(stream: Iterator<boolean>): boolean {
  return stream.next().value === true;
}

/** Cached keys whose cell is not what the durable state has. */
function differences(cache: Generations, durable: DurableModel): string[] {
  const wrong: string[] = [];
  for (const [key, cell] of cache.entries()) {
    const absent = cell === TOMBSTONE;
    if (absent === durable.values.has(key)) wrong.push(`${key}: ${String(cell)}`);
    else if (!absent && !Object.is(cell, durable.values.get(key))) {
      wrong.push(`${key}: ${String(cell)} instead of ${String(durable.values.get(key))}`);
    }
  }
  return wrong;
}

describe("a projector", () => {
  it("K5 caches the same after the same events, however they were cut", () => {
    const caches = (
      commits: SourceCommit[],
      events: number,
      cut: RunShape,
      early: Iterator<boolean>,
    ) => {
      const at = new Map<number, Snapshot>();
      const run = new ModelRun(new DurableModel(), commits, events, cut);
      while (!run.done) at.set(run.step(take(early)).applied, run.cache.snapshot());
      return at;
    };
    fc.assert(
      fc.property(stream, span, shape, shape, bits, bits, (commits, events, one, other, a, b) => {
        const first = caches(commits, events, one, a);
        const second = caches(commits, events, other, b);
        for (const [applied, cache] of first) {
          expect(second.get(applied) ?? cache).toEqual(cache);
        }
        expect(Math.max(...first.keys())).toBe(Math.max(...second.keys()));
      }),
      RUNS,
    );
  });

  it("K5 holds nothing but what the events of the last one to two generations touched", () => {
    fc.assert(
      fc.property(stream, span, shape, bits, (commits, events, cut, early) => {
        const run = new ModelRun(new DurableModel(), commits, events, cut);
        const scripts = commits.flatMap((each) => each.events);
        while (!run.done) {
          const { applied } = run.step(take(early));
          const begun = Math.max(0, Math.ceil(applied / events) - 2) * events;
          const touched = new Set(
            scripts
              .slice(begun, applied)
              .flatMap(({ data }) =>
                (data as { steps: Step[] }).steps.map((each) => `t.${each[1]}`),
              ),
          );
          for (const [key] of run.cache.entries()) expect(touched).toContain(key);
        }
      }),
      RUNS,
    );
  });

  it("K11 holds after every unit what the durable state holds, tombstones included", () => {
    fc.assert(
      fc.property(stream, span, shape, bits, (commits, events, cut, early) => {
        const durable = new DurableModel();
        const run = new ModelRun(durable, commits, events, cut);
        while (!run.done) {
          run.step(take(early));
          // What is on its way is compared as it will be.
          const arrived = new DurableModel();
          for (const [key, stored] of durable.values) arrived.values.set(key, stored);
          run.copyUnsettled(arrived);
          expect(differences(run.cache, arrived)).toEqual([]);
        }
      }),
      RUNS,
    );
  });

  it("K12 ends with the state of an undisturbed run, wherever it was killed", () => {
    fc.assert(
      fc.property(
        ...([stream, span, shape, bits, bits, bits] as const),
        (commits, events, cut, early, kill, arrives) => {
          const durable = new DurableModel();
          let run = new ModelRun(durable, commits, events, cut);
          while (!run.done) {
            run.step(take(early));
            if (!take(kill)) continue;
            // The unit on its way may have arrived or not; nothing else is left.
            if (take(arrives)) run.settle();
            run = new ModelRun(durable, commits, events, cut);
          }
          run.settle();
          expect(new Map(durable.values)).toEqual(naiveFold(commits));
          const selected = commits.flatMap((each) => each.events).length;
          expect(durable.checkpoint.applied).toBe(selected);
          expect(durable.checkpoint.position).toBe(commits.at(-1)?.position);
        },
      ),
      RUNS,
    );
  });

  it.each([1, 2, 3, 5])(
    "K13 finds nothing of a key deleted after a rotation, at a span of %i and after a crash",
    (events) => {
      const idle = Array.from({ length: events }, (): Step[] => [["get", "other"]]);
      const scripts: Step[][] = [
        [["put", "a", 1]],
        ...idle,
        [["delete", "a"]],
        [["deleteIfPresent", "a"]],
        ...idle,
        ...idle,
        [["add", "a", 7]],
      ];
      const commits = scripts.map((steps, at) => scriptedCommit(at + 1, [steps]));
      const cut = { maxEvents: 1, maxKeys: 1, batchCommits: 1, maxChanges: 3 };
      for (let killAt = 0; killAt <= commits.length; killAt++) {
        const durable = new DurableModel();
        let run = new ModelRun(durable, commits, events, cut);
        for (let steps = 0; !run.done; steps++) {
          if (steps === killAt) run = new ModelRun(durable, commits, events, cut);
          run.step(true);
          run.settle();
        }
        expect([...durable.values]).toEqual([["t.a", 7]]);
      }
    },
  );
});
