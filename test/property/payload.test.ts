import * as fc from "fast-check";
import { Packr, Unpackr } from "msgpackr";
import { describe, expect, it } from "vitest";
import {
  assemblePayload,
  decodePayload,
  encodeBody,
  PayloadError,
} from "../../src/store/payload.ts";
import { UnsupportedFormatError } from "../../src/errors.ts";
import { decodeValue, encodeValue } from "../support/msgpack.ts";

const text = fc.string({ unit: "binary" });
const key = text.filter((name) => name !== "__proto__");
const date = fc.date({ noInvalidDate: true });
/** What every implementation of MessagePack knows. */
const common = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.maxSafeInteger(),
  fc.integer(),
  // -0 is written as 0
  fc.double().filter((value) => !Object.is(value, -0)),
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

function outcome(bytes: Uint8Array): string {
  try {
    decodePayload(bytes);
    return "read";
  } catch (error) {
    const refused = error instanceof PayloadError || error instanceof UnsupportedFormatError;
    return refused ? "refused" : String(error);
  }
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

  it("are the bytes that an independent implementation writes, and it reads them", () => {
    fc.assert(
      fc.property(storable, (data) => {
        const payload = [1, null, [[["t", data]]]];
        expect(Buffer.from(encode(data)).equals(encodeValue(payload))).toBe(true);
        expect(decodeValue(encode(data))).toStrictEqual(payload);
        expect(decodePayload(encodeValue(payload)).events[0]?.data).toStrictEqual(data);
      }),
    );
  });

  it("are read by msgpackr as others set it up", () => {
    const other = new Unpackr({ useRecords: false, int64AsType: "number" });
    fc.assert(
      fc.property(tree(fc.oneof(common, date)), (data) => {
        expect(other.unpack(encode(data))).toStrictEqual([1, null, [[["t", data]]]]);
      }),
    );
  });

  it("of msgpackr as others set it up are read", () => {
    const others = [
      new Packr({ useRecords: false }),
      new Packr({ useRecords: false, variableMapSize: true, encodeUndefinedAsNil: true }),
    ];
    const value = tree(fc.oneof(common, date, fc.uint8Array()));
    fc.assert(
      fc.property(value, fc.constantFrom(...others), (data, other) => {
        const bytes = other.pack([1, null, [[["t", data]]]]);
        expect(decodePayload(bytes).events).toStrictEqual([
          { type: "t", data, metadata: undefined },
        ]);
      }),
    );
  });

  it("give the integer that was written as int64 or uint64, a number where it is exact", () => {
    const other = new Packr({ useRecords: false });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
          fc.bigInt({ min: -(2n ** 53n) - 3n, max: 3n - 2n ** 53n }),
          fc.bigInt({ min: 2n ** 53n - 3n, max: 2n ** 53n + 3n }),
        ),
        (value) => {
          const safe = value >= -(2n ** 53n) && value <= 2n ** 53n;
          const data = decodePayload(other.pack([1, null, [[["t", value]]]])).events[0]?.data;
          expect(data).toBe(safe ? Number(value) : value);
        },
      ),
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
          expect(outcome(bytes)).toMatch(/^(read|refused)$/);
        },
      ),
      { numRuns: 3000 },
    );
  });

  it("of random bytes behind a valid head are refused or hold plain data only", () => {
    const tags = fc.constantFrom(0xc7, 0xd4, 0xd5, 0xd6, 0x91, 0x81, 0xc1, 0xdc, 0xde);
    const types = fc.constantFrom(0, 0x42, 0x62, 0x65, 0x69, 0x70, 0x72, 0x73, 0x74, 0x78, 0xff);
    const byte = fc.oneof(tags, types, fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(byte, { minLength: 1, maxLength: 30 }), (tail) => {
        const bytes = Buffer.concat([Buffer.from("9301c0919192a174", "hex"), Buffer.from(tail)]);
        expect(outcome(bytes)).toMatch(/^(read|refused)$/);
        if (outcome(bytes) === "refused") return;
        // what can be encoded is plain, so that nothing else came out
        const { events } = decodePayload(bytes);
        expect(encodeBody(events, undefined).length).toBeGreaterThan(0);
      }),
      { numRuns: 5000 },
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
