import type { DrainPolicyName } from "./account.ts";
import { InconsistentStateError } from "./errors.ts";
import { type Grant, type Lot, nameOf } from "./lot.ts";

/** Negative where `left` is drained before `right`, positive where after; 0 only for one and the same grant. */
export type DrainOrder = (left: Grant, right: Grant) => number;

/** The order of a policy. A new rule is a new name: what a name means never changes. */
export function drainOrder(policy: DrainPolicyName): DrainOrder {
  switch (policy) {
    case "emission-first@1":
      return emissionFirst;
    case "expiration-first@1":
      return expirationFirst;
    default:
      return policy satisfies never;
  }
}

/** @throws {InconsistentStateError} lots do not stand in their order, or one of them is empty */
export function assertInOrder(lots: readonly Lot[], order: DrainOrder): void {
  let last: Grant | undefined;
  for (const { grant, remaining } of lots) {
    if (remaining <= 0n) throw new InconsistentStateError(`${nameOf(grant)} would be empty`);
    if (last !== undefined && order(last, grant) >= 0)
      throw new InconsistentStateError(`${nameOf(grant)} stands behind ${nameOf(last)}`);
    last = grant;
  }
}

/** (granted at, reference by UTF-16 code unit, journal number, index), ascending. */
function emissionFirst(left: Grant, right: Grant): number {
  if (left.grantedAt !== right.grantedAt) return left.grantedAt < right.grantedAt ? -1 : 1;
  if (left.reference !== right.reference) return left.reference < right.reference ? -1 : 1;
  if (left.version !== right.version) return left.version < right.version ? -1 : 1;
  return left.lotIndex - right.lotIndex;
}

/** Expiry ascending, never-expiring last, then as {@link emissionFirst}. */
function expirationFirst(left: Grant, right: Grant): number {
  const leftEnd = left.expiresAt ?? Number.POSITIVE_INFINITY;
  const rightEnd = right.expiresAt ?? Number.POSITIVE_INFINITY;
  if (leftEnd !== rightEnd) return leftEnd < rightEnd ? -1 : 1;
  return emissionFirst(left, right);
}
