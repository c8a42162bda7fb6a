import { InvalidArgumentError } from "../errors.ts";
import type { AnyEvent, Metadata } from "./event.ts";
import type { CommitOptions } from "./writer.ts";

/** @throws {InvalidArgumentError} where it is no list of events */
export function eventList<Event extends AnyEvent>(
  events: readonly Event[],
  argument: string,
): readonly Event[] {
  if (Array.isArray(events) && events.length > 0) return events;
  throw new InvalidArgumentError(argument, "a list of at least one event", events);
}

/** @throws {InvalidArgumentError} where they are no options */
export function validOptions<Options extends object>(options: Options): Options {
  if (typeof options === "object" && options !== null) return options;
  throw new InvalidArgumentError("options", "{ expectedVersion, … }", options);
}

/** Puts the place of an entry before what its errors name; what belongs to the whole commit stays as it is. */
export async function within<T>(place: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const ofEntry =
      error instanceof InvalidArgumentError &&
      /^(actor|events|expectedVersion)/.test(error.argument);
    throw ofEntry ? error.within(place) : error;
  }
}

/** The metadata of a commit as a whole. */
export function metadataOf({
  correlationId,
  causationId,
  metadata,
}: CommitOptions): Metadata | undefined {
  if (correlationId === undefined && causationId === undefined) return metadata;
  return {
    ...metadata,
    ...(correlationId === undefined ? {} : { correlationId }),
    ...(causationId === undefined ? {} : { causationId }),
  };
}
