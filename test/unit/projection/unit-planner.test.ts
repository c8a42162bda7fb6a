import { describe, expect, it } from "vitest";
import { BEGINNING, type Checkpoint } from "../../../src/projection/checkpoint.ts";
import { defineProjection, table } from "../../../src/projection/definition.ts";
import type { SourceCommit } from "../../../src/projection/event-source.ts";
import { Generations } from "../../../src/projection/generations.ts";
import {
  isVoid,
  type PlanLimits,
  type UnitPlan,
  UnitPlanner,
} from "../../../src/projection/unit-planner.ts";
import {
  type Script,
  scriptedCommit,
  type ScriptTables,
  scriptedProjection,
  type Step,
} from "../../support/projection-script.ts";

const ROOMY: PlanLimits = { maxEvents: 100, maxKeys: 100 };

function plannerOf(
  commits: readonly SourceCommit[],
  limits: Partial<PlanLimits> = {},
  checkpoint: Checkpoint = BEGINNING,
): UnitPlanner<Script, ScriptTables> {
  const planner = new UnitPlanner(scriptedProjection(), { ...ROOMY, ...limits }, checkpoint);
  planner.push(commits);
  return planner;
}

const reads = (id: string): Step[] => [["get", id]];

/** Commits of the given numbers of events, each of which reads `k<number of the event>`. */
function commitsOf(...sizes: readonly number[]): SourceCommit[] {
  let event = 0;
  return sizes.map((size, at) =>
    scriptedCommit(
      at + 1,
      Array.from({ length: size }, () => reads(`k${++event}`)),
      { total: Math.max(1, size) },
    ),
  );
}

/** Plans and advances until nothing waits. */
function drain(planner: UnitPlanner<Script, ScriptTables>, cache: Generations): UnitPlan[] {
  const plans: UnitPlan[] = [];
  while (!planner.empty) {
    const plan = planner.plan(cache);
    plans.push(plan);
    cache.rotateTo(plan.generation);
    planner.advance(plan.end);
  }
  return plans;
}

describe("a plan", () => {
  it("K14 names the generation it was made in and the one it is for", () => {
    const planner = plannerOf(commitsOf(1, 1, 1));
    const plans = drain(planner, new Generations(1));
    expect(plans.map(({ madeIn, generation }) => [madeIn, generation])).toEqual([
      [0, 0],
      [0, 1],
      [1, 2],
    ]);
  });

  it("K14 of the cache's own generation fetches what neither generation holds", () => {
    const cache = new Generations(2);
    cache.put("t.k3", 1);
    cache.rotateTo(1);
    cache.put("t.k4", 1);
    const begun = { position: 1, taken: 2, commitId: "c1", applied: 2 };
    const commits = commitsOf(2, 2).slice(1);
    expect([...plannerOf(commits, {}, begun).plan(cache).missing]).toEqual([]);
    const others = [scriptedCommit(2, [reads("k5"), reads("k3")])];
    expect([...plannerOf(others, {}, begun).plan(cache).missing]).toEqual(["t.k5"]);
  });

  it("K14 of the next generation fetches what the current one does not hold", () => {
    const cache = new Generations(2);
    cache.put("t.k3", 1);
    cache.rotateTo(1);
    cache.put("t.k4", 1);
    const begun = { position: 1, taken: 4, commitId: "c1", applied: 4 };
    const plan = plannerOf([scriptedCommit(2, [[...reads("k3"), ...reads("k4")]])], {}, begun);
    expect([...plan.plan(cache).missing]).toEqual(["t.k3"]);
  });

  it("K14 is void two generations later, and for an earlier one than the cache's", () => {
    const cache = new Generations(1);
    const next = plannerOf(commitsOf(1), {}, { ...BEGINNING, applied: 1 }).plan(cache);
    expect(isVoid(next, cache)).toBe(false);
    cache.rotateTo(1);
    expect(isVoid(next, cache)).toBe(true);
    const far = plannerOf(commitsOf(1), {}, { ...BEGINNING, applied: 3 }).plan(cache);
    expect([far.madeIn, far.generation, isVoid(far, cache)]).toEqual([1, 3, true]);
    cache.rotateTo(4);
    const earlier = plannerOf(commitsOf(1), {}, { ...BEGINNING, applied: 3 }).plan(cache);
    cache.put("t.k1", 1);
    expect([...earlier.missing]).toEqual(["t.k1"]);
    expect(isVoid(earlier, cache)).toBe(true);
  });

  it("fetches nothing where the cache is the whole state", () => {
    const plan = plannerOf(commitsOf(3, 3)).plan(new Generations(Number.POSITIVE_INFINITY));
    expect([plan.missing.size, plan.events.length]).toEqual([0, 6]);
  });

  it("takes nothing off before it is advanced over", () => {
    const planner = plannerOf(commitsOf(3));
    const cache = new Generations(5);
    expect(planner.plan(cache)).toEqual(planner.plan(cache));
  });

  it.each([1, 2, 3, 5])("never spans two generations of %i events", (span) => {
    const cache = new Generations(span);
    let applied = 0;
    for (const { events, generation, end } of drain(plannerOf(commitsOf(1, 7, 2, 4, 1)), cache)) {
      expect(events.length).toBeGreaterThan(0);
      for (let at = 0; at < events.length; at++) {
        expect(cache.generationOf(++applied)).toBe(generation);
      }
      expect(end.applied).toBe(applied);
    }
    expect(applied).toBe(15);
  });

  it.each([1, 2, 3])("holds %i events at most", (maxEvents) => {
    const plans = drain(plannerOf(commitsOf(1, 4, 2), { maxEvents }), new Generations(100));
    expect(Math.max(...plans.map(({ events }) => events.length))).toBe(maxEvents);
    expect(plans.flatMap(({ events }) => events.map(({ end }) => end.applied))).toEqual([
      1, 2, 3, 4, 5, 6, 7,
    ]);
  });

  it("fetches a bounded number of keys, those of its first event aside", () => {
    const wide = scriptedCommit(1, [
      [...reads("a"), ...reads("b"), ...reads("c")],
      reads("d"),
      [...reads("e"), ...reads("f")],
      reads("g"),
    ]);
    const plans = drain(plannerOf([wide], { maxKeys: 2 }), new Generations(100));
    expect(plans.map(({ missing }) => [...missing])).toEqual([
      ["t.a", "t.b", "t.c"],
      ["t.d"],
      ["t.e", "t.f"],
      ["t.g"],
    ]);
  });

  it("counts a key that several of its events need once", () => {
    const sharing = scriptedCommit(1, [reads("a"), [...reads("a"), ...reads("b")], reads("c")]);
    const plans = drain(plannerOf([sharing], { maxKeys: 2 }), new Generations(100));
    expect(plans.map(({ missing }) => [...missing])).toEqual([["t.a", "t.b"], ["t.c"]]);
  });

  it("counts events that were not selected as taken with those behind which they stand", () => {
    // Of five events, the second and third are selected.
    const commit = scriptedCommit(4, [reads("a"), reads("b")], { total: 5, first: 1 });
    const plan = plannerOf([commit]).plan(new Generations(10));
    const ends = plan.events.map(({ end }) => end);
    expect(ends).toEqual([
      { position: 4, taken: 2, commitId: "c4", applied: 1 },
      { position: 4, taken: 5, commitId: "c4", applied: 2 },
    ]);
    expect(plan.end).toEqual(ends[1]);
  });

  it("goes on behind commits without events of interest", () => {
    const planner = plannerOf(commitsOf(0, 1, 0, 0));
    const plan = planner.plan(new Generations(10));
    expect(plan.end).toEqual({ position: 4, taken: 1, commitId: "c4", applied: 1 });
    expect(plan.recordedAtMs).toBe(4);
    expect(planner.advance(plan.end)).toBe(true);
    expect(planner.empty).toBe(true);
  });

  it("K3 of no events stays in the generation of the last event", () => {
    const planner = plannerOf(commitsOf(2));
    const cache = new Generations(2);
    drain(planner, cache);
    planner.push([scriptedCommit(2, [], { total: 1 })]);
    const [plan] = drain(planner, cache);
    expect([plan?.events.length, plan?.generation, cache.generation]).toEqual([0, 0, 0]);
  });

  it("holds the keys of each event, and why they could not be told", () => {
    const failing = defineProjection<Script>()({
      name: "failing",
      version: 1,
      events: { script: "all" },
      tables: { t: table<unknown>() },
      keys: ({ data }, { t }) => data.declares.map((id) => t.key(id === "bad" ? "" : id)),
      apply: () => {},
    });
    const planner = new UnitPlanner(failing, ROOMY, BEGINNING);
    planner.push([scriptedCommit(1, [reads("a"), reads("bad"), reads("b")])]);
    const { events } = planner.plan(new Generations(10));
    expect(events.map(({ keys }) => keys)).toEqual([["t.a"], [], ["t.b"]]);
    expect(events.map(({ failure }) => failure !== undefined)).toEqual([false, true, false]);
  });

  it.each([[undefined], ["t.a"], [Promise.resolve([])]])(
    "says of keys that are no list (%o) that the event fails",
    (keys) => {
      const wrong = { ...scriptedProjection(), keys: () => keys as never };
      const planner = new UnitPlanner(wrong, ROOMY, BEGINNING);
      planner.push(commitsOf(1));
      const { events } = planner.plan(new Generations(10));
      expect(events[0]?.keys).toEqual([]);
      expect(String(events[0]?.failure?.error)).toMatch(/keys/);
    },
  );
});

describe("advancing", () => {
  it("within a commit goes on with its next event", () => {
    const planner = plannerOf(commitsOf(1, 4));
    const cache = new Generations(10);
    const third = planner.plan(cache).events[2]?.end ?? BEGINNING;
    expect(planner.advance(third)).toBe(false);
    expect(planner.waitingEvents).toBe(2);
    const rest = planner.plan(cache);
    expect(rest.events.map(({ event }) => [event.position, event.index])).toEqual([
      [2, 2],
      [2, 3],
    ]);
    expect(planner.advance(rest.end)).toBe(true);
    expect([planner.empty, planner.waitingEvents]).toEqual([true, 0]);
  });

  it("to the last selected event of a commit ends with the whole commit", () => {
    const commit = scriptedCommit(1, [reads("a")], { total: 3, first: 1 });
    const planner = plannerOf([commit, ...commitsOf(0, 1).slice(1)]);
    const first = planner.plan(new Generations(10)).events[0]?.end ?? BEGINNING;
    expect(planner.advance(first)).toBe(true);
    expect(planner.empty).toBe(false);
  });

  it("not at all is not the end of a commit that was begun by an earlier run", () => {
    const begun = { position: 1, taken: 2, commitId: "c1", applied: 2 };
    const rest = scriptedCommit(1, [reads("a"), reads("b")], { total: 4, first: 2 });
    const planner = plannerOf([rest], {}, begun);
    expect(planner.advance(begun)).toBe(false);
    expect(planner.plan(new Generations(10)).events).toHaveLength(2);
  });

  it("keeps what was pushed since", () => {
    const planner = plannerOf(commitsOf(2));
    const cache = new Generations(10);
    const first = planner.plan(cache).events[0]?.end ?? BEGINNING;
    planner.advance(first);
    planner.push([scriptedCommit(2, [reads("x")])]);
    expect(planner.waitingEvents).toBe(2);
    const { events, end } = planner.plan(cache);
    expect(events.map(({ keys }) => keys[0])).toEqual(["t.k2", "t.x"]);
    expect(end).toEqual({ position: 2, taken: 1, commitId: "c2", applied: 3 });
  });
});
