/** The bytes are not MessagePack, or hold what has no defined meaning here. */
class MalformedError extends Error {}

const Kind = { never: 0, scalar: 1, text: 2, list: 3, map: 4, extension: 5 } as const;

// by tag: what it begins, how many bytes of length follow, the length where none follow
const kinds = new Uint8Array(256).fill(Kind.scalar);
const lengthSizes = new Uint8Array(256);
const lengths = new Uint8Array(256);

fill(0x80, 16, Kind.map);
fill(0x90, 16, Kind.list);
fill(0xa0, 32, Kind.text);
kinds[0xc1] = Kind.never;
lengthSizes.set([1, 2, 4, 1, 2, 4], 0xc4);
kinds.fill(Kind.extension, 0xc7, 0xca);
lengths.set([4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 16], 0xca);
kinds.fill(Kind.extension, 0xd4, 0xd9);
lengthSizes.set([1, 2, 4, 2, 4, 2, 4], 0xd9);
kinds.set([Kind.text, Kind.text, Kind.text, Kind.list, Kind.list, Kind.map, Kind.map], 0xd9);

/** What is left to read of the containers around the current one: values, keys included. */
const outer: number[] = [];
const outerIsMap: boolean[] = [];

/**
 * Where the value ends that begins at `start`. Steps over headers only, so that nothing is made of
 * hostile bytes before they are known to be whole: msgpackr would also read extensions of its own
 * making (records, sets, errors, strings that stand elsewhere), and coerce keys.
 *
 * Assures that lists and maps are nested at most `maxDepth` deep, keys are strings and none is
 * `__proto__`, extensions are timestamps that a `Date` can hold and big integers (`bigintType`).
 *
 * @throws {MalformedError} of anything else, and where the bytes end too early
 */
export function endOfValue(
  bytes: Uint8Array,
  start: number,
  maxDepth: number,
  bigintType: number,
): number {
  let at = start;
  let depth = 0;
  let left = 1;
  let isMap = false;
  while (left > 0) {
    const tag = bytes[at];
    if (tag === undefined) throw new MalformedError("the bytes end too early");
    const isKey = isMap && left % 2 === 0;
    left--;
    const kind = kinds[tag];
    const lengthSize = lengthSizes[tag] ?? 0;
    const length = lengthSize === 0 ? (lengths[tag] ?? 0) : uintAt(bytes, at + 1, lengthSize);
    at += 1 + lengthSize;
    if (isKey) checkKey(bytes, at, kind, length);
    if (kind === Kind.list || kind === Kind.map) {
      if (depth === maxDepth) throw new MalformedError("values are nested too deep");
      outer[depth] = left;
      outerIsMap[depth++] = isMap;
      isMap = kind === Kind.map;
      left = isMap ? length * 2 : length;
      // each takes at least one byte
      if (left > bytes.length - at) throw new MalformedError("the bytes end too early");
    } else if (kind === Kind.extension) {
      checkExtension(bytes, at, length, bigintType);
      at += 1 + length;
    } else if (kind === Kind.never) {
      throw new MalformedError("byte c1 is never used in MessagePack");
    } else {
      at += length;
    }
    if (at > bytes.length) throw new MalformedError("the bytes end too early");
    while (left === 0 && depth > 0) {
      left = outer[--depth] ?? 0;
      isMap = outerIsMap[depth] ?? false;
    }
  }
  return at;
}

/** The big-endian number of `size` bytes at `at`. @throws {MalformedError} */
export function uintAt(bytes: Uint8Array, at: number, size: number): number {
  if (at + size > bytes.length) throw new MalformedError("the bytes end too early");
  let value = 0;
  for (let index = at; index < at + size; index++) value = value * 256 + (bytes[index] ?? 0);
  return value;
}

function checkKey(bytes: Uint8Array, at: number, kind: number | undefined, length: number): void {
  if (kind !== Kind.text) throw new MalformedError("a map key is no string");
  if (length === 9 && bytes[at] === 0x5f && isPrototypeKey(bytes, at)) {
    throw new MalformedError("a map has the key __proto__");
  }
}

function isPrototypeKey(bytes: Uint8Array, at: number): boolean {
  const key = "__proto__";
  for (let index = 0; index < key.length; index++) {
    if (bytes[at + index] !== key.charCodeAt(index)) return false;
  }
  return true;
}

function checkExtension(bytes: Uint8Array, at: number, length: number, bigintType: number): void {
  const type = bytes[at] ?? 0;
  if (type === bigintType) {
    if (length === 0) throw new MalformedError("a big integer has no bytes");
  } else if (type !== 0xff) {
    throw new MalformedError(`extension type ${type < 0x80 ? type : type - 0x100} is unknown`);
  } else if (!isTimestamp(bytes, at + 1, length)) {
    throw new MalformedError("a timestamp is malformed or out of range");
  }
}

/** https://github.com/msgpack/msgpack/blob/master/spec.md#timestamp-extension-type */
function isTimestamp(bytes: Uint8Array, at: number, length: number): boolean {
  if (length === 4) return true;
  if (length === 8) return uintAt(bytes, at, 4) < 1e9 * 4;
  if (length !== 12) return false;
  const nanoseconds = uintAt(bytes, at, 4);
  const seconds = (uintAt(bytes, at + 4, 4) | 0) * 2 ** 32 + uintAt(bytes, at + 8, 4);
  // the farthest that a Date reaches
  return nanoseconds < 1e9 && Math.abs(seconds * 1000 + nanoseconds / 1e6) <= 8.64e15;
}

function fill(tag: number, count: number, kind: number): void {
  kinds.fill(kind, tag, tag + count);
  for (let length = 0; length < count; length++) lengths[tag + length] = length;
}
