import fc from "fast-check";
import { expect, it } from "vitest";
import { MsgpackWriter } from "../../src/internal/msgpack-writer.ts";
import { pack } from "../../src/store/packing.ts";

type Value = string | number | boolean | null | readonly Value[];

const edges = [2 ** 5, 2 ** 7, 2 ** 8, 2 ** 15, 2 ** 16, 2 ** 31, 2 ** 32, 2 ** 53 - 2];
const edge = fc.constantFrom(...edges, ...edges.map((of) => -of));
const number = fc.oneof(
  fc.integer({ min: -200, max: 300 }),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true }),
  fc.tuple(edge, fc.integer({ min: -2, max: 2 })).map(([near, off]) => near + off),
);
const text = fc.oneof(
  fc.string({ maxLength: 300, size: "max" }),
  fc.string({ unit: "binary", maxLength: 90 }),
  fc.constantFrom("x".repeat(31), "x".repeat(32), "é".repeat(16), "é😀"),
);
const { value } = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 2 },
    number,
    text,
    fc.boolean(),
    fc.constant(null),
    fc.array(tie("value"), { maxLength: 18, size: "max" }),
  ),
}));

function write(writer: MsgpackWriter, of: Value): void {
  if (of === null) writer.nil();
  else if (typeof of === "string") writer.text(of);
  else if (typeof of === "number") writer.number(of);
  else if (typeof of === "boolean") writer.boolean(of);
  else {
    writer.list(of.length);
    for (const element of of) write(writer, element);
  }
}

it("writes the bytes that msgpackr writes, and forgets what was begun and not taken", () => {
  const writer = new MsgpackWriter();
  fc.assert(
    fc.property(fc.array(value, { maxLength: 5 }), value, (values, left) => {
      writer.begin();
      for (const one of values) write(writer, one);
      const expected = Buffer.concat(values.map((one) => pack(one)));
      expect(expected.equals(writer.written)).toBe(true);
      writer.packed(pack(left));
      expect(Buffer.concat([expected, pack(left)]).equals(writer.written)).toBe(true);
    }),
    { numRuns: 500, endOnFailure: true },
  );
});

it("writes lists and texts of any length", () => {
  const writer = new MsgpackWriter();
  for (const length of [0, 15, 16, 65_535, 65_536]) {
    for (const one of [Array.from({ length }, () => 1), "x".repeat(length), "é".repeat(length)]) {
      writer.begin();
      write(writer, one);
      expect(Buffer.from(pack(one)).equals(writer.written)).toBe(true);
    }
  }
});
