import { addExtension, Packr, Unpackr } from "msgpackr";
import { BigInteger, bigintFromBytes, bigintToBytes } from "../internal/big-integer.ts";

/**
 * MessagePack as this package uses it: msgpackr without what it adds to the standard (records,
 * bundled strings, references, JavaScript's own types).
 */

/** Extension type of a big integer: the one that msgpackr itself uses, in the same form. */
export const bigintExtension = 0x42;

// msgpackr keeps readers by type and for the whole process: this one takes the place of its own,
// which reads the same; writers are kept by class, and nobody else has this class
addExtension({
  Class: BigInteger,
  type: bigintExtension,
  pack: (integer: BigInteger) => bigintToBytes(integer.value),
  unpack: bigintFromBytes,
});

const packr = new Packr({
  useRecords: false,
  // the shortest headers, as every other implementation writes them
  variableMapSize: true,
  encodeUndefinedAsNil: true,
  // a property named toJSON is data
  useToJSON: false,
});

// "auto" (a number where it is exact, else a bigint) is missing from the type of the options
const unpackOptions: object = {
  useRecords: false,
  mapsAsObjects: true,
  int64AsType: "auto",
  copyBuffers: true,
  structuredClone: false,
};
const unpackr = new Unpackr(unpackOptions);

/**
 * The bytes of a value that `serialisable` returned; a slice of a larger buffer, never written to
 * again.
 */
export function pack(value: unknown): Uint8Array {
  return packr.pack(value);
}

/** The value in `bytes` from `start` to `end`, which `endOfValue` found whole. A copy throughout. */
export function unpack(bytes: Uint8Array, start: number, end: number): unknown {
  // a plain view, because the byte arrays cut out of a Buffer would be Buffers
  return unpackr.unpack(new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start));
}
