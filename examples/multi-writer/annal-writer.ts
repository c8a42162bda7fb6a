import { subscribe } from "node:diagnostics_channel";
import { EventStore, AppendOutcomeUnknownError, VersionConflictError } from "annal";
import { ACTOR_TYPE, commitIdOf, eventOf, type LogEvent, type LogRow } from "./event-log.ts";
import type { Job, WriterCounts } from "./messages.ts";
import type { Outcome, RowWriter } from "./replay-rows.ts";
import type { VersionBoard } from "./version-board.ts";

/** The actors of the log and their events. */
type Log = { [ACTOR_TYPE]: LogEvent };

/** A writer that uses Annal. */
export async function openWriter(
  { servers, stream, index }: Job,
  board: VersionBoard,
  counts: WriterCounts,
): Promise<RowWriter> {
  const store = await EventStore.connect<Log>({ servers, stream });
  countOnChannels(counts);
  const live = store.subscribe({ actorType: ACTOR_TYPE });
  const following = (async () => {
    for await (const event of live) board.saw(event.actor.id, event.version);
  })();
  following.catch(fail);

  const append = async (row: LogRow): Promise<Outcome> => {
    const actor = { type: ACTOR_TYPE, id: row.actorId } as const;
    try {
      const { replayed } = await store.append(actor, [eventOf(row)], {
        expectedVersion: row.version - 1,
        commitId: commitIdOf(row),
        metadata: { process: index + 1 },
      });
      return replayed ? "there already" : "appended";
    } catch (error) {
      // the same commit id and expectation once more: safe, whatever became of the first time
      if (error instanceof AppendOutcomeUnknownError) return append(row);
      const early = error instanceof VersionConflictError && error.actualVersion < row.version - 1;
      if (early) return "too early";
      throw error;
    }
  };
  const close = async (): Promise<void> => {
    await live.close();
    await following;
    await store.close();
  };
  return { append, close };
}

/** A store says what it does on diagnostics channels: cache hits and repeated requests are counted there. */
function countOnChannels(counts: WriterCounts): void {
  subscribe("annal:cache", (message) => {
    if (has(message, "hit")) counts.cacheHits++;
    if (has(message, "miss")) counts.cacheMisses++;
  });
  subscribe("annal:retry", (message) => {
    if (has(message, "append")) counts.retried++;
  });
}

function has(message: unknown, what: string): boolean {
  return typeof message === "object" && message !== null && Reflect.get(message, "what") === what;
}

function fail(error: unknown): void {
  console.error(error);
  process.exit(1);
}
