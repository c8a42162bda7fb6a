import { sameValue } from "../internal/same-value.ts";
import type { Bucket, BucketEntry } from "../nats/bucket.ts";
import type { ReadBounds } from "../nats/direct.ts";
import type { Projection } from "./definition.ts";
import { CorruptStateError, ProjectionMismatchError } from "./errors.ts";
import type { ValueFormat } from "./plain-value.ts";
import { putUntilKnown } from "./put-until-known.ts";

/** Key of the entry that says whose state a bucket holds. */
export const IDENTITY_KEY = "_projection";

/** The shape of what a bucket holds beside the values: keys, headers, checkpoint. Raised when it changes. */
const SCHEMA_VERSION = 1;
const REBUILD =
  "give the projection another version (its state is then built anew beside this one), or another bucket";

/** What a bucket holds: an entry a key, or snapshots of a state in memory. */
type BucketContent = "entries" | "snapshot";

/** Whose state a bucket holds, and how. */
interface Identity {
  readonly name: string;
  readonly version: number;
  readonly schemaVersion: number;
  readonly state: BucketContent;
  readonly values: ValueFormat;
  readonly stream: string;
  readonly policies: Readonly<Record<string, number>>;
}

/** What the identity is compared with. */
export interface Owner {
  readonly projection: Pick<Projection, "name" | "version" | "policies">;
  readonly values: ValueFormat;
  readonly stream: string;
  /** @default "entries" */
  readonly state?: BucketContent | undefined;
}

/** What the bucket of an owner says of itself. */
export function identityOf({ projection, values, stream, state = "entries" }: Owner): Identity {
  const { name, version, policies } = projection;
  return { name, version, schemaVersion: SCHEMA_VERSION, state, values, stream, policies };
}

/**
 * Marks an empty bucket as the projection's, or checks that it is.
 *
 * @throws {ProjectionMismatchError} it is another's, or another version's; {CorruptStateError}
 */
export async function claimIdentity(
  bucket: Bucket,
  owner: Owner,
  bounds: ReadBounds,
): Promise<void> {
  const own = identityOf(owner);
  const decide = (standing: BucketEntry | undefined): Uint8Array | undefined => {
    if (standing === undefined || standing.deleted) return Buffer.from(JSON.stringify(own));
    compare(bucket.name, own, parse(bucket.name, standing.data));
    return undefined;
  };
  await putUntilKnown(bucket, IDENTITY_KEY, decide, bounds);
}

/** Whose state the bucket holds, and how. @throws {CorruptStateError} also where nothing says so */
export async function readIdentity(
  bucket: Bucket,
  bounds: ReadBounds,
): Promise<Pick<Identity, "name" | "values">> {
  const entry = await bucket.leaderGet(IDENTITY_KEY, bounds);
  if (entry === undefined || entry.deleted) {
    throw new CorruptStateError(bucket.name, IDENTITY_KEY, "it is missing");
  }
  const found = parse(bucket.name, entry.data);
  const name = found.get("name");
  const values = found.get("values");
  if (typeof name === "string" && (values === "msgpack" || values === "json"))
    return { name, values };
  throw new CorruptStateError(bucket.name, IDENTITY_KEY, "it names no projection and format");
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
