import { type Backoff, backoffMs, sleep } from "../internal/backoff.ts";
import { Feed } from "../nats/feed.ts";
import type { StoredMessage } from "../nats/stored-message.ts";
import { readCommit } from "../store/commit.ts";
import type { StoreContext } from "../store/context.ts";
import { Continuity } from "../store/continuity.ts";
import { parseActorSubject } from "../store/subject.ts";
import { BUCKET, isDeletedAfter, LEDGER, onlyAddsLedgers } from "./directory-events.ts";
import type { BucketRecord } from "./directory-log.ts";

/** Who is told of changes of the directory, whoever made them; nothing of it may throw. */
export interface DirectoryListener {
  /** @param version of the ledger's actor since the change */
  ledgerChanged(name: string, version: number): void;
  /** The bucket was deleted or restored. */
  bucketChanged(bucket: string, now: BucketRecord): void;
  /** Changes may have been missed: nothing that was known of any ledger may be used any more. */
  missed(): void;
  /**
   * Called before the first change is told, and again after a break that may have swallowed changes; what is asked of the
   * leader now, and what is told from now on, is complete. Where it rejects, it is called again.
   */
  resume(signal: AbortSignal): Promise<void>;
}

/** One stretch of listening, until the stream is another one. */
interface Listening {
  readonly feed: Feed;
  readonly continuity: Continuity;
}

const REOPEN: Backoff = { firstMs: 20, maxMs: 2_000 };
/** What ended after this long was sound: no reason to wait longer for the next. */
const SOUND_MS = 10_000;
/** Changes of the directory are few and small. */
const MAX_MESSAGES = 256;

/**
 * Follows what all processes change in the directory, from now on. Whatever ends it, it begins anew; nothing depends on it
 * but how soon changes are seen, because what is cached expires by itself.
 */
export class DirectoryFollower {
  readonly #context: StoreContext;
  readonly #listener: DirectoryListener;
  readonly #running: Promise<void>;
  readonly #end = new AbortController();
  #listening: Listening | undefined;

  constructor(context: StoreContext, listener: DirectoryListener) {
    this.#context = context;
    this.#listener = listener;
    this.#running = this.#run();
  }

  /** Whether it hears of changes now. */
  get following(): boolean {
    return this.#context.connection.connected && this.#listening?.feed.reading === true;
  }

  async close(): Promise<void> {
    this.#end.abort();
    this.#listening?.continuity.end();
    await this.#listening?.feed.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let attempt = 1; !this.#done; attempt++) {
      const startedAt = performance.now();
      try {
        await this.#follow();
      } catch {
        // Out of reach, without a leader, deleted: the store's own calls say so. It may come back.
      }
      this.#listening = undefined;
      this.#listener.missed();
      if (performance.now() - startedAt > SOUND_MS) attempt = 1;
      await sleep(backoffMs(REOPEN, attempt), this.#end.signal).catch(() => {});
    }
  }

  /** From the stream's end on, for as long as it is the same stream. */
  async #follow(): Promise<void> {
    const { connection, direct, prefix, limits } = this.#context;
    const { signal } = this.#end;
    await connection.whenConnected(limits.readTimeoutMs, signal);
    const bounds = { timeoutMs: limits.readTimeoutMs, signal };
    const last = await direct.leaderLastBySubject(`${prefix}.>`, bounds);
    if (this.#done) return;
    const { feed, continuity } = this.#open(last);
    this.#listening = { feed, continuity };
    try {
      // What was loaded before that answer may be older than it.
      this.#listener.missed();
      await this.#listener.resume(signal);
      for (;;) {
        const messages = await feed.next();
        if (continuity.inDoubt) await continuity.settled();
        if (messages === undefined || continuity.ended.aborted) return;
        for (const message of messages) this.#take(message);
        const latest = messages.at(-1);
        if (latest !== undefined) continuity.remember(latest);
      }
    } finally {
      continuity.end();
      await feed.close();
    }
  }

  /** @param last what stood last in the stream when everything was as it is told from here on */
  #open(last: StoredMessage | undefined): Listening {
    const { connection, stream, apiPrefix, inboxPrefix, prefix, guard } = this.#context;
    const continuity = new Continuity(this.#context, () => void feed.close());
    if (last !== undefined) continuity.remember(last);
    const feed = new Feed(connection, {
      stream,
      apiPrefix,
      inboxPrefix,
      filterSubjects: [`${prefix}.${LEDGER}.*`, `${prefix}.${BUCKET}.*`],
      start: { sequence: (last?.sequence ?? 0) + 1 },
      maxMessages: MAX_MESSAGES,
      onConsumer: () => continuity.onConsumer(),
      // Also on a disconnect: it ends what the feed reads.
      onRecreate: () => {
        this.#listener.missed();
        guard.suspect();
      },
    });
    return { feed, continuity };
  }

  /** What cannot be read has changed something all the same. */
  #take(message: StoredMessage): void {
    const { prefix } = this.#context;
    const actor = parseActorSubject(prefix, message.subject);
    try {
      const commit = readCommit(message, prefix);
      if (actor?.type === LEDGER) this.#listener.ledgerChanged(actor.id, commit.version);
      else if (actor?.type === BUCKET && !onlyAddsLedgers(commit)) {
        const { version } = commit;
        this.#listener.bucketChanged(actor.id, { version, deleted: isDeletedAfter(commit) });
      }
    } catch {
      this.#listener.missed();
    }
  }

  get #done(): boolean {
    return this.#end.signal.aborted || this.#context.connection.closed;
  }
}
