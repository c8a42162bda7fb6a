import { describe, expect, it } from "vitest";
import { InvalidArgumentError } from "../../../src/errors.ts";
import { defineProjection, table } from "../../../src/projection/definition.ts";
import { CoverageError } from "../../../src/projection/errors.ts";
import { Generations } from "../../../src/projection/generations.ts";
import { stateKey } from "../../../src/projection/state-key.ts";
import { WorkUnit } from "../../../src/projection/work-unit.ts";
import { type Script, scriptedEvent } from "../../support/projection-script.ts";
import { caches, failureOf, ROOMY, stage } from "../../support/work-unit-stage.ts";

describe("the gate", () => {
  it.each(caches)("K18 refuses to read what was not declared, in %s", (_, span) => {
    const { run } = stage({ span });
    run([["put", "a", 1]]);
    expect(() => run([["get", "a"]], ["b"])).toThrow(CoverageError);
  });

  it.each(["delete", "deleteIfPresent"] as const)(
    "K19 refuses %s of what was not declared, also where it is not there",
    (how) => {
      for (const id of ["a", "none"]) {
        const { run, cache } = stage();
        run([["put", "a", 1]]);
        expect(() => run([[how, id]], [])).toThrow(CoverageError);
        expect(cache.get("t.a")).toBe(1);
      }
    },
  );

  it("K19 refuses a delete that a function called by apply makes", () => {
    const cascade = defineProjection<Script>()({
      name: "cascade",
      version: 1,
      events: { script: "all" },
      tables: { parent: table<number>(), child: table<number>() },
      keys: (_, t) => [t.parent.key("p")],
      apply: (_, t) => {
        const removeAll = (ids: readonly string[]): void => {
          for (const id of ids) t.child.deleteIfPresent(id);
        };
        t.parent.deleteIfPresent("p");
        removeAll(["c"]);
      },
    });
    const unit = new WorkUnit(cascade, new Generations(2), "msgpack", ROOMY);
    unit.begin();
    const attempt = (): unknown => unit.apply(scriptedEvent([]), [stateKey("parent", "p")]);
    expect(failureOf(attempt)).toMatchObject({ code: "coverage", key: "child.c" });
  });

  it("K20 lets puts pass without a declaration", () => {
    const { run, cache } = stage();
    expect(run([["put", "a", 1]], [])).toBe(true);
    expect(cache.get("t.a")).toBe(1);
  });

  it("K21 names projection, event and key", () => {
    const { run } = stage();
    run([["put", "a", 1]]);
    const failure = failureOf(() => run([["get", "a"]], []));
    expect(failure).toMatchObject({
      projection: "scripted",
      key: "t.a",
      event: { position: 2, index: 0, id: "c2:0", type: "Scripted" },
    });
    expect(failure).toHaveProperty("message", expect.stringMatching(/scripted.*2\/0.*"t\.a"/));
  });

  it.each(caches)("K21 refuse takes back the whole unit, in %s", (_, span) => {
    const { run, unit, cache } = stage({ span });
    run([
      ["put", "before", 1],
      ["put", "gone", 1],
    ]);
    unit.begin();
    const { current } = cache.snapshot();
    run([
      ["put", "a", 1],
      ["add", "before", 1],
    ]);
    run([
      ["add", "before", 1],
      ["delete", "gone"],
      ["put", "gone", 2],
    ]);
    expect(() =>
      run(
        [
          ["put", "b", 1],
          ["get", "c"],
        ],
        [],
      ),
    ).toThrow(CoverageError);
    unit.refuse();
    expect(cache.snapshot().current).toEqual(current);
    expect(unit.changes.size).toBe(0);
  });

  it("K21 a violation counts also where apply catches the error", () => {
    const swallowing = defineProjection<Script>()({
      name: "swallowing",
      version: 1,
      events: { script: "all" },
      tables: { t: table<unknown>() },
      apply: (_, { t }) => {
        try {
          t.get("a");
        } catch {
          t.put("a", 1);
        }
      },
    });
    const unit = new WorkUnit(swallowing, new Generations(2), "msgpack", ROOMY);
    unit.begin();
    expect(() => unit.apply(scriptedEvent([]), [])).toThrow(CoverageError);
  });

  it("K21 a violation is told also where apply throws another error afterwards", () => {
    const translating = defineProjection<Script>()({
      name: "translating",
      version: 1,
      events: { script: "all" },
      tables: { t: table<unknown>() },
      apply: (_, { t }) => {
        try {
          t.get("a");
        } catch {
          throw new Error("not found");
        }
      },
    });
    const unit = new WorkUnit(translating, new Generations(2), "msgpack", ROOMY);
    unit.begin();
    expect(() => unit.apply(scriptedEvent([]), [])).toThrow(CoverageError);
  });

  it("K21 the unit that follows a refused one is a fresh one", () => {
    const { run, unit, changed } = stage();
    expect(() => run([["get", "a"]], [])).toThrow(CoverageError);
    unit.refuse();
    unit.begin();
    expect(run([["put", "a", 1]])).toBe(true);
    expect(changed()).toEqual({ "t.a": 1 });
  });

  it("K22 one event's declaration does not admit another's reads", () => {
    const { run } = stage();
    run([["get", "a"]], ["a", "b"]);
    expect(() => run([["get", "a"]], ["b"])).toThrow(CoverageError);
  });

  it("K22 keys written earlier in the same unit are gated, in the same event too", () => {
    const first = stage();
    first.run([["put", "a", 1]]);
    expect(() => first.run([["get", "a"]], [])).toThrow(CoverageError);
    const second = stage();
    expect(() =>
      second.run(
        [
          ["put", "a", 1],
          ["delete", "a"],
        ],
        [],
      ),
    ).toThrow(CoverageError);
  });

  it("K22 an empty declaration admits nothing", () => {
    for (const step of [
      ["get", "a"],
      ["delete", "a"],
      ["deleteIfPresent", "a"],
    ] as const) {
      expect(() => stage().run([step], [])).toThrow(CoverageError);
    }
  });

  it("K22 a long declaration admits what it names, and nothing else", () => {
    const declares = Array.from({ length: 50 }, (_, n) => `k${n}`);
    const { run } = stage();
    expect(
      run(
        [
          ["get", "k0"],
          ["get", "k49"],
        ],
        declares,
      ),
    ).toBe(true);
    expect(() => run([["get", "k50"]], declares)).toThrow(CoverageError);
  });

  it("is shut once apply has returned", () => {
    let kept: { put(id: string, value: number): void; get(id: string): unknown } | undefined;
    const keeping = defineProjection<Script>()({
      name: "keeping",
      version: 1,
      events: { script: "all" },
      tables: { t: table<number>() },
      keys: (_, { t }) => [t.key("a")],
      apply: (_, { t }) => {
        kept = t;
      },
    });
    const cache = new Generations(2);
    const unit = new WorkUnit(keeping, cache, "msgpack", ROOMY);
    unit.begin();
    unit.apply(scriptedEvent([]), [stateKey("t", "a")]);
    expect(() => kept?.put("a", 1)).toThrow(InvalidArgumentError);
    expect(() => kept?.get("a")).toThrow(InvalidArgumentError);
    expect(cache.size).toBe(0);
  });
});
