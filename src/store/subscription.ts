import { ClosedError } from "../errors.ts";
import { BatchedIterator } from "../internal/batched-iterator.ts";
import { deferred } from "../internal/deferred.ts";
import { headOf, type StoredCommit } from "./commit.ts";
import { CommitStream, type StreamSelection } from "./commit-stream.ts";
import { CommitValues, type Interpret } from "./commit-values.ts";
import type { StoreContext } from "./context.ts";

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
  /** Ends the iteration: nothing is handed out any more. Safe to call again; all calls end together. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Reads the stream from a place on, without end. */
export class StreamSubscription<T> implements Subscription<T> {
  readonly #context: StoreContext;
  readonly #stream: CommitStream;
  readonly #made: CommitValues<T>;
  readonly #caughtUp = deferred();
  readonly #iterator: BatchedIterator<T>;
  readonly #passesCache: boolean;
  readonly #opened: Promise<void>;
  readonly #ended = deferred();
  readonly #epochs: { readonly guard: number; readonly cache: number };
  #closing: Promise<void> | undefined;

  constructor(context: StoreContext, selection: StreamSelection, interpret: Interpret<T>) {
    this.#context = context;
    this.#epochs = { guard: context.guard.epoch, cache: context.cache.epoch };
    this.#stream = new CommitStream(context, selection);
    this.#passesCache = selection.passesCache ?? false;
    const onCommit = (commit: StoredCommit): void => this.#tellCache(commit);
    this.#made = new CommitValues(context, this.#stream, interpret, onCommit, selection.accepts);
    this.#iterator = new BatchedIterator({
      next: () => this.nextBatch(),
      close: () => this.close(),
    });
    this.#caughtUp.promise.catch(() => {});
    this.#opened = this.#stream.open(
      () => this.#caughtUp.resolve(),
      () => this.#iterator.drop(),
    );
    this.#opened.catch((error: unknown) => this.#caughtUp.reject(error));
  }

  get caughtUp(): Promise<void> {
    return this.#caughtUp.promise;
  }

  /** Resolves when it is closed, and all that belonged to it is released. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  get live(): boolean {
    return this.#stream.caughtUp;
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return this.#iterator;
  }

  /** Position of the last matching commit when it began; known once the first batch is there. */
  get target(): number {
    return this.#stream.target;
  }

  /** Matching commits behind those that were handed out, as far as the server told; undefined before that. */
  get pending(): number | undefined {
    return this.#stream.pending;
  }

  /**
   * The values of the next commits, none or more; undefined when it is closed. For readers that take batches instead of
   * iterating, one call at a time: coming back for more says that those before are dealt with.
   */
  async nextBatch(): Promise<readonly T[] | undefined> {
    try {
      return await this.#next();
    } catch (error) {
      this.#caughtUp.reject(error);
      throw error;
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    this.#iterator.drop();
    try {
      await this.#stream.close();
      await this.#opened.catch(() => {});
    } finally {
      this.#caughtUp.reject(new ClosedError("the subscription"));
      this.#ended.resolve();
    }
  }

  async #next(): Promise<readonly T[] | undefined> {
    await this.#opened;
    if (this.#closing !== undefined) return undefined;
    this.#stream.throwIfCut();
    this.#made.throwIfFailed();
    const messages = await this.#stream.next();
    if (messages === undefined || this.#closing !== undefined) return undefined;
    const values = await this.#made.of(messages);
    this.#stream.throwIfCut();
    return values;
  }

  /** A catch-up passes old commits, which would push live entries out of the cache. */
  #tellCache(commit: StoredCommit): void {
    const { cache, guard } = this.#context;
    const { subject, sequence } = commit.message;
    if (cache.off) return;
    guard.saw(sequence, commit.commitId, this.#epochs.guard);
    if (this.live) {
      cache.advance(subject, headOf(commit), this.#epochs.cache);
      return;
    }
    if (this.#passesCache || cache.epoch !== this.#epochs.cache) return;
    const known = cache.peek(subject);
    if (known !== undefined && known.sequence < sequence) cache.refresh(subject, headOf(commit));
  }
}
