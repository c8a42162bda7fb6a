import { StreamRolledBackError } from "../errors.ts";
import type { ReadBounds } from "../nats/direct.ts";
import { Feed, type FeedStart } from "../nats/feed.ts";
import type { ConsumerMessage, StoredMessage } from "../nats/stored-message.ts";
import { readCommit } from "./commit.ts";
import type { StoreContext } from "./context.ts";
import { parseCursor } from "./cursor.ts";
import { channels } from "./diagnostics.ts";
import type { Cursor } from "./event.ts";

/** Which commits of the stream, from where. */
export interface StreamSelection {
  /** Subjects, or patterns of subjects, to read; they must not overlap. */
  readonly filters: readonly string[];
  /** Go on behind this; excludes `since`. */
  readonly after?: Cursor | "now" | undefined;
  /** From the first commit recorded at or after this. */
  readonly since?: Date | undefined;
  /** Commits asked for and held at most. */
  readonly maxBufferedCommits?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where a reader starts: behind `position`, and behind the first `taken` events of the commit after it. */
interface Start {
  readonly at: FeedStart;
  readonly position: number;
  readonly taken: number;
}

const BEGINNING: Start = { at: { sequence: 1 }, position: 0, taken: 0 };

/**
 * Commits of the stream in order, in batches, up to a position or for ever. A cursor is compared with the commit id
 * that stands at its position before anything is read.
 */
export class CommitStream {
  readonly #context: StoreContext;
  readonly #selection: StreamSelection;
  readonly #bounds: ReadBounds;
  #start: Start = BEGINNING;
  #feed: Feed | undefined;
  #target = 0;
  #last = 0;
  #caughtUp = false;
  #endsAtTarget = false;
  #onCaughtUp: (() => void) | undefined;

  constructor(context: StoreContext, selection: StreamSelection) {
    this.#context = context;
    this.#selection = selection;
    this.#bounds = { timeoutMs: context.limits.readTimeoutMs, signal: selection.signal };
  }

  /** Position of the last commit handed out. */
  get position(): number {
    return this.#last;
  }

  /** Matching commits behind those that were handed out; undefined while the server has not told. */
  get pending(): number | undefined {
    return this.#feed?.pending;
  }

  /** Position of the last matching commit when the reader started; 0 for none. */
  get target(): number {
    return this.#target;
  }

  /** Whether everything that stood in the stream when it started has been handed out. */
  get caughtUp(): boolean {
    return this.#caughtUp;
  }

  /**
   * Finds the start and the end.
   *
   * @param onCaughtUp called once, when everything that stood in the stream at the start was handed out
   * @throws {StreamRolledBackError} if another commit stands at the cursor
   */
  async open(onCaughtUp: () => void): Promise<void> {
    this.#onCaughtUp = onCaughtUp;
    this.#start = await this.#findStart();
    const { filters, since } = this.#selection;
    const last = await leaderLast(this.#context, filters, this.#bounds);
    const tooOld = since !== undefined && (last?.timestampMs ?? 0) < since.getTime();
    this.#target = tooOld ? 0 : (last?.sequence ?? 0);
    this.#last = this.#start.position;
    this.#checkTarget();
  }

  /** Messages of the next commits; undefined when closed. */
  async next(): Promise<readonly ConsumerMessage[] | undefined> {
    this.#feed ??= this.#openFeed();
    this.#checkTarget();
    const messages = await this.#feed.next();
    const last = messages?.at(-1);
    if (last !== undefined) this.#last = last.sequence;
    return messages;
  }

  /** The same, but closed by itself once everything up to the target was handed out. */
  async nextUntilCaughtUp(): Promise<readonly ConsumerMessage[] | undefined> {
    this.#endsAtTarget = true;
    return this.next();
  }

  /** How many events of the commit at a position the cursor says were taken. */
  takenAt(position: number): number {
    return position === this.#start.position + 1 ? this.#start.taken : 0;
  }

  async close(): Promise<void> {
    await this.#feed?.close();
  }

  #openFeed(): Feed {
    const { connection, stream, prefix, apiPrefix, inboxPrefix, limits } = this.#context;
    const { filters, signal, maxBufferedCommits } = this.#selection;
    const all = filters.length === 1 && filters[0] === `${prefix}.>` && this.#context.ownsStream;
    return new Feed(connection, {
      stream,
      apiPrefix,
      inboxPrefix,
      filterSubjects: all ? [] : filters,
      start: this.#start.at,
      maxMessages: maxBufferedCommits ?? limits.readBufferCommits,
      maxBytes: limits.readWindowBytes,
      signal,
      onCaughtUp: () => this.#onFeedCaughtUp(),
      onRecreate: (reason) => this.#tell(reason),
    });
  }

  async #findStart(): Promise<Start> {
    const { after, since } = this.#selection;
    const { direct, stream, prefix } = this.#context;
    if (since !== undefined) return { at: { time: since }, position: 0, taken: 0 };
    if (after === undefined) return BEGINNING;
    if (after === "now") {
      const last = await direct.leaderLastBySubject(`${prefix}.>`, this.#bounds);
      return startBehind(last?.sequence ?? 0);
    }
    const { position, taken, commitId } = parseCursor(after, "after");
    const message =
      (await direct.bySequence(position, this.#bounds)) ??
      (await direct.leaderBySequence(position, this.#bounds));
    const commit = message === undefined ? undefined : readCommit(message, prefix);
    if (commit?.commitId !== commitId) {
      throw new StreamRolledBackError(stream, position, commitId, commit?.commitId);
    }
    return taken >= commit.payload.events.length
      ? startBehind(position)
      : { at: { sequence: position }, position: position - 1, taken };
  }

  #onFeedCaughtUp(): void {
    // A replica that lags shows nothing more although there is more. Without replicas, nothing more is nothing more:
    // also where what stood at the target was purged meanwhile.
    if (!this.#context.replicated()) this.#reachTarget();
  }

  #reachTarget(): void {
    if (this.#caughtUp) return;
    this.#caughtUp = true;
    this.#onCaughtUp?.();
    if (this.#endsAtTarget) void this.#feed?.close();
  }

  #checkTarget(): void {
    if (this.#target <= this.#last) this.#reachTarget();
  }

  #tell(reason: string): void {
    if (!channels.reconnect.hasSubscribers) return;
    channels.reconnect.publish({ stream: this.#context.stream, what: "reader_recreated", reason });
  }
}

/** The last of the commits that match, by the leader; undefined where there is none. */
export async function leaderLast(
  { direct }: StoreContext,
  filters: readonly string[],
  bounds: ReadBounds,
): Promise<StoredMessage | undefined> {
  const lasts = await Promise.all(
    filters.map((filter) => direct.leaderLastBySubject(filter, bounds)),
  );
  let last: StoredMessage | undefined;
  for (const one of lasts) if ((one?.sequence ?? 0) > (last?.sequence ?? 0)) last = one;
  return last;
}

function startBehind(position: number): Start {
  return { at: { sequence: position + 1 }, position, taken: 0 };
}
