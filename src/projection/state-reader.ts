import { ClosedError, InvalidArgumentError, StreamNotFoundError } from "../errors.ts";
import { type Backoff, backoffMs, sleep } from "../internal/backoff.ts";
import type { Bucket } from "../nats/bucket.ts";
import { isPassing } from "../nats/passing.ts";
import type { EventMap } from "../store/event.ts";
import type { EventStore } from "../store/event-store.ts";
import { internalsOf, type StoreInternals } from "../store/internals.ts";
import { count } from "../store/options.ts";
import { readIdentity } from "./bucket-identity.ts";
import { CHECKPOINT_KEY } from "./checkpoint-writer.ts";
import type { Projection, TableMap } from "./definition.ts";
import { ProjectionMismatchError } from "./errors.ts";
import { KvReader } from "./kv-reader.ts";
import {
  bucketOfVersion,
  LIVE_KEY,
  type LiveVersion,
  parseLive,
  readLive,
} from "./live-version.ts";
import { openBucket } from "./open-state.ts";
import { type ReadTables, readTables } from "./read-tables.ts";
import type { KvStateOptions } from "./state-options.ts";

/** Waits before versions are followed again. */
const RETRY: Backoff = { firstMs: 20, maxMs: 1_000 };

/**
 * The stored state of a projection for those who only read it: always the version that is live. When a new version
 * takes over, reads that begin from then on see that one. Where the live version cannot be read, and that does not pass
 * by itself, reads throw what keeps them from it until one can be read again.
 *
 * @example
 * await using reader = await openTables(store, balances, { state: kvState({ bucket: "balances" }) });
 * await reader.tables.balance.get("alice");
 */
export class StateReader<Tables extends TableMap> {
  readonly tables: ReadTables<Tables>;
  readonly #internals: StoreInternals;
  readonly #projection: string;
  readonly #state: KvStateOptions;
  readonly #directory: Bucket;
  readonly #closing = new AbortController();
  readonly #following: Promise<void>;
  #live: LiveVersion;
  #reader: KvReader;
  /** Why the version that is live cannot be read. */
  #failure: Error | undefined;

  /** @internal see {@link openTables} */
  constructor(parts: {
    readonly internals: StoreInternals;
    readonly projection: Pick<Projection<never, Tables>, "name" | "tables">;
    readonly state: KvStateOptions;
    readonly directory: Bucket;
    readonly live: LiveVersion;
    readonly reader: KvReader;
  }) {
    this.#internals = parts.internals;
    this.#projection = parts.projection.name;
    this.#state = parts.state;
    this.#directory = parts.directory;
    this.#live = parts.live;
    this.#reader = parts.reader;
    this.tables = readTables(parts.projection.tables, {
      read: async (key, signal) => this.#current().read(key, signal),
      entries: (table, options) => this.#current().entries(table, options),
      watch: (key, signal) => this.#current().watch(key, signal),
    });
    this.#following = this.#follow().catch(() => {});
  }

  /** The version that is read. */
  get version(): number {
    return this.#live.version;
  }

  async close(): Promise<void> {
    this.#closing.abort(new ClosedError("the reader"));
    await this.#following;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #current(): KvReader {
    if (this.#closing.signal.aborted) throw new ClosedError("the reader");
    if (this.#failure !== undefined) throw this.#failure;
    return this.#reader;
  }

  /** Goes on whatever fails: the next try, or the next version, may succeed. */
  async #follow(): Promise<void> {
    const { signal } = this.#closing;
    for (let attempt = 1; !signal.aborted; attempt++) {
      const before = this.#live;
      try {
        await this.#followOnce(signal);
      } catch (error) {
        if (this.#live !== before) attempt = 1;
        // At first it may be a version that was replaced before it was looked at.
        if (error instanceof Error && !isPassing(error) && attempt > 1) this.#failure = error;
        if (error instanceof ClosedError) return;
      }
      await sleep(backoffMs(RETRY, attempt), signal);
    }
  }

  /** Changes over to each version that becomes live, until something fails. */
  async #followOnce(signal: AbortSignal): Promise<void> {
    const changes = this.#directory.entries({
      filter: LIVE_KEY,
      fromSequence: this.#live.sequence + 1,
      until: "never",
      signal,
    });
    for await (const batch of changes) {
      const entry = batch.at(-1);
      if (entry === undefined || entry.deleted) continue;
      const { sequence, data } = entry;
      const version = parseLive(this.#directory.name, data);
      this.#reader = await this.#open(version, signal);
      this.#live = { version, sequence };
      this.#failure = undefined;
    }
  }

  #open(version: number, signal: AbortSignal): Promise<KvReader> {
    return openReader(this.#internals, this.#projection, this.#state, version, signal);
  }
}

/**
 * Opens the live version of a projection's stored state for reading.
 *
 * @throws {InvalidArgumentError} of state that is not in a bucket, and of one that no projector has made yet;
 * {ProjectionMismatchError} of another projection's
 */
export async function openTables<Events extends EventMap, Tables extends TableMap>(
  store: EventStore<Events>,
  projection: Projection<Events, Tables>,
  options: { readonly state: KvStateOptions; readonly signal?: AbortSignal | undefined },
): Promise<StateReader<Tables>> {
  const { state, signal } = options;
  const internals = internalsOf(store);
  const { directory, live } = await openLive(internals, state, signal);
  const reader = await openReader(internals, projection.name, state, live.version, signal);
  return new StateReader({ internals, projection, state, directory, live, reader });
}

/**
 * Deletes the state of a version that readers no longer use.
 *
 * @throws {InvalidArgumentError} the version is live
 */
export async function deleteVersion<Events extends EventMap>(
  store: EventStore<Events>,
  options: {
    readonly state: KvStateOptions;
    readonly version: number;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<void> {
  const { state, signal } = options;
  const version = count("version", options.version, 1);
  const internals = internalsOf(store);
  const { live } = await openLive(internals, state, signal);
  if (live.version === version) {
    throw new InvalidArgumentError("version", "one that is not live", version);
  }
  const open = { timeoutMs: state.requestTimeoutMs, signal, create: false };
  try {
    const bucket = await openBucket(internals, bucketOfVersion(state.bucket, version), open);
    await bucket.destroy(signal);
  } catch (error) {
    if (!(error instanceof StreamNotFoundError)) throw error;
  }
}

async function openLive(
  internals: StoreInternals,
  state: KvStateOptions,
  signal: AbortSignal | undefined,
): Promise<{ readonly directory: Bucket; readonly live: LiveVersion }> {
  if (state?.kind !== "kv") throw new InvalidArgumentError("state", "kvState({ bucket })", state);
  const { bucket, requestTimeoutMs: timeoutMs } = state;
  const directory = await openBucket(internals, bucket, { timeoutMs, signal, create: false });
  const live = await readLive(directory, timeoutMs, signal);
  if (live !== undefined) return { directory, live };
  throw new InvalidArgumentError("state.bucket", "one that a projector has made", bucket);
}

async function openReader(
  internals: StoreInternals,
  projection: string,
  { bucket: name, requestTimeoutMs: timeoutMs }: KvStateOptions,
  version: number,
  signal: AbortSignal | undefined,
): Promise<KvReader> {
  const open = { timeoutMs, signal, create: false };
  const bucket = await openBucket(internals, bucketOfVersion(name, version), open);
  const identity = await readIdentity(bucket, { timeoutMs, signal });
  if (identity.name !== projection) {
    const advice = "give the bucket of this projection";
    throw new ProjectionMismatchError(bucket.name, "name", projection, identity.name, advice);
  }
  const reader = new KvReader(bucket, identity.values, timeoutMs);
  // A replica that lags may not have heard of half of what this version is.
  const checkpoint = await bucket.leaderGet(CHECKPOINT_KEY, { timeoutMs, signal });
  reader.seen(checkpoint?.sequence ?? 0);
  return reader;
}
