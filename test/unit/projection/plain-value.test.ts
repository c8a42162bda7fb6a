import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UnserialisableValueError } from "../../../src/errors.ts";
import { type Meter, plainValue, type ValueFormat } from "../../../src/projection/plain-value.ts";
import { pack, unpack } from "../../../src/store/packing.ts";
import { serialisable } from "../../../src/store/serialisable.ts";
import { failureOf } from "../../support/work-unit-stage.ts";

function plain(value: unknown, format: ValueFormat = "msgpack"): unknown {
  return plainValue(value, format, "t.a", { bytes: 0 });
}

function bytesOf(value: unknown, format: ValueFormat): number {
  const meter: Meter = { bytes: 0 };
  plainValue(value, format, "t.a", meter);
  return meter.bytes;
}

function encode(value: unknown, format: ValueFormat): Uint8Array {
  if (format === "json") return Buffer.from(JSON.stringify(value));
  return pack(serialisable(value, "data", undefined));
}

function storedAndRead(value: unknown, format: ValueFormat): unknown {
  const bytes = encode(value, format);
  return format === "json"
    ? JSON.parse(Buffer.from(bytes).toString())
    : unpack(bytes, 0, bytes.length);
}

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { value };
  return value;
}

const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    fc.string({ unit: "binary" }),
    fc.array(tie("value"), { maxLength: 10 }),
    fc.dictionary(
      fc.string({ unit: "binary" }).filter((key) => key !== "__proto__"),
      fc.option(tie("value"), { nil: undefined }),
      { maxKeys: 10 },
    ),
  ),
})).value;
const any = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    json,
    fc.double(),
    fc.bigInt(),
    fc.date({ noInvalidDate: true }),
    fc.uint8Array(),
    fc.array(fc.option(tie("value"), { nil: undefined }), { maxLength: 10 }),
    fc.dictionary(fc.constantFrom("a", "b", "c"), tie("value"), { maxKeys: 3 }),
  ),
})).value;

describe("plain values", () => {
  it.each([["msgpack", any] as const, ["json", json] as const])(
    "are in %s what will be read back",
    (format, values) => {
      fc.assert(
        fc.property(values, (value) => {
          const cached = plain(value, format);
          expect(storedAndRead(cached, format)).toStrictEqual(cached);
          expect(plain(cached, format)).toBe(cached);
        }),
      );
    },
  );

  it.each([["msgpack", any] as const, ["json", json] as const])(
    "take in %s hardly more bytes than the meter says",
    (format, values) => {
      fc.assert(
        fc.property(values, (value) => {
          const { length } = encode(plain(value, format), format);
          expect(bytesOf(value, format) * 1.05 + 8).toBeGreaterThanOrEqual(length);
        }),
      );
    },
  );

  it("that are plain throughout are not copied", () => {
    const value = { a: [1, { b: 1n }], d: new Date(0), u: new Uint8Array(2) };
    expect(plain(value)).toBe(value);
  });

  it("lose properties that are undefined, and have null for such elements and holes", () => {
    const inner = { kept: 1 };
    // oxlint-disable-next-line no-sparse-arrays
    const value = { a: undefined, b: [undefined, , 1], inner };
    const copy = plain(value);
    expect(copy).toStrictEqual({ b: [null, null, 1], inner });
    expect((copy as typeof value).inner).toBe(inner);
    expect(value).toHaveProperty("a");
  });

  it("have no -0", () => {
    expect(plain({ a: [-0], b: -0 })).toStrictEqual({ a: [0], b: 0 });
    expect(plain(-0)).toBe(0);
  });

  it("inherit from Object where they were made without a prototype, as they will after a restart", () => {
    const bare: unknown = Object.assign(Object.create(null), { a: 1 });
    expect(plain(bare)).toStrictEqual({ a: 1 });
    expect(plain([bare])).toStrictEqual([{ a: 1 }]);
  });

  it("have plain byte arrays instead of buffers", () => {
    const plainBytes = plain({ b: Buffer.from("x") });
    expect(plainBytes).toStrictEqual({ b: new Uint8Array([120]) });
  });

  it.each([[null], [""], [0], [false], [[]], [{}]])("K16 may be %o", (value) => {
    expect(plain(value)).toBe(value);
    expect(plain(value, "json")).toBe(value);
  });

  class Money {
    amount = 5;
  }
  const refused: readonly (readonly [string, unknown, string])[] = [
    ["undefined", undefined, "t.a"],
    ["a function", { f: () => 1 }, "t.a.f"],
    ["a symbol", { s: [Symbol("x")] }, "t.a.s"],
    ["a Map", { m: new Map() }, "t.a.m"],
    ["a Set", new Set(), "t.a"],
    ["an instance of a class", { m: new Money() }, "t.a.m"],
    ["a boxed number", new Number(1), "t.a"],
    ["floats", new Float64Array(1), "t.a"],
    ["an invalid date", { d: new Date(Number.NaN) }, "t.a.d"],
    ["a lone surrogate", { s: "\udc00" }, "t.a.s"],
    ["a key with a lone surrogate", { "\udc00": 1 }, "t.a.\udc00"],
    ["__proto__", JSON.parse('{"__proto__": 1}'), "t.a.__proto__"],
    ["what is nested too deeply", nested(101), "t.a"],
  ];
  it.each(refused)("are not %s, and the error names the path", (_, value, path) => {
    const failure = failureOf(() => plain(value));
    expect(failure).toBeInstanceOf(UnserialisableValueError);
    expect(failure).toHaveProperty("message", expect.stringContaining(path));
  });

  it("may be nested as deeply as the encoder allows, no deeper", () => {
    expect(() => encode(plain(nested(100)), "msgpack")).not.toThrow();
    expect(() => encode(nested(101), "msgpack")).toThrow(UnserialisableValueError);
  });

  it("do not contain themselves", () => {
    const loop: unknown[] = [];
    loop.push({ loop });
    expect(() => plain(loop)).toThrow(UnserialisableValueError);
  });

  it.each([
    ["a bigint", 1n],
    ["a date", new Date(0)],
    ["bytes", new Uint8Array(1)],
    ["NaN", Number.NaN],
    ["infinity", Number.NEGATIVE_INFINITY],
  ])("are not %s in JSON", (_, value) => {
    expect(() => plain({ value }, "json")).toThrow(UnserialisableValueError);
    expect(() => plain({ value }, "msgpack")).not.toThrow();
  });
});
