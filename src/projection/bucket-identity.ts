import { JetStreamUnavailableError, ServerRefusedError } from "../errors.ts";
import { sameValue } from "../internal/same-value.ts";
import type { Bucket } from "../nats/bucket.ts";
import type { ReadBounds } from "../nats/direct.ts";
import type { Projection } from "./definition.ts";
import { CorruptStateError, ProjectionMismatchError } from "./errors.ts";
import type { ValueFormat } from "./plain-value.ts";

/** Key of the entry that says whose state a bucket holds. */
export const IDENTITY_KEY = "_projection";

/** The shape of what a bucket holds beside the values: keys, headers, checkpoint. Raised when it changes. */
const SCHEMA_VERSION = 1;
const REBUILD =
  "give the projection another version (its state is then built anew beside this one), or another bucket";

/** Whose state a bucket holds, and how. */
interface Identity {
  readonly name: string;
  readonly version: number;
  readonly schemaVersion: number;
  readonly values: ValueFormat;
  readonly stream: string;
  readonly policies: Readonly<Record<string, number>>;
}

/** What the identity is compared with. */
export interface Owner {
  readonly projection: Pick<Projection, "name" | "version" | "policies">;
  readonly values: ValueFormat;
  readonly stream: string;
}

/**
 * Marks an empty bucket as the projection's, or checks that it is.
 *
 * @throws {ProjectionMismatchError} it is another's, or another version's; {CorruptStateError}
 */
export async function claimIdentity(
  bucket: Bucket,
  { projection, values, stream }: Owner,
  bounds: ReadBounds,
): Promise<void> {
  const { name, version, policies } = projection;
  const own: Identity = { name, version, schemaVersion: SCHEMA_VERSION, values, stream, policies };
  for (;;) {
    const entry = await bucket.leaderGet(IDENTITY_KEY, bounds);
    if (entry !== undefined && !entry.deleted) {
      compare(bucket.name, own, parse(bucket.name, entry.data));
      return;
    }
    const data = Buffer.from(JSON.stringify(own));
    const expected = entry?.sequence ?? 0;
    const outcome = await bucket.put({ key: IDENTITY_KEY, data }, expected, bounds.timeoutMs);
    if (outcome.kind === "stored") return;
    bounds.signal?.throwIfAborted();
    if (outcome.kind === "no_responders") {
      throw new JetStreamUnavailableError(`nobody answers for bucket ${bucket.name}`);
    }
    // Another projector was faster, or nobody knows: what stands there now tells.
    if (
      outcome.kind === "refused" &&
      outcome.lastSequence === undefined &&
      outcome.errorCode !== 10_164
    ) {
      throw new ServerRefusedError(outcome.errorCode, outcome.description, `bucket ${bucket.name}`);
    }
  }
}

function parse(bucket: string, data: Uint8Array): Map<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(data).toString());
    if (typeof value === "object" && value !== null) return new Map(Object.entries(value));
  } catch (cause) {
    throw new CorruptStateError(bucket, IDENTITY_KEY, "it is no JSON", { cause });
  }
  throw new CorruptStateError(bucket, IDENTITY_KEY, "it is no object");
}

function compare(bucket: string, own: Identity, found: ReadonlyMap<string, unknown>): void {
  const { policies, ...plain } = own;
  for (const [what, expected] of Object.entries(plain)) {
    if (found.get(what) === expected) continue;
    throw new ProjectionMismatchError(bucket, what, expected, found.get(what) ?? null, REBUILD);
  }
  const stored = found.get("policies") ?? {};
  if (!sameValue(stored, policies)) {
    throw new ProjectionMismatchError(bucket, "policies", policies, stored, REBUILD);
  }
}
