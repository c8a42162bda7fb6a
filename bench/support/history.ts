import { type Actor, type AnyEvent, EventStore } from "../../src/index.ts";
import type { BenchTarget } from "./target.ts";
import { inLanes } from "./rounds.ts";

/** What a stream for reading consists of: the actors take turns, a commit each. */
export interface HistoryShape {
  readonly actors: number;
  /** Commits of each actor. */
  readonly commits: number;
  /** Events of each commit. */
  readonly events: number;
}

/** A stream that was built. */
export interface History extends HistoryShape {
  readonly stream: string;
  /** Prefix of the subjects. */
  readonly prefix: string;
}

/** 100 commits for each actor, or fewer where there are few messages. */
export function shapeOf(messages: number): HistoryShape {
  const commits = messages >= 10_000 ? 100 : 20;
  return { actors: Math.max(1, Math.round(messages / commits)), commits, events: 1 };
}

/** An event of about 120 bytes as it is stored, type and data. */
export function sampleEvent(number: number): AnyEvent {
  return {
    type: "Deposited",
    data: { amount: number, currency: "EUR", account: "DE02120300000000202051", note: NOTE },
  };
}

const NOTE = "a deposit of the ordinary kind, noted";

/** The actor of that number. */
export function actorAt(number: number): Actor<"account"> {
  return { type: "account", id: `a${number}` };
}

/** Finds the stream of that shape on the server, or builds it. A server that was there before keeps it. */
export async function ensureHistory(target: BenchTarget, shape: HistoryShape): Promise<History> {
  const { actors, commits, events } = shape;
  const stream = `BENCH_HISTORY_${actors}X${commits}X${events}`;
  const history = { ...shape, stream, prefix: stream.toLowerCase() };
  const store = await EventStore.connect({ servers: target.url, stream });
  try {
    const head = await store.head();
    if (head === actors * commits) return history;
    if (head > 0) throw new Error(`${stream} holds ${head} messages, not ${actors * commits}`);
    const startedAt = performance.now();
    const list = Array.from({ length: events }, (_, at) => sampleEvent(at));
    const perSecond = await inLanes(actors * commits, 2_048, (at) => {
      const expectedVersion = Math.floor(at / actors) * events;
      return store.append(actorAt(at % actors), list, { expectedVersion });
    });
    console.log(
      `  built ${stream} in ${Math.round((performance.now() - startedAt) / 1_000)} s, ` +
        `${Math.round(perSecond).toLocaleString("en-GB")} appends/s`,
    );
    return history;
  } finally {
    await store.close();
  }
}
