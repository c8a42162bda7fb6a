import type { ConsumerMessage } from "./stored-message.ts";

interface Chunk {
  readonly messages: ConsumerMessage[];
  bytes: number;
}

/**
 * Messages that arrived and were not taken, in chunks: a reader gets a chunk at a time, and a chunk counts until the
 * reader comes back for the next one, so that the window bounds what is in memory.
 */
export class FeedBuffer {
  readonly #chunkMessages: number;
  readonly #chunks: Chunk[] = [];
  #filling: Chunk = { messages: [], bytes: 0 };
  #messages = 0;
  #bytes = 0;
  #inHand: Chunk | undefined;

  constructor(chunkMessages: number) {
    this.#chunkMessages = chunkMessages;
  }

  /** Messages held, those in the reader's hand included. */
  get messages(): number {
    return this.#messages;
  }

  /** Bytes held, those in the reader's hand included. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Messages that no reader took yet. */
  get waiting(): number {
    return this.#messages - (this.#inHand?.messages.length ?? 0);
  }

  push(message: ConsumerMessage, bytes: number): void {
    const chunk = this.#filling;
    chunk.messages.push(message);
    chunk.bytes += bytes;
    this.#messages += 1;
    this.#bytes += bytes;
    if (chunk.messages.length < this.#chunkMessages) return;
    this.#chunks.push(chunk);
    this.#filling = { messages: [], bytes: 0 };
  }

  /** The reader is done with what it took last. */
  release(): void {
    if (this.#inHand === undefined) return;
    this.#messages -= this.#inHand.messages.length;
    this.#bytes -= this.#inHand.bytes;
    this.#inHand = undefined;
  }

  /** Hands out the oldest messages, after {@link release}; undefined where none wait. */
  take(): readonly ConsumerMessage[] | undefined {
    let chunk = this.#chunks.shift();
    if (chunk === undefined) {
      if (this.#filling.messages.length === 0) return undefined;
      chunk = this.#filling;
      this.#filling = { messages: [], bytes: 0 };
    }
    this.#inHand = chunk;
    return chunk.messages;
  }

  /** Forgets what no reader took. */
  dropWaiting(): void {
    const inHand = this.#inHand;
    this.clear();
    if (inHand === undefined) return;
    this.#inHand = inHand;
    this.#messages = inHand.messages.length;
    this.#bytes = inHand.bytes;
  }

  clear(): void {
    this.#chunks.length = 0;
    this.#filling = { messages: [], bytes: 0 };
    this.#inHand = undefined;
    this.#messages = 0;
    this.#bytes = 0;
  }
}
