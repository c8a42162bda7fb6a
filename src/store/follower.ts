import { Feed } from "../nats/feed.ts";
import type { ConsumerMessage } from "../nats/stored-message.ts";
import { readCommitHeaders } from "./commit.ts";
import type { StoreContext } from "./context.ts";
import { channels } from "./diagnostics.ts";
import { firstIndex, type HistoryIndex, nextIndex } from "./history-index.ts";
import type { Head } from "./version-cache.ts";

/**
 * Keeps the version cache fresh with what other processes append: headers only, for actors that are in the cache.
 * It saves round trips and conflicts, and nothing depends on it: what it misses, the server's expectation finds.
 */
export class Follower {
  readonly #context: StoreContext;
  readonly #feed: Feed;
  readonly #running: Promise<void>;
  readonly #unlisten: () => void;

  /** @param afterPosition where the stream stood before anything was cached */
  constructor(context: StoreContext, afterPosition: number) {
    const { connection, stream, apiPrefix, inboxPrefix } = context;
    this.#context = context;
    this.#feed = new Feed(connection, {
      stream,
      apiPrefix,
      inboxPrefix,
      start: { sequence: afterPosition + 1 },
      headersOnly: true,
      onRecreate: (reason) => {
        context.cache.suspectAll();
        this.#tell(reason);
      },
    });
    this.#unlisten = connection.listen((event) => {
      if (event === "disconnect") context.cache.suspectAll();
    });
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#unlisten();
    await this.#feed.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    try {
      for (;;) {
        const messages = await this.#feed.next();
        if (messages === undefined) return;
        for (const message of messages) this.#take(message);
      }
    } catch (error) {
      this.#tell(`follow ended: ${error instanceof Error ? error.message : String(error)}`);
    }
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
