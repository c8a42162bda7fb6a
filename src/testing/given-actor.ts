import { types } from "node:util";
import { assertCommandId } from "../actor/send-options.ts";
import { InvalidArgumentError } from "../errors.ts";
import { type Attempt, attempt } from "../internal/attempt.ts";
import type { AnyEvent, NewEvent } from "../store/event.ts";
import { checkedRun } from "./checked-run.ts";
import type { DeciderRun, Decision, Scene } from "./decider-run.ts";
import { show } from "./difference.ts";
import { assertDecided, type ExpectedDecision, validateExpected } from "./expected-decision.ts";
import {
  assertFails,
  assertFailsLike,
  type Ending,
  type ErrorClass,
  isErrorClass,
} from "./expected-error.ts";
import { frozenCopy } from "./frozen-copy.ts";

/** Which actor a test of a decider is about. */
export interface GivenActorOptions {
  /** Its id, as `decide` finds it in `context.actor`. @default "given" */
  readonly id?: string | undefined;
}

/** What `decide` is told of a command. */
export interface WhenOptions {
  /** As `host.send` takes it, but not remembered: the same id twice decides twice. @default none */
  readonly commandId?: string | undefined;
  /** @default 2000-01-01T00:00:00Z */
  readonly receivedAt?: Date | undefined;
}

/** What has happened to an actor, as a host knows it. */
type Past<State, Command, Event extends AnyEvent> = Pick<
  Scene<State, Command, Event>,
  "kind" | "actor" | "events"
>;

const RECEIVED_AT_MS = Date.UTC(2000, 0, 1);

/** What has happened to an actor. Made by {@link given}. */
export class GivenActor<State, Command, Event extends AnyEvent> {
  readonly #past: Past<State, Command, Event>;

  /** @internal see {@link given} */
  constructor(past: Past<State, Command, Event>) {
    this.#past = past;
  }

  /**
   * The command that is decided on now. Nothing runs before it is said what should come of it.
   *
   * @throws {InvalidArgumentError} a host would refuse the options
   */
  when(command: Command, options: WhenOptions = {}): WhenCommand<State, Command, Event> {
    return new WhenCommand(this.#past, command, options);
  }
}

/** A command, before it is said what should come of it. */
export class WhenCommand<State, Command, Event extends AnyEvent> {
  readonly #scene: Scene<State, Command, Event>;
  #run: Attempt<DeciderRun<State, Event>> | undefined;

  /** @internal see {@link given} */
  constructor(past: Past<State, Command, Event>, command: Command, options: WhenOptions) {
    const { commandId, receivedAt = new Date(RECEIVED_AT_MS) } = options;
    if (commandId !== undefined) assertCommandId(commandId);
    if (!types.isDate(receivedAt) || Number.isNaN(receivedAt.getTime())) {
      throw new InvalidArgumentError("receivedAt", "a valid Date", receivedAt);
    }
    const copy = frozenCopy(command);
    this.#scene = { ...past, command: copy, commandId, receivedAt: new Date(receivedAt) };
  }

  /**
   * The next command, behind the events of this one. What this one appended to others is left out.
   *
   * @throws {InvalidArgumentError} a host would refuse the options
   * @throws what this one fails with
   */
  when(command: Command, options: WhenOptions = {}): WhenCommand<State, Command, Event> {
    const { kind, actor, events } = this.#scene;
    const past = { kind, actor, events: [...events, ...this.#decision().events] };
    return new WhenCommand(past, command, options);
  }

  /**
   * Asserts what comes of the command: the events, or any of `{ events, state, appends }`, or the class of the error that
   * it fails with (as {@link thenFails}), or an error that equals it. With events and without `appends`, nothing may be
   * appended to others. Not to be awaited.
   *
   * @throws {AssertionError} with the first difference of each part; or that the decider is not pure, or that a state
   * does not survive its snapshot
   * @throws what the decider fails with, where no error is expected
   */
  // oxlint-disable-next-line unicorn/no-thenable -- the word that everybody knows; an await is refused
  then(
    expected: readonly NewEvent<Event>[] | ExpectedDecision<State, Event> | ErrorClass | Error,
  ): void {
    if (isErrorClass(expected)) return void this.thenFails(expected);
    if (expected instanceof Error) return assertFailsLike(this.#ending(), expected);
    if (typeof expected !== "object" || expected === null) {
      throw new InvalidArgumentError("then", "events, a state or an error, and no await", expected);
    }
    const wanted = isEvents(expected) ? { events: expected } : expected;
    validateExpected(wanted);
    const decision = this.#decision();
    assertDecided(this.#subject(), decision, this.#checked().states.at(-1), wanted);
  }

  /**
   * Asserts that the command fails by an error of this class, or with such a message; the error's causes count too. Given
   * events that `evolve` throws for are asserted by `EvolveFailedError` alone.
   *
   * @returns the error
   * @throws {AssertionError} where it does not fail, or by another error; or that the decider is not pure, or that a
   * state does not survive its snapshot
   */
  thenFails(expected: ErrorClass | RegExp): Error {
    return assertFails(this.#ending(), expected);
  }

  #decision(): Decision<Event> {
    const { decision, failure } = this.#checked();
    if (decision === undefined) throw failure;
    return decision;
  }

  #ending(): Ending {
    const { decision, failure } = this.#checked();
    const types = decision?.events.map(({ type }) => type) ?? [];
    return { subject: this.#subject(), failure, otherwise: `it decided ${show(types)}` };
  }

  #checked(): DeciderRun<State, Event> {
    this.#run ??= attempt(() => checkedRun(this.#scene));
    if ("error" in this.#run) throw this.#run.error;
    return this.#run.value;
  }

  #subject(): string {
    const { type, id } = this.#scene.actor;
    return `actor ${type}/${id}`;
  }
}

function isEvents<Event extends AnyEvent>(
  expected: readonly NewEvent<Event>[] | object,
): expected is readonly NewEvent<Event>[] {
  return Array.isArray(expected);
}
