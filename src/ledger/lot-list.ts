import { chunksOf } from "../internal/chunks-of.ts";
import { assertInOrder, type DrainOrder } from "./drain-order.ts";
import { InconsistentStateError } from "./errors.ts";
import { firstAfter } from "./first-after.ts";
import { type Grant, isDrainable, type Lot, nameOf, type TakenPortion } from "./lot.ts";
import {
  type Draining,
  drainingOf,
  drainLots,
  type Removal,
  removalOf,
  removeFrom,
} from "./lot-draining.ts";
import { hasWithin, joinSpans, type LotSpan, spanOf, widen } from "./lot-span.ts";
import {
  afterDrain,
  afterRemoval,
  covers,
  joinSums,
  type LotSum,
  sumGranted,
  sumOf,
  sumWithin,
  withLot,
} from "./lot-sum.ts";

export type { Grant, Lot } from "./lot.ts";

/** What {@link LotList.take} leaves, what it took, and what was not there. */
export interface Taking {
  readonly list: LotList;
  /** In the order in which the lots were drained; each lot once. */
  readonly taken: readonly TakenPortion[];
  /** 0n if all that was asked for was there. */
  readonly missing: bigint;
}

/** Most lots of a leaf, most parts of a branch. */
const WIDTH = 64;
/** Neighbours that are together no wider than this become one. */
const MERGE_WIDTH = WIDTH / 2;

let empty: LotList | undefined;

/**
 * The live lots of one holding in the order in which they are drained. Immutable: what changes it returns another list
 * that shares what has not changed, so that a savepoint is a reference.
 *
 * It is a tree of equal height everywhere: leaves of up to 64 lots, branches of up to 64 parts. Each node knows its sum
 * and, once asked, the bounds of its instants, so that what has wholly expired, or not at all, is not looked at lot by lot.
 * Most holdings are one leaf.
 */
export class LotList {
  // no static field: TypeScript 7.0 compiles one that names its own class, beside private static methods, to a reference
  // that is never set
  static get empty(): LotList {
    empty ??= new LotList([], undefined, 0, 0n, spanOf([]), undefined);
    return empty;
  }

  /** Of lots in their order by `order`. @throws {InconsistentStateError} they are not, or one of them is empty */
  static of(lots: readonly Lot[], order: DrainOrder): LotList {
    assertInOrder(lots, order);
    let parts: LotList[] = chunksOf(lots, WIDTH).map((some) => LotList.#leaf(some));
    while (parts.length > 1) parts = chunksOf(parts, WIDTH).map((some) => LotList.#branch(some));
    return parts[0] ?? LotList.empty;
  }

  /** How many lots. */
  readonly size: number;
  /** Sum of all that remains, expired or not. */
  readonly total: bigint;
  /** Of a leaf; empty in a branch. */
  readonly #lots: readonly Lot[];
  /** Of a branch, none of them empty; undefined in a leaf. */
  readonly #parts: readonly LotList[] | undefined;
  /** Measured when it is first asked for. */
  #span: LotSpan | undefined;
  /** What has not expired around the instant that was last asked for; only where some has, and some has not. */
  #counted: LotSum | undefined;

  private constructor(
    lots: readonly Lot[],
    parts: readonly LotList[] | undefined,
    size: number,
    total: bigint,
    span: LotSpan | undefined,
    counted: LotSum | undefined,
  ) {
    this.size = size;
    this.total = total;
    this.#lots = lots;
    this.#parts = parts;
    this.#span = span;
    this.#counted = counted;
  }

  /** With one lot more, at its place by `order`, which must be the same for all lots of a list. */
  insert(lot: Lot, order: DrainOrder): LotList {
    if (lot.remaining <= 0n)
      throw new InconsistentStateError(`${nameOf(lot.grant)} would be empty`);
    const last = this.#grantAt(-1);
    const grown =
      last === undefined || order(last, lot.grant) < 0
        ? this.#append(lot)
        : this.#insertWithin(lot, order);
    if (grown.#width <= WIDTH) return grown;
    return LotList.#branch(grown.#split(grown.#grantAt(-1) === lot.grant ? WIDTH : WIDTH / 2));
  }

  /** Sum of what can be drained at an instant: granted by then, and not expired then. */
  spendable(at: number): bigint {
    return this.#sum(at, at);
  }

  /** Sum of what has not expired at an instant, whenever it was or will be granted. */
  unexpired(at: number): bigint {
    return this.#sum(Number.POSITIVE_INFINITY, at);
  }

  /**
   * Drains up to `amount` from the lots that can be drained at an instant, in their order; with `prefer`, those first that
   * it is true of. Lots that are drained wholly leave the list.
   */
  take(amount: bigint, at: number, prefer?: (grant: Grant) => boolean): Taking {
    if (amount < 0n) throw new InconsistentStateError(`an amount of ${amount} cannot be taken`);
    const draining = drainingOf(amount, at, prefer);
    let list = this.#drain(draining);
    if (prefer !== undefined && draining.missing > 0n) {
      // What was preferred is gone by now, as far as it could be drained at all.
      draining.prefer = undefined;
      list = list.#drain(draining);
    }
    return { list: list.#trimmed(), taken: draining.taken, missing: draining.missing };
  }

  /**
   * Takes exactly `amount` from one lot: how a recorded drain is replayed.
   *
   * @throws InconsistentStateError if there is no such lot or it has less
   */
  remove(version: number, lotIndex: number, amount: bigint): LotList {
    if (amount <= 0n) throw new InconsistentStateError(`a drain of ${amount} cannot be replayed`);
    const list = this.#without(removalOf(version, lotIndex, amount));
    if (list === undefined) {
      throw new InconsistentStateError(
        `lot ${lotIndex} of transaction ${version} is not there, ${amount} to be taken from it`,
      );
    }
    return list.#trimmed();
  }

  /** All lots in their order. */
  [Symbol.iterator](): IterableIterator<Lot> {
    return this.#parts === undefined ? this.#lots[Symbol.iterator]() : lotsOf(this.#parts);
  }

  get #width(): number {
    return this.#parts?.length ?? this.#lots.length;
  }

  #grantAt(end: 0 | -1): Grant | undefined {
    const part = this.#parts?.at(end);
    return part === undefined ? this.#lots.at(end)?.grant : part.#grantAt(end);
  }

  /** May be one wider than allowed: whoever asked splits it. */
  #append(lot: Lot): LotList {
    const parts = this.#parts;
    const last = parts?.at(-1);
    if (parts === undefined || last === undefined) return this.#withLots([...this.#lots, lot], lot);
    return this.#withPart(parts, parts.length - 1, last.#append(lot), WIDTH, lot);
  }

  /** As {@link LotList.#append}, where the lot is not the last one. */
  #insertWithin(lot: Lot, order: DrainOrder): LotList {
    const { grant } = lot;
    const parts = this.#parts ?? [];
    const after = firstAfter(parts, (part) => order(grant, part.#grantAt(0) ?? grant) < 0);
    const place = Math.max(after - 1, 0);
    const part = parts[place];
    if (part !== undefined) {
      return this.#withPart(parts, place, part.#insertWithin(lot, order), WIDTH / 2, lot);
    }
    const at = firstAfter(this.#lots, (other) => order(grant, other.grant) <= 0);
    const next = this.#lots[at];
    if (next !== undefined && order(grant, next.grant) === 0) {
      throw new InconsistentStateError(`${nameOf(grant)} is there already`);
    }
    return this.#withLots(this.#lots.toSpliced(at, 0, lot), lot);
  }

  #withLots(lots: readonly Lot[], lot: Lot): LotList {
    const total = this.size === 0 ? lot.remaining : this.total + lot.remaining;
    const span = widen(this.#span, lot.grant);
    return new LotList(lots, undefined, lots.length, total, span, withLot(this.#counted, lot));
  }

  #withPart(
    parts: readonly LotList[],
    place: number,
    grown: LotList,
    splitAt: number,
    lot: Lot,
  ): LotList {
    const next = parts.slice();
    if (grown.#width <= WIDTH) next[place] = grown;
    else next.splice(place, 1, ...grown.#split(splitAt));
    const span = widen(this.#span, lot.grant);
    const total = this.total + lot.remaining;
    return new LotList(NO_LOTS, next, this.size + 1, total, span, withLot(this.#counted, lot));
  }

  #split(at: number): LotList[] {
    const parts = this.#parts;
    return parts === undefined
      ? [LotList.#leaf(this.#lots.slice(0, at)), LotList.#leaf(this.#lots.slice(at))]
      : [LotList.#branch(parts.slice(0, at)), LotList.#branch(parts.slice(at))];
  }

  static #leaf(lots: readonly Lot[]): LotList {
    const total = lots.reduce((sum, lot) => sum + lot.remaining, 0n);
    return new LotList(lots, undefined, lots.length, total, undefined, undefined);
  }

  static #branch(parts: readonly LotList[]): LotList {
    const total = parts.reduce((sum, part) => sum + part.total, 0n);
    return new LotList(NO_LOTS, parts, sizeOf(parts), total, undefined, undefined);
  }

  #drain(draining: Draining): LotList {
    if (this.#parts !== undefined) return this.#drainParts(this.#parts, draining);
    const asked = draining.missing;
    const left = drainLots(this.#lots, draining);
    if (left === undefined) return this;
    const { missing, soonestGone, latestGone } = draining;
    const taken = asked - missing;
    const counted = afterDrain(this.#counted, draining.at, taken);
    return this.#leftLots(left, taken, soonestGone, latestGone, counted);
  }

  /** This leaf with `lots` instead of its own, after the expiries of those that left. */
  #leftLots(
    lots: readonly Lot[],
    taken: bigint,
    soonestGone: number,
    latestGone: number,
    counted: LotSum | undefined,
  ): LotList {
    if (lots.length === 0) return LotList.empty;
    const total = lots.length === 1 ? lots[0]?.remaining : undefined;
    const keepsSpan = this.#span !== undefined && hasWithin(this.#span, soonestGone, latestGone);
    const span = keepsSpan ? this.#span : undefined;
    return new LotList(lots, undefined, lots.length, total ?? this.total - taken, span, counted);
  }

  #drainParts(parts: readonly LotList[], draining: Draining): LotList {
    const { at, missing: asked } = draining;
    const left: LotList[] = [];
    let from = -1;
    let to = 0;
    for (; draining.missing > 0n; to++) {
      const part = parts[to];
      if (part === undefined) break;
      const rest = part.#isOut(at, at) ? part : part.#drain(draining);
      if (rest !== part && from < 0) from = to;
      if (from >= 0 && rest.size > 0) left.push(rest);
    }
    if (from < 0) return this;
    const taken = asked - draining.missing;
    return this.#leftParts(parts, from, to, left, taken, afterDrain(this.#counted, at, taken));
  }

  /** This branch with `left` instead of its parts from `from` to before `to`. */
  #leftParts(
    parts: readonly LotList[],
    from: number,
    to: number,
    left: readonly LotList[],
    taken: bigint,
    counted: LotSum | undefined,
  ): LotList {
    const gone = parts.slice(from, to);
    const size = this.size - sizeOf(gone) + sizeOf(left);
    // Bounds that have become too wide do no harm, but for the soonest expiry, which decides whether lots are looked at.
    const soonest = this.#span?.soonestExpiry;
    const keepsSpan =
      soonest === Number.POSITIVE_INFINITY ||
      gone.every((part) => part.#span !== undefined && part.#span.soonestExpiry !== soonest) ||
      left.some((part) => part.#span?.soonestExpiry === soonest);
    const span = keepsSpan ? this.#span : undefined;
    const next = parts.slice(0, from);
    for (const part of left) LotList.#push(next, part);
    const following = parts[to];
    if (following !== undefined) LotList.#push(next, following);
    const all = next.concat(parts.slice(to + 1));
    return new LotList(NO_LOTS, all, size, this.total - taken, span, counted);
  }

  /** Adds a part, as one with the last where both are small. */
  static #push(parts: LotList[], part: LotList): void {
    const last = parts.at(-1);
    if (last === undefined || last.#width + part.#width > MERGE_WIDTH) parts.push(part);
    else if (last.#parts === undefined || part.#parts === undefined)
      parts[parts.length - 1] = LotList.#leaf(last.#lots.concat(part.#lots));
    else parts[parts.length - 1] = LotList.#branch(last.#parts.concat(part.#parts));
  }

  #without(removal: Removal): LotList | undefined {
    const { version, amount } = removal;
    const parts = this.#parts;
    if (parts === undefined) {
      const left = removeFrom(this.#lots, removal);
      if (left === undefined) return undefined;
      const { expiry, soonestGone, latestGone } = removal;
      const counted = afterRemoval(this.#counted, expiry, amount);
      return this.#leftLots(left, amount, soonestGone, latestGone, counted);
    }
    for (let place = 0; place < parts.length; place++) {
      const part = parts[place];
      // The first lots are drained first: most are found without measuring anything.
      if (part === undefined || (place > 0 && !part.#mayHold(version))) continue;
      const rest = part.#without(removal);
      if (rest === undefined) continue;
      const counted = afterRemoval(this.#counted, removal.expiry, amount);
      const left = rest.size > 0 ? [rest] : [];
      return this.#leftParts(parts, place, place + 1, left, amount, counted);
    }
    return undefined;
  }

  /** As a root: a branch has two parts at least. */
  #trimmed(): LotList {
    const parts = this.#parts;
    if (parts === undefined || parts.length > 1) return this;
    const [only] = parts;
    return only === undefined ? LotList.empty : only.#trimmed();
  }

  #sum(grantedBy: number, at: number): bigint {
    const parts = this.#parts;
    if (parts !== undefined && this.#isOut(grantedBy, at)) return 0n;
    // lots lie scattered in memory: what the bounds tell is far cheaper than a look at each of them
    const { soonestExpiry, latestGrant } = this.#measured();
    if (soonestExpiry > at && latestGrant <= grantedBy) return this.total;
    if (latestGrant <= grantedBy) return this.#countedAt(at).sum;
    if (parts === undefined) return sumGranted(this.#lots, grantedBy, at);
    let sum = 0n;
    for (const part of parts) if (!part.#isOut(grantedBy, at)) sum += part.#sum(grantedBy, at);
    return sum;
  }

  /** What has not expired; kept, as expired lots may lie among the others for good and are asked for again and again. */
  #countedAt(at: number): LotSum {
    const known = this.#counted;
    if (known !== undefined && covers(known, at)) return known;
    const uniform = sumWithin(this.#measured(), this.total, at);
    if (uniform !== undefined) return uniform;
    const counted =
      this.#parts === undefined
        ? sumOf(this.#lots, at)
        : joinSums(this.#parts.map((part) => part.#countedAt(at)));
    // Who asks for the past does so once.
    if (known === undefined || at >= known.from) this.#counted = counted;
    return counted;
  }

  /** Whether no lot below can count; false where that is not known. */
  #isOut(grantedBy: number, at: number): boolean {
    const first = this.#grantAt(0);
    if (first !== undefined && isDrainable(first, grantedBy, at)) return false;
    const { latestExpiry, earliestGrant } = this.#measured();
    return latestExpiry <= at || earliestGrant > grantedBy;
  }

  #mayHold(version: number): boolean {
    const { lowestVersion, highestVersion } = this.#measured();
    return version >= lowestVersion && version <= highestVersion;
  }

  #measured(): LotSpan {
    this.#span ??=
      this.#parts === undefined
        ? spanOf(this.#lots)
        : joinSpans(this.#parts.map((part) => part.#measured()));
    return this.#span;
  }
}

const NO_LOTS: readonly Lot[] = [];

function* lotsOf(parts: readonly LotList[]): Generator<Lot, undefined> {
  for (const part of parts) yield* part;
}

function sizeOf(parts: readonly LotList[]): number {
  let size = 0;
  for (const part of parts) size += part.size;
  return size;
}
