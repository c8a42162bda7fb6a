/** Where a {@link BatchedIterator} gets its values. */
export interface BatchSource<T> {
  /** The next values, none or more; undefined at the end. */
  next(): Promise<readonly T[] | undefined>;
  /** Called once: at the end, when the consumer stops, or after an error. */
  close(): Promise<void>;
}

/**
 * An async iterator over values that come in batches. A value that is at hand costs one promise, not the machinery of
 * an async generator, which is what makes hundreds of thousands of values a second possible.
 */
export class BatchedIterator<T> implements AsyncIterableIterator<T> {
  readonly #source: BatchSource<T>;
  #batch: readonly T[] = [];
  #at = 0;
  /** Counts the calls of {@link drop}: what the source gave before one is not handed out after it. */
  #drops = 0;
  /** The call that was made last, while it is being served. */
  #last: Promise<IteratorResult<T, undefined>> | undefined;
  #closing: Promise<void> | undefined;

  constructor(source: BatchSource<T>) {
    this.#source = source;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    // Overlapping calls are served one after the other, as an async generator does.
    const ahead = this.#last;
    if (ahead !== undefined) {
      return this.#inLine(
        ahead.then(
          () => this.#take(),
          () => this.#take(),
        ),
      );
    }
    const value = this.#batch[this.#at];
    if (value === undefined) return this.#inLine(this.#take());
    this.#at++;
    return Promise.resolve({ done: false, value });
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    this.#batch = [];
    await this.#close();
    return { done: true, value: undefined };
  }

  /** Forgets the values at hand: the next call asks the source, which says how it goes on, or why it does not. */
  drop(): void {
    this.#drops++;
    this.#batch = [];
  }

  /** Keeps the call in line until it is served, so that a later one cannot overtake it. */
  #inLine(call: Promise<IteratorResult<T, undefined>>): Promise<IteratorResult<T, undefined>> {
    const served = (): void => {
      if (this.#last === call) this.#last = undefined;
    };
    this.#last = call;
    call.then(served, served);
    return call;
  }

  #take(): Promise<IteratorResult<T, undefined>> {
    const value = this.#batch[this.#at];
    if (value !== undefined) {
      this.#at++;
      return Promise.resolve({ done: false, value });
    }
    if (this.#closing !== undefined) return Promise.resolve({ done: true, value: undefined });
    return this.#load();
  }

  async #load(): Promise<IteratorResult<T, undefined>> {
    try {
      for (;;) {
        const drops = this.#drops;
        const batch = await this.#source.next();
        if (batch === undefined || this.#closing !== undefined) break;
        if (drops !== this.#drops) continue;
        const [value] = batch;
        if (value === undefined) continue;
        this.#batch = batch;
        this.#at = 1;
        return { done: false, value };
      }
      await this.#close();
      return { done: true, value: undefined };
    } catch (error) {
      await this.#close();
      throw error;
    }
  }

  #close(): Promise<void> {
    this.#closing ??= this.#source.close();
    return this.#closing;
  }
}
