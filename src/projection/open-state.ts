import { InvalidArgumentError } from "../errors.ts";
import { Bucket } from "../nats/bucket.ts";
import type { StoreInternals } from "../store/internals.ts";
import { claimIdentity, type Owner } from "./bucket-identity.ts";
import type { Projection, TableMap } from "./definition.ts";
import { KvState } from "./kv-state.ts";
import { assertNotLater, bucketOfVersion, makeLive, readLive } from "./live-version.ts";
import { MemoryState } from "./memory-state.ts";
import type { StateBackend } from "./state-backend.ts";
import type { KvStateOptions, StateOptions } from "./state-options.ts";

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
 * @param reset delete what is there of this version first
 * @throws {ProjectionMismatchError} where a later version is live
 */
export async function openState<Tables extends TableMap>(
  internals: StoreInternals,
  projection: Pick<Projection<never, Tables>, "name" | "version" | "policies">,
  state: StateOptions,
  { reset, signal }: { readonly reset: boolean; readonly signal: AbortSignal | undefined },
): Promise<OpenedState> {
  if (state?.kind === "memory") {
    const makeLiveNow = (): Promise<void> => Promise.resolve();
    return {
      backend: new MemoryState(),
      rebuilding: false,
      makeLive: makeLiveNow,
      directory: undefined,
    };
  }
  if (state?.kind !== "kv") {
    throw new InvalidArgumentError("state", "kvState({ bucket }) or memoryState()", state);
  }
  const { requestTimeoutMs: timeoutMs } = state;
  const { version } = projection;
  const options = { replicas: state.replicas, timeoutMs, signal };
  const directory = await openBucket(internals, state.bucket, options);
  const live = await readLive(directory, timeoutMs, signal);
  if (live !== undefined) assertNotLater(directory.name, live.version, version);
  const name = bucketOfVersion(state.bucket, version);
  if (reset) await (await openBucket(internals, name, options)).destroy(signal);
  const bucket = await openBucket(internals, name, options);
  const { stream } = internals.context;
  const owner: Owner = { projection, values: state.values, stream };
  await claimIdentity(bucket, owner, { timeoutMs, signal });
  return {
    backend: new KvState({ bucket, owner, ...boundsOf(state) }),
    rebuilding: live !== undefined && live.version < version,
    makeLive: (until) => makeLive(directory, version, timeoutMs, until),
    directory,
  };
}

function boundsOf({ generationEvents, maxBatchBytes, requestTimeoutMs }: KvStateOptions): {
  generationEvents: number;
  maxBatchBytes: number;
  requestTimeoutMs: number;
} {
  return { generationEvents, maxBatchBytes, requestTimeoutMs };
}
