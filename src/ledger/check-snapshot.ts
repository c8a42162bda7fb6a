import { StreamNotFoundError } from "../errors.ts";
import type { Bucket } from "../nats/bucket.ts";
import type { ReadBounds } from "../nats/direct.ts";
import { CorruptStateError } from "../projection/errors.ts";
import { openBucket } from "../projection/open-state.ts";
import { internalsOf } from "../store/internals.ts";
import { unreadableReason } from "./check-journal.ts";
import type { LedgerFindings } from "./check-report.ts";
import { type StateView, viewOf } from "./check-view.ts";
import { SnapshotFormatError } from "./errors.ts";
import type { Journal } from "./journal.ts";
import { readChunks } from "./snapshot-store-chunks.ts";
import {
  decodeManifest,
  type LedgerCheckpoint,
  type LedgerManifest,
  manifestKey,
} from "./snapshot-store-manifest.ts";
import type { LedgerState } from "./state.ts";
import { decodeState, encodeState } from "./state-image.ts";

/** A snapshot that stands. */
export interface StandingSnapshot {
  /** Of version 0 where that cannot be read. */
  readonly checkpoint: LedgerCheckpoint;
  /** undefined where they cannot be read: then there is a finding, or a note. */
  readonly chunks: readonly Uint8Array[] | undefined;
  /** Why it is not compared. */
  readonly note: string | undefined;
}

/** Looks at a manifest whose chunks are written over meanwhile. */
const MAX_LOOKS = 5;

/** The snapshot of a ledger, whole; what keeps it from being read is a finding. undefined where there is none. */
export async function standingSnapshot(
  { store, ledger }: Journal,
  name: string,
  findings: LedgerFindings,
  bounds: ReadBounds & { readonly signal: AbortSignal },
): Promise<StandingSnapshot | undefined> {
  const options = { timeoutMs: bounds.timeoutMs, signal: bounds.signal, create: false };
  let bucket: Bucket;
  try {
    bucket = await openBucket(internalsOf(store), name, options);
  } catch (error) {
    if (error instanceof StreamNotFoundError) return undefined;
    throw error;
  }
  const key = manifestKey(ledger);
  let checkpoint = NOWHERE;
  let failure: CorruptStateError | undefined;
  let failedAt = 0;
  for (let look = 1; look <= MAX_LOOKS; look++) {
    const entry = await bucket.leaderGet(key, bounds);
    if (entry === undefined || entry.deleted) return undefined;
    // what cannot be read twice is not on its way
    if (failure !== undefined && failedAt === entry.sequence) break;
    let manifest: LedgerManifest;
    try {
      manifest = decodeManifest(name, ledger, entry);
    } catch (error) {
      if (error instanceof SnapshotFormatError) return { ...UNREAD, note: error.message };
      if (!(error instanceof CorruptStateError)) throw error;
      failure = error;
      break;
    }
    try {
      const chunks = await readChunks(bucket, ledger, manifest, bounds);
      return { checkpoint: manifest.checkpoint, chunks, note: undefined };
    } catch (error) {
      if (!(error instanceof CorruptStateError)) throw error;
      failure = error;
      failedAt = entry.sequence;
      checkpoint = manifest.checkpoint;
    }
  }
  if (failure === undefined) return undefined;
  addUnreadable(findings, failure.key, failure.reason);
  return { ...UNREAD, checkpoint };
}

const NOWHERE: LedgerCheckpoint = { version: 0, position: 0, commitId: "", chain: "" };
const UNREAD: StandingSnapshot = { checkpoint: NOWHERE, chunks: undefined, note: undefined };

/**
 * Whether the chunks are those that a state gives: then nothing else needs to be compared. Yields after each of them.
 *
 * @returns false where they are not; the states may be the same all the same
 */
export function* isImageOf(
  state: LedgerState,
  chunks: readonly Uint8Array[],
): Generator<undefined, boolean, undefined> {
  let at = 0;
  for (const expected of encodeState(state)) {
    const found = chunks[at++];
    if (found === undefined || Buffer.compare(expected, found) !== 0) return false;
    yield undefined;
  }
  return at === chunks.length;
}

/** The state that the chunks hold; undefined where they hold none: then there is a finding. */
export async function decodeSnapshot(
  ledger: string,
  chunks: readonly Uint8Array[],
  findings: LedgerFindings,
): Promise<StateView | undefined> {
  try {
    return viewOf(await decodeState(chunks));
  } catch (error) {
    const reason = error instanceof RangeError ? error.message : unreadableReason(error);
    if (reason === undefined) throw error;
    addUnreadable(findings, manifestKey(ledger), reason);
    return undefined;
  }
}

function addUnreadable(findings: LedgerFindings, key: string, reason: string): void {
  const kind = reason === "it is missing" ? "missing" : "different";
  findings.add({ where: "snapshot", kind, key, reason });
}
