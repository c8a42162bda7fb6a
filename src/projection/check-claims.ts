import { sameValue } from "../internal/same-value.ts";
import type { Bucket } from "../nats/bucket.ts";
import type { ReadBounds } from "../nats/direct.ts";
import { IDENTITY_KEY, identityOf, type Owner } from "./bucket-identity.ts";
import { IncompleteHistoryError } from "./check-history.ts";
import type { Findings } from "./check-report.ts";
import { type Checkpoint, decodeCheckpoint } from "./checkpoint.ts";
import { CHECKPOINT_KEY } from "./checkpoint-writer.ts";
import { CorruptStateError } from "./errors.ts";

/**
 * Whether a bucket says that it holds the state of this projection.
 *
 * @returns why nothing else is compared, where it does not: then there is a finding
 * @throws {IncompleteHistoryError} where it is empty
 */
export async function checkIdentity(
  bucket: Bucket,
  owner: Owner,
  findings: Findings,
  bounds: ReadBounds,
): Promise<string | undefined> {
  const entry = await bucket.leaderGet(IDENTITY_KEY, bounds);
  const expected = identityOf(owner);
  const about = { entry: IDENTITY_KEY, key: IDENTITY_KEY, expected };
  if (entry === undefined || entry.deleted) {
    await assertInUse(bucket, 0);
    findings.add({ ...about, kind: "missing" });
    return "the bucket does not say whose state it holds";
  }
  const found = parseJson(entry.data);
  if (sameValue(found, expected)) return undefined;
  findings.add({ ...about, kind: "different", found });
  return "the bucket holds the state of another projection, or of another version or form of it";
}

/**
 * The checkpoint as the leader has it.
 *
 * @returns a text that says why nothing is compared, where it cannot be read: then there is a finding
 * @throws {IncompleteHistoryError} where the projection was never run
 */
export async function checkCheckpoint(
  bucket: Bucket,
  findings: Findings,
  bounds: ReadBounds,
): Promise<Checkpoint | string> {
  const about = { entry: CHECKPOINT_KEY, key: CHECKPOINT_KEY };
  const entry = await bucket.leaderGet(CHECKPOINT_KEY, bounds);
  if (entry === undefined || entry.deleted) {
    // A projector that starts for the first time says whose the bucket is before it writes a checkpoint.
    if (entry === undefined) await assertInUse(bucket, 1);
    findings.add({ ...about, kind: "missing" });
    return "without a checkpoint, nothing says how far the state is";
  }
  try {
    return decodeCheckpoint(bucket.name, CHECKPOINT_KEY, entry.data);
  } catch (error) {
    if (!(error instanceof CorruptStateError)) throw error;
    findings.add({ ...about, kind: "different", reason: error.message });
    return "the checkpoint cannot be read, so nothing says how far the state is";
  }
}

/** @throws {IncompleteHistoryError} where a bucket holds no more entries than that */
async function assertInUse(bucket: Bucket, entries: number): Promise<void> {
  const { messages } = await bucket.state();
  if (messages > entries) return;
  throw new IncompleteHistoryError(
    `bucket ${bucket.name} holds no state: was this version of the projection ever run?`,
  );
}

/** A value of JSON; the text itself where it is none. */
function parseJson(data: Uint8Array): unknown {
  const text = Buffer.from(data).toString();
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    return text;
  }
}
