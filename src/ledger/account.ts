/** How an account behaves; what is undefined stays as it is, for a new account as the ledger's defaults say. */
export interface AccountOptions {
  /** Keep lots (with expiry), or only a running sum: plain double entry. Fixed by the first posting. */
  readonly lots?: boolean | undefined;
  /** Pays without having: what it pays is new, expires as asked, and becomes its debt. Fixed by the first posting. */
  readonly issuer?: boolean | undefined;
  /** How far below zero it may go, in minor units of any asset. */
  readonly overdraft?: bigint | "unlimited" | undefined;
  /** Neither pays nor receives, until it is thawed. */
  readonly frozen?: boolean | undefined;
  /** Neither pays nor receives, for good; only where all its balances are zero and nothing is held. */
  readonly closed?: true | undefined;
}

/** An account as it is. */
export interface AccountInfo {
  readonly account: string;
  readonly lots: boolean;
  readonly issuer: boolean;
  readonly overdraft: bigint | "unlimited";
  readonly frozen: boolean;
  readonly closed: boolean;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** What a ledger is created with, and keeps. */
export interface LedgerSettings {
  /** In which order lots are drained. @default "emission-first@1" */
  readonly drainPolicy: DrainPolicyName;
  /** Of accounts that were not opened with their own. @default lots, no overdraft */
  readonly accounts: { readonly lots: boolean; readonly overdraft: bigint | "unlimited" };
  /** Commands whose idempotency keys are remembered at least; up to twice as many are. @default 1,000,000 */
  readonly idempotencyKeys: number;
}

/** Named and versioned: a ledger's journal says which one it was written by. */
export type DrainPolicyName = "emission-first@1" | "expiration-first@1";

export const DRAIN_POLICIES: readonly DrainPolicyName[] = [
  "emission-first@1",
  "expiration-first@1",
];

export const DEFAULT_SETTINGS: LedgerSettings = Object.freeze({
  drainPolicy: "emission-first@1",
  accounts: Object.freeze({ lots: true, overdraft: 0n }),
  idempotencyKeys: 1_000_000,
});
