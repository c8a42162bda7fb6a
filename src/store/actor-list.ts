import { listSubjects } from "../nats/subjects.ts";
import type { StoreContext } from "./context.ts";
import { count } from "./options.ts";
import { type Actor, actorSubject, parseActorSubject, validateActorType } from "./subject.ts";

/** Which actors to list. */
export interface ActorPage<Type extends string = string> {
  /** @default all types */
  readonly type?: Type | undefined;
  /** Go on behind this actor. */
  readonly after?: Actor | undefined;
  /** Actors at most. @default all */
  readonly limit?: number | undefined;
}

/** The actors of a stream in the order of their subjects. */
export async function* listActors(
  context: StoreContext,
  options: ActorPage,
): AsyncGenerator<Actor, void, undefined> {
  const { connection, stream, apiPrefix, prefix, limits } = context;
  const { type, after } = options;
  if (type !== undefined) validateActorType(type, "type");
  const filter = type === undefined ? `${prefix}.>` : `${prefix}.${type}.*`;
  const behind = after === undefined ? "" : actorSubject(prefix, after);
  let left =
    options.limit === undefined ? Number.POSITIVE_INFINITY : count("limit", options.limit, 0);
  for (let offset = 0; left > 0; ) {
    const { readTimeoutMs } = limits;
    const page = await listSubjects(connection, stream, apiPrefix, filter, offset, readTimeoutMs);
    for (const subject of page.subjects) {
      const actor = subject > behind ? parseActorSubject(prefix, subject) : undefined;
      if (actor === undefined) continue;
      yield actor;
      if (--left === 0) return;
    }
    offset += page.subjects.length;
    if (page.subjects.length === 0 || offset >= page.total) return;
  }
}
