import { expiryOf, type Grant, isDrainable, type Lot, type TakenPortion } from "./lot.ts";

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

/** Drains lots in their order and returns those that stay, the last of them with less; undefined if none was drained. */
export function drainLots(lots: readonly Lot[], draining: Draining): readonly Lot[] | undefined {
  const { at, prefer, taken } = draining;
  let { missing } = draining;
  let soonestGone = Number.POSITIVE_INFINITY;
  let latestGone = Number.NEGATIVE_INFINITY;
  // What stays of the lots before `index`; undefined while all of them do.
  let kept: Lot[] | undefined;
  let index = 0;
  for (; missing > 0n; index++) {
    const lot = lots[index];
    if (lot === undefined) break;
    const { grant, remaining } = lot;
    if (!isDrainable(grant, at, at) || (prefer !== undefined && !prefer(grant))) {
      kept?.push(lot);
      continue;
    }
    kept ??= lots.slice(0, index);
    if (remaining > missing) {
      taken.push({ grant, amount: missing });
      kept.push({ grant, remaining: remaining - missing });
      missing = 0n;
    } else {
      taken.push({ grant, amount: remaining });
      missing -= remaining;
      const expiry = expiryOf(grant);
      if (expiry < soonestGone) soonestGone = expiry;
      if (expiry > latestGone) latestGone = expiry;
    }
  }
  if (kept === undefined) return undefined;
  draining.missing = missing;
  draining.soonestGone = soonestGone;
  draining.latestGone = latestGone;
  return index < lots.length ? kept.concat(lots.slice(index)) : kept;
}
