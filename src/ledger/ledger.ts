import { InvalidArgumentError } from "../errors.ts";
import type { AccountInfo, AccountOptions } from "./account.ts";
import { checkOpenLedger, type LedgerCheckOptions } from "./check.ts";
import type { LedgerCheckReport } from "./check-report.ts";
import type {
  CaptureOptions,
  CommandOptions,
  FundsOptions,
  GrantInput,
  HoldInput,
  PostManyItem,
  PostManyOptions,
  RevertOptions,
  SpendInput,
  TransactionInput,
  TransferInput,
} from "./commands.ts";
import type { LedgerEngine } from "./engine.ts";
import { TransactionTooLargeError } from "./errors.ts";
import { type AsOf, History, type LotsOptions, type TransactionsQuery } from "./history.ts";
import type { LedgerInfo } from "./ledger-info.ts";
import { checkAccount } from "./names.ts";
import {
  type AskedBatch,
  assertObject,
  checkFlag,
  prepareGrant,
  preparePlace,
  preparePost,
  prepareSpend,
  prepareTransfer,
} from "./prepare.ts";
import {
  prepareAccountChange,
  prepareCapture,
  prepareHold,
  prepareMetadataChange,
  prepareRelease,
  prepareRevert,
} from "./prepare-more.ts";
import { type BalancesQuery, Queries, type ReadOptions } from "./queries.ts";
import { commandResult, failedOutcome, postOutcomes, transactionResult } from "./results.ts";
import type {
  AccountBalance,
  BalanceDetails,
  CommandResult,
  HoldInfo,
  HoldStatus,
  LotInfo,
  Page,
  PostOutcome,
  Transaction,
  TransactionResult,
  TrialBalanceRow,
} from "./transaction.ts";

/** How a process stands to a ledger. */
export interface LedgerStatus {
  /** Number of the last entry of the journal that it has applied. */
  readonly version: number;
  /** Position of the commit that holds it. */
  readonly position: number;
  /** Commands that wait, or are on their way. */
  readonly pending: number;
  /** Commits that another process was faster than, so that their commands were decided again. */
  readonly conflicts: number;
}

/** Transactions of one atomic `postMany` at most. */
const MAX_BATCH = 1_000;

/**
 * A ledger: accounts, what they hold, and the journal that it all follows from. Safe to use from many processes at
 * once. Made by `Ledgers.open`.
 *
 * @example
 * const ledger = await ledgers.open("main");
 * await ledger.grant({ to: "alice", asset: "CREDIT/2", amount: 10_000n, expiresAt: new Date("2027-01-01") });
 * await ledger.spend({ from: "alice", asset: "CREDIT/2", amount: 2_500n }, { idempotencyKey: "order-7" });
 * console.log(await ledger.balance("alice", "CREDIT/2")); // 7500n
 */
export class Ledger {
  readonly info: LedgerInfo;
  readonly #engine: LedgerEngine;
  readonly #assertUsable: () => void;
  readonly #queries: Queries;
  readonly #history: History;

  /** Ledgers make these. */
  constructor(info: LedgerInfo, engine: LedgerEngine, assertUsable: () => void) {
    this.info = info;
    this.#engine = engine;
    this.#assertUsable = assertUsable;
    this.#queries = new Queries(engine);
    this.#history = new History(engine);
  }

  get name(): string {
    return this.info.name;
  }

  /** Number of the last entry of the journal that this process has applied. */
  get version(): number {
    return this.#engine.state.point.version;
  }

  /** How this process stands to the ledger, without asking anybody. */
  status(): LedgerStatus {
    const { state, pending, conflicts } = this.#engine;
    return { version: state.point.version, position: state.point.position, pending, conflicts };
  }

  /**
   * Posts a transaction: all its postings, or none.
   *
   * @throws {InvalidArgumentError}, {UnserialisableValueError}; then in this order {@link IdempotencyConflictError},
   * {@link DuplicateReferenceError}, {@link PreconditionFailedError}, {@link AccountNotUsableError},
   * {@link InsufficientFundsError}, {@link TransactionTooLargeError}; {@link AppendOutcomeUnknownError},
   * {@link CommandTimeoutError}, {@link CommandOutcomeUnknownError}, {@link StreamRolledBackError}, the signal's reason:
   * it may be posted; {@link ClockSkewError}, {@link OverloadedError}, {@link ReadTimeoutError} (what it refers to, or
   * repeats, could not be read), {@link JetStreamUnavailableError}, {@link ClosedError}, {@link LedgerNotFoundError}: it
   * is not; {@link JournalBrokenError}, {@link InconsistentStateError}, {@link CorruptCommitError},
   * {@link UnsupportedFormatError}: it is not, and this handle decides nothing more
   */
  post(input: TransactionInput, options: FundsOptions = {}): Promise<TransactionResult> {
    // one promise from here to the outcome: an async function adds two
    try {
      this.#assertUsable();
      return this.#engine.submit(preparePost(input, options), options, transactionResult);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Lets new credits in: a posting from `world`, or from an issuer. @throws as {@link post} */
  grant(input: GrantInput, options?: FundsOptions): Promise<TransactionResult> {
    return this.#post(prepareGrant, input, options);
  }

  /** Takes credits out. @throws as {@link post} */
  spend(input: SpendInput, options?: FundsOptions): Promise<TransactionResult> {
    return this.#post(prepareSpend, input, options);
  }

  /** Hands credits on; what arrives never expires later than what it is made of. @throws as {@link post} */
  transfer(input: TransferInput, options?: FundsOptions): Promise<TransactionResult> {
    return this.#post(prepareTransfer, input, options);
  }

  /**
   * Posts many transactions: each for itself, or all or none in one commit.
   *
   * @returns one outcome each, in their order: `posted`, `refused`, or `unknown` where it may be posted (see
   * {@link PostOutcome}); of an atomic batch that is refused, the first refused one has its own error and all others
   * {@link BatchRefusedError}
   * @throws {InvalidArgumentError} of an item, the reason of a signal that is aborted by then: nothing was posted; what
   * ended the commit of an atomic batch, as {@link post}
   */
  async postMany(
    items: readonly PostManyItem[],
    options: PostManyOptions = {},
  ): Promise<readonly PostOutcome[]> {
    this.#assertUsable();
    if (!Array.isArray(items) || items.length === 0)
      throw new InvalidArgumentError("items", "a list of at least one transaction", items);
    const list: readonly PostManyItem[] = items;
    const { atomic, dryRun, signal } = options;
    checkFlag("atomic", atomic);
    checkFlag("dryRun", dryRun);
    const posts = list.map((item, at) => {
      try {
        assertObject("item", item);
        return preparePost(item, { ...item, dryRun });
      } catch (error) {
        throw error instanceof InvalidArgumentError ? error.within(`items[${at}]`) : error;
      }
    });
    signal?.throwIfAborted();
    if (atomic !== true) {
      const all = posts.map(async (post) => this.#engine.submit(post, options, transactionResult));
      const settled = await Promise.allSettled(all);
      return settled.map((one) =>
        one.status === "rejected"
          ? failedOutcome(one.reason, signal)
          : { status: "posted", result: one.value },
      );
    }
    const max = Math.min(MAX_BATCH, this.#engine.settings.maxGroupCommands);
    if (posts.length > max) throw new TransactionTooLargeError(posts.length, max, "transactions");
    const batch: AskedBatch = {
      kind: "batch",
      options: { key: undefined, expect: undefined, dryRun: dryRun === true },
      posts,
    };
    return this.#engine.submit(batch, options, postOutcomes);
  }

  /**
   * Posts the reverse of a transaction: its postings backwards, source and destination swapped. Lots that it had drained
   * come back with the expiry that they had; what it had made is taken from those lots first.
   *
   * @throws {TransactionNotFoundError}, {AlreadyRevertedError}, {InsufficientFundsError} an account other than world
   * would end below zero, whatever its overdraft, and `force` is not set; else as {@link post}
   */
  async revert(transactionId: string, options: RevertOptions = {}): Promise<TransactionResult> {
    this.#assertUsable();
    const asked = prepareRevert(transactionId, options);
    return this.#engine.submit(asked, options, transactionResult);
  }

  /** Reserves funds until they are captured or released, or the hold's instant is reached. The result's id is the hold's. */
  async hold(input: HoldInput, options: CommandOptions = {}): Promise<CommandResult> {
    this.#assertUsable();
    return this.#engine.submit(prepareHold(input, options), options, commandResult);
  }

  /**
   * Posts what a hold reserves, or a part of it; the rest is released unless `final` is false.
   *
   * @throws {HoldNotFoundError}, {HoldEndedError}, {HoldExceededError}, {InsufficientFundsError} what was held
   * has expired meanwhile; else as {@link post}
   */
  async capture(
    holdId: string,
    amount?: bigint,
    options: CaptureOptions = {},
  ): Promise<TransactionResult> {
    this.#assertUsable();
    const asked = prepareCapture(holdId, amount, options);
    return this.#engine.submit(asked, options, transactionResult);
  }

  /** Ends a hold. @throws {HoldNotFoundError}, {HoldEndedError}; else as {@link post} */
  async release(holdId: string, options: CommandOptions = {}): Promise<CommandResult> {
    this.#assertUsable();
    return this.#engine.submit(prepareRelease(holdId, options), options, commandResult);
  }

  /** Opens an account, or changes how it behaves; an account that nobody opened behaves as the ledger's settings say. */
  async openAccount(
    account: string,
    change: AccountOptions = {},
    options: CommandOptions = {},
  ): Promise<CommandResult> {
    this.#assertUsable();
    const asked = prepareAccountChange(account, change, options);
    return this.#engine.submit(asked, options, commandResult);
  }

  /** Adds to the metadata of an account, or of a transaction or hold by its id; earlier ones stay in the journal. */
  async setMetadata(
    of: { readonly account: string } | { readonly transaction: string },
    metadata: Readonly<Record<string, unknown>>,
    options: CommandOptions = {},
  ): Promise<CommandResult> {
    this.#assertUsable();
    const asked = prepareMetadataChange(of, metadata, [], options);
    return this.#engine.submit(asked, options, commandResult);
  }

  /** Removes metadata by their keys. */
  async deleteMetadata(
    of: { readonly account: string } | { readonly transaction: string },
    keys: readonly string[],
    options: CommandOptions = {},
  ): Promise<CommandResult> {
    this.#assertUsable();
    const asked = prepareMetadataChange(of, {}, keys, options);
    return this.#engine.submit(asked, options, commandResult);
  }

  /**
   * What an account has at an instant: unexpired lots less debt; 0 for an unknown account. From memory. An instant in the
   * past moves only what counts as expired; for what the balance was then see {@link balanceAsOf}.
   */
  async balance(account: string, asset: string, options?: ReadOptions): Promise<bigint> {
    return this.#reads.balance(account, asset, options);
  }

  /**
   * What an account can spend at an instant: the balance less what is held, plus its overdraft. Of a frozen account what it
   * could spend if it were thawed.
   */
  async available(
    account: string,
    asset: string,
    options?: ReadOptions,
  ): Promise<bigint | "unlimited"> {
    return this.#reads.available(account, asset, options);
  }

  /** Unexpired funds of an account by expiry. */
  async details(account: string, asset: string, options?: ReadOptions): Promise<BalanceDetails> {
    return this.#reads.details(account, asset, options);
  }

  /** Balances of accounts, by name. */
  async balances(query: BalancesQuery): Promise<Page<AccountBalance>> {
    return this.#reads.balances(query);
  }

  /** How many {@link balances} lists in all. */
  async count(query: Omit<BalancesQuery, "after" | "limit">): Promise<number> {
    return this.#reads.count(query);
  }

  /** An account as it is; undefined for one that no entry speaks of. */
  async account(account: string): Promise<AccountInfo | undefined> {
    return this.#reads.account(checkAccount("account", account));
  }

  /** Holds of an account that have not ended. */
  async holds(account: string, options?: ReadOptions): Promise<readonly HoldInfo[]> {
    return this.#reads.holds(account, options);
  }

  /**
   * The hold with an id, active or not; undefined where none of this ledger stands there. One read of the journal; of a
   * hold that expired some time ago also what was written of its account until then.
   */
  async holdStatus(id: string, options: ReadOptions = {}): Promise<HoldStatus | undefined> {
    return this.#records.hold(preparePlace("id", id), options);
  }

  /** Whether the books balance, by asset. */
  async trialBalance(options?: ReadOptions): Promise<readonly TrialBalanceRow[]> {
    return this.#reads.trialBalance(options);
  }

  /**
   * All lots that an account ever had of an asset, drained and expired ones too, by (granted at, reference, transaction, index). Read from the journal
   * by the account's places there; with `live`, only what is left, from memory.
   */
  async lots(account: string, asset: string, options?: LotsOptions): Promise<readonly LotInfo[]> {
    return this.#records.lots(account, asset, options);
  }

  /**
   * What the balance of an account was: right after a position of the stream, or counting only what was effective before
   * an instant. Read from the journal.
   */
  async balanceAsOf(account: string, asset: string, asOf: AsOf): Promise<bigint> {
    return this.#records.balanceAsOf(account, asset, asOf);
  }

  /** The transaction with an id; undefined where none of this ledger stands there. One read. */
  async transaction(id: string): Promise<Transaction | undefined> {
    return this.#records.transaction(preparePlace("id", id));
  }

  /** Transactions in the order of the journal, of all accounts or of one. */
  async transactions(query: TransactionsQuery = {}): Promise<Page<Transaction>> {
    return this.#records.transactions(query);
  }

  /** Makes this process know all that stands in the journal now. */
  async refresh(options: Pick<CommandOptions, "signal"> = {}): Promise<void> {
    this.#assertUsable();
    await this.#engine.refresh(options.signal);
  }

  /**
   * Checks the ledger: first the hash chain of its journal, over the bytes as they are stored, from the first commit on;
   * then derives the state anew from the journal alone, and compares it, value by value and in both directions, with the
   * state of this process as it is when this is called, and with the snapshot. Commands go on meanwhile.
   *
   * It reads the whole journal, twice where something is found, and needs as much memory as the ledger's state again;
   * twice as much where there is a snapshot. For what is stored of a ledger that cannot be opened see `checkLedger`.
   *
   * @returns a report; one that is `incomplete` says why, and names nothing of the state
   * @throws {InvalidArgumentError}; what keeps it from asking the server; the signal's reason
   */
  async check(options: LedgerCheckOptions = {}): Promise<LedgerCheckReport> {
    return checkOpenLedger(this.#engine, options);
  }

  get #reads(): Queries {
    this.#assertUsable();
    return this.#queries;
  }

  get #records(): History {
    this.#assertUsable();
    return this.#history;
  }

  #post<Input>(
    prepare: (input: Input) => TransactionInput,
    input: Input,
    options?: FundsOptions,
  ): Promise<TransactionResult> {
    try {
      return this.post(prepare(input), options);
    } catch (error) {
      return Promise.reject(error);
    }
  }
}
