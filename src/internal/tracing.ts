import type { AsyncLocalStorage } from "node:async_hooks";
import { tracingChannel, type TracingChannel } from "node:diagnostics_channel";

/** A message once its operation has ended: `error` is there where it failed, `result` where it did not. */
export type Ended<Message> = Message & { readonly error?: unknown; readonly result?: unknown };

/**
 * A `node:diagnostics_channel` tracing channel whose messages have a known shape: subscribers hear of the start and the
 * end of an operation with one and the same message object, and may bind a store to it. Costs nothing while nobody
 * listens.
 */
export class Tracing<Message extends object> {
  readonly name: string;
  readonly #channel: TracingChannel<unknown, Message>;

  constructor(name: string) {
    this.name = name;
    this.#channel = tracingChannel<unknown, Message>(name);
  }

  get hasSubscribers(): boolean {
    return this.#channel.hasSubscribers;
  }

  /** Runs `work`, which tells what came of it by changing `message`, and says when it begins and ends. */
  promise<T>(work: () => Promise<T>, message: Message): Promise<T> {
    return this.#channel.tracePromise(work, message);
  }

  /** The same of what ends at once. */
  sync<T>(work: () => T, message: Message): T {
    return this.#channel.traceSync(work, message);
  }

  /**
   * Calls `begin` before each operation, which then runs in `store` with what `begin` returned, and `end` once it has
   * ended. Neither may throw.
   *
   * @returns what ends it
   */
  follow<Kept>(
    store: AsyncLocalStorage<Kept>,
    begin: (message: Message) => Kept,
    end: (message: Ended<Message>) => void,
  ): () => void {
    const { start, end: returned, asyncEnd } = this.#channel;
    // A promise is pending when the call that made it returns: neither of the two is there yet.
    const onReturn = (message: unknown): void => {
      const ended = message as Ended<Message>;
      if ("result" in ended || "error" in ended) end(ended);
    };
    const onAsyncEnd = (message: unknown): void => end(message as Ended<Message>);
    start.bindStore(store, begin);
    returned.subscribe(onReturn);
    asyncEnd.subscribe(onAsyncEnd);
    return () => {
      start.unbindStore(store);
      returned.unsubscribe(onReturn);
      asyncEnd.unsubscribe(onAsyncEnd);
    };
  }
}
