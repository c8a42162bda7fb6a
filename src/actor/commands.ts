import {
  AppendOutcomeUnknownError,
  CommitIdReusedError,
  StreamRolledBackError,
  TooManyConflictsError,
  VersionConflictError,
} from "../errors.ts";
import { type Backoff, backoffMs, sleep } from "../internal/backoff.ts";
import type { ReadBounds } from "../nats/direct.ts";
import type { StoredCommit } from "../store/commit.ts";
import type { AnyEvent } from "../store/event.ts";
import type { StoreInternals } from "../store/internals.ts";
import type { AppendResult } from "../store/writer.ts";
import type { ActiveActor, ActorState } from "./active-actor.ts";
import type { ActorMemory } from "./actor-memory.ts";
import { type Call, type CommandOutcome, tellOutcome, tellTurn, typeOf } from "./call.ts";
import { Deciding, type Decision } from "./decision.ts";
import { DecisionAppender, type Prepared } from "./decision-appender.ts";
import type { Evolving } from "./definition.ts";
import { actorChannels } from "./diagnostics.ts";
import { CommandTimeoutError } from "./errors.ts";
import { evolving } from "./fold.ts";
import type { Loader } from "./loader.ts";
import type { HostSettings } from "./options.ts";
import { isOfCommand } from "./recent-commands.ts";
import { TurnRequests } from "./turn-requests.ts";

/** What commands have met so far. */
export interface CommandCounts {
  commands: number;
  rejected: number;
  conflicts: number;
  replayed: number;
}

/** Why a decision is not appended. */
interface Refused {
  readonly error: unknown;
  /** Whether `decide` said so. */
  readonly byDecide: boolean;
}

/** Waits between decisions on one command that were too late: not longer than a turn that was asked for. */
const RACE: Backoff = { firstMs: 1, maxMs: 4 };
/** With less time left, an append's outcome would only be unknown. */
const MIN_LEFT_MS = 5;
const NO_EVENTS: readonly Evolving<AnyEvent>[] = [];

/** Decides commands on their actors' states, one after the other for each actor, and has appended what comes of it. */
export class Commands {
  readonly counts: CommandCounts = { commands: 0, rejected: 0, conflicts: 0, replayed: 0 };
  readonly #internals: StoreInternals;
  readonly #loader: Loader;
  readonly #memory: ActorMemory;
  readonly #settings: HostSettings;
  readonly #appender: DecisionAppender;
  readonly #turns: TurnRequests;

  /** @param onAppended told of each commit of an actor in memory */
  constructor(
    internals: StoreInternals,
    loader: Loader,
    memory: ActorMemory,
    settings: HostSettings,
    onAppended: (active: ActiveActor) => void,
  ) {
    this.#internals = internals;
    this.#loader = loader;
    this.#memory = memory;
    this.#settings = settings;
    this.#appender = new DecisionAppender(internals, memory, onAppended);
    this.#turns = new TurnRequests(internals, (subject) => memory.peek(subject));
  }

  /** Ends what goes on beside commands. */
  close(): void {
    this.#turns.close();
  }

  /** Waits for the actor's turn, and decides; a command that was there before is told what it came to then. */
  async run(active: ActiveActor, call: Call): Promise<CommandOutcome> {
    const turn = this.#memory.enter(active, call.deadline, call.timeoutMs, call.options.signal);
    if (turn !== undefined) await turn;
    this.counts.commands++;
    let outcome: CommandOutcome | StoredCommit | undefined;
    let hasTurn = true;
    // a look at the clock is not free: one a command, but where it has waited
    let now = turn === undefined ? call.arrivedAt : performance.now();
    try {
      if (call.told !== undefined) tellTurn(call.told, active, call);
      if (active.yieldUntil > 0) {
        await this.#yieldTurn(active, call);
        now = performance.now();
      }
      for (let conflicts = 0; ; ) {
        assertTime(active, call, now);
        const startedAt = now;
        if (active.current === undefined || this.isStale(active)) {
          await this.#bringUpToDate(active, call);
          now = performance.now();
        }
        outcome = await this.#attempt(active, call, conflicts + 1, now);
        if (outcome !== undefined) break;
        await this.#afterConflict(active, call, ++conflicts, performance.now() - startedAt);
        now = performance.now();
      }
      // an earlier state may take long to read: others have their turns meanwhile
      this.#memory.pass(active, now);
      hasTurn = false;
      const told = "payload" in outcome ? await this.#replay(active, outcome, call) : outcome;
      if (call.told !== undefined) tellOutcome(call.told, told);
      return told;
    } finally {
      if (hasTurn) this.#memory.pass(active, now);
      this.#memory.end();
    }
  }

  /** Whether the state is known not to be the actor's last. */
  isStale({ inDoubt, subject, current }: ActiveActor): boolean {
    if (inDoubt) return true;
    const known = this.#internals.context.cache.peek(subject);
    return known !== undefined && known.sequence > (current?.position ?? 0);
  }

  /** What is known may be given up while it is read: then it is read again. */
  async #bringUpToDate(active: ActiveActor, call: Call): Promise<void> {
    do {
      await this.#loader.catchUp(active, this.#bounds(call));
    } while (active.current === undefined);
  }

  /** Another host has asked for its turn: what it appends is read then. */
  async #yieldTurn(active: ActiveActor, call: Call): Promise<void> {
    const waitMs = Math.min(active.yieldUntil, call.deadline) - performance.now();
    active.yieldUntil = 0;
    if (waitMs <= 0) return;
    await sleep(waitMs);
    active.inDoubt = true;
  }

  /** Another writer was faster: goes on after a little while, unless that was too often, or took too long. */
  async #afterConflict(
    active: ActiveActor,
    call: Call,
    conflicts: number,
    attemptMs: number,
  ): Promise<void> {
    this.counts.conflicts++;
    if (call.told !== undefined) call.told.conflicts = conflicts;
    if (conflicts > this.#settings.maxConflicts || performance.now() >= call.deadline) {
      throw new TooManyConflictsError(active.actor, conflicts);
    }
    this.#turns.lost(active, conflicts, attemptMs);
    if (conflicts > 1) await sleep(backoffMs(RACE, conflicts - 1));
  }

  /** Decides once; undefined where that was too late, a commit where the command was there before. */
  async #attempt(
    active: ActiveActor,
    call: Call,
    attempt: number,
    now: number,
  ): Promise<CommandOutcome | StoredCommit | undefined> {
    const { current, epoch } = active;
    const { commandId, options } = call;
    if (current === undefined) return undefined;
    if (commandId !== undefined) {
      const places = active.recent.find(commandId, active.subject);
      const first = places.length > 0 && (await this.#recall(active, places, commandId, call));
      if (first) return first;
    }
    assertTime(active, call, now);
    options.signal?.throwIfAborted();
    const decision = this.#decide(active, current, call, attempt);
    if ("error" in decision) return await this.#refuse(active, decision, call);
    if (decision.events.length === 0) {
      if (!(await this.#isVerified(active, call))) return undefined;
      const { state, version } = current;
      const nothing = { position: undefined, commitId: undefined, replayed: false };
      return { state, version, events: NO_EVENTS, ...nothing };
    }
    let prepared: Prepared;
    try {
      const preparing = this.#appender.prepare(active, current, decision, call);
      prepared = preparing instanceof Promise ? await preparing : preparing;
    } catch (error) {
      return await this.#refuse(active, { error, byDecide: false }, call);
    }
    let stored: AppendResult;
    try {
      stored = await this.#appender.append(active, current, prepared, call, now);
    } catch (error) {
      return await this.#afterFailure(active, error, call);
    }
    if (stored.replayed) return await this.#storedBefore(active, stored.position, call, undefined);
    const { state, events } = prepared;
    const { version, position, commitId } = stored;
    const next = { state, version, position, commitId, storedAtMs: undefined };
    this.#appender.advance(active, next, { now, epoch, remember: commandId !== undefined });
    return { state, version, events, position, commitId, replayed: false };
  }

  #decide(
    { kind, actor }: ActiveActor,
    { state, version }: ActorState,
    call: Call,
    attempt: number,
  ): Decision | Refused {
    const context = new Deciding(actor, version, call);
    let byDecide = true;
    try {
      if (!actorChannels.decide.hasSubscribers) {
        const events = kind.decide(call.command, state, typed<never>(context));
        byDecide = false;
        return context.decided(events);
      }
      const { stream } = this.#internals.context;
      const told = { stream, actor, command: typeOf(call.command), version, attempt, events: 0 };
      return actorChannels.decide.sync(() => {
        const events = kind.decide(call.command, state, typed<never>(context));
        byDecide = false;
        const decision = context.decided(events);
        told.events = decision.events.length;
        return decision;
      }, told);
    } catch (error) {
      return { error, byDecide };
    }
  }

  /** Throws why nothing is appended, if it was found on current state. */
  async #refuse(active: ActiveActor, { error, byDecide }: Refused, call: Call): Promise<undefined> {
    if (!(await this.#isVerified(active, call))) return undefined;
    if (byDecide) this.counts.rejected++;
    throw error;
  }

  /**
   * Whether what was decided without an append was decided on current state. Where the state was confirmed since the
   * command arrived, or nobody wants to know, no question is asked.
   */
  async #isVerified(active: ActiveActor, call: Call): Promise<boolean> {
    if (!this.#settings.verifyRejections) return true;
    if (active.current !== undefined && active.confirmedAt >= call.arrivedAt) return true;
    return !(await this.#loader.catchUp(active, this.#bounds(call)));
  }

  /**
   * What an append that failed means: another writer was faster (undefined), the command was there before (its commit), or
   * nothing can be done about it. Where another actor of the decision is not as expected, that may be because it was
   * taken on an old state.
   */
  async #afterFailure(
    active: ActiveActor,
    error: unknown,
    call: Call,
  ): Promise<StoredCommit | undefined> {
    if (error instanceof CommitIdReusedError || error instanceof VersionConflictError) {
      const isOwn = isSame(error.actor, active.actor);
      if (isOwn && error instanceof CommitIdReusedError) {
        return await this.#storedBefore(active, error.position, call, error);
      }
      // what was missed is read right before it is decided again
      active.inDoubt = isOwn;
      if (isOwn || (await this.#loader.catchUp(active, this.#bounds(call)))) return undefined;
    } else if (error instanceof AppendOutcomeUnknownError) active.inDoubt = true;
    else if (error instanceof StreamRolledBackError) active.forget();
    throw error;
  }

  /** The commit of the command, among those that may be its own. */
  async #recall(
    { subject }: ActiveActor,
    positions: readonly number[],
    commandId: string,
    call: Call,
  ): Promise<StoredCommit | undefined> {
    for (const position of positions) {
      const { history } = this.#internals;
      const commit = await history.bySequence(subject, position, this.#bounds(call));
      if (commit !== undefined && isOfCommand(commit.commitId, commandId, subject)) return commit;
    }
    return undefined;
  }

  /** The commit at which the store has found the command's id: what was decided then counts. */
  async #storedBefore(
    active: ActiveActor,
    position: number,
    call: Call,
    reused: Error | undefined,
  ): Promise<StoredCommit> {
    await this.#loader.catchUp(active, this.#bounds(call));
    const { commandId } = call;
    const found = commandId && (await this.#recall(active, [position], commandId, call));
    if (found) return found;
    throw reused ?? new TypeError(`no commit of command ${commandId} at ${position}`);
  }

  /** What a command came to when it was decided. */
  async #replay(active: ActiveActor, commit: StoredCommit, call: Call): Promise<CommandOutcome> {
    const { kind, actor, subject } = active;
    const { firstVersion, version, commitId, payload, message } = commit;
    const { metadata } = payload;
    const shaped = await this.#internals.interpreter.shapes(actor, payload.events, firstVersion);
    const events = evolving({ events: shaped, metadata, firstVersion });
    const now = active.current;
    const isLast = now?.position === message.sequence && now.commitId === commitId;
    const { state } = isLast
      ? now
      : await this.#loader.past(kind, actor, subject, { version }, this.#bounds(call));
    this.counts.replayed++;
    return { state, version, events, position: message.sequence, commitId, replayed: true };
  }

  #bounds({ deadline }: Call): ReadBounds {
    const { readTimeoutMs } = this.#internals.context.limits;
    const timeoutMs = Math.min(readTimeoutMs, Math.ceil(deadline - performance.now()));
    return { timeoutMs: Math.max(1, timeoutMs), deadline };
  }
}

/** @throws {CommandTimeoutError} where so little time is left that the outcome of an append would be unknown */
function assertTime({ actor }: ActiveActor, { deadline, timeoutMs }: Call, now: number): void {
  if (deadline - now >= Math.min(MIN_LEFT_MS, timeoutMs / 2)) return;
  throw new CommandTimeoutError(actor, timeoutMs);
}

function isSame(
  a: { readonly type: string; readonly id: string },
  b: { readonly type: string; readonly id: string },
): boolean {
  return a.type === b.type && a.id === b.id;
}

/** A decider may name the events of the other actors that it appends to; they are checked when they are appended. */
function typed<T>(value: unknown): T {
  return value as T;
}
