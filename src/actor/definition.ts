import { InvalidArgumentError, UnserialisableValueError } from "../errors.ts";
import type { ActorType, AnyEvent, EventMap, Metadata, NewEvent } from "../store/event.ts";
import { count } from "../store/options.ts";
import type { ExpectedVersion } from "../store/outgoing.ts";
import { serialisable } from "../store/serialisable.ts";
import { type Actor, validateActorType } from "../store/subject.ts";
import { deepFreeze } from "./deep-freeze.ts";

/** What `evolve` is told of an event beside its type and data. */
export interface EventFacts {
  /** Number of the event within its actor: 1, 2, 3 … */
  readonly version: number;
  readonly metadata: Metadata;
}

/** An event as `evolve` takes it. Where it was stored, and when, is not known yet when an actor's own events evolve it. */
export type Evolving<Event extends AnyEvent> = Event & EventFacts;

/** Another actor's part of a decision. */
export type DecidedAppend<Events extends EventMap = EventMap> = {
  readonly [Type in ActorType<Events>]: {
    readonly actor: Actor<Type>;
    readonly events: readonly NewEvent<Events[Type]>[];
    /** What that actor must be like. @default "any" */
    readonly expectedVersion?: ExpectedVersion | undefined;
  };
}[ActorType<Events>];

/**
 * What `decide` may know beside the command and the state. The same in every run for one command, but the version. Name
 * the store's events (`context: DecideContext<Bank>`) to have those checked that are appended to other actors.
 */
export interface DecideContext<Events extends EventMap = EventMap> {
  readonly actor: Actor;
  /** The actor's version that is decided on; 0 without events. */
  readonly version: number;
  readonly commandId: string | undefined;
  /** When the command arrived, by the host's clock: `decide` asks no clock of its own, because it may run again. */
  readonly receivedAt: Date;
  /**
   * Appends to another actor too, in one atomic append with the events that `decide` returns, of which there must be one
   * at least: it guards the decision. Each actor once.
   *
   * @throws {InvalidArgumentError}
   */
  readonly append: (entry: DecidedAppend<Events>) => void;
}

/** When the state of an actor is kept outside of the stream. It only saves time, and may be dropped whenever one likes. */
export interface SnapshotPolicy<State> {
  /** Commits after which a running actor's state is written; it is also written when the actor leaves memory. @default 100 */
  readonly every?: number | undefined;
  /** Of the state's shape and of `evolve`: a snapshot of another version is ignored. Raise it when either changes. */
  readonly version: number;
  /** Turns the state into plain data. @default as it is: plain data */
  encode?(state: State): unknown;
  /** Turns what `encode` made back into the state; required with `encode`. */
  decode?(data: unknown): State;
}

/** What {@link defineActor} takes. `decide` and `evolve` are pure: the same input, the same result, nothing changed in place. */
export interface ActorDefinition<
  Type extends string = string,
  State = unknown,
  Command = unknown,
  Event extends AnyEvent = AnyEvent,
  Events extends EventMap = EventMap,
> {
  /** `[A-Za-z][A-Za-z0-9_-]*`, such as `account`. */
  readonly type: Type;
  /** The state of an actor without events. Frozen throughout, so that nobody changes it for all. */
  readonly initialState: State;
  /**
   * The events that come of a command, or none (accepted, nothing happened), or throws why not: the error goes to the
   * caller as it is. It may run several times for one command, when another writer was faster.
   */
  decide(
    command: Command,
    state: State,
    context: DecideContext<Events>,
  ): readonly NewEvent<Event>[];
  /** The state after an event. It must take every event that is stored, for good. */
  evolve(state: State, event: Evolving<Event>): NoInfer<State>;
  /** @default none: the state is always read from the stream */
  readonly snapshot?: SnapshotPolicy<NoInfer<State>> | undefined;
  /**
   * Commands of an actor that are remembered by their `commandId`, so that repeating one reports its first result; what
   * lies further back is decided again. 12 bytes each in memory. @default 64
   */
  readonly rememberedCommands?: number | undefined;
}

/** An actor type with its defaults, as {@link defineActor} returns it. */
export interface ActorKind<
  Type extends string = string,
  State = unknown,
  Command = unknown,
  Event extends AnyEvent = AnyEvent,
  Events extends EventMap = EventMap,
> extends ActorDefinition<Type, State, Command, Event, Events> {
  readonly rememberedCommands: number;
}

/** Any actor type, whatever the other actors are that it appends to. */
export interface AnyActorKind extends Omit<ActorKind, "decide"> {
  decide(command: unknown, state: unknown, context: never): readonly NewEvent[];
}

/** State of an actor type. */
export type StateOf<Kind> = Kind extends { readonly initialState: infer State } ? State : never;

/** Commands of an actor type. */
export type CommandOf<Kind> = Kind extends {
  decide(command: infer Command, state: never, context: never): unknown;
}
  ? Command
  : never;

/** Events of an actor type. */
export type EventOf<Kind> =
  Kind extends ActorDefinition<string, infer _State, infer _Command, infer Event, infer _Events>
    ? Event
    : never;

const REMEMBERED_COMMANDS = 64;
/** Where the policy does not say. */
export const SNAPSHOT_EVERY = 100;

/**
 * Defines a type of actors: how it decides on commands, and how its events change its state.
 *
 * @throws {InvalidArgumentError} naming what is missing
 * @example
 * const account = defineActor({
 *   type: "account",
 *   initialState: { balance: 0n },
 *   decide(command: Withdraw | Deposit, state) {
 *     if (command.type === "Deposit") return [{ type: "Deposited", data: { amount: command.amount } }];
 *     if (state.balance < command.amount) throw new InsufficientFunds(state.balance);
 *     return [{ type: "Withdrawn", data: { amount: command.amount } }];
 *   },
 *   evolve(state, event: Deposited | Withdrawn) {
 *     const { amount } = event.data;
 *     return { balance: event.type === "Deposited" ? state.balance + amount : state.balance - amount };
 *   },
 *   snapshot: { every: 100, version: 1 },
 * });
 */
export function defineActor<
  const Type extends string,
  State,
  Command,
  // keeps the types of events from becoming any string
  EventType extends string,
  Returned extends readonly (AnyEvent & { readonly type: EventType })[],
  // of what decide returns, where evolve does not name them
  Event extends AnyEvent = Returned[number],
  Events extends EventMap = EventMap,
>(
  definition: Omit<ActorDefinition<Type, State, Command, Event, Events>, "decide" | "evolve"> & {
    decide(
      command: Command,
      state: State,
      context: DecideContext<Events>,
    ): Returned & readonly NewEvent<NoInfer<Event>>[];
    evolve(state: State, event: Evolving<Event>): NoInfer<State>;
  },
): ActorKind<Type, State, Command, Event, Events> {
  if (typeof definition !== "object" || definition === null) {
    throw new InvalidArgumentError(
      "definition",
      "{ type, initialState, decide, evolve }",
      definition,
    );
  }
  const { type, initialState, snapshot, rememberedCommands } = definition;
  validateActorType(type, "type");
  for (const name of ["decide", "evolve"] as const) {
    const given: unknown = definition[name];
    if (typeof given !== "function") throw new InvalidArgumentError(name, "a function", given);
  }
  if (!("initialState" in definition)) {
    throw new InvalidArgumentError("initialState", "a state", undefined);
  }
  if (snapshot !== undefined) assertPolicy(snapshot, initialState);
  const kind: ActorKind<Type, State, Command, Event, Events> = {
    type,
    initialState: deepFreeze(initialState),
    // by name: a definition may be an object of a class
    decide: (command, state, context) => definition.decide(command, state, context),
    evolve: (state, event) => definition.evolve(state, event),
    snapshot,
    rememberedCommands:
      rememberedCommands === undefined
        ? REMEMBERED_COMMANDS
        : count("rememberedCommands", rememberedCommands, 0),
  };
  return Object.freeze(kind);
}

/** @throws {InvalidArgumentError} of a policy that is none, or that cannot keep the initial state */
function assertPolicy<State>(policy: SnapshotPolicy<State>, state: State): void {
  if (typeof policy !== "object" || policy === null) {
    throw new InvalidArgumentError("snapshot", "{ every, version }", policy);
  }
  const { every = SNAPSHOT_EVERY, version } = policy;
  count("snapshot.version", version, 0);
  count("snapshot.every", every, 1);
  const kinds = [typeof policy["encode"], typeof policy["decode"]].join();
  if (kinds !== "undefined,undefined" && kinds !== "function,function") {
    throw new InvalidArgumentError("snapshot", "functions encode and decode, or neither", policy);
  }
  try {
    serialisable(policy.encode === undefined ? state : policy.encode(state), "data", undefined);
  } catch (error) {
    if (!(error instanceof UnserialisableValueError)) throw error;
    const expected = "plain data, or snapshot.encode and decode that make it so";
    throw new InvalidArgumentError("initialState", expected, state, { cause: error });
  }
}
