import { JetStreamUnavailableError, ServerRefusedError } from "../errors.ts";
import { type Backoff, backoffMs, sleep } from "../internal/backoff.ts";
import type { Bucket, BucketChange, BucketEntry } from "../nats/bucket.ts";
import type { ReadBounds } from "../nats/direct.ts";
import { ErrorCode, type PublishOutcome } from "../nats/publish.ts";

const RETRY: Backoff = { firstMs: 10, maxMs: 500 };
/** How long writes may go without an answer, in times that one may take. A missing permission shows in nothing else. */
const PATIENCE = 3;
/** Refusals after which the same may be stored, or what stands there tells: a lost race, a server busy with itself. */
const PASSING: ReadonlySet<number> = new Set([
  ErrorCode.wrongLastSequence,
  ErrorCode.wrongLastSequenceUndecided,
  ErrorCode.batchIncomplete,
  ErrorCode.tooManyBatches,
  ErrorCode.temporarilyUnavailable,
  ErrorCode.clusterWithoutLeader,
]);

/**
 * Writes an entry and goes on until it is known what came of it. Whatever a try came to but success, what stands there
 * then decides anew.
 *
 * @param decide given the leader's entry, deletions included: what to put in its place, or undefined for nothing (more)
 * @param bounds for one request; several are made
 * @throws {ServerRefusedError} of a refusal that lasts, such as a full bucket's; {JetStreamUnavailableError} where no write
 * was answered for a while; what reading throws; what `decide` throws; the signal's reason
 */
export async function putUntilKnown(
  bucket: Bucket,
  key: string,
  decide: (
    standing: BucketEntry | undefined,
  ) => Promise<Uint8Array | "delete" | undefined> | Uint8Array | "delete" | undefined,
  bounds: ReadBounds,
): Promise<void> {
  const { timeoutMs, signal } = bounds;
  let answeredAt = performance.now();
  for (let attempt = 1; ; attempt++) {
    const standing = await bucket.leaderGet(key, bounds);
    const decided = await decide(standing);
    if (decided === undefined) return;
    signal?.throwIfAborted();
    const change: BucketChange = { key, data: decided === "delete" ? undefined : decided };
    const outcome = await bucket.put(change, standing?.sequence ?? 0, timeoutMs);
    if (outcome.kind === "stored") return;
    const now = performance.now();
    if (outcome.kind === "refused") {
      assertPassing(outcome, bucket);
      answeredAt = now;
    } else if (now - answeredAt >= PATIENCE * timeoutMs) {
      const reason = "it has no leader, or this user may not publish there";
      throw new JetStreamUnavailableError(
        `bucket ${bucket.name}: no answer to writing ${key} for ${Math.round(now - answeredAt)} ms: ${reason}`,
      );
    }
    await sleep(backoffMs(RETRY, attempt), signal);
  }
}

/** @throws {ServerRefusedError} of a refusal that will be the same next time */
export function assertPassing(
  { errorCode, description }: Extract<PublishOutcome, { kind: "refused" }>,
  bucket: Pick<Bucket, "name">,
): void {
  if (PASSING.has(errorCode)) return;
  throw new ServerRefusedError(errorCode, description, `bucket ${bucket.name}`);
}
