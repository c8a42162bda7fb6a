import type { AnyEvent, Metadata, NewEvent } from "../store/event.ts";
import { assemblePayload, decodePayload, encodeBody } from "../store/payload.ts";

/** An event of one actor as the stream gives it back. */
export type StoredEvent<Event extends AnyEvent = AnyEvent> = Event & {
  readonly metadata?: Metadata | undefined;
};

/**
 * The events written and read as a stream's messages are: what cannot be stored is refused, what changes on the way (an
 * undefined property) has changed.
 *
 * @throws {InvalidArgumentError}, {UnserialisableValueError} naming the event by its number in the list, from 0
 */
export function storedEvents<Event extends AnyEvent>(
  events: readonly NewEvent<Event>[],
): readonly StoredEvent<Event>[] {
  if (Array.isArray(events) && events.length === 0) return [];
  const { events: stored } = decodePayload(
    assemblePayload(undefined, encodeBody(events, undefined)),
  );
  // They have the types that they were given with.
  return stored as unknown as readonly StoredEvent<Event>[];
}
