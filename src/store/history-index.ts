import { maxVarintBytes, VarintReader, writeVarint } from "../internal/varint.ts";

/**
 * The history index: pointers that each commit carries to earlier commits of its actor, so that
 * from an actor's head any commit is at most as many hops away as the head's ordinal has base-16
 * digits.
 *
 * Commit `n` points to its earlier siblings in its group of 16, to the last commits of the earlier
 * groups in its block of 256, to the last commits of the earlier blocks in their block of 4096, and
 * so on: as many pointers as the sum of the base-16 digits of `n`. See docs/wire-format.md.
 */

const base = 16;

/** What one commit carries. Immutable; arrays may be shared between indexes. */
export interface HistoryIndex {
  /** Number of the commit within its epoch, from 0. */
  readonly ordinal: number;
  /**
   * Sequence of the predecessor where the epoch began behind commits without index; 0 = there are
   * none.
   */
  readonly unindexedBelow: number;
  /** Flat, newest first: sequence, version (of the commit's last event), sequence, version … */
  readonly pointers: readonly number[];
}

/**
 * The index of the first commit of an epoch; `unindexedBelow` is its predecessor's sequence, 0 =
 * none.
 */
export function firstIndex(unindexedBelow: number): HistoryIndex {
  return { ordinal: 0, unindexedBelow, pointers: [] };
}

/**
 * The index of the commit that follows the commit carrying `index`.
 *
 * @param sequence stream sequence of the commit carrying `index`
 * @param version version of that commit's last event
 */
export function nextIndex(index: HistoryIndex, sequence: number, version: number): HistoryIndex {
  const { ordinal, unindexedBelow, pointers } = index;
  if (sequence <= (pointers[0] ?? unindexedBelow) || version <= (pointers[1] ?? 0)) {
    throw new RangeError(`history index: commit ${sequence}, version ${version} is no successor`);
  }
  // a full group (digit F) is from now on stood for by its last commit, which is the new pointer
  let covered = 0;
  for (let rest = ordinal; rest % base === base - 1; rest = Math.floor(rest / base)) {
    covered += base - 1;
  }
  const next = [sequence, version];
  for (let at = covered * 2; at < pointers.length; at++) next.push(numberAt(pointers, at));
  return { ordinal: ordinal + 1, unindexedBelow, pointers: next };
}

/**
 * How many pointers the commit with this ordinal carries: the sum of the ordinal's base-16 digits.
 */
export function pointerCount(ordinal: number): number {
  let sum = 0;
  for (let rest = ordinal; rest > 0; rest = Math.floor(rest / base)) sum += rest % base;
  return sum;
}

/**
 * The pointers of one commit that must be followed to reach every commit holding a version from
 * `fromVersion` to `toVersion`.
 *
 * A pointer stands for the versions above the pointer next to it (the next older one) up to its
 * own. Where it is followed, the commit found there answers for the same versions: call this
 * function on its index with the `low` given here. From the actor's head, `low` is 0. Each commit
 * is reached exactly once. Commits below an epoch are not reached by pointers: the reader goes on
 * at `unindexedBelow` when the commit of ordinal 0 still begins above `fromVersion`.
 *
 * @param low versions up to here are answered for by other pointers
 * @returns flat, newest first: sequence, version, low, sequence, version, low …
 */
export function pointersWithin(
  index: HistoryIndex,
  fromVersion: number,
  toVersion: number,
  low: number,
): number[] {
  const { pointers } = index;
  const found: number[] = [];
  for (let at = 0; at < pointers.length; at += 2) {
    const version = numberAt(pointers, at + 1);
    if (version <= low || version < fromVersion) break;
    const lower = Math.max(low, pointers[at + 3] ?? 0);
    if (lower < toVersion) found.push(numberAt(pointers, at), version, lower);
  }
  return found;
}

let scratch = new Uint8Array(4096);

/**
 * The index as bytes: varints `unindexedBelow`, then newest first per pointer its sequence and
 * version, the first one absolute, each later one as the distance (at least 1) from the pointer
 * before it. The ordinal is not in the bytes: the commit's `Annal-Version` header has it.
 */
export function encodeIndex(index: HistoryIndex): Uint8Array {
  return indexBytes(index).slice();
}

/** The same as a view that is good until the next call: an append copies it into its payload at once. */
export function indexBytes(index: HistoryIndex): Uint8Array {
  const { pointers, unindexedBelow } = index;
  const room = (pointers.length + 1) * maxVarintBytes;
  if (room > scratch.length) scratch = new Uint8Array(room * 2);
  const bytes = scratch;
  let end = writeVarint(bytes, 0, unindexedBelow);
  let sequence = 0;
  let version = 0;
  for (let at = 0; at < pointers.length; at += 2) {
    const nextSequence = numberAt(pointers, at);
    const nextVersion = numberAt(pointers, at + 1);
    end = writeVarint(bytes, end, at === 0 ? nextSequence : sequence - nextSequence);
    end = writeVarint(bytes, end, at === 0 ? nextVersion : version - nextVersion);
    sequence = nextSequence;
    version = nextVersion;
  }
  // up to 64 bytes live in the JavaScript heap; above, memory of its own would cost more than all
  // of this
  if (end <= 64) return bytes.subarray(0, end);
  const encoded = Buffer.allocUnsafe(end);
  encoded.set(bytes.subarray(0, end));
  return encoded;
}

/**
 * The index of the commit with this ordinal, or undefined where the bytes are not one: wrong number
 * of pointers, sequences or versions not falling, a pointer at or below `unindexedBelow`, left-over
 * bytes.
 */
export function decodeIndex(bytes: Uint8Array, ordinal: number): HistoryIndex | undefined {
  if (!Number.isSafeInteger(ordinal) || ordinal < 0) return undefined;
  const count = pointerCount(ordinal);
  if (bytes.length < 1 + count * 2) return undefined;
  const reader = new VarintReader(bytes);
  const unindexedBelow = reader.next();
  if (Number.isNaN(unindexedBelow)) return undefined;
  const pointers: number[] = [];
  let sequence = 0;
  let version = 0;
  for (let left = count; left > 0; left--) {
    const first = left === count;
    const sequenceStep = reader.next();
    const versionStep = reader.next();
    // also refuses NaN
    if (!(sequenceStep > 0 && versionStep > 0)) return undefined;
    sequence = first ? sequenceStep : sequence - sequenceStep;
    version = first ? versionStep : version - versionStep;
    if (sequence <= unindexedBelow || version <= 0) return undefined;
    pointers.push(sequence, version);
  }
  return reader.atEnd ? { ordinal, unindexedBelow, pointers } : undefined;
}

function numberAt(list: readonly number[], at: number): number {
  const value = list[at];
  if (value === undefined) throw new RangeError(`history index: no number at ${at}`);
  return value;
}
