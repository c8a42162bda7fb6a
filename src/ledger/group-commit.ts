import { setImmediate as turn } from "node:timers/promises";
import {
  AppendOutcomeUnknownError,
  ClosedError,
  OverloadedError,
  StreamRolledBackError,
  VersionConflictError,
} from "../errors.ts";
import { type Attempt, attempt } from "../internal/attempt.ts";
import { type Backoff, backoffMs, sleep } from "../internal/backoff.ts";
import { isPassing } from "../nats/passing.ts";
import { uniqueIds } from "../internal/unique-ids.ts";
import { Wakeup } from "../internal/wakeup.ts";
import { Command, type Outcome } from "./command.ts";
import { CommandQueue } from "./command-queue.ts";
import { Decider } from "./decider.ts";
import { CommandOutcomeUnknownError } from "./errors.ts";
import { isUntrustworthy } from "./untrustworthy.ts";
import { tellCommit } from "./tell-commit.ts";
import { applyCommit } from "./journal-state.ts";
import { Group } from "./group.ts";
import type { Flight, GroupCommitParts } from "./group-commit-parts.ts";
import { LookupNeeded } from "./lookups.ts";
import { lookAhead } from "./needed.ts";
import type { Asked } from "./prepare.ts";
import type { Rivals } from "./rivals.ts";
import type { JournalPoint, LedgerState } from "./state.ts";

const BEHIND: Backoff = { firstMs: 20, maxMs: 1_000 };
/** Commands whose lookups are fetched at once. */
const LOOKED_AHEAD = 256;
/** How often commands that wait are looked at whether their time is over. */
const SWEEP_MS = 100;
/** So many commands become two groups, so that the one is decided while the other is on its way. */
const HALVED_FROM = 512;
/** Room in a message for headers, the history index and the list around the events. */
const COMMIT_OVERHEAD_BYTES = 8_192;

/**
 * Decides the commands of a process on one ledger in the order of their arrival, and appends what they make in groups:
 * one commit, one round trip for many. While one group is on its way, the next is decided on top of it. Nothing
 * of a group is told before it is acknowledged; when another process was faster, all that is not acknowledged is
 * taken back, what was missed is applied, and the same commands are decided again.
 */
export class GroupCommit {
  readonly #parts: GroupCommitParts;
  readonly #nextId = uniqueIds();
  readonly #rivals: Rivals;
  /** Half of what a commit may have: what is decided fits behind what was decided. */
  readonly #maxEntryBytes: number;
  #state: LedgerState;
  #decider: Decider;
  #queue = new CommandQueue();
  #open = new Group();
  #flight: Flight | undefined;
  /** A group that is acknowledged and not told yet. */
  #landing: Group | undefined;
  /** Entries of the journal that are being read for commands. */
  #looking: Promise<void> | undefined;
  readonly #wakeup = new Wakeup();
  #running: Promise<void> | undefined;
  #doubt: AppendOutcomeUnknownError | undefined;
  #mustReload = false;
  /** Whether the journal holds more than the state. */
  #isBehind = false;
  #failure: unknown;
  #closed = false;

  constructor(parts: GroupCommitParts, state: LedgerState) {
    const { journal, settings, rivals } = parts;
    this.#parts = parts;
    this.#rivals = rivals;
    this.#state = state;
    const room = journal.maxCommitBytes - COMMIT_OVERHEAD_BYTES;
    this.#maxEntryBytes = Math.max(1, Math.min(settings.maxGroupBytes, room) >> 1);
    this.#decider = new Decider(state, this.#maxEntryBytes);
  }

  get state(): LedgerState {
    return this.#state;
  }

  /** Commands that wait or are on their way. */
  get size(): number {
    const inFlight = this.#flight?.group.commands.length ?? 0;
    return this.#queue.size + this.#open.commands.length + inFlight;
  }

  /** Whether the state is known not to be what the journal says. */
  get isStale(): boolean {
    return this.#isBehind || this.#mustReload || this.#doubt !== undefined;
  }

  /** Whether it cannot go on: a new one must be made. */
  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  /** Whether nothing is on its way. */
  get isIdle(): boolean {
    return this.#running === undefined;
  }

  /** Groups that were decided again because another process was faster. */
  get conflicts(): number {
    return this.#rivals.conflicts;
  }

  submit<T>(asked: Asked, timeoutMs: number, resultOf: (outcome: Outcome) => T): Promise<T> {
    if (this.#closed) throw new ClosedError("the ledger");
    if (this.#failure !== undefined) throw this.#failure;
    const { maxQueuedCommands } = this.#parts.settings;
    if (this.#queue.size >= maxQueuedCommands)
      throw new OverloadedError("maxQueuedCommands", maxQueuedCommands);
    const command = new Command(asked, timeoutMs, resultOf);
    this.#queue.add(command);
    if (this.#running === undefined) this.#start();
    else this.#wakeup.rouse();
    return command.promise;
  }

  /** The stream is another one than it was: what is known of the journal is loaded anew. */
  distrust(): void {
    this.#mustReload = true;
  }

  /** Ends when all that was submitted is decided and acknowledged. */
  async close(): Promise<void> {
    this.#closed = true;
    while (this.#running !== undefined) await this.#running;
  }

  #start(): void {
    const { ledger } = this.#parts.journal;
    const sweeper = setInterval(() => this.#queue.expire(ledger, undefined), SWEEP_MS);
    this.#running = this.#run()
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        clearInterval(sweeper);
        this.#running = undefined;
        if (this.#queue.size > 0) this.#start();
      });
  }

  async #run(): Promise<void> {
    // commands that are sent in the same turn go together
    await Promise.resolve();
    for (;;) {
      if (this.#flight === undefined) {
        await this.#catchUp();
        await this.#decideQueued();
        if (this.#open.commands.length === 0) return;
        const { pauseMs } = this.#rivals;
        if (pauseMs > 0) await sleep(pauseMs);
        this.#launch(this.#state.point);
        // what was left is decided meanwhile
        if (this.#queue.size > 0) this.#wakeup.rouse();
      } else if (this.#flight.landed === undefined) {
        await this.#wakeup.wait();
        if (this.#flight.landed !== undefined) continue;
        // others that were woken by the same answer send their commands now
        await turn();
        if (this.#flight.landed === undefined) await this.#decideQueued();
      } else {
        this.#land(this.#flight);
      }
    }
  }

  /** Decides what waits, as far as it fits into the open group; while nothing is on its way, half of what is much. */
  async #decideQueued(): Promise<void> {
    const { clock } = this.#parts;
    const { size } = this.#queue;
    const left = this.#flight === undefined && size >= HALVED_FROM ? size >> 1 : 0;
    // one look at the clock for all: they are decided within milliseconds
    const time = attempt(clock);
    for (;;) {
      const command = this.#queue.next;
      if (command === undefined || this.#queue.size <= left || !this.#hasRoom()) break;
      if (!command.isSettled) {
        const needed = this.#decide(command, time);
        if (needed !== undefined) {
          this.#looking ??= this.#lookAhead(needed.id);
          // what was sent, or decided before it, is not kept waiting for it
          if (this.#flight !== undefined || this.#open.commands.length > 0) break;
          await this.#looking;
          continue;
        }
      }
      this.#queue.shift();
    }
  }

  async #lookAhead(first: string): Promise<void> {
    const { journal, settings } = this.#parts;
    const next = this.#queue.waiting(LOOKED_AHEAD);
    // half of the time, so that those that wait behind it have the other half
    const timeoutMs = Math.max(1, settings.commandTimeoutMs >> 1);
    await lookAhead(next, first, this.#state, journal, timeoutMs);
    this.#looking = undefined;
    this.#wakeup.rouse();
  }

  #hasRoom(): boolean {
    const { commands, bytes } = this.#open;
    // one more entry may have as many bytes again
    return commands.length < this.#parts.settings.maxGroupCommands && bytes < this.#maxEntryBytes;
  }

  /**
   * Decides a command into the open group.
   *
   * @returns what must be read of the journal first
   */
  #decide(command: Command, time: Attempt<number>): LookupNeeded | undefined {
    const { asked, lookups } = command;
    try {
      // without what it needs, as that could not be read, it is refused
      if (asked.kind !== "refresh" && command.refusal === undefined) {
        if ("error" in time) throw time.error;
        const decidedAt = Math.max(time.value, this.#state.decidedAt);
        command.outcome =
          asked.kind === "batch"
            ? this.#decider.decideAll(asked, lookups, decidedAt)
            : this.#decider.decide(asked, lookups, decidedAt);
      }
    } catch (error) {
      if (error instanceof LookupNeeded) return error;
      command.refusal = { error };
    }
    this.#open.add(command, this.#state.openEntries);
    this.#state.releaseWritten();
    return undefined;
  }

  /** Sends the open group; a group without entries asks whether what it was decided on is current. */
  #launch(behind: JournalPoint): void {
    const { journal } = this.#parts;
    const group = this.#open;
    this.#open = new Group();
    group.pending = this.#state.close();
    const flight: Flight = { group, sentAt: performance.now(), landed: undefined };
    this.#flight = flight;
    const timeoutMs = Math.max(1, Math.ceil(group.deadline - performance.now()));
    const answer =
      group.entries === 0
        ? journal.assertCurrent(behind, timeoutMs)
        : journal.append(group.body(), group.entries, this.#nextId(), behind, timeoutMs);
    answer
      .then(
        (point) => {
          flight.landed = { point };
        },
        (error: unknown) => {
          flight.landed = { error };
        },
      )
      .finally(() => this.#wakeup.rouse());
  }

  /** A group was answered: the next one is sent, then its commands are told. */
  #land({ group, sentAt, landed }: Flight): void {
    this.#flight = undefined;
    const { pending } = group;
    if (landed === undefined || pending === undefined) return;
    if ("error" in landed) {
      this.#takeBack(group, landed.error, performance.now() - sentAt);
      return;
    }
    const { point } = landed;
    const durationMs = performance.now() - sentAt;
    this.#rivals.won(durationMs);
    tellCommit(this.#parts.journal.ledger, group, durationMs, point.version);
    // the next group goes behind it at once, unless others should have a turn
    if (this.#open.commands.length > 0 && !this.#rivals.areNear) this.#launch(point);
    this.#landing = group;
    this.#state.confirm(pending, point);
    group.settle();
    this.#landing = undefined;
    this.#parts.onCommit(this.#state);
  }

  /** Takes back what is not acknowledged. What was not stored for good is decided again, unless that cannot help. */
  #takeBack(group: Group, error: unknown, durationMs: number): void {
    const isConflict = error instanceof VersionConflictError;
    const isUnknown = error instanceof AppendOutcomeUnknownError;
    const again: Command[] = [];
    for (const command of group.commands) {
      if (isConflict || (isUnknown && !command.hasEntries)) again.push(command);
      else command.reject(error);
    }
    this.#undecide(again, group);
    if (isConflict) {
      tellCommit(this.#parts.journal.ledger, group);
      this.#rivals.lost(durationMs);
      this.#isBehind = true;
    } else if (isUnknown) {
      this.#doubt = error;
    } else if (error instanceof StreamRolledBackError) {
      this.#mustReload = true;
    }
  }

  /** Puts commands, and those of the open group behind them, back to the front of the queue. */
  #undecide(first: readonly Command[], closed: Group | undefined): void {
    const pending = closed?.pending;
    this.#state.rollback(pending === undefined ? [] : [pending]);
    const again = [...first, ...this.#open.commands];
    for (const command of again) command.forget();
    this.#queue.putBack(again);
    this.#open = new Group();
  }

  /** Makes the state what the journal says, as long as somebody waits for it. */
  async #catchUp(): Promise<void> {
    for (let attempt = 1; this.#isBehind || this.#mustReload || this.#doubt; attempt++) {
      try {
        if (this.#mustReload) {
          await this.#reload();
        } else {
          if (this.#doubt !== undefined) await this.#resolve(this.#doubt);
          await this.#readOn();
          this.#isBehind = false;
        }
      } catch (error) {
        if (error instanceof StreamRolledBackError) this.#mustReload = true;
        else if (!isPassing(error) && !(error instanceof AppendOutcomeUnknownError)) throw error;
        this.#queue.expire(this.#parts.journal.ledger, error);
        if (this.#queue.isSettled) return;
        await sleep(backoffMs(BEHIND, attempt));
      }
    }
  }

  /** Finds out what became of a commit: stored, it is read as another process's. */
  async #resolve(doubt: AppendOutcomeUnknownError): Promise<void> {
    const { journal, settings } = this.#parts;
    try {
      await journal.store.resolve(doubt, { timeoutMs: settings.commandTimeoutMs });
    } catch (error) {
      if (!(error instanceof VersionConflictError)) throw error;
    }
    this.#doubt = undefined;
    this.#isBehind = true;
  }

  async #reload(): Promise<void> {
    this.#undecide([], undefined);
    // what is noticed while it loads asks for another time
    this.#mustReload = false;
    try {
      this.#state = await this.#parts.load();
    } catch (error) {
      this.#mustReload = true;
      throw error;
    }
    this.#decider = new Decider(this.#state, this.#maxEntryBytes);
    this.#doubt = undefined;
    this.#isBehind = false;
  }

  async #readOn(): Promise<void> {
    const { journal, settings, onCommit } = this.#parts;
    if (this.#open.commands.length > 0) this.#undecide([], undefined);
    const { version } = this.#state.point;
    for await (const commit of journal.tail(this.#state.point, settings.commandTimeoutMs)) {
      applyCommit(this.#state, commit);
      this.#rivals.seen();
      onCommit(this.#state);
    }
    // a leader that is not up to date itself: it must not be asked in a hurry
    if (this.#state.point.version === version) await sleep(backoffMs(BEHIND, 1));
  }

  /** What cannot be mended by trying again: the journal is not to be trusted, or something unforeseen happened. */
  #fail(error: unknown): void {
    const { ledger } = this.#parts.journal;
    const sent = [this.#landing, this.#flight?.group].flatMap((group) => group?.commands ?? []);
    this.#landing = undefined;
    for (const command of sent) command.reject(new CommandOutcomeUnknownError(ledger, error));
    const waiting = [...this.#open.commands, ...this.#queue.waiting()];
    this.#flight = undefined;
    this.#open = new Group();
    this.#queue = new CommandQueue();
    for (const command of waiting) command.reject(error);
    if (isUntrustworthy(error)) this.#failure = error;
    else this.#mustReload = true;
  }
}
