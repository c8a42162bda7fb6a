import { describe, expect, it } from "vitest";
import { defineProjection, table } from "../../../src/projection/definition.ts";
import {
  ProjectionFailedError,
  StateKeyMissingError,
  StateTooLargeError,
} from "../../../src/projection/errors.ts";
import { Generations, TOMBSTONE } from "../../../src/projection/generations.ts";
import { WorkUnit } from "../../../src/projection/work-unit.ts";
import { type Script, scriptedEvent } from "../../support/projection-script.ts";
import { caches, failureOf, ROOMY, stage } from "../../support/work-unit-stage.ts";

describe("what a unit changes", () => {
  it("K10 is one delete of a key, whatever happened to it before", () => {
    const { run, changed, unit } = stage();
    run([["put", "a", 1]]);
    unit.begin();
    run([["add", "a", 1]]);
    run([
      ["delete", "a"],
      ["put", "a", 5],
      ["delete", "a"],
    ]);
    run([["deleteIfPresent", "a"]]);
    expect(changed()).toEqual({ "t.a": TOMBSTONE });
    expect(unit.cells()).toMatchObject([{ key: "t.a", position: 3, index: 0 }]);
  });

  it("K10 is nothing where a tolerant delete finds nothing", () => {
    const { run, changed, reads, cache } = stage();
    run([["deleteIfPresent", "a"]]);
    expect([changed(), reads, cache.size]).toEqual([{}, [false], 0]);
  });

  it("K10 a strict delete of an absent key is an error, of a deleted one too", () => {
    const { run } = stage();
    const failure = failureOf(() => run([["delete", "a"]]));
    expect(failure).toBeInstanceOf(ProjectionFailedError);
    expect(failure).toHaveProperty("cause", expect.any(StateKeyMissingError));
    run([["put", "a", 1]]);
    run([["delete", "a"]]);
    expect(() => run([["delete", "a"]])).toThrow(/"t\.a"/);
  });

  it.each([[null], [""], [0], [false], [[]]])("K16 is the value %o, not its absence", (empty) => {
    const { run, changed, reads } = stage();
    run([["put", "a", empty]]);
    expect(changed()).toEqual({ "t.a": empty });
    run([
      ["get", "a"],
      ["deleteIfPresent", "a"],
    ]);
    expect(reads).toEqual([empty, true]);
  });

  it("is what the last event made of each key, with that event's place", () => {
    const { run, unit } = stage();
    run([
      ["put", "a", 1],
      ["put", "b", 1],
    ]);
    run([["add", "a", 1]]);
    expect(unit.cells()).toEqual([
      { key: "t.a", cell: 2, position: 2, index: 0 },
      { key: "t.b", cell: 1, position: 1, index: 0 },
    ]);
  });

  it("is told for one unit at a time", () => {
    const { run, unit, changed } = stage();
    run([["put", "a", 1]]);
    unit.begin();
    run([["put", "b", 1]]);
    expect(changed()).toEqual({ "t.b": 1 });
  });

  it("holds no value that could not be stored", () => {
    const { run, changed } = stage();
    expect(() => run([["put", "a", new Map()]])).toThrow(/t\.a/);
    run([["put", "a", { gone: undefined, minus: -0 }]]);
    expect(changed()).toStrictEqual({ "t.a": { minus: 0 } });
  });
});

describe("what was fetched", () => {
  it("is there for the event that declares it, and is no change", () => {
    const { run, reads, changed } = stage();
    run([["get", "a"]], ["a"], { a: null, b: 1 });
    run([["get", "b"]], ["b"]);
    expect([reads, changed()]).toEqual([[null, undefined], {}]);
  });

  it("K15 never overwrites what has been written or deleted since", () => {
    const { run, reads } = stage();
    run([
      ["put", "a", "new"],
      ["put", "gone", "new"],
    ]);
    run([["delete", "gone"]]);
    const fetched = { a: "old", gone: "old" };
    run(
      [
        ["get", "a"],
        ["get", "gone"],
      ],
      ["a", "gone"],
      fetched,
    );
    expect(reads).toEqual(["new", undefined]);
  });

  it("K5 is forgotten with the event that is not applied: failed, or too large for the unit", () => {
    const { run, cache } = stage({ limits: { ...ROOMY, maxKeys: 1 } });
    run([["put", "x", 1]]);
    expect(() => run([["get", "a"], ["throw"]], ["a"], { a: 1 })).toThrow(/script/);
    expect(run([["add", "a", 1]], ["a"], { a: 1 })).toBe(false);
    expect([...cache.entries()]).toEqual([["t.x", 1]]);
  });
});

describe("an event that fails", () => {
  it.each(caches)("leaves no trace, in %s", (_, span) => {
    const { run, cache, unit } = stage({ span });
    run([
      ["put", "a", 1],
      ["put", "b", 1],
    ]);
    const { current } = cache.snapshot();
    const changes = unit.cells();
    const failure = failureOf(() =>
      run([["add", "a", 1], ["delete", "b"], ["put", "c", 1], ["add", "a", 1], ["throw"]]),
    );
    expect(failure).toBeInstanceOf(ProjectionFailedError);
    expect(failure).toMatchObject({
      event: { position: 2 },
      cause: { message: "as the script says" },
    });
    expect(cache.snapshot().current).toEqual(current);
    expect(unit.cells()).toEqual(changes);
  });

  it.each(caches)("leaves no trace in the undoing of the next one that fails, in %s", (_, span) => {
    const { run, cache } = stage({ span });
    run([["put", "a", "before"]]);
    expect(() => run([["put", "a", "first"], ["get", "a"], ["throw"]])).toThrow(/script/);
    expect(() => run([["put", "a", "second"], ["throw"]])).toThrow(/script/);
    expect(cache.get("t.a")).toBe("before");
  });

  it("shows what the previous generation holds again", () => {
    const { run, cache, unit } = stage();
    run([["put", "a", 1]]);
    cache.rotateTo(1);
    unit.begin();
    expect(() => run([["delete", "a"], ["throw"]])).toThrow(/script/);
    expect(cache.get("t.a")).toBe(1);
    expect(unit.changes.size).toBe(0);
  });

  it("is one whose apply returns a promise", async () => {
    const asynchronous = defineProjection<Script>()({
      name: "asynchronous",
      version: 1,
      events: { script: "all" },
      tables: { t: table<number>() },
      // oxlint-disable-next-line typescript/no-misused-promises -- the mistake that is tested
      apply: async (_, { t }) => {
        t.put("a", 1);
        await Promise.resolve();
        t.put("b", 1);
      },
    });
    const cache = new Generations(2);
    const unit = new WorkUnit(asynchronous, cache, "msgpack", ROOMY);
    unit.begin();
    expect(() => unit.apply(scriptedEvent([]), [])).toThrow(/synchronous/);
    await new Promise(setImmediate);
    expect(cache.size).toBe(0);
  });
});

describe("a full unit", () => {
  it("gives back the event that changes too many keys, without a trace", () => {
    const { run, changed, cache } = stage({ limits: { ...ROOMY, maxKeys: 2 } });
    expect(run([["put", "a", 1]])).toBe(true);
    expect(
      run([
        ["put", "a", 2],
        ["put", "b", 1],
        ["put", "c", 1],
      ]),
    ).toBe(false);
    expect(changed()).toEqual({ "t.a": 1 });
    expect([...cache.entries()]).toEqual([["t.a", 1]]);
    expect(
      run([
        ["add", "a", 1],
        ["put", "b", 1],
      ]),
    ).toBe(true);
  });

  it("counts the bytes of what is stored, not of what was overwritten", () => {
    const { run } = stage({ limits: { ...ROOMY, maxBytes: 2_500 } });
    const text = "x".repeat(900);
    for (let round = 0; round < 5; round++) expect(run([["put", "a", text]])).toBe(true);
    expect(run([["put", "b", text]])).toBe(true);
    expect(run([["put", "c", text]])).toBe(false);
    expect(
      run([
        ["put", "a", "short"],
        ["put", "c", text],
      ]),
    ).toBe(true);
  });

  it("has room again for the bytes of an event that failed", () => {
    const { run } = stage({ limits: { ...ROOMY, maxBytes: 2_500 } });
    const text = "x".repeat(900);
    run([["put", "a", text]]);
    expect(() => run([["put", "b", text], ["throw"]])).toThrow(/script/);
    expect(run([["put", "b", text]])).toBe(true);
  });

  it("fails on an event that does not fit into an empty one", () => {
    const { run, cache } = stage({ limits: { ...ROOMY, maxKeys: 1 } });
    const failure = failureOf(() =>
      run([
        ["put", "a", 1],
        ["put", "b", 1],
      ]),
    );
    expect(failure).toBeInstanceOf(ProjectionFailedError);
    expect(failure).toHaveProperty("cause", expect.any(StateTooLargeError));
    expect(failure).toMatchObject({ cause: { size: 2, limit: 1, unit: "keys" } });
    expect(cache.size).toBe(0);
  });

  it("fails on a value that does not fit into a message, naming its key", () => {
    const { run } = stage({ limits: { ...ROOMY, maxValueBytes: 100 } });
    expect(() => run([["put", "a", "x".repeat(200)]])).toThrow(/t\.a needs \d+ bytes/);
  });
});
