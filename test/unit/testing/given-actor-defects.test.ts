import { AssertionError } from "node:assert";
import { afterEach, describe, expect, it, vi } from "vitest";
import { given } from "../../../src/testing/index.ts";
import { failureOf } from "../../support/work-unit-stage.ts";
import { account, noted, type Notes, notes } from "./account.ts";

type Decide = Notes["decide"];
type Evolve = Notes["evolve"];

class Order {
  count = 1;
  readonly lines = [1];
}

/** The message of the AssertionError that the test of a decider must end with, whatever it expects. */
function defectOf(kind: Notes, command: unknown = 0, data: unknown = 1): string {
  const scene = given(kind, [noted(data)]).when(command);
  const endings = [() => scene.then([]), () => scene.thenFails(/./), () => scene.then(Error)];
  const messages = endings.map((ending) => {
    const failure = failureOf(ending);
    if (!(failure instanceof AssertionError)) throw new Error("no defect", { cause: failure });
    expect(failure.message).toMatch(/^actor type notes: /);
    return failure.message;
  });
  expect(new Set(messages).size).toBe(1);
  return messages[0] ?? "";
}

describe("a decider that is not pure", () => {
  afterEach(() => void vi.useRealTimers());
  let count = 0;

  const impureDecides: readonly (readonly [what: string, decide: Decide, message: RegExp])[] = [
    [
      "counts",
      () => [noted(++count)],
      /decide is not pure: .*; decision\.events\[0\]\.data: first \d+, then \d+/,
    ],
    ["takes a random number", () => [noted(Math.random())], /decide is not pure/],
    ["asks the clock", () => [noted(new Date())], /decide is not pure.*events\[0\]\.data: first 2/],
    ["returns more events", () => (count++ % 2 ? [] : [noted(1)]), /decide is not pure/],
    [
      "appends differently to others",
      (_, __, context) => {
        const events = [noted(++count)];
        context.append({ actor: { type: "notes", id: "other" }, events });
        return [noted(1)];
      },
      /decide is not pure.*decision\.appends\[0\]\.events\[0\]\.data/,
    ],
    [
      "refuses differently",
      () => {
        throw new Error(`refused ${++count}`);
      },
      /not pure.*first with Error: refused \d+, then with Error: refused \d+/,
    ],
    [
      "refuses now and then",
      () => {
        if (count++ % 2) throw new Error("refused");
        return [];
      },
      /not pure.*ends: first with (a decision|Error: refused), then with (a decision|Error: refused)/,
    ],
  ];
  it.each(impureDecides)("fails where decide %s", (_, decide, message) => {
    expect(defectOf(notes({ decide }))).toMatch(message);
  });

  it("fails where evolve gives another state, of stored events or of decided ones", () => {
    expect(defectOf(notes({ evolve: () => ++count }))).toMatch(
      /evolve is not pure: .*; state: first \d+, then \d+/,
    );
    const evolve: Evolve = (_, { data }) => ({ at: data === 1 ? 0 : ++count });
    expect(defectOf(notes({ evolve }), 2)).toMatch(/evolve is not pure: .*; state\.at: first/);
  });

  it("is blamed where it begins: on evolve, not on a decide that hands its state on", () => {
    const decide: Decide = (_, state) => [noted(state)];
    const refuse: Decide = (_, state) => {
      throw new Error(`refused ${String(state)}`);
    };
    expect(defectOf(notes({ decide, evolve: () => ++count }))).toMatch(/ evolve is not pure/);
    expect(defectOf(notes({ decide: refuse, evolve: () => ++count }))).toMatch(/ evolve is not/);
  });

  it("is found each time that it asks the clock, however fast it is", () => {
    const asking = notes({ decide: () => [noted(new Date())] });
    for (let times = 0; times < 100; times++) {
      expect(() => given(asking, []).when(0).then([])).toThrow(/decide is not pure/);
    }
  });

  it("is found where a test has replaced the timers", () => {
    vi.useFakeTimers();
    expect(defectOf(notes({ evolve: () => ++count }))).toMatch(/not pure/);
    given(notes(), [])
      .when(1)
      .then([noted(1)]);
  });
});

describe("a decider that changes something in place", () => {
  interface Held {
    readonly list: number[];
    readonly date: Date;
    readonly map: Map<string, number>;
    readonly set: Set<number>;
    readonly bytes: Uint8Array;
  }
  const held = (): Held => ({
    list: [1],
    date: new Date(0),
    map: new Map([["a", 1]]),
    set: new Set([1]),
    bytes: new Uint8Array(2),
  });

  const frozen: readonly (readonly [what: string, parts: Partial<Notes>])[] = [
    [
      "a list of the state, in decide",
      { decide: (_, state) => [noted((state as Held).list.push(2))] },
    ],
    ["the command", { decide: (command) => [noted((command as Held).list.push(2))] }],
    [
      "the actor's id",
      { decide: (_, __, { actor }) => [noted(Object.assign(actor, { id: "x" }))] },
    ],
    [
      "a list of the state, in evolve",
      { evolve: (state) => ((state as Held).list.push(2), state) },
    ],
    ["the data of an event", { evolve: (state, { data }) => ((data as Held).list.push(2), state) }],
    [
      "a property that it deletes",
      { evolve: (state) => delete (state as { list?: number[] }).list && state },
    ],
    ["the event", { evolve: (state, event) => (Object.assign(event, { data: 1 }), state) }],
  ];
  it.each(frozen)("fails where it is %s", (_, parts) => {
    const kind = notes({ initialState: { list: [1] }, evolve: (state) => state, ...parts });
    const by = "evolve" in parts ? "evolve" : "decide";
    const defect = defectOf(kind, { list: [1] }, { list: [1] });
    expect(defect).toContain(`${by} is not pure: it changes in place what it is handed: Cannot `);
  });

  const watched: readonly (readonly [what: string, change: (state: Held) => unknown])[] = [
    ["a date", ({ date }) => date.setTime(date.getTime() + 1)],
    ["a map", ({ map }) => map.set("b", 1)],
    ["a map", ({ map }) => map.set("a", (map.get("a") ?? 0) + 1)],
    ["a set", ({ set }) => (set.has(2) ? set.delete(2) : set.add(2))],
    ["bytes", ({ bytes }) => bytes.fill((bytes[0] ?? 0) + 1)],
  ];
  it.each(watched)("fails where it is %s, which cannot be frozen", (what, change) => {
    const evolve: Evolve = (before) => before;
    const deciding: Decide = (_, state) => (change(state as Held), []);
    expect(defectOf(notes({ initialState: held(), evolve, decide: deciding }))).toContain(
      `decide is not pure: it changes in place what it is handed: ${what}${what === "bytes" ? " were" : " was"} changed in place`,
    );
    const evolving: Evolve = (state) => (change(state as Held), state);
    expect(defectOf(notes({ initialState: held(), evolve: evolving }))).toContain(
      `evolve is not pure: it changes in place what it is handed: ${what}${what === "bytes" ? " were" : " was"} changed in place`,
    );
    const commanded: Decide = (command) => (change(command as Held), []);
    expect(defectOf(notes({ decide: commanded }), held())).toContain("changed in place");
  });

  const shared: readonly (readonly [what: string, change: (command: unknown) => unknown])[] = [
    ["an instance", (order) => (order as Order).count++],
    ["a list in an instance", (order) => (order as Order).lines.push(2)],
    ["a property that it adds", (order) => Object.assign(order as Order, { extra: 1 })],
    ["a property that it deletes", (order) => delete (order as { count?: number }).count],
  ];
  it.each(shared)("fails where it is %s of a class in the command", (_, change) => {
    const decide: Decide = (command) => (change((command as [unknown])[0]), []);
    const scene = given(notes({ decide }), []).when([new Order()]);
    expect(() => scene.then([])).toThrow(
      "decide is not pure: it changes in place what it is handed: an object was changed in place",
    );
  });

  it("passes where it makes changed copies", () => {
    const copying = notes({
      initialState: held(),
      decide: (_, state) => [noted([...(state as Held).map])],
      evolve: (state) => {
        const { list, date, map, set, bytes } = state as Held;
        return {
          list: [...list, 2],
          date: new Date(date.getTime() + 1),
          map: new Map(map).set("b", 2),
          set: new Set(set).add(2),
          bytes: Uint8Array.of(...bytes, 1),
        };
      },
    });
    const after = {
      list: [1, 2],
      date: new Date(1),
      map: new Map([
        ["a", 1],
        ["b", 2],
      ]),
      set: new Set([1, 2]),
      bytes: Uint8Array.of(0, 0, 1),
    };
    const scene = given(copying, []).when(0);
    scene.then({ events: [noted([["a", 1]])], state: after });
    expect(() => scene.then({ state: { ...after, map: new Map() } })).toThrow(
      /state\.map: expected/,
    );
    expect(() => scene.then({ state: { ...after, set: new Set([1]) } })).toThrow(/state\.set: /);
  });
});

describe("a state that is kept in snapshots", () => {
  const kept = (parts: Partial<Notes>, state: unknown): Notes =>
    notes({ evolve: () => state, snapshot: { version: 1 }, ...parts });
  const encode = (state: unknown): unknown => [...((state ?? []) as Map<string, number>)];
  const decode = (data: unknown): unknown => new Map(data as [string, number][]);
  const map = new Map([["a", 1]]);

  it("passes where it comes back as it was", () => {
    const states = [
      null,
      1n,
      { date: new Date(5), bytes: new Uint8Array(3), zero: -0, deep: [[1n]] },
    ];
    for (const state of states) {
      given(kept({}, state), [noted(1)])
        .when(0)
        .then({ state });
    }
    const snapshot = { version: 1, encode, decode };
    given(kept({ snapshot, initialState: new Map() }, map), [noted(1)])
      .when(0)
      .then({ state: map });
    expect(() =>
      given(account, [])
        .when({ type: "Close" })
        .then([{ type: "Closed" }]),
    ).not.toThrow();
  });

  it.each([
    ["a map", { map }, "an instance of Map cannot be stored", "data.map"],
    ["a function", { f: () => 1 }, "a function cannot be stored", "data.f"],
    [
      "an undefined property",
      { name: undefined },
      "state.name: undefined before, nothing after",
      "",
    ],
    ["an undefined element", [undefined], "state[0]: undefined before, null after", ""],
    [
      "an invalid date",
      { at: new Date(Number.NaN) },
      "an invalid date cannot be stored",
      "data.at",
    ],
  ])("fails where it holds %s", (_, state, message, path) => {
    const defect = defectOf(kept({}, state));
    expect(defect).toContain("actor type notes: the state does not survive its snapshot");
    expect(defect).toContain(message);
    expect(defect).toContain(path);
  });

  it("fails where decode does not undo encode, or one of them throws", () => {
    const lossy = { version: 1, encode, decode: () => new Map() };
    expect(defectOf(kept({ snapshot: lossy }, map))).toContain(
      "; state: Map(1) { 'a' => 1 } before, Map(0) {} after",
    );
    const throwing = {
      version: 1,
      encode,
      decode: () => {
        throw new Error("no decode");
      },
    };
    expect(defectOf(kept({ snapshot: throwing }, map))).toMatch(/snapshot: no decode$/);
  });

  it("fails also behind a command that is refused, and behind the events that it decides", () => {
    const decide: Decide = () => {
      throw new Error("refused");
    };
    expect(defectOf(kept({ decide }, { f: () => 1 }))).toMatch(/survive/);
    const evolve: Evolve = (_, { data }) => (data === "bad" ? new Map() : 1);
    expect(defectOf(kept({ evolve }, 0), "bad")).toMatch(/survive/);
    given(kept({ evolve }, 0), [noted(1)])
      .when("good")
      .then({ state: 1 });
  });
});
