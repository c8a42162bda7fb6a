import { inspect } from "node:util";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { InvalidArgumentError, UnserialisableValueError } from "../../../src/errors.ts";
import {
  assemblePayload,
  type DecodedEvent,
  decodePayload,
  encodeBody,
  type EventInput,
  sameEvents,
} from "../../../src/store/payload.ts";

function roundTrip(data: unknown): unknown {
  return decode([{ type: "t", data }])[0]?.data;
}

function decode(events: readonly EventInput[]): readonly DecodedEvent[] {
  return decodePayload(assemblePayload(undefined, encodeBody(events, undefined))).events;
}

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = [value];
  return value;
}

class Money {
  amount = 5;
  toJSON(): number {
    return this.amount;
  }
}

describe("encodeBody", () => {
  const refused: readonly (readonly [string, unknown, string])[] = [
    ["a Map", new Map(), ""],
    ["a Set", { a: new Set() }, ".a"],
    ["a function", { a: [0, { b: () => 1 }] }, ".a[1].b"],
    ["a symbol", [Symbol("x")], "[0]"],
    ["an invalid date", { when: new Date(Number.NaN) }, ".when"],
    ["a key __proto__", JSON.parse('{"a":{"__proto__":1}}'), ".a.__proto__"],
    ["a class instance, toJSON or not", { price: new Money() }, ".price"],
    ["a RegExp", { "a key": /x/ }, '["a key"]'],
    ["an Error", [1, new Error("x")], "[1]"],
    ["a Promise", Promise.resolve(), ""],
    ["a boxed string", Object("x"), ""],
    ["a typed array other than Uint8Array", { a: new Float64Array(1) }, ".a"],
    ["an ArrayBuffer", new ArrayBuffer(1), ""],
    ["a DataView", new DataView(new ArrayBuffer(1)), ""],
    ["a lone surrogate", { a: "x\ud800" }, ".a"],
    ["a lone surrogate in a long string", `${"x".repeat(100)}\udc00`, ""],
    ["a lone surrogate in a key", { "\ud800": 1 }, '["\\ud800"]'],
    ["101 levels", { deep: nested(100) }, `.deep${"[0]".repeat(99)}`],
    ["a URL", { at: new URL("nats://127.0.0.1") }, ".at"],
  ];

  it.each(refused)("refuses %s and names its path", (_name, data, path) => {
    const events = [
      { type: "fine", data: { a: 1 } },
      { type: "t", data },
    ];
    let found: unknown;
    try {
      encodeBody(events, undefined);
    } catch (error) {
      found = error;
    }
    expect(found).toBeInstanceOf(UnserialisableValueError);
    const root = `events[1].data${path}`;
    const shown = root.length > 200 ? root.slice(0, 200) : root;
    expect(found).toHaveProperty("path", expect.stringContaining(shown));
    expect(found).toHaveProperty(
      "message",
      expect.stringMatching(/cannot be stored|nested deeper/),
    );
  });

  it("refuses a value that contains itself", () => {
    const value: { self?: unknown } = {};
    value.self = value;
    expect(() => roundTrip(value)).toThrow(UnserialisableValueError);
    expect(() => roundTrip(value)).toThrow(/contains itself/);
  });

  it("names the path in metadata of an event and of the commit", () => {
    const bad = { trace: new Map() };
    expect(() => encodeBody([{ type: "t", metadata: bad }], undefined)).toThrow(
      /^events\[0\]\.metadata\.trace:/,
    );
    expect(() => encodeBody([{ type: "t" }], bad)).toThrow(/^metadata\.trace:/);
  });

  it("encodes the next commit rightly after one was refused", () => {
    expect(() => roundTrip({ a: "x".repeat(50), b: [1, new Map()] })).toThrow(/data\.b\[1\]/);
    expect(roundTrip({ a: 1 })).toStrictEqual({ a: 1 });
  });

  it.each([
    ["no list", JSON.parse('"x"'), "events"],
    ["an empty list", [], "events"],
    ["an event that is null", [null], "events[0]"],
    ["an event that is undefined", [{ type: "t" }, undefined], "events[1]"],
    ["nothing but holes", Object.assign([], { length: 2 }), "events[0]"],
    ["a type that is missing", [{ type: "t" }, {}], "events[1].type"],
    ["an empty type", [{ type: "" }], "events[0].type"],
    ["a type of 256 characters", [{ type: "x".repeat(256) }], "events[0].type"],
    ["a type with a lone surrogate", [{ type: "\ud800" }], "events[0].type"],
    ["metadata that is a list", [{ type: "t", metadata: [] }], "events[0].metadata"],
    ["metadata that is a date", [{ type: "t", metadata: new Date(0) }], "events[0].metadata"],
    ["metadata that is null", [{ type: "t", metadata: null }], "events[0].metadata"],
  ])("refuses %s", (_name, events, argument) => {
    expect(() => encodeBody(events, undefined)).toThrow(InvalidArgumentError);
    expect(() => encodeBody(events, undefined)).toThrow(expect.objectContaining({ argument }));
  });

  it("encodes a commit rightly while a getter in its data encodes another", () => {
    const data = {
      before: "x",
      get inner(): unknown {
        return roundTrip({ deep: ["y".repeat(100)] });
      },
      after: "z",
    };
    expect(roundTrip(data)).toStrictEqual({
      before: "x",
      inner: { deep: ["y".repeat(100)] },
      after: "z",
    });
  });
});

describe("what comes back", () => {
  it("is null for undefined where a place must be filled, and nothing for a property", () => {
    expect(roundTrip(undefined)).toBeNull();
    expect(roundTrip([undefined, 1])).toStrictEqual([null, 1]);
    expect(roundTrip({ a: undefined, b: null })).toStrictEqual({ b: null });
    const many = Object.fromEntries(
      Array.from({ length: 20 }, (_, n) => [`k${n}`, n > 4 ? n : undefined]),
    );
    expect(Object.keys(Object(roundTrip(many)))).toHaveLength(15);
  });

  it("is a big integer for a big integer of any size, and a number for a number", () => {
    for (const value of [
      5n,
      0n,
      -1n,
      127n,
      128n,
      -128n,
      -129n,
      2n ** 47n,
      -(2n ** 47n) - 1n,
      2n ** 53n,
      2n ** 63n,
      2n ** 64n,
      2n ** 200n,
      -(2n ** 200n),
      2n ** 5000n,
      5,
      0,
      2 ** 32,
      -(2 ** 31) - 1,
      2 ** 60,
      0.1,
      Number.NaN,
    ]) {
      expect(roundTrip(value)).toStrictEqual(value);
    }
  });

  it("is 0 for -0", () => {
    expect(roundTrip([-0])).toStrictEqual([0]);
  });

  it("is the same for objects with keys that mean something in JavaScript", () => {
    const data = { constructor: "x", toJSON: 1, prototype: { hasOwnProperty: null }, length: 2n };
    // compared as text because toStrictEqual looks at the constructor
    expect(inspect(roundTrip(data))).toBe(inspect(data));
  });

  it("leaves the data that was given as it was", () => {
    const data = { a: [1n, undefined], b: undefined, c: { d: 1 } };
    roundTrip(data);
    expect(data).toStrictEqual({ a: [1n, undefined], b: undefined, c: { d: 1 } });
  });

  it("is a Uint8Array with its own memory for bytes, whatever they were in", () => {
    const payload = assemblePayload(
      undefined,
      encodeBody([{ type: "t", data: Buffer.from([1, 2]) }], undefined),
    );
    const data = decodePayload(payload).events[0]?.data;
    expect(data).toStrictEqual(new Uint8Array([1, 2]));
    if (!(data instanceof Uint8Array)) throw new Error("no bytes");
    expect(Buffer.isBuffer(data)).toBe(false);
    expect(data.buffer.byteLength).toBe(2);
    payload.fill(0);
    expect(payload.buffer).not.toBe(data.buffer);
    expect([...data]).toEqual([1, 2]);
  });

  it("is the same for strings of every length around the header sizes", () => {
    for (const length of [
      0, 1, 12, 13, 31, 32, 47, 48, 85, 86, 127, 128, 255, 256, 21845, 65535, 65536,
    ]) {
      for (const character of ["a", "é", "€", "🙂"]) {
        const text = character.repeat(length);
        expect(roundTrip(text) === text).toBe(true);
        expect(roundTrip(`a${text}`) === `a${text}`).toBe(true);
      }
    }
  });

  it("is plain for objects and dates of another realm and objects without prototype", () => {
    expect(roundTrip(runInNewContext("({ a: [new Date(5), new Uint8Array(1)] })"))).toStrictEqual({
      a: [new Date(5), new Uint8Array(1)],
    });
    expect(roundTrip(Object.assign(Object.create(null), { a: 1 }))).toStrictEqual({ a: 1 });
  });

  it("is all of 100 levels, of a commit of 5,000 events, and of one of 10 MB", () => {
    expect(roundTrip(nested(100))).toStrictEqual(nested(100));
    const events = Array.from({ length: 5000 }, (_, n) => ({ type: "t", data: { n } }));
    expect(decode(events).map((event) => event.data)).toEqual(events.map((event) => event.data));
    const large = ["x".repeat(5_000_000), new Uint8Array(5_000_000).fill(7)];
    expect(
      Buffer.from(encodeBody([{ type: "t", data: roundTrip(large) }], undefined)).equals(
        Buffer.from(encodeBody([{ type: "t", data: large }], undefined)),
      ),
    ).toBe(true);
  });

  it("reads a payload that stands in the middle of a larger chunk", () => {
    const payload = assemblePayload(
      new Uint8Array([0]),
      encodeBody([{ type: "t", data: 1.5 }], undefined),
    );
    const chunk = new Uint8Array(payload.length + 20).fill(0xc1);
    chunk.set(payload, 7);
    const decoded = decodePayload(chunk.subarray(7, 7 + payload.length));
    expect(decoded.events[0]?.data).toBe(1.5);
    expect([...(decoded.index ?? [])]).toEqual([0]);
  });
});

describe("sameEvents", () => {
  const events = (...data: unknown[]) => decode(data.map((value) => ({ type: "t", data: value })));

  it("holds whatever the order of keys, with dates, bytes, big integers and NaN", () => {
    const when = new Date(5);
    const bytes = new Uint8Array([1]);
    const a = events({ a: 1n, b: [when, bytes, Number.NaN], c: undefined });
    const b = events({ b: [new Date(5), bytes, Number.NaN], a: 1n });
    expect(sameEvents(a, b)).toBe(true);
  });

  it.each([
    [1, 2],
    [1, 1n],
    [1, "1"],
    [{}, []],
    [{ a: 1 }, { b: 1 }],
    [{ a: 1 }, { a: 1, b: 1 }],
    [null, {}],
    [[1], [1, 2]],
    [new Date(1), new Date(2)],
    [new Date(1), {}],
    [{}, new Date(1)],
    [new Uint8Array([1]), new Uint8Array([2])],
    [new Uint8Array([1]), { 0: 1 }],
    [[], new Uint8Array(0)],
  ])("tells %o from %o", (a, b) => {
    expect(sameEvents(events(a), events(b))).toBe(false);
  });

  it("tells apart types, order and number of events, and does not look at metadata", () => {
    expect(sameEvents(events(1), decode([{ type: "u", data: 1 }]))).toBe(false);
    expect(sameEvents(events(1, 2), events(2, 1))).toBe(false);
    expect(sameEvents(events(1), events(1, 1))).toBe(false);
    expect(sameEvents(events(1), decode([{ type: "t", data: 1, metadata: { a: 1 } }]))).toBe(true);
  });
});
