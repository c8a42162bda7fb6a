import fc from "fast-check";
import { Packr, Unpackr } from "msgpackr";
import { describe, expect, it } from "vitest";
import {
  assemblePayload,
  decodePayload,
  encodeBody,
  PayloadError,
} from "../../src/store/payload.ts";
import { UnsupportedFormatError } from "../../src/errors.ts";

const text = fc.string({ unit: "binary" });
const key = text.filter((name) => name !== "__proto__");
const date = fc.date({ noInvalidDate: true });
/** What every implementation of MessagePack knows. */
const common = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.maxSafeInteger(),
  fc.integer(),
  fc.double(),
  text,
);

function tree(leaf: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.array(tie("value"), { maxLength: 20 }),
      fc.dictionary(key, tie("value"), { maxKeys: 20, noNullPrototype: true }),
    ),
  })).value;
}

const storable = tree(fc.oneof(common, fc.bigInt(), fc.uint8Array(), date));
const metadata = fc.option(fc.dictionary(key, storable, { maxKeys: 3, noNullPrototype: true }), {
  nil: undefined,
});
const event = fc.record(
  {
    type: fc.string({ unit: "binary", minLength: 1, maxLength: 127 }),
    data: storable,
    metadata,
  },
  { noNullPrototype: true },
);

function encode(data: unknown): Uint8Array {
  return assemblePayload(undefined, encodeBody([{ type: "t", data }], undefined));
}

describe("payloads", () => {
  it("come back as they were written", () => {
    fc.assert(
      fc.property(
        fc.array(event, { minLength: 1, maxLength: 5 }),
        metadata,
        fc.option(fc.uint8Array({ maxLength: 400 }), { nil: undefined }),
        (events, whole, index) => {
          const decoded = decodePayload(assemblePayload(index, encodeBody(events, whole)));
          expect(decoded.events).toStrictEqual(events);
          expect(decoded.metadata).toStrictEqual(whole);
          expect(decoded.index === undefined ? undefined : [...decoded.index]).toEqual(
            index === undefined ? undefined : [...index],
          );
        },
      ),
    );
  });

  it("are read by another implementation", () => {
    const other = new Unpackr({ useRecords: false, int64AsType: "number" });
    fc.assert(
      fc.property(tree(fc.oneof(common, date)), (data) => {
        expect(other.unpack(encode(data))).toStrictEqual([1, null, [[["t", data]]]]);
      }),
    );
  });

  it("of another implementation are read", () => {
    const others = [
      new Packr({ useRecords: false }),
      new Packr({ useRecords: false, variableMapSize: true, encodeUndefinedAsNil: true }),
    ];
    // it writes -0 as 0
    const value = tree(
      fc.oneof(
        common.filter((v) => !Object.is(v, -0)),
        date,
        fc.uint8Array(),
      ),
    );
    fc.assert(
      fc.property(value, fc.constantFrom(...others), (data, other) => {
        const bytes = other.pack([1, null, [[["t", data]]]]);
        expect(decodePayload(bytes).events).toStrictEqual([
          { type: "t", data, metadata: undefined },
        ]);
      }),
    );
  });

  it("give the integer that was written as int64 or uint64, a number where it is safe", () => {
    const other = new Packr({ useRecords: false });
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }), (value) => {
        const safe = Number.isSafeInteger(Number(value));
        const data = decodePayload(other.pack([1, null, [[["t", value]]]])).events[0]?.data;
        expect(data).toBe(safe ? Number(value) : value);
      }),
    );
  });

  it("that were damaged are refused or read, never anything else", () => {
    fc.assert(
      fc.property(
        storable,
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
        fc.nat(),
        (data, damages, cut) => {
          const whole = encode(data);
          for (const [at, byte] of damages) whole[at % whole.length] = byte;
          const bytes = cut % 3 === 0 ? whole.subarray(0, cut % whole.length) : whole;
          try {
            decodePayload(bytes);
          } catch (error) {
            if (!(error instanceof PayloadError || error instanceof UnsupportedFormatError))
              throw error;
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  it("cut short anywhere are refused", () => {
    fc.assert(
      fc.property(storable, (data) => {
        const bytes = encode(data);
        for (let length = 0; length < bytes.length; length += 1 + (bytes.length >> 6)) {
          expect(() => decodePayload(bytes.subarray(0, length))).toThrow(PayloadError);
        }
      }),
      { numRuns: 50 },
    );
  });
});
