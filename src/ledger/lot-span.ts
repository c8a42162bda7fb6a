import { expiryOf, type Grant, type Lot } from "./lot.ts";

/** Between which bounds the lots of a group lie; one that has lost lots may lie within narrower ones. */
export interface LotSpan {
  /** In ms; Infinity where no lot expires. */
  readonly soonestExpiry: number;
  /** In ms; Infinity where a lot never expires. */
  readonly latestExpiry: number;
  readonly earliestGrant: number;
  readonly latestGrant: number;
  /** Journal numbers of the granting transactions. */
  readonly lowestVersion: number;
  readonly highestVersion: number;
}

const INFINITE: number = Number.POSITIVE_INFINITY;

/** The bounds of some lots. */
export function spanOf(lots: readonly Lot[]): LotSpan {
  let soonestExpiry = INFINITE;
  let latestExpiry = -INFINITE;
  let earliestGrant = INFINITE;
  let latestGrant = -INFINITE;
  let lowestVersion = INFINITE;
  let highestVersion = -INFINITE;
  for (const { grant } of lots) {
    const expiry = expiryOf(grant);
    if (expiry < soonestExpiry) soonestExpiry = expiry;
    if (expiry > latestExpiry) latestExpiry = expiry;
    if (grant.grantedAt < earliestGrant) earliestGrant = grant.grantedAt;
    if (grant.grantedAt > latestGrant) latestGrant = grant.grantedAt;
    if (grant.version < lowestVersion) lowestVersion = grant.version;
    if (grant.version > highestVersion) highestVersion = grant.version;
  }
  return {
    soonestExpiry,
    latestExpiry,
    earliestGrant,
    latestGrant,
    lowestVersion,
    highestVersion,
  };
}

/** The bounds of several groups together. */
export function joinSpans(spans: readonly LotSpan[]): LotSpan {
  let soonestExpiry = INFINITE;
  let latestExpiry = -INFINITE;
  let earliestGrant = INFINITE;
  let latestGrant = -INFINITE;
  let lowestVersion = INFINITE;
  let highestVersion = -INFINITE;
  for (const span of spans) {
    if (span.soonestExpiry < soonestExpiry) soonestExpiry = span.soonestExpiry;
    if (span.latestExpiry > latestExpiry) latestExpiry = span.latestExpiry;
    if (span.earliestGrant < earliestGrant) earliestGrant = span.earliestGrant;
    if (span.latestGrant > latestGrant) latestGrant = span.latestGrant;
    if (span.lowestVersion < lowestVersion) lowestVersion = span.lowestVersion;
    if (span.highestVersion > highestVersion) highestVersion = span.highestVersion;
  }
  return {
    soonestExpiry,
    latestExpiry,
    earliestGrant,
    latestGrant,
    lowestVersion,
    highestVersion,
  };
}

/** Whether the expiries of lots leave both bounds to other lots, so that the span holds without them too. */
export function hasWithin(span: LotSpan, soonest: number, latest: number): boolean {
  if (span.soonestExpiry === INFINITE) return true;
  return soonest > span.soonestExpiry && latest < span.latestExpiry;
}

/** The bounds once a lot was added; undefined stays unknown. */
export function widen(span: LotSpan | undefined, grant: Grant): LotSpan | undefined {
  if (span === undefined) return undefined;
  const { grantedAt, version } = grant;
  const expiry = expiryOf(grant);
  return {
    soonestExpiry: Math.min(span.soonestExpiry, expiry),
    latestExpiry: Math.max(span.latestExpiry, expiry),
    earliestGrant: Math.min(span.earliestGrant, grantedAt),
    latestGrant: Math.max(span.latestGrant, grantedAt),
    lowestVersion: Math.min(span.lowestVersion, version),
    highestVersion: Math.max(span.highestVersion, version),
  };
}
