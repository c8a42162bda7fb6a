import { StreamNotFoundError } from "../errors.ts";
import { BatchedIterator } from "../internal/batched-iterator.ts";
import { BucketEntries, type EntryPlace, type EntrySelection } from "./bucket-entries.ts";
import { assertKey, type BucketChange, type BucketEntry, entryOf } from "./bucket-entry.ts";
import { type KeySelection, listEntries, listKeys } from "./bucket-list.ts";
import {
  type BucketRequest,
  type CheckedBucket,
  ensureBucket,
  streamOfBucket,
  subjectOfBucket,
} from "./bucket-settings.ts";
import { type BucketGuard, BucketWriter } from "./bucket-writer.ts";
import type { Connection } from "./connection.ts";
import { DirectReader, type ReadBounds } from "./direct.ts";
import type { PublishOutcome } from "./publish.ts";
import { callStreamApi, type StreamState, streamState } from "./stream.ts";

export type { EntrySelection } from "./bucket-entries.ts";
export type { BucketChange, BucketEntry } from "./bucket-entry.ts";
export type { KeySelection } from "./bucket-list.ts";
export { type BucketGuard, MAX_COMMIT_MESSAGES } from "./bucket-writer.ts";

/** How a bucket is opened. */
export interface BucketOptions extends Omit<BucketRequest, "domain"> {
  /** `$JS.<domain>.API` for another JetStream domain. @default "$JS.API" */
  readonly apiPrefix?: string | undefined;
  /** Prefix of inboxes, where the connection's permissions ask for one. @default "_INBOX" */
  readonly inboxPrefix?: string | undefined;
  /** Reads on their way at once; more wait. @default 64 */
  readonly maxReadsInFlight?: number | undefined;
  /** Told of each repetition of a read; must not throw. */
  readonly onReadRetry?: ((reason: string, attempt: number) => void) | undefined;
}

/** Keys in one {@link Bucket.fetch}. */
export const MAX_FETCH_KEYS = 1_000;

const defaultApiPrefix = "$JS.API";
const defaultReadsInFlight = 64;

/**
 * A NATS KV bucket with a history of one: any client of NATS reads it. Other than their clients it writes many keys as
 * one atomic batch and reads many keys in one answer.
 *
 * @example
 * const bucket = await Bucket.open(connection, { name: "balances", timeoutMs: 5_000 });
 * const changes = [{ key: "balance.alice", data }, { key: "balance.bob", data: undefined }];
 * const outcome = await bucket.commit(changes, { key: "checkpoint", data: now, expectedSequence: 17 }, 5_000);
 */
export class Bucket {
  readonly name: string;
  /** Whether other servers hold it too, so that reads that are not the leader's may lag. */
  readonly replicated: boolean;
  readonly #connection: Connection;
  readonly #direct: DirectReader;
  readonly #place: EntryPlace;
  readonly #writer: BucketWriter;

  private constructor(connection: Connection, options: BucketOptions, checked: CheckedBucket) {
    const { name, timeoutMs, apiPrefix = defaultApiPrefix, inboxPrefix = "_INBOX" } = options;
    this.name = name;
    this.replicated = checked.replicas > 1;
    this.#connection = connection;
    this.#direct = new DirectReader(
      connection,
      streamOfBucket(name),
      apiPrefix,
      options.maxReadsInFlight ?? defaultReadsInFlight,
      options.onReadRetry ?? (() => {}),
    );
    const subjectStart = `${subjectOfBucket(name)}.`;
    this.#place = {
      connection,
      direct: this.#direct,
      apiPrefix,
      inboxPrefix,
      subjectStart,
      timeoutMs,
    };
    // Leaf nodes do not let $KV through: the server maps what comes below the prefix of the domain's API.
    const writeStart =
      apiPrefix === defaultApiPrefix ? subjectStart : `${apiPrefix}.${subjectStart}`;
    this.#writer = new BucketWriter(connection, writeStart, checked.maxMessageBytes);
  }

  /**
   * Creates the bucket, or checks an existing one; one that another client made is allowed atomic batches.
   *
   * @throws InvalidArgumentError of the name; StreamNotFoundError with `create: false`; StreamSettingsError;
   * JetStreamUnavailableError; ServerRefusedError; the signal's reason
   */
  static async open(connection: Connection, options: BucketOptions): Promise<Bucket> {
    return new Bucket(connection, options, await ensureBucket(connection, options));
  }

  /** Bytes that an entry may have, its data and its own headers. */
  get maxEntryBytes(): number {
    return this.#writer.maxEntryBytes;
  }

  /** What stands at a key, deletions included, as any replica shows it; undefined for nothing. */
  async get(key: string, bounds: ReadBounds): Promise<BucketEntry | undefined> {
    const found = await this.#direct.lastBySubject(this.#subject(key), bounds);
    return found === undefined ? undefined : this.#entry(found);
  }

  /** What stands at a key, deletions included, as the leader shows it; undefined for nothing. */
  async leaderGet(key: string, bounds: ReadBounds): Promise<BucketEntry | undefined> {
    const found = await this.#direct.leaderLastBySubject(this.#subject(key), bounds);
    return found === undefined ? undefined : this.#entry(found);
  }

  /**
   * What stands at the keys, deletions included, as one replica shows it at one moment: never a part of a batch.
   * A key at which nothing ever stood is left out.
   *
   * @throws {RangeError} above {@link MAX_FETCH_KEYS} keys, or where the keys together exceed half of max_payload
   */
  async fetch(
    keys: readonly string[],
    bounds: ReadBounds,
  ): Promise<ReadonlyMap<string, BucketEntry>> {
    if (keys.length > MAX_FETCH_KEYS) {
      throw new RangeError(`at most ${MAX_FETCH_KEYS} keys at once, got ${keys.length}`);
    }
    const subjects = keys.map((key) => this.#subject(key));
    const entries = new Map<string, BucketEntry>();
    for (const message of await this.#direct.multiLast(subjects, bounds)) {
      const entry = this.#entry(message);
      entries.set(entry.key, entry);
    }
    return entries;
  }

  /**
   * Writes one key, if its last entry is the expected one. One attempt: what an unknown outcome means is for the caller
   * to find out.
   *
   * @param expectedSequence sequence of the key's last entry, 0 for a key that was never written, undefined for any
   * @throws {RangeError} of an entry above {@link maxEntryBytes}; ConnectionFailedError, ClosedError: nothing was sent
   */
  put(
    change: BucketChange,
    expectedSequence: number | undefined,
    timeoutMs: number,
  ): Promise<PublishOutcome> {
    return this.#writer.put(change, expectedSequence, timeoutMs);
  }

  /**
   * Writes all the changes and the guard, or nothing, if the guard's last entry is the expected one. One attempt, as
   * with {@link put}.
   *
   * @returns the sequence is that of the guard; the changes stand right before it in their order
   * @throws {RangeError} above 1,000 messages, and of an entry above {@link maxEntryBytes};
   * ConnectionFailedError, ClosedError: nothing was sent
   */
  commit(
    changes: readonly BucketChange[],
    guard: BucketGuard,
    timeoutMs: number,
  ): Promise<PublishOutcome> {
    return this.#writer.commit(changes, guard, timeoutMs);
  }

  /**
   * Entries in the order in which they were written, deletions included, in batches. Where a key is written while this
   * reads, it may come again, or only as it was written last.
   *
   * @throws StreamNotFoundError, ServerRefusedError, JetStreamUnavailableError, ReadTimeoutError, ClosedError; the
   * signal's reason
   * @example
   * for await (const batch of bucket.entries({ filter: "balance.>", until: "head" })) …
   */
  entries(selection: EntrySelection): AsyncIterableIterator<readonly BucketEntry[]> {
    return new BatchedIterator(new BucketEntries(this.#place, selection));
  }

  /**
   * Entries that are not deleted in the order of their keys, in pages. The server lists and sorts all keys of the
   * prefix for it.
   */
  list(selection: KeySelection = {}): AsyncGenerator<readonly BucketEntry[], void, undefined> {
    return listEntries(this.#place, selection);
  }

  /** Keys at which anything stands, deletions included, sorted, in the pages in which the leader lists them. */
  keyPages(
    selection: Omit<KeySelection, "limit"> = {},
  ): AsyncGenerator<readonly string[], void, undefined> {
    return listKeys(this.#place, selection);
  }

  /** Keys that are not deleted, sorted; as {@link list}. */
  async *keys(selection: KeySelection = {}): AsyncGenerator<string, void, undefined> {
    for await (const entries of this.list(selection)) for (const { key } of entries) yield key;
  }

  /**
   * How far the bucket's stream is, as its leader says.
   *
   * @throws StreamNotFoundError, JetStreamUnavailableError, ServerRefusedError
   */
  state(): Promise<StreamState> {
    return streamState(this.#connection.nc, this.#direct.stream, this.#place);
  }

  /**
   * Removes the bucket with all its entries; one that is gone already is no error.
   *
   * @throws JetStreamUnavailableError, ServerRefusedError; the signal's reason
   */
  async destroy(signal?: AbortSignal): Promise<void> {
    const { timeoutMs, apiPrefix } = this.#place;
    const name = this.#direct.stream;
    const request = { name, apiPrefix, timeoutMs, create: false, signal };
    try {
      await callStreamApi(this.#connection.nc, request, (manager) => manager.streams.delete(name));
    } catch (error) {
      if (!(error instanceof StreamNotFoundError)) throw error;
    }
  }

  #subject(key: string): string {
    assertKey(key);
    return `${this.#place.subjectStart}${key}`;
  }

  #entry(message: Parameters<typeof entryOf>[0]): BucketEntry {
    return entryOf(message, this.#place.subjectStart.length);
  }
}
