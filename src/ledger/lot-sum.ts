import { expiryOf, isDrainable, type Lot } from "./lot.ts";
import type { LotSpan } from "./lot-span.ts";

/** What has not expired of some lots, at every instant from `from` to before `until`: no lot expires between. */
export interface LotSum {
  /** In ms. */
  readonly from: number;
  readonly until: number;
  readonly sum: bigint;
}

const FOREVER = { from: Number.NEGATIVE_INFINITY, until: Number.POSITIVE_INFINITY };

/** Sums what has not expired at an instant. */
export function sumOf(lots: readonly Lot[], at: number): LotSum {
  let { from, until } = FOREVER;
  let sum = 0n;
  for (const { grant, remaining } of lots) {
    const expiry = expiryOf(grant);
    if (expiry > at) {
      sum += remaining;
      if (expiry < until) until = expiry;
    } else if (expiry > from) from = expiry;
  }
  return { from, until, sum };
}

/** What the bounds of lots tell of their sum: all of it or nothing has not expired; undefined where it may be some. */
export function sumWithin(span: LotSpan, total: bigint, at: number): LotSum | undefined {
  const { soonestExpiry, latestExpiry } = span;
  if (soonestExpiry > at) return { from: FOREVER.from, until: soonestExpiry, sum: total };
  if (latestExpiry <= at) return { from: latestExpiry, until: FOREVER.until, sum: 0n };
  return undefined;
}

/** Sums what was granted by an instant and has not expired at another one. */
export function sumGranted(lots: readonly Lot[], grantedBy: number, at: number): bigint {
  let sum = 0n;
  for (const lot of lots) if (isDrainable(lot.grant, grantedBy, at)) sum += lot.remaining;
  return sum;
}

/** The sums of several groups as one. */
export function joinSums(sums: readonly LotSum[]): LotSum {
  let { from, until } = FOREVER;
  let sum = 0n;
  for (const each of sums) {
    sum += each.sum;
    if (each.from > from) from = each.from;
    if (each.until < until) until = each.until;
  }
  return { from, until, sum };
}

/** Whether it tells what has not expired at an instant. */
export function covers(sum: LotSum, at: number): boolean {
  return at >= sum.from && at < sum.until;
}

/** The sum with a lot more; undefined stays unknown. */
export function withLot(known: LotSum | undefined, lot: Lot): LotSum | undefined {
  if (known === undefined) return undefined;
  const { from, until, sum } = known;
  const expiry = expiryOf(lot.grant);
  if (expiry <= from) return known;
  return { from, until: Math.min(until, expiry), sum: sum + lot.remaining };
}

/** The sum after something was drained at an instant; unknown if it does not tell of that instant. */
export function afterDrain(
  known: LotSum | undefined,
  at: number,
  drained: bigint,
): LotSum | undefined {
  if (known === undefined || !covers(known, at)) return undefined;
  return { from: known.from, until: known.until, sum: known.sum - drained };
}

/** The sum after a lot of some expiry was drained at an instant that is not known any more. */
export function afterRemoval(
  known: LotSum | undefined,
  expiry: number,
  drained: bigint,
): LotSum | undefined {
  if (known === undefined || expiry <= known.from) return known;
  return { from: known.from, until: known.until, sum: known.sum - drained };
}
