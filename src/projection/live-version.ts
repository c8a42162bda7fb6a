import { ServerRefusedError } from "../errors.ts";
import { type Backoff, backoffMs, sleep } from "../internal/backoff.ts";
import type { Bucket } from "../nats/bucket.ts";
import { ErrorCode } from "../nats/publish.ts";
import { CorruptStateError, ProjectionMismatchError } from "./errors.ts";

/** Key that says which version of a projection readers are to use. */
export const LIVE_KEY = "live";

const FORMAT = 1;
const RETRY: Backoff = { firstMs: 20, maxMs: 1_000 };

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
  const entry = await directory.leaderGet(LIVE_KEY, { timeoutMs, signal });
  if (entry === undefined) return undefined;
  const { sequence, deleted, data } = entry;
  return deleted ? undefined : { version: parseLive(directory.name, data), sequence };
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
  for (let attempt = 1; ; attempt++) {
    const live = await readLive(directory, timeoutMs, signal);
    if (live?.version === version) return;
    if (live !== undefined) assertNotLater(directory.name, live.version, version);
    const expected = live?.sequence ?? (await lastSequence(directory, timeoutMs, signal));
    const outcome = await directory.put({ key: LIVE_KEY, data }, expected, timeoutMs);
    if (outcome.kind === "stored") return;
    if (outcome.kind === "refused" && !isRace(outcome.errorCode)) {
      throw new ServerRefusedError(
        outcome.errorCode,
        outcome.description,
        `bucket ${directory.name}`,
      );
    }
    await sleep(backoffMs(RETRY, attempt), signal);
  }
}

/** @throws {ProjectionMismatchError} where a later version than `version` is live */
export function assertNotLater(bucket: string, live: number, version: number): void {
  if (live <= version) return;
  const advice = `version ${live} is live: run that one, or give this one a higher number`;
  throw new ProjectionMismatchError(bucket, "version", version, live, advice);
}

/** Where the entry was deleted, its deletion is what the next one stands on. */
async function lastSequence(
  directory: Bucket,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<number> {
  return (await directory.leaderGet(LIVE_KEY, { timeoutMs, signal }))?.sequence ?? 0;
}

function isRace(errorCode: number): boolean {
  return (
    errorCode === ErrorCode.wrongLastSequence || errorCode === ErrorCode.wrongLastSequenceUndecided
  );
}
