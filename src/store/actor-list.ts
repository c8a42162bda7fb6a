import { abortable } from "../internal/abort.ts";
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
  /** How long one answer of the server may take, which holds up to 100,000 actors. @default the store's `readTimeoutMs` */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The actors of a stream in the order of their subjects. */
export async function* listActors(
  context: StoreContext,
  options: ActorPage,
): AsyncGenerator<Actor, void, undefined> {
  const { connection, stream, apiPrefix, prefix, limits } = context;
  const { type, after, signal } = options;
  const timeoutMs =
    options.timeoutMs === undefined
      ? limits.readTimeoutMs
      : count("timeoutMs", options.timeoutMs, 1);
  if (type !== undefined) validateActorType(type, "type");
  const filter = type === undefined ? `${prefix}.>` : `${prefix}.${type}.*`;
  const behind = after === undefined ? "" : actorSubject(prefix, after);
  let left =
    options.limit === undefined ? Number.POSITIVE_INFINITY : count("limit", options.limit, 0);
  for (let offset = 0; left > 0; ) {
    signal?.throwIfAborted();
    const answer = listSubjects(connection, stream, apiPrefix, filter, offset, timeoutMs);
    const page = await abortable(answer, signal);
    for (const subject of page.subjects) {
      signal?.throwIfAborted();
      const actor = subject > behind ? parseActorSubject(prefix, subject) : undefined;
      if (actor === undefined) continue;
      yield actor;
      if (--left === 0) return;
    }
    offset += page.subjects.length;
    if (page.subjects.length === 0 || offset >= page.total) return;
  }
}
