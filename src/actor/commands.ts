import {
  AppendOutcomeUnknownError,
  CommitIdReusedError,
  StreamRolledBackError,
  TooManyConflictsError,
  VersionConflictError,
} from "../errors.ts";
import { type Backoff, backoffMs, sleep } from "../internal/backoff.ts";
import { uniqueIds } from "../internal/unique-ids.ts";
import type { ReadBounds } from "../nats/direct.ts";
import { metadataOf } from "../store/append-input.ts";
import type { AnyEvent } from "../store/event.ts";
import type { EventStore } from "../store/event-store.ts";
import type { StoreInternals } from "../store/internals.ts";
import { type DecodedEvent, decodeBody, encodeBody } from "../store/payload.ts";
import { actorSubject } from "../store/subject.ts";
import type { AppendResult } from "../store/writer.ts";
import type { ActiveActor, ActorState } from "./active-actor.ts";
import type { ActorMemory } from "./actor-memory.ts";
import {
  type Call,
  type CommandOutcome,
  headersOf,
  leftMs,
  tellOutcome,
  tellTurn,
  typeOf,
} from "./call.ts";
import { Deciding, type Decision } from "./decision.ts";
import type { DecidedAppend, Evolving } from "./definition.ts";
import { actorChannels } from "./diagnostics.ts";
import { CommandTimeoutError, InvalidDecisionError } from "./errors.ts";
import { evolve, evolving } from "./fold.ts";
import type { Loader } from "./loader.ts";
import type { HostSettings } from "./options.ts";
import { isOfCommand, sharedId, unrepeatable } from "./recent-commands.ts";

/** What commands have met so far. */
export interface CommandCounts {
  commands: number;
  rejected: number;
  conflicts: number;
  replayed: number;
}

/** What a decision makes of its actor, before it is stored. */
interface Prepared {
  readonly body: Uint8Array;
  readonly events: readonly Evolving<AnyEvent>[];
  readonly state: unknown;
}

type Refused = { readonly error: unknown };

/** Waits between decisions on one command that were too late. */
const RACE: Backoff = { firstMs: 1, maxMs: 50 };
const NO_EVENTS: readonly Evolving<AnyEvent>[] = [];

/** Decides commands on their actors' states, and appends what comes of it; the caller has the actor's turn. */
export class Commands {
  readonly counts: CommandCounts = { commands: 0, rejected: 0, conflicts: 0, replayed: 0 };
  readonly #store: EventStore;
  readonly #internals: StoreInternals;
  readonly #loader: Loader;
  readonly #memory: ActorMemory;
  readonly #settings: HostSettings;
  readonly #onAppended: (active: ActiveActor) => void;
  readonly #nextId = uniqueIds();

  constructor(parts: {
    readonly store: EventStore;
    readonly internals: StoreInternals;
    readonly loader: Loader;
    readonly memory: ActorMemory;
    readonly settings: HostSettings;
    /** Told of each commit of an actor in memory. */
    readonly onAppended: (active: ActiveActor) => void;
  }) {
    this.#store = parts.store;
    this.#internals = parts.internals;
    this.#loader = parts.loader;
    this.#memory = parts.memory;
    this.#settings = parts.settings;
    this.#onAppended = parts.onAppended;
  }

  /** Waits for the actor's turn, and decides. */
  async run(active: ActiveActor, call: Call): Promise<CommandOutcome> {
    const turn = this.#memory.enter(active, call.deadline, call.timeoutMs, call.options.signal);
    if (turn !== undefined) await turn;
    this.counts.commands++;
    try {
      if (call.told !== undefined) tellTurn(call.told, active, call);
      if (active.current === undefined) await this.#loader.load(active, this.#bounds(call));
      else if (this.#isStale(active)) await this.#loader.catchUp(active, this.#bounds(call));
      for (let conflicts = 0; ; ) {
        const outcome = await this.#attempt(active, call, conflicts + 1);
        if (outcome !== undefined) {
          if (call.told !== undefined) tellOutcome(call.told, outcome);
          return outcome;
        }
        await this.#afterConflict(active, call, ++conflicts);
      }
    } finally {
      this.#memory.leave(active, performance.now());
    }
  }

  /** Whether the state is known not to be the actor's last. */
  #isStale({ inDoubt, subject, current }: ActiveActor): boolean {
    if (inDoubt) return true;
    const known = this.#internals.context.cache.peek(subject);
    return known !== undefined && known.sequence > (current?.position ?? 0);
  }

  /** Another writer was faster: goes on after a little while, unless that was too often, or took too long. */
  async #afterConflict(active: ActiveActor, call: Call, conflicts: number): Promise<void> {
    this.counts.conflicts++;
    if (call.told !== undefined) call.told.conflicts = conflicts;
    if (conflicts > this.#settings.maxConflicts || performance.now() >= call.deadline) {
      throw new TooManyConflictsError(active.actor, conflicts);
    }
    if (conflicts > 1) await sleep(backoffMs(RACE, conflicts - 1));
  }

  /** Decides once; undefined where that was too late, and the state has been brought up to date. */
  async #attempt(
    active: ActiveActor,
    call: Call,
    attempt: number,
  ): Promise<CommandOutcome | undefined> {
    const { current } = active;
    const { commandId } = call;
    if (current === undefined) throw new TypeError(`${active.subject} is not loaded`);
    if (commandId !== undefined) {
      const places = active.recent.find(commandId, active.subject);
      const first = places.length > 0 && (await this.#recall(active, places, commandId, call));
      if (first) return first;
    }
    const sentAt = performance.now();
    if (sentAt >= call.deadline) throw new CommandTimeoutError(active.actor, call.timeoutMs);
    const decision = this.#decide(active, current, call, attempt);
    if ("error" in decision || decision.events.length === 0) {
      return await this.#withoutAppend(active, current, decision, call);
    }
    const preparing = this.#prepare(active, current, decision.events, call);
    const prepared = preparing instanceof Promise ? await preparing : preparing;
    let stored: AppendResult;
    try {
      stored =
        decision.appends.length === 0
          ? await this.#appendOwn(active, current, prepared, call)
          : await this.#appendAll(active, current, decision, call);
    } catch (error) {
      return await this.#afterFailure(active, error, call);
    }
    if (stored.replayed) return await this.#storedBefore(active, stored.position, call, undefined);
    const { state, events } = prepared;
    const { version, position, commitId } = stored;
    this.#advance(active, { state, version, position, commitId }, sentAt);
    return { state, version, events, position, commitId, replayed: false };
  }

  /** A refusal, or a decision without events: it counts if it was taken on current state. */
  async #withoutAppend(
    active: ActiveActor,
    { state, version }: ActorState,
    decision: Decision | Refused,
    call: Call,
  ): Promise<CommandOutcome | undefined> {
    if (!(await this.#isVerified(active, call))) return undefined;
    if ("error" in decision) {
      this.counts.rejected++;
      throw decision.error;
    }
    const nothing = { position: undefined, commitId: undefined, replayed: false };
    return { state, version, events: NO_EVENTS, ...nothing };
  }

  #decide(
    { kind, actor }: ActiveActor,
    { state, version }: ActorState,
    call: Call,
    attempt: number,
  ): Decision | Refused {
    const context = new Deciding(actor, version, call);
    const decide = (): unknown => kind.decide(call.command, state, typed<never>(context));
    try {
      if (!actorChannels.decide.hasSubscribers) return context.decided(decide());
      const { stream } = this.#internals.context;
      const told = { stream, actor, command: typeOf(call.command), version, attempt, events: 0 };
      return actorChannels.decide.sync(() => {
        const decision = context.decided(decide());
        told.events = decision.events.length;
        return decision;
      }, told);
    } catch (error) {
      // no refusal, but a decider that is wrong on any state
      if (error instanceof InvalidDecisionError) throw error;
      return { error };
    }
  }

  /**
   * Whether what was decided without an append was decided on current state. Where the state was confirmed since the
   * command arrived, or nobody wants to know, no question is asked.
   */
  async #isVerified(active: ActiveActor, call: Call): Promise<boolean> {
    if (!this.#settings.verifyRejections || active.confirmedAt >= call.arrivedAt) return true;
    return !(await this.#loader.catchUp(active, this.#bounds(call)));
  }

  /** Packs the events, and evolves the state as reading them again would: an event that cannot be taken is not stored. */
  #prepare(
    active: ActiveActor,
    current: ActorState,
    events: readonly AnyEvent[],
    call: Call,
  ): Prepared | Promise<Prepared> {
    const checked = this.#internals.interpreter.validateNew(active.actor.type, events);
    return checked instanceof Promise
      ? checked.then((valid) => this.#pack(active, current, valid, call))
      : this.#pack(active, current, checked, call);
  }

  #pack(
    { kind, actor }: ActiveActor,
    current: ActorState,
    valid: readonly AnyEvent[],
    { options }: Call,
  ): Prepared | Promise<Prepared> {
    const body = encodeBody(valid, metadataOf(options));
    const { events: stored, metadata } = decodeBody(body);
    const firstVersion = current.version + 1;
    const finish = (shaped: readonly DecodedEvent[]): Prepared => {
      const events = evolving({ events: shaped, metadata, firstVersion });
      return { body, events, state: evolve(kind, actor, current.state, events, false) };
    };
    const shapes = this.#internals.interpreter.shapes(actor, stored, firstVersion);
    return shapes instanceof Promise ? shapes.then(finish) : finish(shapes);
  }

  /** What an append that failed means: another writer was faster (undefined), or nothing can be done about it. */
  async #afterFailure(
    active: ActiveActor,
    error: unknown,
    call: Call,
  ): Promise<CommandOutcome | undefined> {
    if (!isLost(error, active)) {
      if (error instanceof AppendOutcomeUnknownError) active.inDoubt = true;
      else if (error instanceof StreamRolledBackError) active.forget();
      throw error;
    }
    if (error instanceof CommitIdReusedError) {
      return await this.#storedBefore(active, error.position, call, error);
    }
    await this.#loader.catchUp(active, this.#bounds(call));
    return undefined;
  }

  #appendOwn(
    { actor }: ActiveActor,
    current: ActorState,
    { body, events }: Prepared,
    call: Call,
  ): Promise<AppendResult> {
    const { commandId } = call;
    const append = {
      actor,
      body,
      eventCount: events.length,
      expectedVersion: current.version,
      commitId: commandId ?? unrepeatable(this.#nextId()),
      commitIdGiven: commandId !== undefined,
      extraHeaders: headersOf(call),
      seal: undefined,
    };
    return this.#internals.appendEncoded(append, leftMs(call));
  }

  async #appendAll(
    { actor, subject }: ActiveActor,
    current: ActorState,
    { events, appends }: Decision,
    call: Call,
  ): Promise<AppendResult> {
    const { commandId, options } = call;
    const { signal: _signal, ...others } = options;
    const id =
      commandId === undefined ? unrepeatable(this.#nextId()) : sharedId(commandId, subject);
    const own = { actor, events, expectedVersion: current.version };
    const rest = appends.map(({ expectedVersion = "any" as const, ...append }) => ({
      ...append,
      expectedVersion,
    }));
    const headers = headersOf(call);
    const commit = { ...others, headers, commitId: id, timeoutMs: leftMs(call) };
    const [result, ...results] = await this.#store.appendAll([own, ...rest], commit);
    if (result === undefined) throw new TypeError("an appendAll without a result");
    if (!result.replayed) {
      for (const [at, append] of appends.entries()) void this.#passOn(append, results[at], call);
    }
    return result;
  }

  /** Another actor's part of a decision was stored: where it lies idle in memory, its state goes on. */
  async #passOn(
    { actor, events }: DecidedAppend,
    stored: AppendResult | undefined,
    call: Call,
  ): Promise<void> {
    const { prefix } = this.#internals.context;
    const other = this.#memory.peek(actorSubject(prefix, actor));
    const current = other?.current;
    if (other === undefined || current === undefined || stored === undefined) return;
    const { version, position, commitId } = stored;
    if (current.version + events.length !== version || other.isBusy) return;
    const sentAt = performance.now();
    void this.#memory.enter(other, call.deadline, call.timeoutMs, undefined);
    try {
      const { state } = await this.#prepare(other, current, events, call);
      this.#advance(other, { state, version, position, commitId }, sentAt);
    } catch {
      // it is read when it is asked next: the cache knows that there is more
    } finally {
      this.#memory.leave(other, sentAt);
    }
  }

  /** The append was stored: the actor's state goes on. */
  #advance(active: ActiveActor, current: ActorState, sentAt: number): void {
    active.current = current;
    active.recent.add(current.commitId, current.position);
    active.confirmedAt = sentAt;
    active.commitsSince++;
    this.#onAppended(active);
  }

  /** What the command came to before, by the commits that may be its own. */
  async #recall(
    active: ActiveActor,
    positions: readonly number[],
    commandId: string,
    call: Call,
  ): Promise<CommandOutcome | undefined> {
    const { kind, actor, subject } = active;
    const bounds = this.#bounds(call);
    for (const position of positions) {
      const commit = await this.#internals.history.bySequence(subject, position, bounds);
      if (commit === undefined || !isOfCommand(commit.commitId, commandId, subject)) continue;
      const { firstVersion, version, commitId, payload } = commit;
      const { metadata } = payload;
      const shaped = await this.#internals.interpreter.shapes(actor, payload.events, firstVersion);
      const events = evolving({ events: shaped, metadata, firstVersion });
      const { state } =
        version === active.current?.version
          ? active.current
          : await this.#loader.past(kind, actor, subject, { version }, bounds);
      this.counts.replayed++;
      return { state, version, events, position, commitId, replayed: true };
    }
    return undefined;
  }

  /** Another process has stored what came of the same command: what it decided counts. */
  async #storedBefore(
    active: ActiveActor,
    position: number,
    call: Call,
    reused: Error | undefined,
  ): Promise<CommandOutcome> {
    await this.#loader.catchUp(active, this.#bounds(call));
    const found = await this.#recall(active, [position], call.commandId ?? "", call);
    if (found !== undefined) return found;
    throw reused ?? new TypeError(`no commit of command ${call.commandId} at ${position}`);
  }

  #bounds({ deadline }: Call): ReadBounds {
    const { readTimeoutMs } = this.#internals.context.limits;
    const timeoutMs = Math.min(readTimeoutMs, Math.ceil(deadline - performance.now()));
    return { timeoutMs: Math.max(1, timeoutMs), deadline };
  }
}

/** Whether an append failed because another writer was faster, so that deciding again may help. */
function isLost(error: unknown, { actor }: ActiveActor): boolean {
  if (error instanceof CommitIdReusedError) {
    return error.actor.type === actor.type && error.actor.id === actor.id;
  }
  if (!(error instanceof VersionConflictError)) return false;
  return error.actor.type === actor.type && error.actor.id === actor.id;
}

/** A decider may name the events of the other actors that it appends to; they are checked when they are appended. */
function typed<T>(value: unknown): T {
  return value as T;
}
