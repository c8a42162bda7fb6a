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
  #loading: Promise<IteratorResult<T, undefined>> | undefined;
  #closing: Promise<void> | undefined;

  constructor(source: BatchSource<T>) {
    this.#source = source;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#loading !== undefined) {
      // Overlapping calls are served one after the other, as an async generator does.
      const after = this.#loading.then(
        () => this.next(),
        () => this.next(),
      );
      return after;
    }
    const value = this.#batch[this.#at];
    if (this.#at < this.#batch.length && value !== undefined) {
      this.#at++;
      return Promise.resolve({ done: false, value });
    }
    if (this.#closing !== undefined) return Promise.resolve({ done: true, value: undefined });
    this.#loading = this.#load();
    return this.#loading;
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    this.#batch = [];
    await this.#close();
    return { done: true, value: undefined };
  }

  async #load(): Promise<IteratorResult<T, undefined>> {
    try {
      for (;;) {
        const batch = await this.#source.next();
        if (batch === undefined) break;
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
    } finally {
      this.#loading = undefined;
    }
  }

  #close(): Promise<void> {
    this.#closing ??= this.#source.close();
    return this.#closing;
  }
}
