import { ServerRefusedError } from "../errors.ts";
import { type Backoff, backoffMs, sleep } from "../internal/backoff.ts";
import type { ReadBounds } from "../nats/direct.ts";
import { Feed, type FeedStart } from "../nats/feed.ts";
import { isPassing } from "../nats/passing.ts";
import type { ConsumerMessage, StoredMessage } from "../nats/stored-message.ts";
import { readCommit } from "./commit.ts";
import type { StoreContext } from "./context.ts";
import { Continuity } from "./continuity.ts";
import { parseCursor } from "./cursor.ts";
import { channels } from "./diagnostics.ts";
import type { Cursor } from "./event.ts";

/** Which commits of the stream, from where. */
export interface StreamSelection {
  /** Subjects, or patterns of subjects that do not overlap, to read; at least one. */
  readonly filters: readonly string[];
  /** Go on behind this; excludes `since`. */
  readonly after?: Cursor | "now" | undefined;
  /** From the first commit recorded at or after this time, or from this position on. */
  readonly since?: Date | number | undefined;
  /** Takes these subjects only, of those that match: where the server's own filter is slower than reading all. */
  readonly accepts?: ((subject: string) => boolean) | undefined;
  /** Leave the version cache alone until caught up: it costs a look at each commit. @default false */
  readonly passesCache?: boolean | undefined;
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
/** Waits between looks whether what is missing still stands in the stream. */
const MISSING: Backoff = { firstMs: 50, maxMs: 2_000 };
/** Code of the server's errors.json. */
const STREAM_NOT_FOUND = 10_059;

/**
 * Commits of the stream in order, in batches, up to a position or for ever. A cursor is compared with the commit id
 * that stands at its position before anything is read, and nothing is handed out of a stream that may be another one
 * than the one that was read so far.
 */
export class CommitStream {
  readonly #context: StoreContext;
  readonly #selection: StreamSelection;
  readonly #bounds: ReadBounds;
  readonly #continuity: Continuity;
  #start: Start = BEGINNING;
  #feed: Feed | undefined;
  #target = 0;
  #last = 0;
  #caughtUp = false;
  #endsAtTarget = false;
  /** Whether the reader has come back for more. */
  #waiting = false;
  /** Whether the leader is being asked for what is missing. */
  #asking = false;
  /** Why nothing more may be handed out. */
  #cut: { readonly error: unknown } | undefined;
  #closed = false;
  #onCaughtUp: (() => void) | undefined;
  #onCut: (() => void) | undefined;

  constructor(context: StoreContext, selection: StreamSelection) {
    this.#context = context;
    this.#selection = selection;
    this.#continuity = new Continuity(context, this.#cutOff, this.#onHindrance);
    this.#bounds = { timeoutMs: context.limits.readTimeoutMs, signal: this.#continuity.ended };
    selection.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Position of the last commit handed out. */
  get position(): number {
    return this.#last;
  }

  /** Position of the last matching commit when the reader started; 0 for none. */
  get target(): number {
    return this.#target;
  }

  /** Matching commits behind those that were handed out, as far as the server told; undefined before that. */
  get pending(): number | undefined {
    return this.#feed?.pending;
  }

  /** Whether everything that stood in the stream when it started has been handed out. */
  get caughtUp(): boolean {
    return this.#caughtUp;
  }

  /**
   * Finds the start and the end. Whatever comes of it, {@link close} must be called, which ends it at once.
   *
   * @param onCaughtUp called once, when everything that stood in the stream at the start was handed out
   * @param onCut called once, when the stream was rolled back, the signal aborted or the server refused to be asked: what
   * was handed out and not used yet must not be used any more, and {@link next} says why
   * @throws {StreamRolledBackError} if another commit stands at the cursor
   */
  async open(onCaughtUp: () => void, onCut?: () => void): Promise<void> {
    this.#onCaughtUp = onCaughtUp;
    this.#onCut = onCut;
    this.#selection.signal?.throwIfAborted();
    try {
      await this.#findEnds();
    } catch (error) {
      this.throwIfCut();
      if (!this.#closed) throw error;
    }
  }

  /**
   * Messages of the next commits; undefined when closed.
   *
   * @throws {StreamRolledBackError} the stream is not the one any more that was read so far; the signal's reason
   */
  async next(): Promise<readonly ConsumerMessage[] | undefined> {
    this.throwIfCut();
    if (this.#closed) return undefined;
    this.#feed ??= this.#openFeed();
    this.#waiting = true;
    this.#checkTarget();
    const messages = await this.#feed.next();
    if (this.#continuity.inDoubt) await this.#continuity.settled();
    this.#waiting = false;
    this.throwIfCut();
    const last = messages?.at(-1);
    if (last === undefined || this.#closed) return undefined;
    this.#last = last.sequence;
    this.#continuity.remember(last);
    return messages;
  }

  /** The same, but closed by itself once everything up to the target was handed out. */
  async nextUntilCaughtUp(): Promise<readonly ConsumerMessage[] | undefined> {
    this.throwIfCut();
    if (this.#caughtUp) return undefined;
    this.#endsAtTarget = true;
    return this.next();
  }

  /** Throws why nothing may be used any more, if that is so: see {@link open}. */
  throwIfCut(): void {
    if (this.#cut !== undefined) throw this.#cut.error;
  }

  /** How many events of the commit at a position the cursor says were taken. */
  takenAt(position: number): number {
    return position === this.#start.position + 1 ? this.#start.taken : 0;
  }

  /** Safe to call again. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#selection.signal?.removeEventListener("abort", this.#onAbort);
    this.#continuity.end();
    await this.#feed?.close();
  }

  #openFeed(): Feed {
    const { connection, stream, prefix, apiPrefix, inboxPrefix, limits, guard } = this.#context;
    const { filters, maxBufferedCommits } = this.#selection;
    const isAll = filters.length === 1 && filters[0] === `${prefix}.>`;
    return new Feed(connection, {
      stream,
      apiPrefix,
      inboxPrefix,
      filterSubjects: isAll && this.#context.condition.ownsStream ? [] : filters,
      start: this.#start.at,
      maxMessages: maxBufferedCommits ?? limits.readBufferCommits,
      maxBytes: limits.readWindowBytes,
      onCaughtUp: () => this.#onFeedCaughtUp(),
      onConsumer: () => this.#continuity.onConsumer(),
      onRecreate: (reason) => {
        this.#tell(reason);
        guard.suspect();
      },
    });
  }

  async #findEnds(): Promise<void> {
    const { filters, since } = this.#selection;
    this.#start = await this.#findStart();
    const last = await leaderLast(this.#context, filters, this.#bounds);
    this.throwIfCut();
    const tooOld = last !== undefined && isBefore(last, since);
    this.#target = tooOld ? 0 : (last?.sequence ?? 0);
    this.#last = this.#start.position;
    this.#checkTarget();
  }

  async #findStart(): Promise<Start> {
    const { after, since } = this.#selection;
    const { direct, prefix } = this.#context;
    if (typeof since === "number") return startBehind(since - 1);
    if (since !== undefined) return { at: { time: since }, position: 0, taken: 0 };
    if (after === undefined) return BEGINNING;
    if (after === "now") {
      const last = await direct.leaderLastBySubject(`${prefix}.>`, this.#bounds);
      if (last !== undefined) this.#continuity.remember(last);
      return startBehind(last?.sequence ?? 0);
    }
    const cursor = parseCursor(after, "after");
    const { position, taken } = cursor;
    const message =
      (await direct.bySequence(position, this.#bounds)) ??
      (await direct.leaderBySequence(position, this.#bounds));
    const commit = readCommit(this.#continuity.begin(cursor, message), prefix);
    return taken >= commit.payload.events.length
      ? startBehind(position)
      : { at: { sequence: position }, position: position - 1, taken };
  }

  #onFeedCaughtUp(): void {
    if (this.#caughtUp || this.#asking) return;
    if (!this.#context.replicated() && !this.#continuity.inDoubt) this.#reachTarget();
    else void this.#askForTarget();
  }

  /** Asks until nothing is missing: what stood at the target may be purged, or stand on other replicas alone so far. */
  async #askForTarget(): Promise<void> {
    const { ended } = this.#continuity;
    this.#asking = true;
    for (let attempt = 1; !ended.aborted && !this.#caughtUp; attempt++) {
      try {
        await this.#continuity.settled();
        if (await this.#isAllTaken()) this.#reachTarget();
      } catch (error) {
        if (!ended.aborted) this.#onHindrance(error, attempt);
      }
      if (!this.#caughtUp) await sleep(backoffMs(MISSING, attempt), ended).catch(() => {});
    }
    this.#asking = false;
  }

  /**
   * Whether the reader took all that there is. A replica that lags shows nothing more although there is more. Without
   * replicas, nothing more is nothing more.
   */
  async #isAllTaken(): Promise<boolean> {
    if (!this.#waiting || this.#feed?.caughtUp !== true) return false;
    if (!this.#context.replicated()) return true;
    const last = await leaderLast(this.#context, this.#selection.filters, this.#bounds);
    return this.#waiting && (last?.sequence ?? 0) <= this.#last;
  }

  #reachTarget(): void {
    if (this.#caughtUp || this.#cut !== undefined) return;
    this.#caughtUp = true;
    this.#onCaughtUp?.();
    if (this.#endsAtTarget) void this.#feed?.close();
  }

  #checkTarget(): void {
    if (this.#target <= this.#last) this.#reachTarget();
  }

  readonly #onAbort = (): void => this.#cutOff(this.#selection.signal?.reason);

  readonly #cutOff = (error: unknown): void => {
    if (this.#cut !== undefined || this.#closed) return;
    this.#cut = { error };
    this.#continuity.end();
    this.#onCut?.();
    void this.#feed?.close();
  };

  /** The leader could not be asked for as long as a read may take. Only a reader without end waits until that passes. */
  readonly #onHindrance = (error: unknown, attempt: number): void => {
    const passes = isPassing(error) && !this.#endsAtTarget;
    if (!passes && !isStreamMissing(error)) {
      this.#cutOff(error);
    } else if (channels.retry.hasSubscribers) {
      const reason = error instanceof Error ? error.message : String(error);
      channels.retry.publish({ stream: this.#context.stream, what: "read", attempt, reason });
    }
  };

  #tell(reason: string): void {
    if (!channels.reconnect.hasSubscribers) return;
    channels.reconnect.publish({ stream: this.#context.stream, what: "reader_recreated", reason });
  }
}

/** The last message of subjects, or patterns of them, by the leader. */
export async function leaderLast(
  { direct }: StoreContext,
  filters: readonly string[],
  bounds: ReadBounds,
): Promise<StoredMessage | undefined> {
  const found = await Promise.all(
    filters.map((filter) => direct.leaderLastBySubject(filter, bounds)),
  );
  let last: StoredMessage | undefined;
  for (const message of found) {
    if (message !== undefined && message.sequence > (last?.sequence ?? 0)) last = message;
  }
  return last;
}

/** Whether a reader that begins there passes the message over. */
export function isBefore(message: StoredMessage, since: Date | number | undefined): boolean {
  if (since === undefined) return false;
  return typeof since === "number"
    ? message.sequence < since
    : message.timestampMs < since.getTime();
}

/** Whether it was deleted, or is only not found while a cluster starts, is for the store's guard and the feed to say. */
function isStreamMissing(error: unknown): boolean {
  return error instanceof ServerRefusedError && error.errorCode === STREAM_NOT_FOUND;
}

function startBehind(position: number): Start {
  return { at: { sequence: position + 1 }, position, taken: 0 };
}
