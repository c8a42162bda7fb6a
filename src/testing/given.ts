import type { ActorKind, AnyActorKind } from "../actor/definition.ts";
import type { Projection, TableMap } from "../projection/definition.ts";
import type { AnyEvent, EventMap, NewEvent } from "../store/event.ts";
import { validateActor } from "../store/subject.ts";
import { GivenActor, type GivenActorOptions } from "./given-actor.ts";
import { type GivenEvent, recordEvents } from "./given-events.ts";
import { Given } from "./given-projection.ts";
import { storedEvents } from "./stored-events.ts";

/**
 * Begins a test of a projection: what has happened, what happens now, what should stand in its tables then.
 *
 * @throws {InvalidArgumentError}, {UnserialisableValueError} an event could not be appended
 * @example
 * given(balances, [{ actor: alice, type: "Deposited", data: { amount: 10n } }])
 *   .when([{ actor: alice, type: "Withdrawn", data: { amount: 3n } }])
 *   .then({ balance: { alice: 7n, bob: undefined } });
 */
export function given<Events extends EventMap, Tables extends TableMap>(
  projection: Projection<Events, Tables>,
  events: readonly GivenEvent<Events>[],
): Given<Events, Tables>;
/**
 * Begins a test of a decider: what has happened to an actor, the command, what should come of it. Everything runs twice
 * and frozen, so that a `decide` or `evolve` that is not pure fails, and so does a state that its snapshot changes.
 *
 * @throws {InvalidArgumentError}, {UnserialisableValueError} an event could not be appended
 * @example
 * given(account, [{ type: "Deposited", data: { amount: 10n } }])
 *   .when({ type: "Withdraw", amount: 3n })
 *   .then([{ type: "Withdrawn", data: { amount: 3n } }]);
 */
export function given<State, Command, Event extends AnyEvent, Events extends EventMap>(
  kind: ActorKind<string, State, Command, Event, Events>,
  events: readonly NewEvent<NoInfer<Event>>[],
  options?: GivenActorOptions,
): GivenActor<State, Command, Event>;
export function given(
  subject: Projection | AnyActorKind,
  events: readonly GivenEvent[],
  { id = "given" }: GivenActorOptions = {},
): unknown {
  if (!("decide" in subject)) return new Given(subject, recordEvents([], events));
  const actor = { type: subject.type, id };
  validateActor(actor);
  return new GivenActor({ kind: subject, actor, events: storedEvents(events) });
}
