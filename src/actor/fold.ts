import type { DecodedEvent } from "../store/payload.ts";
import type { Actor } from "../store/subject.ts";
import type { AnyActorKind, Evolving } from "./definition.ts";
import { EvolveFailedError } from "./errors.ts";
import type { AnyEvent, Metadata } from "../store/event.ts";

const NO_METADATA: Metadata = Object.freeze({});

/** The events of one commit of an actor, as they are stored. */
export interface CommitEvents {
  readonly events: readonly DecodedEvent[];
  /** Of the commit as a whole. */
  readonly metadata: Metadata | undefined;
  /** Version of the first event. */
  readonly firstVersion: number;
}

/** The events as `evolve` takes them. */
export function evolving({ events, metadata, firstVersion }: CommitEvents): Evolving<AnyEvent>[] {
  const shared = metadata ?? NO_METADATA;
  return events.map(({ type, data, metadata: own }, at) => ({
    type,
    data,
    version: firstVersion + at,
    metadata: own === undefined ? shared : { ...shared, ...own },
  }));
}

/**
 * The state after events.
 *
 * @param stored whether they are in the stream already
 * @throws {EvolveFailedError} naming the first that `evolve` cannot take
 */
export function evolve(
  kind: AnyActorKind,
  actor: Actor,
  before: unknown,
  events: readonly Evolving<AnyEvent>[],
  stored: boolean,
): unknown {
  let state = before;
  for (const event of events) {
    try {
      state = kind.evolve(state, event);
      if (state instanceof Promise)
        throw new TypeError("evolve returned a promise: it must not be async");
    } catch (error) {
      throw new EvolveFailedError(actor, event, stored, error);
    }
  }
  return state;
}
