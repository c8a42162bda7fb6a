import type { Bucket, BucketEntry } from "../nats/bucket.ts";
import { CorruptStateError, ProjectionMismatchError } from "./errors.ts";
import { putUntilKnown } from "./put-until-known.ts";

/** Key that says which version of a projection readers are to use. */
export const LIVE_KEY = "live";

const FORMAT = 1;

/** Which version readers use. */
export interface LiveVersion {
  readonly version: number;
  /** Sequence of the entry that says so. */
  readonly sequence: number;
}

/** Name of the bucket that holds a version. */
export function bucketOfVersion(bucket: string, version: number): string {
  return `${bucket}_v${version}`;
}

/** @throws {CorruptStateError} */
export function parseLive(bucket: string, data: Uint8Array): number {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(data).toString());
  } catch (cause) {
    throw new CorruptStateError(bucket, LIVE_KEY, "it is no JSON", { cause });
  }
  const fields = new Map<string, unknown>(Object.entries(value ?? {}));
  const version = fields.get("version");
  if (fields.get("format") === FORMAT && typeof version === "number" && version >= 1)
    return version;
  throw new CorruptStateError(bucket, LIVE_KEY, `expected format ${FORMAT} with a version`);
}

/** The version that readers use, by the leader; undefined while there is none. */
export async function readLive(
  directory: Bucket,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<LiveVersion | undefined> {
  return liveOf(directory, await directory.leaderGet(LIVE_KEY, { timeoutMs, signal }));
}

function liveOf({ name }: Bucket, entry: BucketEntry | undefined): LiveVersion | undefined {
  if (entry === undefined || entry.deleted) return undefined;
  return { version: parseLive(name, entry.data), sequence: entry.sequence };
}

/**
 * Makes a version the one that readers use, unless a later one is. Readers change over at once: there is no moment
 * without a version.
 *
 * @throws {ProjectionMismatchError} a later version is live
 */
export async function makeLive(
  directory: Bucket,
  version: number,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const bucket = bucketOfVersion(directory.name, version);
  const data = Buffer.from(JSON.stringify({ format: FORMAT, version, bucket }));
  const decide = (standing: BucketEntry | undefined): Uint8Array | undefined => {
    const live = liveOf(directory, standing);
    if (live?.version === version) return undefined;
    if (live !== undefined) assertNotLater(directory.name, live.version, version);
    return data;
  };
  await putUntilKnown(directory, LIVE_KEY, decide, { timeoutMs, signal });
}

/** @throws {ProjectionMismatchError} where a later version than `version` is live */
export function assertNotLater(bucket: string, live: number, version: number): void {
  if (live <= version) return;
  const advice = `version ${live} is live: run that one, or give this one a higher number`;
  throw new ProjectionMismatchError(bucket, "version", version, live, advice);
}
