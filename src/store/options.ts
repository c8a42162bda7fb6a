import { InvalidArgumentError } from "../errors.ts";
import type { NatsOptions } from "../nats/connection.ts";
import type { StoreLimits } from "./context.ts";
import type { EventMap } from "./event.ts";
import type { EventSchemas, Upcasters } from "./interpreter.ts";
import { validatePrefix } from "./subject.ts";

/** How to open a store. */
export interface StoreOptions<Events extends EventMap = EventMap> {
  /** Name of the JetStream stream that holds all actors' commits. */
  readonly stream: string;
  /** Subjects are `<prefix>.<actor type>.<actor id>`. @default the stream's name in lower case */
  readonly prefix?: string | undefined;
  /** Create the stream where it does not exist. @default true */
  readonly create?: boolean | undefined;
  /** Replicas of a new stream, and the least that an existing one must have. @default 1 */
  readonly replicas?: number | undefined;
  /** Size in bytes at which a new stream refuses appends. @default unlimited */
  readonly maxBytes?: number | undefined;
  /** How long a new stream remembers the commit ids of appends with `"any"` and `"exists"`. @default 120000 */
  readonly duplicateWindowMs?: number | undefined;
  /** JetStream domain; excludes `apiPrefix`. */
  readonly domain?: string | undefined;
  /** Prefix of the JetStream API. @default "$JS.API" */
  readonly apiPrefix?: string | undefined;
  /** Actors in the version cache; 0 turns it off, and each append reads first. @default 100000 */
  readonly cacheMaxActors?: number | undefined;
  /**
   * Listen to what others append (headers only) and keep the cached versions fresh, so that appends after external
   * writes find no stale head. @default false
   */
  readonly follow?: boolean | undefined;
  /** Appends on their way to the server at once. @default 4096 */
  readonly maxInFlight?: number | undefined;
  /** Appends that may wait for their turn; more are refused with `OverloadedError`. @default 100000 */
  readonly maxQueuedAppends?: number | undefined;
  /** Races that an append with `"any"` may lose before `TooManyConflictsError`. @default 50 */
  readonly maxConflictRetries?: number | undefined;
  /** How long an append may take, waiting for its turn, reads and repetitions included. @default 10000 */
  readonly appendTimeoutMs?: number | undefined;
  /** How long to wait for one ack before the append is looked for and sent again. @default 2000 */
  readonly ackTimeoutMs?: number | undefined;
  /** How long one read request may take, its repetitions included. @default 10000 */
  readonly readTimeoutMs?: number | undefined;
  /** How long connecting and opening may take. @default 5000 */
  readonly connectTimeoutMs?: number | undefined;
  /**
   * How often the store looks whether the stream is still the one it knows: two small requests. The server's own notice
   * of a stream deleted, created or restored is faster, but can get lost, or be forbidden to this user. @default 5000
   */
  readonly identityCheckMs?: number | undefined;
  /** Bytes of an appendAll at most. @default 8388608 */
  readonly maxBatchBytes?: number | undefined;
  /** Point reads on their way to the server at once. @default 1024 */
  readonly maxReadsInFlight?: number | undefined;
  /** Bytes that a read fetches ahead of its reader, about. @default 8388608 */
  readonly readWindowBytes?: number | undefined;
  /** Commits that a read of the stream fetches ahead of its reader. @default 5000 */
  readonly readBufferCommits?: number | undefined;
  /** Standard Schemas for event data, by actor type and event type; applied on append and on read. */
  readonly schemas?: EventSchemas<Events> | undefined;
  /** Whether events are validated on read too. @default true */
  readonly validateReads?: boolean | undefined;
  /** Functions that bring events of older shapes up to date on read, by actor type and stored event type. */
  readonly upcasters?: Upcasters<Events> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How to connect and open a store: all options of the NATS client besides. */
export type ConnectOptions<Events extends EventMap = EventMap> = StoreOptions<Events> &
  Omit<NatsOptions, "timeout" | "stream">;

/** Checked options with their defaults. */
export interface ResolvedOptions extends StoreLimits {
  readonly stream: string;
  readonly prefix: string;
  readonly apiPrefix: string;
  readonly cacheMaxActors: number;
  readonly maxInFlight: number;
  readonly maxReadsInFlight: number;
  readonly connectTimeoutMs: number;
  readonly identityCheckMs: number;
}

/** @throws {InvalidArgumentError} naming the option */
export function resolveOptions<Events extends EventMap>(
  options: StoreOptions<Events>,
): ResolvedOptions {
  const { stream, domain, apiPrefix } = options;
  if (typeof stream !== "string" || !/^[A-Za-z0-9_-]{1,200}$/.test(stream)) {
    throw new InvalidArgumentError("stream", "a name of letters, digits, _ and -", stream);
  }
  const prefix = options.prefix ?? stream.toLowerCase();
  validatePrefix(prefix, "prefix");
  if (domain !== undefined && apiPrefix !== undefined) {
    throw new InvalidArgumentError("apiPrefix", "nothing beside domain", apiPrefix);
  }
  if (options.replicas !== undefined) count("replicas", options.replicas, 1);
  if (options.maxBytes !== undefined) count("maxBytes", options.maxBytes, 1);
  if (options.duplicateWindowMs !== undefined) {
    count("duplicateWindowMs", options.duplicateWindowMs, 100);
  }
  return {
    stream,
    prefix,
    apiPrefix: apiPrefix ?? (domain === undefined ? "$JS.API" : `$JS.${domain}.API`),
    cacheMaxActors: count("cacheMaxActors", options.cacheMaxActors ?? 100_000, 0),
    maxInFlight: count("maxInFlight", options.maxInFlight ?? 4_096, 1),
    maxQueuedAppends: count("maxQueuedAppends", options.maxQueuedAppends ?? 100_000, 0),
    maxConflictRetries: count("maxConflictRetries", options.maxConflictRetries ?? 50, 0),
    appendTimeoutMs: count("appendTimeoutMs", options.appendTimeoutMs ?? 10_000, 1),
    ackTimeoutMs: count("ackTimeoutMs", options.ackTimeoutMs ?? 2_000, 1),
    readTimeoutMs: count("readTimeoutMs", options.readTimeoutMs ?? 10_000, 1),
    connectTimeoutMs: count("connectTimeoutMs", options.connectTimeoutMs ?? 5_000, 1),
    identityCheckMs: count("identityCheckMs", options.identityCheckMs ?? 5_000, 10),
    maxBatchBytes: count("maxBatchBytes", options.maxBatchBytes ?? 8 << 20, 1),
    maxReadsInFlight: count("maxReadsInFlight", options.maxReadsInFlight ?? 1_024, 1),
    readWindowBytes: count("readWindowBytes", options.readWindowBytes ?? 8 << 20, 1),
    readBufferCommits: count("readBufferCommits", options.readBufferCommits ?? 5_000, 1),
  };
}

/** A whole number from `least`. */
export function count(argument: string, value: unknown, least: number): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= least) return value;
  throw new InvalidArgumentError(argument, `a whole number from ${least}`, value);
}
