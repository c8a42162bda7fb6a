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
import type { AppendResult, CommitOptions } from "../store/writer.ts";
import type { ActiveActor, ActorState } from "./active-actor.ts";
import type { ActorMemory } from "./actor-memory.ts";
import { type CommandFacts, Deciding, type Decision } from "./decision.ts";
import type { DecidedAppend, Evolving } from "./definition.ts";
import { actorChannels, type SendMessage } from "./diagnostics.ts";
import { CommandTimeoutError } from "./errors.ts";
import { evolve, evolving } from "./fold.ts";
import type { Loader } from "./loader.ts";
import type { HostSettings } from "./options.ts";
import { isOfCommand, sharedId, unrepeatable } from "./recent-commands.ts";

/** A command on its way. */
export interface Call extends CommandFacts {
  readonly command: unknown;
  readonly options: Omit<CommitOptions, "commitId">;
  /** By `performance.now()`. */
  readonly arrivedAt: number;
  /** By `performance.now()`. */
  readonly deadline: number;
  readonly timeoutMs: number;
  /** undefined where nobody listens. */
  readonly told: SendMessage | undefined;
}

/** What came of a command. */
export interface CommandOutcome {
  readonly state: unknown;
  readonly version: number;
  readonly events: readonly Evolving<AnyEvent>[];
  readonly position: number | undefined;
  readonly commitId: string | undefined;
  readonly replayed: boolean;
}

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

  async run(active: ActiveActor, call: Call): Promise<CommandOutcome> {
    this.counts.commands++;
    const { commandId, deadline, told } = call;
    if (told !== undefined) told.warm = active.current !== undefined;
    if (active.current === undefined) await this.#loader.load(active, this.#bounds(call));
    else if (this.isStale(active)) await this.#loader.catchUp(active, this.#bounds(call));
    for (let conflicts = 0; ; ) {
      if (commandId !== undefined) {
        const ids = [commandId, sharedId(commandId, active.subject)];
        const first = await this.#recall(active, active.recent.find(ids), commandId, call);
        if (first !== undefined) return first;
      }
      const outcome = await this.#attempt(active, call, conflicts + 1);
      if (outcome !== undefined) return outcome;
      this.counts.conflicts++;
      conflicts++;
      if (told !== undefined) told.conflicts = conflicts;
      if (conflicts > this.#settings.maxConflicts || performance.now() >= deadline) {
        throw new TooManyConflictsError(active.actor, conflicts);
      }
      if (conflicts > 1) await sleep(backoffMs(RACE, conflicts - 1));
    }
  }

  /** Whether the state is known not to be the actor's last. */
  isStale({ inDoubt, subject, current }: ActiveActor): boolean {
    if (inDoubt) return true;
    const known = this.#internals.context.cache.peek(subject);
    return known !== undefined && known.sequence > (current?.position ?? 0);
  }

  /** Decides once; undefined where that was too late, and the state has been brought up to date. */
  async #attempt(
    active: ActiveActor,
    call: Call,
    attempt: number,
  ): Promise<CommandOutcome | undefined> {
    const { current } = active;
    if (current === undefined) throw new TypeError(`${active.subject} is not loaded`);
    if (performance.now() >= call.deadline) {
      throw new CommandTimeoutError(active.actor, call.timeoutMs);
    }
    const decision = this.#decide(active, current, call, attempt);
    if ("error" in decision || decision.events.length === 0) {
      if (!(await this.#isVerified(active, call))) return undefined;
      if ("error" in decision) {
        this.counts.rejected++;
        throw decision.error;
      }
      const { state, version } = current;
      const nothing = { position: undefined, commitId: undefined, replayed: false };
      return { state, version, events: NO_EVENTS, ...nothing };
    }
    const prepared = await this.#prepare(active, current, decision.events, call);
    return await this.#append(active, current, decision, prepared, call);
  }

  #decide(
    { kind, actor }: ActiveActor,
    { state, version }: ActorState,
    call: Call,
    attempt: number,
  ): Decision | Refused {
    const context = new Deciding(actor, version, call);
    const decide = (): Decision | Refused => {
      let events: unknown;
      try {
        events = kind.decide(call.command, state, context);
      } catch (error) {
        return { error };
      }
      return context.decided(events);
    };
    if (!actorChannels.decide.hasSubscribers) return decide();
    const { stream } = this.#internals.context;
    const told = { stream, actor, command: typeOf(call.command), version, attempt, events: 0 };
    return actorChannels.decide.sync(() => {
      const decision = decide();
      if ("events" in decision) told.events = decision.events.length;
      return decision;
    }, told);
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
  async #prepare(
    { kind, actor }: ActiveActor,
    current: ActorState,
    events: readonly AnyEvent[],
    { options }: Call,
  ): Promise<Prepared> {
    const { interpreter } = this.#internals;
    const checked = interpreter.validateNew(actor.type, events);
    const valid = checked instanceof Promise ? await checked : checked;
    const body = encodeBody(valid, metadataOf(options));
    const { events: stored, metadata } = decodeBody(body);
    const firstVersion = current.version + 1;
    const shapes = interpreter.shapes(actor, stored, firstVersion);
    const shaped: readonly DecodedEvent[] = shapes instanceof Promise ? await shapes : shapes;
    const taken = evolving({ events: shaped, metadata, firstVersion });
    return { body, events: taken, state: evolve(kind, actor, current.state, taken, false) };
  }

  async #append(
    active: ActiveActor,
    current: ActorState,
    decision: Decision,
    prepared: Prepared,
    call: Call,
  ): Promise<CommandOutcome | undefined> {
    const sentAt = performance.now();
    const timeoutMs = Math.max(1, Math.ceil(call.deadline - sentAt));
    let stored: AppendResult;
    try {
      stored =
        decision.appends.length === 0
          ? await this.#appendOwn(active, current, prepared, call, timeoutMs)
          : await this.#appendAll(active, current, decision, call, timeoutMs);
    } catch (error) {
      if (!isLost(error, active)) throw this.#failed(active, error);
      await this.#loader.catchUp(active, this.#bounds(call));
      if (!(error instanceof CommitIdReusedError)) return undefined;
      return await this.#first(active, error.position, call, error);
    }
    // another process has stored what came of the same command: what it decided counts
    if (stored.replayed) {
      await this.#loader.catchUp(active, this.#bounds(call));
      return await this.#first(active, stored.position, call, undefined);
    }
    const { state, events } = prepared;
    const { version, position, commitId } = stored;
    this.#advance(active, { state, version, position, commitId }, sentAt);
    return { state, version, events, position, commitId, replayed: false };
  }

  #appendOwn(
    { actor }: ActiveActor,
    current: ActorState,
    { body, events }: Prepared,
    call: Call,
    timeoutMs: number,
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
    return this.#internals.appendEncoded(append, timeoutMs);
  }

  async #appendAll(
    { actor, subject }: ActiveActor,
    current: ActorState,
    { events, appends }: Decision,
    call: Call,
    timeoutMs: number,
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
    const commit = { ...others, headers, commitId: id, timeoutMs };
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

  /** What the actor is good for after an append that failed. */
  #failed(active: ActiveActor, error: unknown): unknown {
    if (error instanceof AppendOutcomeUnknownError) active.inDoubt = true;
    else if (error instanceof StreamRolledBackError) active.forget();
    return error;
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

  /** The same of a commit that the store has found under the command's id. */
  async #first(
    active: ActiveActor,
    position: number,
    call: Call,
    reused: Error | undefined,
  ): Promise<CommandOutcome> {
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

/** The command's `type`, where it has one. */
export function typeOf(command: unknown): string | undefined {
  if (typeof command !== "object" || command === null || !("type" in command)) return undefined;
  return typeof command.type === "string" ? command.type : undefined;
}

/** Whether an append failed because another writer was faster, so that deciding again may help. */
function isLost(error: unknown, { actor }: ActiveActor): boolean {
  if (error instanceof CommitIdReusedError) {
    return error.actor.type === actor.type && error.actor.id === actor.id;
  }
  if (!(error instanceof VersionConflictError)) return false;
  return error.actor.type === actor.type && error.actor.id === actor.id;
}

/** The caller's headers, and what listeners have added. */
function headersOf({ options, told }: Call): CommitOptions["headers"] {
  return told === undefined ? options.headers : { ...told.headers, ...options.headers };
}
