import { expiryOf, type Grant, type Lot } from "./lot.ts";

/** Between which bounds the lots of a group lie; a group that has lost lots may lie within narrower ones. */
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

const NOTHING: LotSpan = Object.freeze({
  soonestExpiry: INFINITE,
  latestExpiry: -INFINITE,
  earliestGrant: INFINITE,
  latestGrant: -INFINITE,
  lowestVersion: INFINITE,
  highestVersion: -INFINITE,
});

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
  return spans.reduce(join, NOTHING);
}

/** The bounds once a lot was added; undefined stays unknown. */
export function widen(span: LotSpan | undefined, grant: Grant): LotSpan | undefined {
  if (span === undefined) return undefined;
  const { grantedAt, version } = grant;
  const expiry = expiryOf(grant);
  return join(span, {
    soonestExpiry: expiry,
    latestExpiry: expiry,
    earliestGrant: grantedAt,
    latestGrant: grantedAt,
    lowestVersion: version,
    highestVersion: version,
  });
}

function join(left: LotSpan, right: LotSpan): LotSpan {
  return {
    soonestExpiry: Math.min(left.soonestExpiry, right.soonestExpiry),
    latestExpiry: Math.max(left.latestExpiry, right.latestExpiry),
    earliestGrant: Math.min(left.earliestGrant, right.earliestGrant),
    latestGrant: Math.max(left.latestGrant, right.latestGrant),
    lowestVersion: Math.min(left.lowestVersion, right.lowestVersion),
    highestVersion: Math.max(left.highestVersion, right.highestVersion),
  };
}
