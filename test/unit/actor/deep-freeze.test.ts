import { describe, expect, it } from "vitest";
import { deepFreeze } from "../../../src/actor/deep-freeze.ts";

describe("deepFreeze", () => {
  it("freezes plain objects and lists throughout, and gives the same value back", () => {
    const value = { list: [{ deep: { n: 1 } }], bare: Object.create(null) as { n?: number } };
    expect(deepFreeze(value)).toBe(value);
    expect(Object.isFrozen(value)).toBe(true);
    expect(Object.isFrozen(value.list)).toBe(true);
    expect(Object.isFrozen(value.list[0]?.deep)).toBe(true);
    expect(Object.isFrozen(value.bare)).toBe(true);
  });

  it("leaves dates, bytes, maps and instances of classes alone", () => {
    class Own {
      held = { n: 1 };
    }
    const value = { date: new Date(0), bytes: new Uint8Array(2), map: new Map(), own: new Own() };
    deepFreeze(value);
    expect(Object.values(value).map((each) => Object.isFrozen(each))).toEqual([
      false,
      false,
      false,
      false,
    ]);
    expect(Object.isFrozen(value.own.held)).toBe(false);
  });

  it("ends where a value holds itself", () => {
    const value: { self?: unknown } = {};
    value.self = value;
    expect(Object.isFrozen(deepFreeze(value))).toBe(true);
  });

  it.each([1, "text", 5n, null, undefined, true])("takes %s", (value) => {
    expect(deepFreeze(value)).toBe(value);
  });
});
