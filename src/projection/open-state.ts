import { InvalidArgumentError } from "../errors.ts";
import { Bucket } from "../nats/bucket.ts";
import { Header } from "../store/commit.ts";
import type { StoreInternals } from "../store/internals.ts";
import { claimIdentity, type Owner } from "./bucket-identity.ts";
import type { Projection, TableMap } from "./definition.ts";
import { KvState } from "./kv-state.ts";
import { assertNotLater, bucketOfVersion, makeLive, readLive } from "./live-version.ts";
import { MemoryState } from "./memory-state.ts";
import type { SnapshotPlace } from "./snapshot-writer.ts";
import { Snapshots } from "./snapshots.ts";
import type { StateBackend } from "./state-backend.ts";
import type { KvStateOptions, SnapshotOptions, StateOptions } from "./state-options.ts";

/** The state of a projection, opened. */
export interface OpenedState {
  readonly backend: StateBackend;
  /** Whether readers use another version until this one is made live. */
  readonly rebuilding: boolean;
  /** Makes readers use this version. */
  readonly makeLive: (signal: AbortSignal) => Promise<void>;
  /** Holds what concerns all versions; undefined for state in memory. */
  readonly directory: Bucket | undefined;
}

interface Opening {
  /** Delete what is there of this version first. */
  readonly reset: boolean;
  readonly signal: AbortSignal | undefined;
}

/** Where the bucket of a version is, and how it is reached. */
type BucketPlace = Pick<KvStateOptions, "bucket" | "replicas" | "requestTimeoutMs">;

/** Opens a bucket on the store's connection; a new one gets as many replicas as the stream has, where not told. */
export function openBucket(
  { context }: StoreInternals,
  name: string,
  options: {
    replicas?: number | undefined;
    timeoutMs: number;
    create?: boolean;
    signal?: AbortSignal | undefined;
  },
): Promise<Bucket> {
  const { connection, apiPrefix, inboxPrefix } = context;
  const newReplicas = context.replicas();
  return Bucket.open(connection, { name, apiPrefix, inboxPrefix, newReplicas, ...options });
}

/**
 * Opens the state of a projection, empty or not.
 *
 * @throws {ProjectionMismatchError} where a later version is live, or the bucket is another projection's
 */
export async function openState<Tables extends TableMap>(
  internals: StoreInternals,
  projection: Pick<Projection<never, Tables>, "name" | "version" | "policies">,
  state: StateOptions,
  opening: Opening,
): Promise<OpenedState> {
  if (state?.kind === "memory") {
    const { snapshot } = state;
    const snapshots = snapshot && (await openSnapshots(internals, projection, snapshot, opening));
    return {
      backend: new MemoryState(snapshots),
      rebuilding: false,
      makeLive: () => Promise.resolve(),
      directory: undefined,
    };
  }
  if (state?.kind !== "kv") {
    throw new InvalidArgumentError("state", "kvState({ bucket }) or memoryState()", state);
  }
  const { signal } = opening;
  const { requestTimeoutMs: timeoutMs } = state;
  const { version } = projection;
  const options = { replicas: state.replicas, timeoutMs, signal };
  const directory = await openBucket(internals, state.bucket, options);
  const live = await readLive(directory, timeoutMs, signal);
  if (live !== undefined) assertNotLater(directory.name, live.version, version);
  const { stream } = internals.context;
  const owner: Owner = { projection, values: state.values, stream };
  const bucket = await openOwned(internals, state, owner, opening);
  return {
    backend: new KvState({ bucket, owner, ...boundsOf(state) }),
    rebuilding: live !== undefined && live.version < version,
    makeLive: (until) => makeLive(directory, version, timeoutMs, until),
    directory,
  };
}

/** Opens the bucket of a version, emptied where asked, as the projection's own. */
async function openOwned(
  internals: StoreInternals,
  { bucket: base, replicas, requestTimeoutMs: timeoutMs }: BucketPlace,
  owner: Owner,
  { reset, signal }: Opening,
): Promise<Bucket> {
  const name = bucketOfVersion(base, owner.projection.version);
  const options = { replicas, timeoutMs, signal };
  if (reset) await (await openBucket(internals, name, options)).destroy(signal);
  const bucket = await openBucket(internals, name, options);
  await claimIdentity(bucket, owner, { timeoutMs, signal });
  return bucket;
}

async function openSnapshots(
  internals: StoreInternals,
  projection: Owner["projection"],
  options: SnapshotOptions,
  opening: Opening,
): Promise<Snapshots> {
  const { direct, stream, limits } = internals.context;
  const owner: Owner = { projection, values: "msgpack", stream, state: "snapshot" };
  const bucket = await openOwned(internals, options, owner, opening);
  const { everyEvents, requestTimeoutMs } = options;
  const holds: SnapshotPlace["holds"] = async ({ position, commitId }, until) => {
    const bounds = { timeoutMs: limits.readTimeoutMs, signal: until };
    const found = await direct.leaderBySequence(position, bounds);
    return found?.headers.get(Header.commit) === commitId;
  };
  const { name } = projection;
  return new Snapshots({ bucket, projection: name, everyEvents, requestTimeoutMs, holds });
}

function boundsOf({ generationEvents, maxBatchBytes, requestTimeoutMs }: KvStateOptions): {
  generationEvents: number;
  maxBatchBytes: number;
  requestTimeoutMs: number;
} {
  return { generationEvents, maxBatchBytes, requestTimeoutMs };
}
