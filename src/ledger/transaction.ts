/** What a ledger answers with. Amounts are in minor units. */

/** A part of a lot that a posting took. */
export interface Drained {
  /** The transaction that made the lot. */
  readonly transactionVersion: number;
  /** Number of the lot in that transaction. */
  readonly lotIndex: number;
  readonly amount: bigint;
  readonly expiresAt: Date | null;
}

/** A lot that a posting made. */
export interface Made {
  readonly lotIndex: number;
  readonly amount: bigint;
  readonly expiresAt: Date | null;
}

/** A posting as it was recorded. */
export interface Posting {
  readonly source: string;
  readonly destination: string;
  readonly asset: string;
  /** What was moved. */
  readonly amount: bigint;
  /** What was asked for, where it was more. */
  readonly asked: bigint;
  /** Lots of the source that were drained; undefined where it keeps none. */
  readonly drained: readonly Drained[] | undefined;
  /** What no lot of the source covered: its debt grew by it. */
  readonly borrowed: bigint;
  /** Lots that the destination got; undefined where it keeps none. */
  readonly made: readonly Made[] | undefined;
  /** What repaid the destination's debt instead of becoming a lot. */
  readonly repaid: bigint;
}

/** A transaction as it stands in the journal. */
export interface Transaction {
  /** Its place in the stream: `<position>.<index>`. */
  readonly id: string;
  readonly position: number;
  readonly index: number;
  /** Number of the entry in the journal: 1, 2, 3 … */
  readonly version: number;
  /** Effective time. */
  readonly at: Date;
  /** When it was decided; never decreases along a journal. */
  readonly decidedAt: Date;
  readonly postings: readonly Posting[];
  readonly reference: string | undefined;
  readonly idempotencyKey: string | undefined;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** The transaction that it reverts. */
  readonly reverts: string | undefined;
  /** The transaction that reverts it, as far as this process knows. */
  readonly revertedBy: string | undefined;
  /** The hold that it captures. */
  readonly captures: string | undefined;
}

/** What became of a command. */
export interface CommandResult {
  /** Place of its entry in the stream: `<position>.<index>`; empty for a dry run. */
  readonly id: string;
  readonly position: number;
  readonly index: number;
  /** The ledger's version with it; for a dry run the one that it would have had. */
  readonly version: number;
  readonly decidedAt: Date;
  /** Whether an earlier command with the same key or reference had this result. */
  readonly replayed: boolean;
}

/** What became of a transaction. */
export interface TransactionResult extends CommandResult {
  /** What each posting moved, in their order: less than asked for only with `onShortfall: "partial"`. */
  readonly amounts: readonly bigint[];
}

/** What became of one of many. */
export type PostOutcome =
  | { readonly status: "posted"; readonly result: TransactionResult }
  /** It was not posted. */
  | { readonly status: "refused"; readonly error: Error }
  /** It may be posted: repeat it with its idempotency key or reference to find out. */
  | { readonly status: "unknown"; readonly error: Error };

/** A lot as it is. */
export interface LotInfo {
  /** The transaction that made it. */
  readonly transactionId: string;
  readonly reference: string | undefined;
  /** Number of the lot in that transaction. */
  readonly index: number;
  readonly grantedAt: Date;
  readonly expiresAt: Date | null;
  /** What it was made with. */
  readonly amount: bigint;
  /** What is left; 0 for one that was drained. */
  readonly remaining: bigint;
}

/** Unexpired funds by expiry. */
export interface BalanceDetails {
  readonly total: bigint;
  readonly debt: bigint;
  /** Never-expiring first, then ascending. */
  readonly details: readonly { readonly expiresAt: Date | null; readonly amount: bigint }[];
}

/** A hold that has not ended. */
export interface HoldInfo {
  readonly id: string;
  readonly account: string;
  readonly asset: string;
  readonly to: string;
  /** What it still reserves. */
  readonly remaining: bigint;
  readonly expiresAt: Date;
}

/** A hold, whether it has ended or not. */
export interface HoldStatus extends HoldInfo {
  /** What it reserved at first. */
  readonly amount: bigint;
  /** What it still reserves: 0 unless it is active. */
  readonly remaining: bigint;
  /** `ended` by a capture or a release, `expired` at its instant without one. */
  readonly status: "active" | "expired" | "ended";
  readonly reference: string | undefined;
  readonly idempotencyKey: string | undefined;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** When it was placed. */
  readonly decidedAt: Date;
}

/** A page of a list; `cursor` goes on behind it, and is there iff there is more. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly cursor: string | undefined;
}

/** The balance of an account in a list. */
export interface AccountBalance {
  readonly account: string;
  readonly asset: string;
  readonly balance: bigint;
}

/** Whether the books balance, for one asset. */
export interface TrialBalanceRow {
  readonly asset: string;
  /** Sum of the balances above zero. */
  readonly debits: bigint;
  /** Sum of the balances below zero, without their sign. */
  readonly credits: bigint;
  /** Sum of all balances, expired remains included: always 0. */
  readonly difference: bigint;
  /** Of that, what has expired and can no longer be spent. */
  readonly expired: bigint;
}
