import { randomBytes } from "node:crypto";
import { VersionConflictError } from "../errors.ts";
import { abortable } from "../internal/abort.ts";
import { uniqueIds } from "../internal/unique-ids.ts";
import type { Signal } from "../nats/signal.ts";
import type { EventMap } from "../store/event.ts";
import type { EventStore } from "../store/event-store.ts";
import { count } from "../store/options.ts";
import type { Outcome } from "./command.ts";
import type { CommandOptions } from "./commands.ts";
import {
  type EngineSettings,
  type LedgerEngineOptions,
  resolveEngineOptions,
} from "./engine-options.ts";
import { CommandTimeoutError, JournalBrokenError } from "./errors.ts";
import { EngineSnapshots } from "./engine-snapshots.ts";
import { GroupCommit } from "./group-commit.ts";
import { Journal } from "./journal.ts";
import { joinPieces, packEntries } from "./journal-codec.ts";
import type { OpenedEntry } from "./journal-entry.ts";
import { applyCommit } from "./journal-state.ts";
import type { LedgerInfo } from "./ledger-info.ts";
import type { Asked } from "./prepare.ts";
import { Rivals } from "./rivals.ts";
import { JOURNAL_START, type JournalPoint, LedgerState } from "./state.ts";
import { TrustedClock } from "./trusted-clock.ts";

const REFRESH: Asked = {
  kind: "refresh",
  options: { key: undefined, expect: undefined, dryRun: false },
};

/** What a timer can wait. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** What a process has of one ledger: its journal, its state in memory, and the way in which commands are decided. */
export class LedgerEngine {
  readonly journal: Journal;
  readonly settings: EngineSettings;
  readonly #clock: TrustedClock;
  readonly #commits: GroupCommit;
  readonly #unlisten: () => void;
  readonly #signal: Signal;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #snapshots: EngineSnapshots | undefined;
  #refreshing: Promise<unknown> | undefined;
  #closing: Promise<void> | undefined;

  private constructor(parts: EngineParts, state: LedgerState, listen: Listen) {
    const { journal, settings, clock, snapshots } = parts;
    this.journal = journal;
    this.#snapshots = snapshots;
    this.settings = settings;
    this.#clock = clock;
    const id = uniqueIds()();
    const rivals = new Rivals((turnMs) => this.#signal.send(`${id} ${turnMs}`));
    this.#signal = journal.signal((text) => {
      const [from, turnMs] = text.split(" ");
      if (from !== id) rivals.asked(Number(turnMs));
    });
    this.#commits = new GroupCommit(
      {
        journal,
        settings,
        load: () => load(parts, state.point),
        clock: clock.read,
        onCommit: (state) => snapshots?.passed(state),
        rivals,
      },
      state,
    );
    this.#unlisten = listen(() => {
      this.#commits.distrust();
      this.#look();
    });
    const { refreshMs } = settings;
    if (refreshMs === 0) return;
    this.#timer = setInterval(() => this.#poll(), refreshMs);
    this.#timer.unref();
  }

  /** Loads the ledger's state. */
  static async start<Events extends EventMap>(
    store: EventStore<Events>,
    info: LedgerInfo,
    options: LedgerEngineOptions = {},
  ): Promise<LedgerEngine> {
    const any = store as unknown as EventStore;
    const settings = resolveEngineOptions(options, store.stream);
    const clock = TrustedClock.of(any, settings.now, settings.maxClockSkewMs);
    const journal = new Journal(any, info.name);
    await clock.start();
    try {
      const snapshots = await EngineSnapshots.open(journal, settings);
      const parts = { journal, settings, clock, info, snapshots };
      const state = await load(parts, JOURNAL_START);
      return new LedgerEngine(parts, state, journal.onRollback);
    } catch (error) {
      clock.stop();
      throw error;
    }
  }

  /** As far as it is acknowledged. */
  get state(): LedgerState {
    return this.#commits.state;
  }

  get conflicts(): number {
    return this.#commits.conflicts;
  }

  /** Whether it cannot go on, because what its journal says is not to be trusted. */
  get hasFailed(): boolean {
    return this.#commits.hasFailed;
  }

  get isClosed(): boolean {
    return this.#closing !== undefined;
  }

  /** Commands that wait or are on their way. */
  get pending(): number {
    return this.#commits.size;
  }

  /** This process's clock, in milliseconds since 1970. */
  now(): number {
    return this.settings.now();
  }

  /** @returns what `resultOf` makes of its outcome */
  submit<T>(
    asked: Asked,
    { timeoutMs, signal }: Pick<CommandOptions, "timeoutMs" | "signal">,
    resultOf: (outcome: Outcome) => T,
  ): Promise<T> {
    signal?.throwIfAborted();
    if (timeoutMs === undefined) {
      const { commandTimeoutMs } = this.settings;
      return abortable(this.#commits.submit(asked, commandTimeoutMs, resultOf), signal);
    }
    const ms = Math.min(count("timeoutMs", timeoutMs, 1), MAX_TIMER_MS);
    return abortable(this.#inTime(this.#commits.submit(asked, ms, resultOf), ms), signal);
  }

  /** Makes the state as new as the journal is now. */
  async refresh(signal?: AbortSignal): Promise<void> {
    await this.submit(REFRESH, { signal }, () => undefined);
  }

  /** Waits only where this process knows of commits that it has not applied. */
  current(): Promise<unknown> | undefined {
    const { isStale, isIdle } = this.#commits;
    const isBehind = isIdle && this.journal.seenVersion > this.state.point.version;
    if (!isStale && !isBehind) return undefined;
    this.#refreshing ??= this.refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    this.#clock.stop();
    this.#unlisten();
    await this.#commits.close();
    this.#signal.close();
    if (!this.hasFailed) await this.#snapshots?.close(this.state);
  }

  /** Where the store hears what others append, nobody needs to ask. */
  #poll(): void {
    const { journal } = this;
    const isTold = journal.store.health().following && journal.seenVersion > 0;
    if (isTold) this.current()?.catch(() => {});
    else this.#look();
  }

  #look(): void {
    if (!this.#commits.isIdle) return;
    // it is tried again after a while, and whoever sends a command is told
    this.refresh().catch(() => {});
  }

  async #inTime<T>(outcome: Promise<T>, timeoutMs: number): Promise<T> {
    const late = new AbortController();
    const error = new CommandTimeoutError(this.journal.ledger, timeoutMs);
    const timer = setTimeout(() => late.abort(error), timeoutMs);
    try {
      return await abortable(outcome, late.signal);
    } finally {
      clearTimeout(timer);
    }
  }
}

type Listen = (listener: () => void) => () => void;

interface EngineParts {
  readonly journal: Journal;
  readonly settings: EngineSettings;
  readonly clock: TrustedClock;
  readonly info: LedgerInfo;
  readonly snapshots: EngineSnapshots | undefined;
}

/**
 * The state as the journal has it, which is begun where it is empty and always was.
 *
 * @param known how far it was known before
 */
async function load(parts: EngineParts, known: JournalPoint): Promise<LedgerState> {
  const { journal, settings, clock, info, snapshots } = parts;
  const { commandTimeoutMs } = settings;
  const state = (await snapshots?.restore(journal, commandTimeoutMs)) ?? new LedgerState();
  for await (const commit of journal.readOn(state.point)) applyCommit(state, commit);
  if (state.version === 0 && known.version > 0) {
    const reason = `nothing stands in it, and it had ${known.version} entries or more`;
    throw new JournalBrokenError(journal.ledger, undefined, reason);
  }
  if (state.version === 0) await begin(journal, info, clock.read(), commandTimeoutMs);
  for await (const commit of journal.tail(state.point, commandTimeoutMs))
    applyCommit(state, commit);
  if (state.version > 0) return state;
  throw new JournalBrokenError(journal.ledger, undefined, "nothing stands in it");
}

/** Writes the first entry of a journal, unless another process is faster. */
async function begin(
  journal: Journal,
  { settings }: LedgerInfo,
  decidedAt: number,
  timeoutMs: number,
): Promise<void> {
  const { drainPolicy, accounts, idempotencyKeys } = settings;
  const random = randomBytes(8);
  const entry: OpenedEntry = {
    kind: "opened",
    decidedAt,
    key: undefined,
    content: undefined,
    drainPolicy,
    lots: accounts.lots,
    overdraft: accounts.overdraft === "unlimited" ? undefined : accounts.overdraft,
    idempotencyKeys,
    seeds: [random.readUInt32BE(0), random.readUInt32BE(4)],
  };
  const body = joinPieces([packEntries([entry])], 1);
  try {
    await journal.append(body, 1, uniqueIds()(), JOURNAL_START, timeoutMs);
  } catch (error) {
    if (!(error instanceof VersionConflictError)) throw error;
  }
}
