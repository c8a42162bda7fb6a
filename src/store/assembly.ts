import type { Connection } from "../nats/connection.ts";
import { DirectReader } from "../nats/direct.ts";
import { type CheckedStream, checkServer, ensureStream } from "../nats/stream.ts";
import type { StoreContext } from "./context.ts";
import { channels } from "./diagnostics.ts";
import type { EventMap } from "./event.ts";
import { Interpreter } from "./interpreter.ts";
import { resolveOptions, type StoreOptions } from "./options.ts";
import { StreamCondition } from "./stream-condition.ts";
import { StreamGuard } from "./stream-guard.ts";
import { Turns } from "./turns.ts";
import { VersionCache } from "./version-cache.ts";

/** What a store is made of once its stream was found or created, and checked. */
export interface StoreParts<Events extends EventMap> {
  readonly context: StoreContext;
  readonly checked: CheckedStream;
  readonly interpreter: Interpreter<Events>;
  readonly follow: boolean;
}

/** Checks the server and the stream, and puts together what the parts of a store share. */
export async function assemble<Events extends EventMap>(
  connection: Connection,
  given: StoreOptions<Events>,
  inboxPrefix: string | undefined,
): Promise<StoreParts<Events>> {
  const options = resolveOptions<Events>(given);
  const { stream, prefix, apiPrefix, connectTimeoutMs: timeoutMs } = options;
  checkServer(connection.nc);
  const access = { apiPrefix, timeoutMs };
  const { create, replicas, maxBytes, duplicateWindowMs, signal } = given;
  const request = { name: stream, prefix, create, replicas, maxBytes, duplicateWindowMs, signal };
  const checked = await ensureStream(connection.nc, { ...request, ...access });
  const condition = new StreamCondition(checked, prefix);
  const cache = new VersionCache(options.cacheMaxActors);
  const rollbackListeners = new Set<() => void>();
  const onRetry = tellRetry(stream);
  const direct = new DirectReader(connection, stream, apiPrefix, options.maxReadsInFlight, onRetry);
  const guard = new StreamGuard({
    connection,
    direct,
    stream,
    access,
    checkMs: options.identityCheckMs,
    created: checked.created,
    asked: { prefix, replicas },
    condition,
    onRollback: () => {
      cache.distrust();
      if (channels.cache.hasSubscribers)
        channels.cache.publish({ stream, subject: undefined, what: "distrusted" });
      for (const listener of rollbackListeners) listener();
    },
  });
  const context: StoreContext = {
    stream,
    prefix,
    apiPrefix,
    inboxPrefix: inboxPrefix ?? "_INBOX",
    connection,
    direct,
    cache,
    turns: new Turns(options.maxInFlight, options.maxQueuedAppends),
    condition,
    replicated: () => condition.replicas > 1,
    replicas: () => condition.replicas,
    guard,
    rollbackListeners,
    headListeners: new Set(),
    limits: options,
    maxMessageBytes: () =>
      Math.min(connection.maxPayload, condition.maxMessageBytes ?? Number.POSITIVE_INFINITY),
  };
  const { schemas, upcasters, validateReads = true, follow = false } = given;
  return {
    context,
    checked,
    interpreter: new Interpreter<Events>(schemas, upcasters, validateReads),
    follow,
  };
}

function tellRetry(stream: string): (reason: string, attempt: number) => void {
  return (reason, attempt) => {
    if (!channels.retry.hasSubscribers) return;
    channels.retry.publish({ stream, what: "read", attempt, reason });
  };
}
