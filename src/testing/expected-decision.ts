import { AssertionError } from "node:assert";
import type { DecidedAppend } from "../actor/definition.ts";
import { InvalidArgumentError } from "../errors.ts";
import type { AnyEvent, NewEvent } from "../store/event.ts";
import type { Decision } from "./decider-run.ts";
import { firstDifference } from "./difference.ts";
import { type StoredEvent, storedEvents } from "./stored-events.ts";

/** What should come of a command, at least one part. What is not named may be anything, but for `appends`. */
export interface ExpectedDecision<State, Event extends AnyEvent> {
  /** All events, in their order; the metadata of an event count where they are given. */
  readonly events?: readonly NewEvent<Event>[] | undefined;
  /** The state behind the events. */
  readonly state?: State;
  /**
   * All that `context.append` was given, in its order; without `expectedVersion` it is `"any"`.
   * @default none, where `events` are expected; else anything
   */
  readonly appends?: readonly DecidedAppend[] | undefined;
}

/** Something with a name, as expected and as found. */
interface Compared {
  readonly name: string;
  readonly expected: unknown;
  readonly found: unknown;
}

/** @throws {InvalidArgumentError} naming what cannot be expected, or that it was an `await`, or that nothing is expected */
export function validateExpected(expected: ExpectedDecision<unknown, AnyEvent>): void {
  const prototype: unknown = Object.getPrototypeOf(expected);
  const unknown = Object.keys(expected).find(
    (key) => key !== "events" && key !== "state" && key !== "appends",
  );
  if ((prototype !== Object.prototype && prototype !== null) || unknown !== undefined) {
    const forms = "a list of events, { events, state, appends }, an error or its class";
    throw new InvalidArgumentError("then", forms, unknown ?? expected);
  }
  if (expected.events === undefined && expected.appends === undefined && !("state" in expected)) {
    throw new InvalidArgumentError("then", "events, state or appends, at least one", expected);
  }
}

/**
 * Asserts that the decision is as expected.
 *
 * @throws {AssertionError} with the first difference of each part
 * @throws {InvalidArgumentError}, {UnserialisableValueError} of events that nobody could decide
 */
export function assertDecided<State, Event extends AnyEvent>(
  subject: string,
  decision: Decision<Event>,
  state: State | undefined,
  expected: ExpectedDecision<State, Event>,
): void {
  const parts: Compared[] = [];
  const { events, appends = events && [] } = expected;
  if (events !== undefined) {
    parts.push({ name: "events", ...eventsOf(storedEvents(events), decision.events) });
  }
  if ("state" in expected) parts.push({ name: "state", expected: expected.state, found: state });
  if (appends !== undefined) {
    parts.push({ name: "appends", ...appendsOf(appends, decision.appends) });
  }
  const unlike = parts.flatMap((part) => {
    const difference = firstDifference(part.expected, part.found, part.name);
    if (difference === undefined) return [];
    const { path, a, b } = difference;
    return [{ ...part, message: `${path}: expected ${a}, found ${b}` }];
  });
  if (unlike.length === 0) return;
  throw new AssertionError({
    message: [
      `${subject} did not decide as expected`,
      ...unlike.map(({ message }) => message),
    ].join("\n"),
    expected: Object.fromEntries(unlike.map(({ name, expected: value }) => [name, value])),
    actual: Object.fromEntries(unlike.map(({ name, found }) => [name, found])),
    operator: "then",
  });
}

/** Without the metadata that nothing is expected of. */
function eventsOf(
  expected: readonly StoredEvent[],
  found: readonly StoredEvent[],
): Pick<Compared, "expected" | "found"> {
  return {
    expected: expected.map((event) => shown(event, event.metadata !== undefined)),
    found: found.map((event, at) => shown(event, expected[at]?.metadata !== undefined)),
  };
}

function shown({ type, data, metadata = {} }: StoredEvent, withMetadata: boolean): object {
  return withMetadata ? { type, data, metadata } : { type, data };
}

function appendsOf(
  expected: readonly DecidedAppend[],
  found: readonly DecidedAppend[],
): Pick<Compared, "expected" | "found"> {
  const pairs = expected.map(({ actor, events, expectedVersion = "any" }, at) => {
    const other = found[at];
    const compared = eventsOf(storedEvents(events), other === undefined ? [] : other.events);
    return {
      expected: { actor, events: compared.expected, expectedVersion },
      found: other === undefined ? undefined : { ...other, events: compared.found },
    };
  });
  return {
    expected: pairs.map((pair) => pair.expected),
    found: [
      ...pairs.flatMap((pair) => (pair.found === undefined ? [] : [pair.found])),
      ...found.slice(expected.length),
    ],
  };
}
