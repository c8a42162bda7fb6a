import { types } from "node:util";
import type { ActorKind, DecidedAppend, DecideContext, Evolving } from "../actor/definition.ts";
import { EvolveFailedError, InvalidDecisionError } from "../actor/errors.ts";
import { InvalidArgumentError } from "../errors.ts";
import { attempt } from "../internal/attempt.ts";
import type { AnyEvent } from "../store/event.ts";
import { validateExpectedVersion } from "../store/outgoing.ts";
import { type Actor, validateActor } from "../store/subject.ts";
import { toError } from "./expected-error.ts";
import { Immutability } from "./immutability.ts";
import { type StoredEvent, storedEvents } from "./stored-events.ts";

/** What a decider is tried with. */
export interface Scene<State, Command, Event extends AnyEvent> {
  readonly kind: ActorKind<string, State, Command, Event>;
  readonly actor: Actor;
  /** What has happened to the actor. */
  readonly events: readonly StoredEvent<Event>[];
  /** What of it is not frozen is the test's own. */
  readonly command: Command;
  readonly commandId: string | undefined;
  readonly receivedAt: Date;
}

/** What came of a command. */
export interface Decision<Event extends AnyEvent> {
  readonly events: readonly StoredEvent<Event>[];
  /** In the order of `context.append`. */
  readonly appends: readonly DecidedAppend[];
}

/** What was handed to a pure function, and changed by it in place, or was to be. */
interface InPlaceChange {
  readonly by: "decide" | "evolve";
  readonly cause: Error;
}

/** What one run of a decider came to. */
export interface DeciderRun<State, Event extends AnyEvent> {
  /** As far as it came: the state that is decided on, the state behind the decided events. */
  readonly states: readonly State[];
  readonly decision: Decision<Event> | undefined;
  readonly failure: Error | undefined;
  readonly defect: InPlaceChange | undefined;
}

/** What the engine says of a change of what is frozen. */
const FROZEN = /^Cannot (assign to read only|add|define|delete|redefine) property/;

/**
 * Evolves, decides, and evolves what was decided, as a host does. All that decider and events share is frozen; of the
 * command only what the test does not share.
 */
export function runDecider<State, Command, Event extends AnyEvent>(
  scene: Scene<State, Command, Event>,
): DeciderRun<State, Event> {
  const run = new Run(scene);
  const result = attempt(() => run.play());
  const { states, defect } = run;
  if ("error" in result) {
    return { states, decision: undefined, failure: toError(result.error), defect };
  }
  return { states, decision: result.value, failure: undefined, defect };
}

class Run<State, Command, Event extends AnyEvent> {
  readonly states: State[] = [];
  defect: InPlaceChange | undefined;
  readonly #scene: Scene<State, Command, Event>;
  readonly #immutability = new Immutability();

  constructor(scene: Scene<State, Command, Event>) {
    this.#scene = scene;
  }

  play(): Decision<Event> {
    const { kind, events } = this.#scene;
    const before = this.#evolve(kind.initialState, events, { behind: 0, stored: true });
    this.states.push(before);
    const decision = this.#decide(before);
    const place = { behind: events.length, stored: false };
    this.states.push(this.#evolve(before, decision.events, place));
    return decision;
  }

  #evolve(
    before: State,
    events: readonly StoredEvent<Event>[],
    { behind, stored }: { readonly behind: number; readonly stored: boolean },
  ): State {
    const { actor } = this.#scene;
    let state = before;
    let version = behind;
    for (const event of events) {
      version += 1;
      const evolving: Evolving<Event> = { ...event, version, metadata: event.metadata ?? {} };
      const result = attempt(() => this.#guarded("evolve", () => this.#step(state, evolving)));
      if ("error" in result) throw new EvolveFailedError(actor, evolving, stored, result.error);
      state = result.value;
    }
    return this.#immutability.protect(state);
  }

  #step(state: State, event: Evolving<Event>): State {
    const protectedState = this.#immutability.protect(state);
    const next = this.#scene.kind.evolve(protectedState, this.#immutability.protect(event));
    if (isPromise(next)) throw new TypeError("it returned a promise: it must be synchronous");
    return next;
  }

  #decide(state: State): Decision<Event> {
    const { kind, actor, command, commandId, receivedAt, events } = this.#scene;
    const appends: DecidedAppend[] = [];
    const context: DecideContext = {
      actor: this.#immutability.protect({ ...actor }),
      version: events.length,
      commandId,
      receivedAt: this.#immutability.protect(new Date(receivedAt)),
      append: (entry) => {
        if (Object.isFrozen(appends)) throw new InvalidDecisionError(actor, "decide is over");
        appends.push(checkedAppend(actor, appends, entry));
      },
    };
    this.#immutability.protect(state);
    this.#immutability.watch(command);
    const returned = this.#guarded("decide", () =>
      kind.decide(command, state, Object.freeze(context)),
    );
    Object.freeze(appends);
    const decided = checkedEvents<Event>(actor, returned);
    if (appends.length > 0 && decided.length === 0) {
      const reason =
        "decide appends to others, but returned no event of its own to guard the decision";
      throw new InvalidDecisionError(actor, reason);
    }
    return { events: decided, appends };
  }

  /** Notes what the call changed in place, or was to. */
  #guarded<Result>(by: InPlaceChange["by"], call: () => Result): Result {
    const result = attempt(call);
    const unchanged = attempt(() => this.#immutability.verify());
    if ("error" in unchanged) this.defect ??= { by, cause: toError(unchanged.error) };
    if ("value" in result) return result.value;
    const { error } = result;
    if (error instanceof TypeError && FROZEN.test(error.message)) {
      this.defect ??= { by, cause: error };
    }
    throw error;
  }
}

function checkedEvents<Event extends AnyEvent>(
  actor: Actor,
  returned: readonly StoredEvent<Event>[],
): readonly StoredEvent<Event>[] {
  if (isPromise(returned)) {
    throw new InvalidDecisionError(actor, "decide returned a promise: it must be synchronous");
  }
  if (!Array.isArray(returned)) {
    throw new InvalidDecisionError(actor, "decide returned no list of events");
  }
  return storedEvents(returned);
}

function checkedAppend(
  own: Actor,
  before: readonly DecidedAppend[],
  entry: DecidedAppend,
): DecidedAppend {
  const { actor, events, expectedVersion = "any" } = entry;
  validateActor(actor);
  const { type, id } = actor;
  if ([own, ...before.map((other) => other.actor)].some((o) => o.type === type && o.id === id)) {
    throw new InvalidArgumentError("actor", "each actor once, and not the one that decides", id);
  }
  if (!Array.isArray(events) || events.length === 0) {
    throw new InvalidArgumentError("events", "a list of at least one event", events);
  }
  return {
    actor: { type, id },
    events: storedEvents(events),
    expectedVersion: validateExpectedVersion(expectedVersion, "expectedVersion"),
  };
}

/** Whether it is a promise; its failure then is nobody's. */
function isPromise(value: unknown): boolean {
  if (types.isPromise(value)) value.catch(() => {});
  return (
    typeof value === "object" &&
    value !== null &&
    "then" in value &&
    typeof value.then === "function"
  );
}
