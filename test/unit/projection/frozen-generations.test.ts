import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Generations, TOMBSTONE } from "../../../src/projection/generations.ts";
import type { Step } from "../../support/projection-script.ts";
import { failureOf, stage } from "../../support/work-unit-stage.ts";

/** A complete cache with the keys a and b. */
function complete(): Generations {
  const cache = new Generations(Number.POSITIVE_INFINITY);
  cache.put("a", 1);
  cache.put("b", 2);
  return cache;
}

/** What readers see of it. */
function seen(cache: Generations): Record<string, unknown> {
  const cells = [...cache.entries()].filter(([, cell]) => cell !== TOMBSTONE);
  return Object.fromEntries(cells);
}

describe("a frozen cache", () => {
  it("shows changes at once and leaves what was frozen as it was", () => {
    const cache = complete();
    const frozen = cache.freeze();
    cache.put("a", 10);
    cache.put("c", 3);
    cache.delete("b");
    expect(["a", "b", "c"].map((key) => cache.get(key))).toEqual([10, TOMBSTONE, 3]);
    expect(seen(cache)).toEqual({ a: 10, c: 3 });
    expect(Object.fromEntries(frozen)).toEqual({ a: 1, b: 2 });
  });

  it("takes the changes over when it is thawed, and keeps no tombstones", () => {
    const cache = complete();
    cache.freeze();
    cache.put("a", 10);
    cache.put("c", 3);
    cache.delete("c");
    cache.delete("b");
    expect(cache.thaw()).toBe(true);
    expect([...cache.entries()]).toEqual([["a", 10]]);
    expect([cache.get("b"), cache.get("c"), cache.size]).toEqual([undefined, undefined, 1]);
  });

  it("knows a deleted key as deleted, and revives it", () => {
    const cache = complete();
    cache.freeze();
    expect([cache.delete("b"), cache.delete("b"), cache.delete("none")]).toEqual([
      true,
      false,
      false,
    ]);
    cache.put("b", 20);
    cache.thaw();
    expect(seen(cache)).toEqual({ a: 1, b: 20 });
  });

  it("is whole after each step of a thaw, also where it changes in between", () => {
    const cache = complete();
    cache.freeze();
    for (let n = 0; n < 5; n++) cache.put(`k${n}`, n);
    cache.delete("a");
    expect(cache.thaw(2)).toBe(false);
    const others = { k2: 2, k3: 3, k4: 4 };
    expect(seen(cache)).toEqual({ b: 2, k0: 0, k1: 1, ...others });
    cache.delete("k0");
    cache.put("k1", 11);
    cache.put("a", 12);
    while (!cache.thaw(2));
    expect(seen(cache)).toEqual({ a: 12, b: 2, k1: 11, ...others });
  });

  it("can be frozen again once it is thawed, not before", () => {
    const cache = complete();
    cache.freeze();
    expect(() => cache.freeze()).toThrow("not frozen");
    cache.thaw();
    expect(() => cache.thaw()).toThrow("not frozen");
    expect(cache.freeze().size).toBe(2);
  });

  it("is none that forgets", () => {
    const cache = new Generations(2);
    expect(() => cache.freeze()).toThrow("complete");
    expect(() => cache.thaw()).toThrow("not frozen");
  });

  it("puts back what an event that fails has changed", () => {
    const { run, cache, unit } = stage({ span: Number.POSITIVE_INFINITY });
    run([["put", "a", 1]]);
    run([["put", "b", 2]]);
    cache.freeze();
    unit.begin();
    run([["delete", "b"]], ["b"]);
    const steps: Step[] = [
      ["add", "a", 1],
      ["delete", "a"],
      ["put", "b", 3],
      ["put", "c", 4],
      ["throw"],
    ];
    failureOf(() => run(steps, ["a", "b", "c"]));
    expect(seen(cache)).toEqual({ "t.a": 1 });
    cache.thaw();
    expect(seen(cache)).toEqual({ "t.a": 1 });
  });
});

const id = fc.constantFrom("a", "b", "c", "d", "e");
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.tuple(fc.constant("put" as const), id, fc.integer({ min: 0, max: 9 })),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.constant("add" as const), id, fc.integer({ min: 1, max: 9 })),
  },
  { weight: 6, arbitrary: fc.tuple(fc.constant("deleteIfPresent" as const), id) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("delete" as const), id) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("throw" as const)) },
);
type Action =
  | { readonly kind: "unit"; readonly events: readonly Step[][]; readonly isRefused: boolean }
  | { readonly kind: "freeze" }
  | { readonly kind: "thaw"; readonly keys: number };
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("unit" as const),
      events: fc.array(fc.array(step, { maxLength: 3 }), { minLength: 1, maxLength: 4 }),
      isRefused: fc.nat(4).map((n) => n === 0),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "freeze" as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("thaw" as const), keys: fc.nat(4) }) },
);

/** The state that an event leaves, or undefined where it fails. */
function applied(
  state: ReadonlyMap<string, unknown>,
  steps: readonly Step[],
): Map<string, unknown> | undefined {
  const next = new Map(state);
  for (const [what, of = "", value] of steps) {
    const key = `t.${of}`;
    if (what === "throw" || (what === "delete" && !next.has(key))) return undefined;
    if (what === "put") next.set(key, value);
    else if (what === "add") next.set(key, Number(next.get(key) ?? 0) + value);
    else next.delete(key);
  }
  return next;
}

describe("any sequence of units, freezes and thaws", () => {
  it("shows what a plain map shows, and leaves what was frozen as it was", () => {
    fc.assert(
      fc.property(fc.array(action, { minLength: 10, maxLength: 40 }), (actions) => {
        const { cache, unit, run } = stage({ span: Number.POSITIVE_INFINITY });
        let model = new Map<string, unknown>();
        let frozen: ReadonlyMap<string, unknown> | undefined;
        let frozenAs: Record<string, unknown> = {};
        let isFrozen = false;
        for (const one of actions) {
          if (one.kind === "freeze") {
            if (isFrozen) continue;
            isFrozen = true;
            frozen = cache.freeze();
            frozenAs = Object.fromEntries(model);
          } else if (one.kind === "thaw") {
            if (!isFrozen) continue;
            frozen = undefined;
            isFrozen = !cache.thaw(one.keys);
          } else {
            unit.begin();
            const before = model;
            for (const steps of one.events) {
              const next = applied(model, steps);
              if (next === undefined) failureOf(() => run(steps, ["a", "b", "c", "d", "e"]));
              else run(steps, ["a", "b", "c", "d", "e"]);
              model = next ?? model;
            }
            if (one.isRefused) {
              unit.refuse();
              model = before;
            }
          }
          expect(seen(cache)).toEqual(Object.fromEntries(model));
          if (frozen !== undefined) expect(Object.fromEntries(frozen)).toEqual(frozenAs);
        }
      }),
      { numRuns: 300 },
    );
  });
});
