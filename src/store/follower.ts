import { type Backoff, backoffMs, sleep } from "../internal/backoff.ts";
import { Feed } from "../nats/feed.ts";
import type { ConsumerMessage } from "../nats/stored-message.ts";
import { streamState } from "../nats/stream.ts";
import { readCommitHeaders } from "./commit.ts";
import type { StoreContext } from "./context.ts";
import { Continuity } from "./continuity.ts";
import { channels } from "./diagnostics.ts";
import { firstIndex, type HistoryIndex, nextIndex } from "./history-index.ts";
import type { Head } from "./version-cache.ts";

/** One stretch of listening, until the stream is another one. */
interface Listening {
  readonly feed: Feed;
  readonly continuity: Continuity;
}

const REOPEN: Backoff = { firstMs: 20, maxMs: 2_000 };
/** What ended after this long was sound: no reason to wait longer for the next. */
const SOUND_MS = 10_000;

/**
 * Keeps the version cache fresh with what other processes append: headers only, for actors that are in the cache.
 * It saves round trips and conflicts, and nothing depends on it: what it misses, the server's expectation finds. Whatever
 * ends its listening, a rollback above all, it begins anew at the stream's end.
 */
export class Follower {
  readonly #context: StoreContext;
  readonly #running: Promise<void>;
  readonly #unlisten: () => void;
  readonly #end = new AbortController();
  #listening: Listening | undefined;

  /** @param afterPosition where the stream stood before anything was cached */
  constructor(context: StoreContext, afterPosition: number) {
    this.#context = context;
    this.#unlisten = context.connection.listen((event) => {
      if (event === "disconnect") context.cache.suspectAll();
    });
    this.#running = this.#run(afterPosition);
  }

  /** Whether it hears what is appended now. */
  get following(): boolean {
    return this.#listening?.feed.reading === true;
  }

  async close(): Promise<void> {
    this.#unlisten();
    this.#end.abort();
    this.#listening?.continuity.end();
    await this.#listening?.feed.close();
    await this.#running;
  }

  async #run(afterPosition: number): Promise<void> {
    let from: number | undefined = afterPosition;
    for (let attempt = 1; from !== undefined && !this.#done; attempt++) {
      const startedAt = performance.now();
      const reason = await this.#listen(from);
      if (this.#done) return;
      this.#tell(`follow: ${reason}`);
      if (performance.now() - startedAt > SOUND_MS) attempt = 1;
      await this.#pause(attempt);
      from = await this.#whereToGoOn();
    }
  }

  /** Hears what is stored behind a position; returns why it hears no more. */
  async #listen(afterPosition: number): Promise<string> {
    const listening = this.#open(afterPosition);
    const { feed, continuity } = listening;
    this.#listening = listening;
    try {
      for (;;) {
        const messages = await feed.next();
        if (continuity.inDoubt) await continuity.settled();
        if (messages === undefined || continuity.ended.aborted) return "the stream was rolled back";
        for (const message of messages) this.#take(message);
        const last = messages.at(-1);
        if (last !== undefined) continuity.remember(last);
      }
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      continuity.end();
      await feed.close();
    }
  }

  #open(afterPosition: number): Listening {
    const { connection, stream, apiPrefix, inboxPrefix, cache, guard } = this.#context;
    const continuity = new Continuity(this.#context, () => void feed.close());
    const feed = new Feed(connection, {
      stream,
      apiPrefix,
      inboxPrefix,
      start: { sequence: afterPosition + 1 },
      headersOnly: true,
      onConsumer: () => continuity.onConsumer(),
      onRecreate: (reason) => {
        cache.suspectAll();
        guard.suspect();
        this.#tell(reason);
      },
    });
    return { feed, continuity };
  }

  /**
   * The stream's end, as soon as there is a stream; undefined where there will be none. Of a group without a leader any
   * member tells its own, which may be too low: what is heard again passes over what is known.
   */
  async #whereToGoOn(): Promise<number | undefined> {
    const { cache, connection, stream, apiPrefix, limits } = this.#context;
    const access = { apiPrefix, timeoutMs: limits.readTimeoutMs };
    for (let attempt = 1; !this.#done; attempt++) {
      try {
        await connection.whenConnected(limits.readTimeoutMs, this.#end.signal);
        const { lastSequence } = await streamState(connection.nc, stream, access);
        // What was cached before that answer may be older than it.
        cache.suspectAll();
        return lastSequence;
      } catch {
        // Deleted, without a leader, out of reach: the store's own calls say so. It may come back.
        await this.#pause(attempt);
      }
    }
    return undefined;
  }

  async #pause(attempt: number): Promise<void> {
    await sleep(backoffMs(REOPEN, attempt), this.#end.signal).catch(() => {});
  }

  get #done(): boolean {
    return this.#end.signal.aborted || this.#context.connection.closed;
  }

  #take(message: ConsumerMessage): void {
    const { cache } = this.#context;
    const known = cache.peek(message.subject);
    if (known === undefined || message.sequence <= known.sequence) return;
    let head: Head;
    try {
      const headers = readCommitHeaders(message);
      const { commitId, version, ordinal, expectedSequence } = headers;
      const index = expectedSequence === known.sequence ? indexBehind(known, ordinal) : "unknown";
      head = { version, sequence: message.sequence, commitId, index };
    } catch {
      // No commit: whoever reads it says so. What is known of the actor no longer holds.
      cache.forget(message.subject);
      return;
    }
    this.#context.guard.saw(head.sequence, head.commitId);
    cache.refresh(message.subject, head);
    for (const listener of this.#context.headListeners) listener(message.subject);
  }

  #tell(reason: string): void {
    if (!channels.reconnect.hasSubscribers) return;
    channels.reconnect.publish({ stream: this.#context.stream, what: "reader_recreated", reason });
  }
}

/** The index that the commit behind `known` must carry, if its ordinal agrees; else it has to be fetched. */
function indexBehind(known: Head, ordinal: number | undefined): HistoryIndex | "none" | "unknown" {
  if (ordinal === undefined) return "none";
  if (known.index === "unknown") return "unknown";
  const index =
    known.index === "none"
      ? firstIndex(known.sequence)
      : nextIndex(known.index, known.sequence, known.version);
  return index.ordinal === ordinal ? index : "unknown";
}
