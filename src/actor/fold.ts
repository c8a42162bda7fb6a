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
 * The state after events, its first level frozen: who changes it in place is told at once.
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
      assertState(state);
    } catch (error) {
      throw new EvolveFailedError(actor, event, stored, error);
    }
  }
  return frozen(state);
}

/** The state, its first level frozen where it is a plain object or a list. */
export function frozen(state: unknown): unknown {
  return isPlain(state) ? Object.freeze(state) : state;
}

function assertState(state: unknown): void {
  if (state === undefined) throw new TypeError("evolve returned nothing");
  if (state instanceof Promise) {
    state.catch(() => {});
    throw new TypeError("evolve returned a promise: it must not be async");
  }
}

function isPlain(state: unknown): boolean {
  if (typeof state !== "object" || state === null) return false;
  const prototype: unknown = Object.getPrototypeOf(state);
  return prototype === Object.prototype || prototype === Array.prototype;
}
