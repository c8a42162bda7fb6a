import { ClosedError } from "../errors.ts";
import { BatchedIterator } from "../internal/batched-iterator.ts";
import { CommitStream, type StreamSelection } from "./commit-stream.ts";
import { CommitValues, type Interpret } from "./commit-values.ts";
import type { StoreContext } from "./context.ts";
import { channels } from "./diagnostics.ts";

/** Reads the stream from a place to its end as it was at the start. Nothing is asked before the first value is. */
export class StreamRead<T> {
  /** What the reader iterates. */
  readonly values: AsyncIterableIterator<T>;
  readonly #context: StoreContext;
  readonly #selection: StreamSelection;
  readonly #interpret: Interpret<T>;
  readonly #running: Set<StreamRead<unknown>>;
  readonly #iterator: BatchedIterator<T>;
  #opened: Promise<void> | undefined;
  #stream: CommitStream | undefined;
  #made: CommitValues<T> | undefined;
  #left: number;
  #commits = 0;
  /** Whether anybody listens when it begins. */
  readonly #told: boolean = channels.read.hasSubscribers;
  /** How long the reader has waited; what it does with the values of a batch is not part of it. */
  #waitedMs = 0;
  #error: unknown;
  #closed = false;

  /** @param running where it stands from its first value to its end */
  constructor(
    context: StoreContext,
    selection: StreamSelection,
    interpret: Interpret<T>,
    limit: number,
    running: Set<StreamRead<unknown>>,
  ) {
    this.#context = context;
    this.#selection = selection;
    this.#interpret = interpret;
    this.#left = limit;
    this.#running = running;
    this.#iterator = new BatchedIterator({
      next: () => (this.#told ? this.#timed() : this.#next()),
      close: () => this.#end(),
    });
    this.values = this.#iterator;
  }

  /** Its store closes: the end of what was read so far must not pass for the end of the stream. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#iterator.drop();
    await this.#stream?.close();
  }

  async #timed(): Promise<readonly T[] | undefined> {
    const askedAt = performance.now();
    try {
      return await this.#next();
    } catch (error) {
      this.#error = error;
      throw error;
    } finally {
      this.#waitedMs += performance.now() - askedAt;
    }
  }

  async #next(): Promise<readonly T[] | undefined> {
    this.#throwIfClosed();
    if (this.#stream === undefined && this.#left <= 0) return undefined;
    const stream = this.#stream ?? this.#begin();
    await this.#opened;
    stream.throwIfCut();
    if (this.#left <= 0) return undefined;
    this.#made?.throwIfFailed();
    const messages = await stream.nextUntilCaughtUp();
    this.#throwIfClosed();
    if (messages === undefined) return undefined;
    const values = (await this.#made?.of(messages, stream.target, this.#left)) ?? [];
    this.#left -= values.length;
    return values;
  }

  #begin(): CommitStream {
    const stream = new CommitStream(this.#context, this.#selection);
    this.#stream = stream;
    this.#made = new CommitValues(this.#context, stream, this.#interpret, () => {
      this.#commits++;
    });
    this.#running.add(this);
    this.#opened = stream.open(
      () => {},
      () => this.#iterator.drop(),
    );
    return stream;
  }

  async #end(): Promise<void> {
    this.#running.delete(this);
    await this.#stream?.close();
    if (!this.#told) return;
    const { stream } = this.#context;
    channels.read.publish({
      stream,
      subject: undefined,
      commits: this.#commits,
      durationMs: this.#waitedMs,
      error: this.#error,
    });
  }

  #throwIfClosed(): void {
    if (this.#closed) throw new ClosedError("the store");
  }
}
