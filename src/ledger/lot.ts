/** What made a lot: fixed for good, and shared by all states that know the lot. */
export interface Grant {
  /** Journal number of the granting transaction. */
  readonly version: number;
  /** Which of the lots that the transaction made. */
  readonly lotIndex: number;
  /** In milliseconds since the epoch. */
  readonly grantedAt: number;
  /** In milliseconds since the epoch, from then on it cannot be spent; null for never. */
  readonly expiresAt: number | null;
  /** Of the granting transaction, "" for none. */
  readonly reference: string;
  readonly amount: bigint;
  /** The commit of the granting transaction, one object for all its grants: its position is filled in when it is known. */
  readonly commit: { position: number; firstVersion: number };
}

/** What is left of a grant. */
export interface Lot {
  readonly grant: Grant;
  /** Above zero: what is drained wholly is no lot any more. */
  readonly remaining: bigint;
}

/** A portion of a lot that was drained. */
export interface TakenPortion {
  readonly grant: Grant;
  readonly amount: bigint;
}

/** In ms since the epoch; Infinity for never. */
export function expiryOf(grant: Grant): number {
  return grant.expiresAt ?? Number.POSITIVE_INFINITY;
}

/** Whether it was granted by an instant and has not expired at another one; at the instant of expiry it has. */
export function isDrainable(grant: Grant, grantedBy: number, at: number): boolean {
  return grant.grantedAt <= grantedBy && (grant.expiresAt === null || grant.expiresAt > at);
}

/** For messages. */
export function nameOf(grant: Grant): string {
  return `lot ${grant.lotIndex} of transaction ${grant.version}`;
}
