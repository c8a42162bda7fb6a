import { InvalidArgumentError } from "../errors.ts";
import type { AnyEvent } from "../store/event.ts";
import { validateExpectedVersion } from "../store/outgoing.ts";
import { type Actor, validateActor } from "../store/subject.ts";
import type { DecideContext, DecidedAppend } from "./definition.ts";
import { InvalidDecisionError } from "./errors.ts";

/** What `decide` came to. */
export interface Decision {
  readonly events: readonly AnyEvent[];
  /** Of other actors. */
  readonly appends: readonly DecidedAppend[];
}

/** What a command says beside itself. */
export interface CommandFacts {
  readonly commandId: string | undefined;
  /** Milliseconds since 1970. */
  readonly receivedAtMs: number;
}

/** The context of one run of `decide`; it takes nothing any more when the run is over. */
export class Deciding implements DecideContext {
  readonly actor: Actor;
  readonly version: number;
  readonly commandId: string | undefined;
  readonly #receivedAtMs: number;
  #appends: DecidedAppend[] | undefined;
  #isOver = false;

  constructor(actor: Actor, version: number, { commandId, receivedAtMs }: CommandFacts) {
    this.actor = actor;
    this.version = version;
    this.commandId = commandId;
    this.#receivedAtMs = receivedAtMs;
  }

  get receivedAt(): Date {
    return new Date(this.#receivedAtMs);
  }

  /** Works without its object too: `const { append } = context`. Made when it is asked for: most decisions need none. */
  get append(): (entry: DecidedAppend) => void {
    return (entry) => this.#append(entry);
  }

  #append(entry: DecidedAppend): void {
    if (this.#isOver) throw new InvalidDecisionError(this.actor, "decide is over");
    const { actor } = entry;
    validateActor(actor);
    if (!Array.isArray(entry.events) || entry.events.length === 0) {
      throw new InvalidArgumentError("events", "a list of at least one event", entry.events);
    }
    if (entry.expectedVersion !== undefined) {
      validateExpectedVersion(entry.expectedVersion, "expectedVersion");
    }
    const same = (other: Actor): boolean => other.type === actor.type && other.id === actor.id;
    if (same(this.actor)) {
      throw new InvalidArgumentError("actor", "another actor than the one that decides", actor.id);
    }
    this.#appends ??= [];
    if (this.#appends.some((known) => same(known.actor))) {
      throw new InvalidArgumentError("actor", "each actor once", actor.id);
    }
    this.#appends.push(entry);
  }

  /**
   * What came of the run.
   *
   * @throws {InvalidDecisionError}
   */
  decided(events: unknown): Decision {
    this.#isOver = true;
    const appends = this.#appends ?? [];
    if (!Array.isArray(events)) {
      const found = isThenable(events) ? "a promise: it must not be async" : typeof events;
      const reason = `decide must return a list of events, which may be empty; it returned ${found}`;
      if (isThenable(events)) Promise.resolve(events).catch(() => {});
      throw new InvalidDecisionError(this.actor, reason);
    }
    if (events.length === 0 && appends.length > 0) {
      const reason =
        "a decision that appends to other actors needs an event of its own to guard it";
      throw new InvalidDecisionError(this.actor, reason);
    }
    return { events, appends };
  }
}

function isThenable(value: unknown): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    "then" in value &&
    typeof value.then === "function"
  );
}
