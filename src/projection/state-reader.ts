import { ClosedError, InvalidArgumentError, StreamNotFoundError } from "../errors.ts";
import type { Bucket } from "../nats/bucket.ts";
import type { EventMap } from "../store/event.ts";
import type { EventStore } from "../store/event-store.ts";
import { internalsOf, type StoreInternals } from "../store/internals.ts";
import { count } from "../store/options.ts";
import { readIdentity } from "./bucket-identity.ts";
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

/**
 * The stored state of a projection for those who only read it: always the version that is live. When a new version
 * takes over, reads that begin from then on see that one.
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
      read: (key, signal) => this.#current().read(key, signal),
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
    return this.#reader;
  }

  async #follow(): Promise<void> {
    const { signal } = this.#closing;
    const fromSequence = this.#live.sequence + 1;
    const changes = this.#directory.entries({
      filter: LIVE_KEY,
      fromSequence,
      until: "never",
      signal,
    });
    for await (const batch of changes) {
      const entry = batch.at(-1);
      if (entry === undefined || entry.deleted) continue;
      const version = parseLive(this.#directory.name, entry.data);
      this.#reader = await openReader(
        this.#internals,
        this.#projection,
        this.#state,
        version,
        signal,
      );
      this.#live = { version, sequence: entry.sequence };
    }
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
  return new KvReader(bucket, identity.values, timeoutMs);
}
