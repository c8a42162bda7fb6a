import { formatCursor } from "../store/cursor.ts";
import type { ActorType, AnyEvent, EventMap, NewEvent, RecordedEvent } from "../store/event.ts";
import { type Actor, validateActor } from "../store/subject.ts";
import { storedEvents } from "./stored-events.ts";

/**
 * An event as tests give it: what `append` takes, with its actor. Versions count up per actor, each event is a commit of
 * its own at the next position, and they were recorded a second apart unless they say otherwise.
 */
export type GivenEvent<Events extends EventMap = EventMap> = {
  readonly [Type in ActorType<Events>]: NewEvent<Events[Type]> & {
    readonly actor: Actor<Type>;
    /** @default a second per position after 2000-01-01T00:00:00Z */
    readonly recordedAt?: Date | undefined;
  };
}[ActorType<Events>];

const EPOCH_MS = Date.UTC(2000, 0, 1);
const SECOND_MS = 1_000;

/**
 * The events as the store would hand them out behind those before: written and read as a stream's messages are, so that
 * what cannot be stored is refused, and what changes on the way (an undefined property) has changed.
 *
 * @throws {InvalidArgumentError}, {UnserialisableValueError} naming the event by its number in the list, from 0
 */
export function recordEvents<Events extends EventMap>(
  before: readonly RecordedEvent<Events>[],
  given: readonly GivenEvent<Events>[],
): RecordedEvent<Events>[] {
  if (given.length === 0) return [];
  const versions = new Map<string, number>();
  for (const { actor, version } of before) versions.set(`${actor.type}.${actor.id}`, version);
  const stored = storedEvents<AnyEvent>(given);
  const recorded: unknown[] = stored.map(({ type, data, metadata = {} }, at) => {
    const { actor, recordedAt } = given[at] ?? {};
    validateActor(actor);
    const key = `${actor.type}.${actor.id}`;
    const version = (versions.get(key) ?? 0) + 1;
    versions.set(key, version);
    const position = before.length + at + 1;
    const commitId = `given-${position}`;
    return {
      actor: { type: actor.type, id: actor.id },
      actorType: actor.type,
      type,
      data,
      version,
      position,
      index: 0,
      id: `${commitId}:0`,
      commitId,
      recordedAt: new Date(recordedAt ?? EPOCH_MS + position * SECOND_MS),
      metadata,
      cursor: formatCursor(position, 1, commitId),
    };
  });
  return typed<RecordedEvent<Events>[]>(recorded);
}

/** They have the types that they were given with. */
function typed<T>(value: unknown): T {
  return value as T;
}
