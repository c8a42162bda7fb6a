/**
 * What callers of a ledger give. Amounts are positive bigint in minor units of their asset; instants are Dates, exact to
 * the millisecond.
 */

/** Moves an amount from one account to another. */
export interface PostingInput {
  readonly source: string;
  readonly destination: string;
  readonly asset: string;
  readonly amount: bigint;
  /** From when on what arrives cannot be spent any more; null or undefined for never. Never later than what it is made of. */
  readonly expiresAt?: Date | null | undefined;
}

/** What all transactions may say of themselves. */
export interface TransactionDetails {
  /** Unique in its ledger for good: the same with the same content is replayed, with another one refused. */
  readonly reference?: string | undefined;
  /** Effective time; it rules lots: what was granted by then and has not expired then. @default when it is decided */
  readonly at?: Date | undefined;
  /** Plain data, stored with the transaction. */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
}

/** A transaction to post: all its postings or none. */
export interface TransactionInput extends TransactionDetails {
  /** At least one. Several of one account add up, in their order. */
  readonly postings: readonly PostingInput[];
}

/** Lets new credits into an account. */
export interface GrantInput extends TransactionDetails {
  readonly to: string;
  readonly asset: string;
  readonly amount: bigint;
  readonly expiresAt?: Date | null | undefined;
  /** @default "world" */
  readonly from?: string | undefined;
}

/** Takes credits out of an account. */
export interface SpendInput extends TransactionDetails {
  readonly from: string;
  readonly asset: string;
  readonly amount: bigint;
  /** @default "world" */
  readonly to?: string | undefined;
}

/** Who gets what of a transfer. */
export interface TransferItem {
  readonly account: string;
  readonly amount: bigint;
  readonly expiresAt?: Date | null | undefined;
}

/** Hands credits on, to one account or several. */
export interface TransferInput extends TransactionDetails {
  readonly from: string;
  readonly asset: string;
  /** Each account once, not the sender. */
  readonly to: readonly TransferItem[];
}

/** Reserves funds. */
export interface HoldInput extends TransactionDetails {
  readonly from: string;
  readonly asset: string;
  readonly amount: bigint;
  /** Whom a capture pays where it names nobody else. @default "world" */
  readonly to?: string | undefined;
  /** When the hold ends by itself. */
  readonly expiresAt: Date;
}

/** What the caller expects of the ledger at the moment of the decision. */
export interface Expectation {
  /** The ledger's version: number of the last entry of its journal. */
  readonly version?: number | undefined;
  /** Balances, unexpired lots less debt at the transaction's own time, holds not counted. */
  readonly balance?: BalanceExpectation | readonly BalanceExpectation[] | undefined;
}

/** At least so much. */
export interface BalanceExpectation {
  readonly account: string;
  readonly asset: string;
  readonly gte: bigint;
}

/** What every command takes. */
export interface CommandOptions {
  /**
   * Identifies the command: repeated with the same content it has the effect of once and reports the first result;
   * with another content it is refused. Remembered for as many commands as the ledger's `idempotencyKeys` says. A
   * command that repeats another one's reference writes nothing, so that its own key is not remembered by it.
   */
  readonly idempotencyKey?: string | undefined;
  readonly expect?: Expectation | undefined;
  /** Decide, but change nothing. The result has no id. @default false */
  readonly dryRun?: boolean | undefined;
  /** How long to wait for the outcome. @default the ledger's `commandTimeoutMs` */
  readonly timeoutMs?: number | undefined;
  /** Ends the waiting, not the command: once it was sent or waits in the queue, it may still be posted. */
  readonly signal?: AbortSignal | undefined;
}

/** What commands that take funds add. */
export interface FundsOptions extends CommandOptions {
  /** Where there is less than asked for: refuse the whole, or take what there is, the overdraft too. @default "reject" */
  readonly onShortfall?: "reject" | "partial" | undefined;
}

/** One of many. */
export interface PostManyItem extends TransactionInput {
  readonly idempotencyKey?: string | undefined;
  readonly expect?: Expectation | undefined;
  readonly onShortfall?: "reject" | "partial" | undefined;
}

/** How many are posted. */
export interface PostManyOptions {
  /** All of them or none, in one commit. @default false */
  readonly atomic?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How a transaction is reverted. */
export interface RevertOptions extends CommandOptions, Omit<TransactionDetails, "at"> {
  /** Also where an account ends below zero for it: the rest becomes its debt. @default false */
  readonly force?: boolean | undefined;
  /** Effective when the original was, instead of now. @default false */
  readonly atEffectiveDate?: boolean | undefined;
}

/** How a hold is captured. */
export interface CaptureOptions extends CommandOptions, TransactionDetails {
  /** Who is paid. @default whom the hold names */
  readonly to?: string | undefined;
  /** Of the lots that arrive, as in {@link PostingInput}. */
  readonly expiresAt?: Date | null | undefined;
  /** Whether what is not captured is released. @default true */
  readonly final?: boolean | undefined;
}
