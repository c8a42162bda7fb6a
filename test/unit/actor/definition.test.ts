import { describe, expect, it } from "vitest";
import { type ActorDefinition, defineActor } from "../../../src/actor/index.ts";
import { InvalidArgumentError } from "../../../src/index.ts";

type Noted = { readonly type: "Noted"; readonly data: number };
type Definition = ActorDefinition<"note", unknown, number, Noted>;

const note: Definition = {
  type: "note",
  initialState: { seen: [0] },
  decide: (data) => [{ type: "Noted", data }],
  evolve: (state) => state,
};

function define(changes: object): unknown {
  return defineActor({ ...note, ...changes });
}

describe("defineActor", () => {
  it("gives the definition with its defaults", () => {
    const kind = defineActor({ ...note, snapshot: { version: 3 } });
    expect(kind).toMatchObject({ type: "note", rememberedCommands: 64 });
    expect(kind.snapshot).toMatchObject({ version: 3 });
    expect(Object.isFrozen(kind)).toBe(true);
    expect(defineActor(note).snapshot).toBeUndefined();
  });

  it("takes an object of a class", () => {
    class Notes {
      readonly type = "note";
      readonly initialState = 0;
      readonly #step = 2;
      decide(data: number): Noted[] {
        return [{ type: "Noted", data: data * this.#step }];
      }
      evolve(state: number, { data }: Noted): number {
        return state + data * this.#step;
      }
    }
    const kind = defineActor(new Notes());
    const [event] = kind.decide(5, 0, undefined as never);
    expect(event).toEqual({ type: "Noted", data: 10 });
    expect(kind.evolve(1, { type: "Noted", data: 3, version: 1, metadata: {} })).toBe(7);
  });

  it("freezes the initial state, so that nobody changes it for all", () => {
    const initialState = { seen: [0] };
    const kind = defineActor({ ...note, initialState });
    expect(kind.initialState).toBe(initialState);
    expect(() => initialState.seen.push(1)).toThrow(TypeError);
  });

  it("takes undefined and null for an initial state, where no snapshot is to hold it", () => {
    expect(define({ initialState: undefined })).toMatchObject({ type: "note" });
    expect(define({ initialState: null, snapshot: { version: 1 } })).toBeDefined();
  });

  it.each<[string, object]>([
    ["type", { type: "1st" }],
    ["type", { type: "" }],
    ["type", { type: undefined }],
    ["decide", { decide: undefined }],
    ["evolve", { evolve: "evolve" }],
    ["rememberedCommands", { rememberedCommands: -1 }],
    ["rememberedCommands", { rememberedCommands: 1.5 }],
    ["snapshot.version", { snapshot: {} }],
    ["snapshot.version", { snapshot: { version: -1 } }],
    ["snapshot.every", { snapshot: { version: 1, every: 0 } }],
    ["snapshot", { snapshot: { version: 1, encode: () => 1 } }],
    ["snapshot", { snapshot: { version: 1, decode: () => 1 } }],
    ["snapshot", { snapshot: null }],
    ["snapshot", { snapshot: true }],
    ["initialState", { initialState: new Map(), snapshot: { version: 1 } }],
    ["initialState", { snapshot: { version: 1, encode: () => () => 1, decode: () => 1 } }],
  ])("refuses a %s that is none: %o", (argument, changes) => {
    expect(() => define(changes)).toThrow(InvalidArgumentError);
    expect(() => define(changes)).toThrow(expect.objectContaining({ argument }));
  });

  it("refuses what is no definition, and one without an initial state", () => {
    expect(() => defineActor(null as unknown as Definition)).toThrow(InvalidArgumentError);
    const { initialState: _left, ...without } = note;
    expect(() => defineActor(without as Definition)).toThrow(
      expect.objectContaining({ argument: "initialState" }),
    );
  });

  it("takes a state of any kind with hooks that make plain data of it", () => {
    const kind = define({
      initialState: new Map([["a", 1]]),
      snapshot: { version: 1, encode: (state: Map<string, number>) => [...state], decode: () => 1 },
    });
    expect(kind).toBeDefined();
  });
});
