import type { DrainPolicyName } from "./account.ts";

/**
 * The entries of a journal: events of the actor `journal/<ledger>`. They record outcomes, not instructions: applying
 * them needs no policy, no clock and no other entry. Instants are milliseconds since 1970.
 */

/** What all entries say. */
export interface EntryCommon {
  /** When it was decided; never decreases along a journal. */
  readonly decidedAt: number;
  readonly key: string | undefined;
  /** Fingerprint of the command's content, where it has a key or a reference. */
  readonly content: number | undefined;
}

/** A part of a lot that was taken: number of the entry that made the lot, number of the lot there. */
export interface DrainedPart {
  readonly version: number;
  readonly lotIndex: number;
  readonly amount: bigint;
  readonly expiresAt: number | null;
}

/** A lot that was made. */
export interface MadeLot {
  readonly lotIndex: number;
  readonly amount: bigint;
  readonly expiresAt: number | null;
}

/** A posting and its outcome on both sides. */
export interface PostingEntry {
  readonly source: string;
  readonly destination: string;
  readonly asset: string;
  /** What was moved; 0 where there was nothing to take. */
  readonly amount: bigint;
  readonly asked: bigint;
  /** undefined where the source keeps a running sum. */
  readonly drained: readonly DrainedPart[] | undefined;
  readonly borrowed: bigint;
  /** undefined where the destination keeps a running sum. */
  readonly made: readonly MadeLot[] | undefined;
  readonly repaid: bigint;
}

/** An entry of the journal, by its place and by its number. */
export interface EntryReference {
  readonly position: number;
  readonly index: number;
  readonly version: number;
}

/** What a capture does to its hold. */
export interface Captured extends EntryReference {
  /** What the hold reserves no more. */
  readonly amount: bigint;
  /** Whether the hold has ended with it. */
  readonly ended: boolean;
}

export type Details = Readonly<Record<string, unknown>>;

/** The first entry: what the ledger was created with. */
export interface OpenedEntry extends EntryCommon {
  readonly kind: "opened";
  readonly drainPolicy: DrainPolicyName;
  readonly lots: boolean;
  /** undefined for unlimited. */
  readonly overdraft: bigint | undefined;
  readonly idempotencyKeys: number;
  /** Seeds of the fingerprints, unknown to outsiders. */
  readonly seeds: readonly [number, number];
}

export interface PostedEntry extends EntryCommon {
  readonly kind: "posted";
  readonly at: number;
  readonly postings: readonly PostingEntry[];
  readonly reference: string | undefined;
  readonly metadata: Details | undefined;
  readonly reverts: EntryReference | undefined;
  readonly captures: Captured | undefined;
}

export interface HoldPlacedEntry extends EntryCommon {
  readonly kind: "hold-placed";
  readonly at: number;
  readonly account: string;
  readonly asset: string;
  readonly amount: bigint;
  readonly to: string;
  readonly expiresAt: number;
  readonly reference: string | undefined;
  readonly metadata: Details | undefined;
}

export interface HoldReleasedEntry extends EntryCommon {
  readonly kind: "hold-released";
  readonly hold: EntryReference;
}

export interface AccountChangedEntry extends EntryCommon {
  readonly kind: "account-changed";
  readonly account: string;
  readonly lots: boolean;
  readonly issuer: boolean;
  /** undefined for unlimited. */
  readonly overdraft: bigint | undefined;
  readonly frozen: boolean;
  readonly closed: boolean;
}

/** Of an account, or of a transaction. */
export interface MetadataChangedEntry extends EntryCommon {
  readonly kind: "metadata-changed";
  readonly of: string | EntryReference;
  readonly set: Details;
  readonly deleted: readonly string[];
}

export type JournalEntry =
  | OpenedEntry
  | PostedEntry
  | HoldPlacedEntry
  | HoldReleasedEntry
  | AccountChangedEntry
  | MetadataChangedEntry;
