import { InconsistentStateError } from "./errors.ts";
import { expiryOf, type Grant, isDrainable, type Lot, nameOf, type TakenPortion } from "./lot.ts";

/** A take under way: what it wants, and what it has so far. */
export interface Draining {
  /** In ms: lots are drained that were granted by then and have not expired then. */
  readonly at: number;
  /** Only grants that it is true of; undefined for all. */
  prefer: ((grant: Grant) => boolean) | undefined;
  readonly taken: TakenPortion[];
  missing: bigint;
  /** The soonest expiry of the lots of a leaf that were drained wholly; Infinity while there is none. */
  soonestGone: number;
  /** The latest one; -Infinity while there is none. */
  latestGone: number;
}

export function drainingOf(amount: bigint, at: number, prefer: Draining["prefer"]): Draining {
  const [soonestGone, latestGone] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  return { at, prefer, taken: [], missing: amount, soonestGone, latestGone };
}

/** Drains lots in their order and returns those that stay, the last of them with less; undefined if none was drained. */
export function drainLots(lots: readonly Lot[], draining: Draining): readonly Lot[] | undefined {
  const { at, prefer, taken } = draining;
  let { missing } = draining;
  let soonestGone = Number.POSITIVE_INFINITY;
  let latestGone = Number.NEGATIVE_INFINITY;
  // Those before `index` that cannot be drained: rarely any.
  let passed: Lot[] | undefined;
  let index = 0;
  // What is left of the one before `index`, and whether something was drained at all.
  let rest: Lot | undefined;
  let hasDrained = false;
  for (; missing > 0n; index++) {
    const lot = lots[index];
    if (lot === undefined) break;
    const { grant, remaining } = lot;
    if (!isDrainable(grant, at, at) || (prefer !== undefined && !prefer(grant))) {
      if (passed === undefined) passed = [lot];
      else passed.push(lot);
      continue;
    }
    hasDrained = true;
    if (remaining > missing) {
      taken.push({ grant, amount: missing });
      rest = { grant, remaining: remaining - missing };
      missing = 0n;
    } else {
      taken.push({ grant, amount: remaining });
      missing -= remaining;
      const expiry = expiryOf(grant);
      if (expiry < soonestGone) soonestGone = expiry;
      if (expiry > latestGone) latestGone = expiry;
    }
  }
  if (!hasDrained) return undefined;
  draining.missing = missing;
  draining.soonestGone = soonestGone;
  draining.latestGone = latestGone;
  const left = lots.slice(rest === undefined ? index : index - 1);
  if (rest !== undefined) left[0] = rest;
  return passed === undefined ? left : passed.concat(left);
}

/** A recorded drain of one lot that is replayed. */
export interface Removal {
  readonly version: number;
  readonly lotIndex: number;
  readonly amount: bigint;
  /** Of the lot, once it is found. */
  expiry: number;
  /** As in {@link Draining}. */
  soonestGone: number;
  latestGone: number;
}

export function removalOf(version: number, lotIndex: number, amount: bigint): Removal {
  const [soonestGone, latestGone] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  return { version, lotIndex, amount, expiry: soonestGone, soonestGone, latestGone };
}

/** The lots that stay; undefined if the lot is not among them. */
export function removeFrom(lots: readonly Lot[], removal: Removal): readonly Lot[] | undefined {
  const { version, lotIndex, amount } = removal;
  const place = lots.findIndex(
    ({ grant }) => grant.version === version && grant.lotIndex === lotIndex,
  );
  const lot = lots[place];
  if (lot === undefined) return undefined;
  const { grant, remaining } = lot;
  removal.expiry = expiryOf(grant);
  if (remaining < amount) {
    throw new InconsistentStateError(
      `${nameOf(grant)} has ${remaining} left, ${amount} to be taken`,
    );
  }
  if (remaining === amount) {
    removal.soonestGone = removal.expiry;
    removal.latestGone = removal.expiry;
    return lots.toSpliced(place, 1);
  }
  return lots.with(place, { grant, remaining: remaining - amount });
}
