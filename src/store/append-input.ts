import { InvalidArgumentError } from "../errors.ts";
import type { AnyEvent, Metadata } from "./event.ts";
import type { ExpectedVersion, PreparedAppend } from "./outgoing.ts";
import type { Actor } from "./subject.ts";
import type { CommitOptions } from "./writer.ts";

/** An actor's part of an appendAll. */
export interface AppendEntryInput {
  readonly actor: Actor;
  readonly events: readonly AnyEvent[];
  readonly expectedVersion: ExpectedVersion;
}

/** An append whose events were validated and packed by a layer above the store. */
export interface EncodedAppend {
  readonly actor: Actor;
  /** As `encodeBody` packs it. */
  readonly body: Uint8Array;
  readonly eventCount: number;
  readonly expectedVersion: ExpectedVersion;
  readonly commitId: string;
  readonly behind?: PreparedAppend["behind"];
  readonly seal?: PreparedAppend["seal"];
  /** As `CommitOptions.headers`. */
  readonly extraHeaders?: Readonly<Record<string, string>> | undefined;
  /** Whether the commit id is the caller's, so that the append may be a repetition. @default false */
  readonly commitIdGiven?: boolean | undefined;
}

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

/** Room that an appendAll needs in its commit ids for the number of the actor. */
const MAX_BATCH_ID_LENGTH = 120;

/** @throws {InvalidArgumentError} of an id that leaves no room for the number of the actor */
export function assertBatchId(commitId: string): void {
  if (commitId.length <= MAX_BATCH_ID_LENGTH) return;
  const expected = `at most ${MAX_BATCH_ID_LENGTH} characters for an appendAll`;
  throw new InvalidArgumentError("commitId", expected, commitId);
}
