export { DEFAULT_SETTINGS, DRAIN_POLICIES } from "./account.ts";
export { CHAIN_HEADER, chainHash } from "./chain.ts";
export { checkLedger } from "./check.ts";
export { ledgerChannels } from "./diagnostics.ts";
export {
  AccountNotUsableError,
  AccountOptionsError,
  AlreadyRevertedError,
  BatchRefusedError,
  ClockSkewError,
  CommandOutcomeUnknownError,
  CommandTimeoutError,
  CorruptSnapshotError,
  DuplicateReferenceError,
  HoldEndedError,
  HoldExceededError,
  HoldNotFoundError,
  IdempotencyConflictError,
  InconsistentStateError,
  InsufficientFundsError,
  JournalBrokenError,
  LedgerBucketNotFoundError,
  LedgerExistsError,
  LedgerNotFoundError,
  PreconditionFailedError,
  SnapshotFormatError,
  TransactionNotFoundError,
  TransactionTooLargeError,
} from "./errors.ts";
export { journalEntry } from "./journal-events.ts";
export { Ledger } from "./ledger.ts";
export { Ledgers } from "./ledgers.ts";
export { WORLD } from "./names.ts";
export { balanceKey, ledgerBalances, lotKey } from "./read-models.ts";
export type { AccountInfo, AccountOptions, DrainPolicyName, LedgerSettings } from "./account.ts";
export type {
  CheckedReadModel,
  LedgerCheckOptions,
  LedgerCheckProgress,
  StoredLedgerCheckOptions,
} from "./check.ts";
export type {
  ChainReport,
  LedgerCheckFinding,
  LedgerCheckPlace,
  LedgerCheckReport,
} from "./check-report.ts";
export type { LedgerCheckPhase } from "./check-run.ts";
export type {
  BalanceExpectation,
  CaptureOptions,
  CommandOptions,
  Expectation,
  FundsOptions,
  GrantInput,
  HoldInput,
  PostingInput,
  PostManyItem,
  PostManyOptions,
  RevertOptions,
  SpendInput,
  TransactionDetails,
  TransactionInput,
  TransferInput,
  TransferItem,
} from "./commands.ts";
export type { LedgerStatus } from "./ledger.ts";
export type { LedgerEngineOptions } from "./engine-options.ts";
export type { AsOf, LotsOptions, TransactionsQuery } from "./history.ts";
export type { BucketInfo, LedgerInfo, NewLedgerSettings } from "./ledger-info.ts";
export type { CreateLedgerOptions, LedgerReader, LedgersOptions } from "./ledgers.ts";
export type {
  AccountChangedLedgerEntry,
  HoldPlacedLedgerEntry,
  HoldReleasedLedgerEntry,
  JournalEvent,
  JournalEvents,
  JournalEventType,
  LedgerEntry,
  MetadataChangedLedgerEntry,
  OpenedLedgerEntry,
  PostedLedgerEntry,
} from "./journal-events.ts";
export type { BalancesQuery, ReadOptions } from "./queries.ts";
export type {
  LedgerBalance,
  LedgerBalanceTables,
  LedgerHold,
  LedgerLot,
} from "./read-models.ts";
export type {
  AccountBalance,
  BalanceDetails,
  CommandResult,
  Drained,
  HoldInfo,
  HoldStatus,
  LotInfo,
  Made,
  Page,
  Posting,
  PostOutcome,
  Transaction,
  TransactionResult,
  TrialBalanceRow,
} from "./transaction.ts";
