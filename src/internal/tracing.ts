import { tracingChannel, type TracingChannel } from "node:diagnostics_channel";

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
}
