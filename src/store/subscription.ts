import { ClosedError, StreamRolledBackError } from "../errors.ts";
import { BatchedIterator } from "../internal/batched-iterator.ts";
import { deferred } from "../internal/deferred.ts";
import { headOf, readCommit, type StoredCommit } from "./commit.ts";
import { CommitStream, type StreamSelection } from "./commit-stream.ts";
import type { StoreContext } from "./context.ts";
import { channels } from "./diagnostics.ts";

/** What a reader of the stream makes of each commit. */
export type Interpret<T> = (
  commit: StoredCommit,
  taken: number,
) => readonly T[] | Promise<readonly T[]>;

/**
 * Catches up, then follows what is appended: for as long as it is iterated, across reconnects, without holes or
 * repetitions. Iterate it once; leaving the loop closes it.
 *
 * @example
 * const live = store.subscribe({ after: cursor });
 * live.caughtUp.then(() => console.log("live"));
 * for await (const event of live) cursor = event.cursor;
 */
export interface Subscription<T> extends AsyncIterable<T> {
  /**
   * Resolves when everything that stood in the stream at the start has been handed out and asked past: the consumer has
   * come back for more. Rejects if the subscription ends before.
   */
  readonly caughtUp: Promise<void>;
  /** Whether that is so already. */
  readonly live: boolean;
  /** Ends the iteration; safe to call again. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Reads the stream from a place on, without end. */
export class StreamSubscription<T> implements Subscription<T> {
  readonly #context: StoreContext;
  readonly #stream: CommitStream;
  readonly #interpret: Interpret<T>;
  readonly #caughtUp = deferred();
  readonly #iterator: BatchedIterator<T>;
  readonly #opened: Promise<void>;
  readonly #onRollback: () => void;
  readonly #ended = deferred();
  #lastCommitId = "";
  #rolledBack = false;
  #failure: { readonly error: unknown } | undefined;
  #closed = false;

  constructor(context: StoreContext, selection: StreamSelection, interpret: Interpret<T>) {
    this.#context = context;
    this.#interpret = interpret;
    this.#stream = new CommitStream(context, selection);
    this.#onRollback = () => {
      this.#rolledBack = true;
      void this.#stream.close();
    };
    context.rollbackListeners.add(this.#onRollback);
    this.#caughtUp.promise.catch(() => {});
    this.#opened = this.#stream.open(() => this.#caughtUp.resolve());
    this.#opened.catch((error: unknown) => this.#caughtUp.reject(error));
    this.#iterator = new BatchedIterator({
      next: () =>
        this.nextBatch().catch((error: unknown) => {
          this.#caughtUp.reject(error);
          throw error;
        }),
      close: () => this.close(),
    });
  }

  get caughtUp(): Promise<void> {
    return this.#caughtUp.promise;
  }

  /** Resolves when it is closed. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  get live(): boolean {
    return this.#stream.caughtUp;
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return this.#iterator;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#context.rollbackListeners.delete(this.#onRollback);
    this.#ended.resolve();
    await this.#opened.catch(() => {});
    await this.#stream.close();
    this.#caughtUp.reject(new ClosedError("the subscription"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Position of the last matching commit when it began; known once the first batch is there. */
  get target(): number {
    return this.#stream.target;
  }

  /** Matching commits of the stream behind those of the last batch; undefined while the server has not told. */
  get pending(): number | undefined {
    return this.#stream.pending;
  }

  /** What the next chunk of commits gives, none or more; undefined once closed. For readers that do not iterate. */
  async nextBatch(): Promise<readonly T[] | undefined> {
    await this.#opened;
    if (this.#closed) return undefined;
    if (this.#failure !== undefined) throw this.#failure.error;
    const messages = await this.#stream.next();
    if (this.#rolledBack) throw this.#rollbackError();
    if (messages === undefined || this.#closed) return undefined;
    const values: T[] = [];
    try {
      for (const message of messages) {
        const commit = readCommit(message, this.#context.prefix);
        this.#tellCache(commit);
        const made = this.#interpret(commit, this.#stream.takenAt(message.sequence));
        for (const value of made instanceof Promise ? await made : made) values.push(value);
        this.#lastCommitId = commit.commitId;
      }
    } catch (error) {
      // What stands before the commit that cannot be read is handed out first.
      if (values.length === 0) throw error;
      this.#failure = { error };
    }
    return values;
  }

  /** A catch-up passes old commits, which would push live entries out of the cache. */
  #tellCache(commit: StoredCommit): void {
    const { cache, guard } = this.#context;
    const { subject, sequence } = commit.message;
    if (cache.off || this.#rolledBack) return;
    guard.saw(sequence, commit.commitId);
    if (this.live) {
      cache.advance(subject, headOf(commit), cache.epoch);
      return;
    }
    const known = cache.peek(subject);
    if (known !== undefined && known.sequence < sequence) cache.refresh(subject, headOf(commit));
  }

  #rollbackError(): StreamRolledBackError {
    const { stream } = this.#context;
    const { position } = this.#stream;
    return new StreamRolledBackError(stream, position, this.#lastCommitId || "none", undefined);
  }
}

/** Reads the stream from a place to its end as it was at the start. */
export function readStream<T>(
  context: StoreContext,
  selection: StreamSelection,
  interpret: Interpret<T>,
  limit: number,
): BatchedIterator<T> {
  const startedAt = performance.now();
  let opened: Promise<CommitStream> | undefined;
  let left = limit;
  let commits = 0;
  let failure: { readonly error: unknown } | undefined;
  const open = async (): Promise<CommitStream> => {
    const stream = new CommitStream(context, selection);
    await stream.open(() => {});
    return stream;
  };
  return new BatchedIterator<T>({
    next: async () => {
      opened ??= open();
      const stream = await opened;
      if (left <= 0) return undefined;
      if (failure !== undefined) throw failure.error;
      const messages = stream.caughtUp ? undefined : await stream.nextUntilCaughtUp();
      if (messages === undefined) return undefined;
      const values: T[] = [];
      try {
        for (const message of messages) {
          if (message.sequence > stream.target || values.length >= left) break;
          const commit = readCommit(message, context.prefix);
          const made = interpret(commit, stream.takenAt(message.sequence));
          for (const value of made instanceof Promise ? await made : made) values.push(value);
          commits++;
        }
      } catch (error) {
        if (values.length === 0) throw error;
        failure = { error };
      }
      if (values.length > left) values.length = left;
      left -= values.length;
      return values;
    },
    close: async () => {
      const stream = await opened?.catch(() => undefined);
      await stream?.close();
      if (!channels.read.hasSubscribers) return;
      const durationMs = performance.now() - startedAt;
      channels.read.publish({ stream: context.stream, subject: undefined, commits, durationMs });
    },
  });
}
