import { ClosedError, InvalidArgumentError } from "../errors.ts";
import { abortable } from "../internal/abort.ts";
import type { ReadBounds } from "../nats/direct.ts";
import type { ActorType, AnyEvent, EventMap } from "../store/event.ts";
import type { EventStore } from "../store/event-store.ts";
import { internalsOf, type StoreInternals } from "../store/internals.ts";
import { count } from "../store/options.ts";
import { type Actor, actorSubject } from "../store/subject.ts";
import type { ActiveActor, ActorState } from "./active-actor.ts";
import { ActorMemory } from "./actor-memory.ts";
import { Call, type CommandOutcome, typeOf } from "./call.ts";
import { Commands } from "./commands.ts";
import {
  type AnyActorKind,
  type CommandOf,
  type EventOf,
  type Evolving,
  SNAPSHOT_EVERY,
  type StateOf,
} from "./definition.ts";
import { actorChannels, type SendMessage } from "./diagnostics.ts";
import { IdleRefresh } from "./idle-refresh.ts";
import { Loader, type Past } from "./loader.ts";
import { type ActorHostOptions, type HostSettings, resolveHostOptions } from "./options.ts";
import { assertCommandId, type SendOptions } from "./send-options.ts";
import { ActorSnapshots } from "./snapshots.ts";

/** What came of a command. */
export interface CommandResult<State = unknown, Event extends AnyEvent = AnyEvent> {
  /** The actor's state after it. Not to be changed in place. */
  readonly state: State;
  /** The actor's version after it. */
  readonly version: number;
  /** The events of the actor itself that came of it; none where it was accepted and nothing happened. */
  readonly events: readonly Evolving<Event>[];
  /** Position of its commit in the stream; undefined without events. For `waitFor` of projections. */
  readonly position: number | undefined;
  /** undefined without events. */
  readonly commitId: string | undefined;
  /** Whether an earlier call with the same command id had done it already: this is what came of that one. */
  readonly replayed: boolean;
}

/** Which state to look at, and how long to wait. */
export interface StateOptions {
  /** As it was behind this event: 0 to the actor's version. */
  readonly version?: number | undefined;
  /** As it was at a time, by the server's clock (`recordedAt`). Excludes `version`. */
  readonly at?: Date | undefined;
  /** Ask the server whether there is more, one request; false: what this host knows, if it knows the actor. @default true */
  readonly fresh?: boolean | undefined;
  /** @default the host's `commandTimeoutMs` */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A state, and which. */
export interface VersionedState<State = unknown> {
  /** Not to be changed in place. */
  readonly state: State;
  readonly version: number;
  /** Position of the commit that made it; 0 without events. */
  readonly position: number;
}

/** How a host is, without asking anybody. Counts are since its start. */
export interface ActorHostStatus {
  readonly actorsInMemory: number;
  readonly commandsRunning: number;
  readonly commandsWaiting: number;
  /** Snapshots that wait or are on their way. */
  readonly snapshotsWaiting: number;
  readonly commands: number;
  /** Commands that ended with an error of `decide`. */
  readonly rejected: number;
  /** Decisions that were taken again because another writer was faster. */
  readonly conflicts: number;
  /** Commands that were repetitions. */
  readonly replayed: number;
}

/** The definition of an actor type among several. */
type KindOf<Kind, Type> = Extract<Kind, { readonly type: Type }>;

/** The definitions, each of which has events that the store knows of its actor type. */
type KnownTo<Events extends EventMap, Kinds extends readonly AnyActorKind[]> = {
  readonly [At in keyof Kinds]: Kinds[At]["type"] extends infer Type extends ActorType<Events>
    ? EventOf<Kinds[At]> extends Events[Type]
      ? Kinds[At]
      : never
    : never;
};

/**
 * Hosts actors in a process: a mailbox for each, its state in memory, decisions appended to the store. Any number of
 * processes may host the same actors: the store's version checks decide, and who was too late decides again.
 *
 * @example
 * const host = await ActorHost.start(store, [account], { idleMs: 60_000 });
 * const { state } = await host.send({ type: "account", id: "alice" }, { type: "Deposit", amount: 10n });
 * await host.close();
 */
export class ActorHost<Kind extends AnyActorKind = AnyActorKind> {
  readonly #internals: StoreInternals;
  readonly #settings: HostSettings;
  readonly #kinds: ReadonlyMap<string, AnyActorKind>;
  readonly #snapshots: ActorSnapshots | undefined;
  readonly #memory: ActorMemory;
  readonly #loader: Loader;
  readonly #commands: Commands;
  readonly #refresh: IdleRefresh;
  readonly #onRollback: () => void;
  #closing: Promise<void> | undefined;

  private constructor(
    internals: StoreInternals,
    kinds: ReadonlyMap<string, AnyActorKind>,
    settings: HostSettings,
    snapshots: ActorSnapshots | undefined,
  ) {
    this.#internals = internals;
    this.#kinds = kinds;
    this.#settings = settings;
    this.#snapshots = snapshots;
    this.#memory = new ActorMemory(settings, (active) => this.#onLeave(active));
    this.#loader = new Loader(internals, snapshots);
    this.#commands = new Commands(internals, this.#loader, this.#memory, settings, (active) =>
      this.#onAppended(active),
    );
    this.#refresh = new IdleRefresh(internals, this.#memory, this.#loader);
    this.#onRollback = () => {
      for (const active of this.#memory.all()) active.forget();
    };
    internals.context.rollbackListeners.add(this.#onRollback);
  }

  /**
   * Starts hosting actors of some types on a store, which stays open when the host closes.
   *
   * @throws {InvalidArgumentError} of a type that is defined twice, or of an option
   * @throws what keeps the snapshot bucket from being opened: {StreamSettingsError}, {JetStreamUnavailableError}, …
   */
  static async start<Events extends EventMap, const Kinds extends readonly AnyActorKind[]>(
    store: EventStore<Events>,
    kinds: Kinds & KnownTo<Events, Kinds>,
    options: ActorHostOptions = {},
  ): Promise<ActorHost<Kinds[number]>> {
    const internals = internalsOf(store);
    const settings = resolveHostOptions(options, internals.context.stream);
    const byType = new Map<string, AnyActorKind>();
    if (!Array.isArray(kinds) || kinds.length === 0) {
      throw new InvalidArgumentError("kinds", "a list of what defineActor returns", kinds);
    }
    for (const kind of kinds) {
      if (byType.has(kind.type))
        throw new InvalidArgumentError("kinds", "each type once", kind.type);
      byType.set(kind.type, kind);
    }
    options.signal?.throwIfAborted();
    const { snapshotBucket } = settings;
    const wanted = [...byType.values()].some(({ snapshot }) => snapshot !== undefined);
    const snapshots =
      snapshotBucket !== undefined && wanted
        ? await ActorSnapshots.open(internals, snapshotBucket, options.signal)
        : undefined;
    return new ActorHost(internals, byType, settings, snapshots);
  }

  /**
   * Has an actor decide a command, after those that were sent to it before, and appends what comes of it.
   *
   * @throws what `decide` throws, as it is
   * @throws {TooManyConflictsError} other writers were faster, again and again
   * @throws {CommandTimeoutError} it waited too long for its turn; {OverloadedError} too many wait
   * @throws {InvalidDecisionError}, {EvolveFailedError}; as {@link EventStore.append} where appending fails: with
   * {AppendOutcomeUnknownError}, send it again with the same command id
   */
  send<Type extends Kind["type"]>(
    actor: Actor<Type>,
    command: CommandOf<KindOf<Kind, Type>>,
    options: SendOptions = {},
  ): Promise<CommandResult<StateOf<KindOf<Kind, Type>>, EventOf<KindOf<Kind, Type>>>> {
    try {
      return typed(this.#send(actor, command, options));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** The state of an actor: now, behind an event, or at a time. As {@link load}. */
  async state<Type extends Kind["type"]>(
    actor: Actor<Type>,
    options: StateOptions = {},
  ): Promise<StateOf<KindOf<Kind, Type>>> {
    return (await this.load(actor, options)).state;
  }

  /**
   * The state of an actor with its version. Of an actor without events it is the initial state, at version 0.
   *
   * @throws {InvalidArgumentError} of a version that the actor has not reached; {EvolveFailedError}; as the store's reads
   */
  async load<Type extends Kind["type"]>(
    actor: Actor<Type>,
    options: StateOptions = {},
  ): Promise<VersionedState<StateOf<KindOf<Kind, Type>>>> {
    const { signal, fresh = true } = options;
    const until = pastOf(options);
    signal?.throwIfAborted();
    const timeoutMs = this.#limitMs(options.timeoutMs);
    const bounds = { timeoutMs, deadline: performance.now() + timeoutMs };
    if (until !== undefined) {
      const { kind, subject } = this.#known(actor);
      const past = this.#loader.past(kind, actor, subject, until, bounds);
      return typed(versioned(await abortable(past, signal)));
    }
    const active = this.#obtain(actor);
    if (!fresh && active.current !== undefined && !this.#commands.isStale(active)) {
      active.usedAt = performance.now();
      return typed(versioned(active.current));
    }
    return typed(versioned(await abortable(this.#look(active, bounds, signal), signal)));
  }

  /** How the host is. */
  status(): ActorHostStatus {
    return {
      actorsInMemory: this.#memory.size,
      commandsRunning: this.#memory.running,
      commandsWaiting: this.#memory.waiting,
      snapshotsWaiting: this.#snapshots?.size ?? 0,
      ...this.#commands.counts,
    };
  }

  /**
   * Takes no more commands, ends those that were sent, and writes the snapshots of what was in memory, for ten seconds at
   * most. The store stays open. Safe to call again; all calls end together.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#refresh.close();
    await this.#memory.drain();
    this.#commands.close();
    this.#internals.context.rollbackListeners.delete(this.#onRollback);
    const left = [...this.#memory.all()].filter(isWorthSnapshot);
    this.#memory.clear();
    await this.#snapshots?.close(left);
  }

  #send(actor: Actor, command: unknown, options: SendOptions): Promise<CommandOutcome> {
    const { commandId, signal, timeoutMs } = options;
    if (commandId !== undefined) assertCommandId(commandId);
    signal?.throwIfAborted();
    const active = this.#obtain(actor);
    const told = actorChannels.send.hasSubscribers
      ? this.#message(active.actor, command, options)
      : undefined;
    const call = new Call(command, options, this.#settings.now(), this.#limitMs(timeoutMs), told);
    const work =
      told === undefined
        ? this.#commands.run(active, call)
        : actorChannels.send.promise(() => this.#commands.run(active, call), told);
    return signal === undefined ? work : abortable(work, signal);
  }

  /** The actor's state now, in its turn. */
  async #look(
    active: ActiveActor,
    bounds: ReadBounds & { readonly deadline: number },
    signal: AbortSignal | undefined,
  ): Promise<ActorState> {
    const arrivedAt = performance.now();
    const turn = this.#memory.enter(active, bounds.deadline, bounds.timeoutMs, signal);
    if (turn !== undefined) await turn;
    try {
      do {
        if (active.current === undefined || active.confirmedAt < arrivedAt) {
          await this.#loader.catchUp(active, bounds);
        }
      } while (active.current === undefined);
      return active.current;
    } finally {
      this.#memory.leave(active, performance.now());
      // ids of nothing, which anybody may ask for, do not push others out
      if (active.current?.version === 0) this.#memory.drop(active);
    }
  }

  #obtain(actor: Actor): ActiveActor {
    const { kind, subject } = this.#known(actor);
    return this.#memory.obtain(kind, actor, subject);
  }

  #known(actor: Actor): { readonly kind: AnyActorKind; readonly subject: string } {
    if (this.#closing !== undefined) throw new ClosedError("the actor host");
    const subject = actorSubject(this.#internals.context.prefix, actor);
    const kind = this.#kinds.get(actor.type);
    if (kind !== undefined) return { kind, subject };
    const types = [...this.#kinds.keys()].join(", ");
    throw new InvalidArgumentError("actor.type", `a type of this host: ${types}`, actor.type);
  }

  #limitMs(given: number | undefined): number {
    return given === undefined ? this.#settings.commandTimeoutMs : count("timeoutMs", given, 1);
  }

  #message(actor: Actor, command: unknown, { commandId, headers }: SendOptions): SendMessage {
    const { stream } = this.#internals.context;
    return {
      stream,
      actor,
      command: typeOf(command),
      commandId,
      headers: { ...headers },
      conflicts: 0,
    };
  }

  /** A commit was added to an actor in memory. */
  #onAppended(active: ActiveActor): void {
    const { snapshot } = active.kind;
    if (snapshot === undefined || active.commitsSince < (snapshot.every ?? SNAPSHOT_EVERY)) return;
    active.commitsSince = 0;
    if (!active.keepsNewer && !active.unfit) this.#snapshots?.offer(active);
  }

  #onLeave(active: ActiveActor): void {
    if (isWorthSnapshot(active)) this.#snapshots?.offer(active);
  }
}

/** Whether the snapshot that stands is not of the state that the actor has. */
function isWorthSnapshot(active: ActiveActor): boolean {
  const { current, snapshotVersion, inDoubt, keepsNewer, unfit } = active;
  if (current === undefined || inDoubt || keepsNewer || unfit) return false;
  return current.version > snapshotVersion;
}

function pastOf({ version, at }: StateOptions): Past | undefined {
  if (version !== undefined && at !== undefined) {
    throw new InvalidArgumentError("at", "nothing beside version", at);
  }
  if (version !== undefined) return { version: count("version", version, 0) };
  if (at === undefined) return undefined;
  if (!(at instanceof Date) || Number.isNaN(at.getTime())) {
    throw new InvalidArgumentError("at", "a valid Date", at);
  }
  return { at };
}

function versioned({ state, version, position }: ActorState): VersionedState {
  return { state, version, position };
}

function typed<T>(value: unknown): T {
  return value as T;
}
