import { InvalidArgumentError } from "../errors.ts";
import { uniqueIds } from "../internal/unique-ids.ts";
import { BatchHeaders, formatHeaders, headerBlock } from "./batch-headers.ts";
import { assertKey, type BucketChange } from "./bucket-entry.ts";
import type { Connection } from "./connection.ts";
import {
  type OutgoingMessage,
  publishAcked,
  publishBatchAcked,
  type PublishOutcome,
} from "./publish.ts";

/** The change that a batch hangs on: its key must not have been written since `expectedSequence`. */
export interface BucketGuard extends BucketChange {
  /** Sequence of the key's last entry, deletions included; 0 for a key that was never written. */
  readonly expectedSequence: number;
}

/** Messages in one atomic batch (nats-server's default of `max_msgs` for batches, ADR-50). */
export const MAX_COMMIT_MESSAGES = 1_000;

/** More than the headers that are put in here take in one message. */
const ownHeaderBytes = 256;
const nothing = new Uint8Array(0);

/** Writes the entries of a bucket. Each call is one attempt with one outcome. */
export class BucketWriter {
  readonly #connection: Connection;
  readonly #subjectStart: string;
  readonly #maxMessageBytes: number | undefined;
  readonly #nextBatchId = uniqueIds();

  /**
   * @param subjectStart of the keys' subjects, with the dot, as they are published
   * @param maxMessageBytes what the bucket takes in one message; undefined = as much as the server
   */
  constructor(connection: Connection, subjectStart: string, maxMessageBytes: number | undefined) {
    this.#connection = connection;
    this.#subjectStart = subjectStart;
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** Bytes that an entry may have, its data and its own headers. */
  get maxEntryBytes(): number {
    return this.#maxBytes - ownHeaderBytes;
  }

  /** As `Bucket.put`. */
  async put(
    change: BucketChange,
    expectedSequence: number | undefined,
    timeoutMs: number,
  ): Promise<PublishOutcome> {
    const block = headerBlock(linesOf(change, expectedSequence));
    const message = this.#message(change, block);
    return publishAcked(this.#connection.requests, message, await this.#connected(timeoutMs));
  }

  /** As `Bucket.commit`. */
  async commit(
    changes: readonly BucketChange[],
    guard: BucketGuard,
    timeoutMs: number,
  ): Promise<PublishOutcome> {
    if (changes.length === 0) return this.put(guard, guard.expectedSequence, timeoutMs);
    if (changes.length >= MAX_COMMIT_MESSAGES) {
      const messages = changes.length + 1;
      throw new RangeError(`at most ${MAX_COMMIT_MESSAGES} messages in a batch, got ${messages}`);
    }
    const headers = new BatchHeaders(this.#nextBatchId());
    const messages = changes.map((change) => {
      if (change.key === guard.key) {
        throw new InvalidArgumentError("changes", "keys other than the guard's", change.key);
      }
      return this.#message(change, headers.next(linesOf(change)));
    });
    messages.push(this.#message(guard, headers.commit(linesOf(guard, guard.expectedSequence))));
    const waitMs = await this.#connected(timeoutMs);
    return publishBatchAcked(this.#connection.requests, messages, waitMs);
  }

  get #maxBytes(): number {
    const { maxPayload } = this.#connection;
    return Math.min(maxPayload, this.#maxMessageBytes ?? maxPayload);
  }

  #message({ key, data = nothing }: BucketChange, headers: Uint8Array): OutgoingMessage {
    assertKey(key);
    const size = headers.length + data.length;
    if (size > this.#maxBytes) {
      throw new RangeError(
        `key ${key} needs ${size} bytes, the bucket's limit is ${this.#maxBytes}`,
      );
    }
    return { subject: `${this.#subjectStart}${key}`, headers, payload: data };
  }

  /** Waits for the connection: the client drops what is published without one. Gives the time that is left. */
  async #connected(timeoutMs: number): Promise<number> {
    if (this.#connection.connected) return timeoutMs;
    const deadline = performance.now() + timeoutMs;
    await this.#connection.whenConnected(timeoutMs);
    return Math.max(1, deadline - performance.now());
  }
}

function linesOf({ data, headers }: BucketChange, expectedSequence?: number): string {
  const operation = data === undefined ? "KV-Operation: DEL\r\n" : "";
  const expectation =
    expectedSequence === undefined
      ? ""
      : `Nats-Expected-Last-Subject-Sequence: ${expectedSequence}\r\n`;
  return headers === undefined
    ? `${operation}${expectation}`
    : `${operation}${expectation}${formatHeaders(headers)}`;
}
