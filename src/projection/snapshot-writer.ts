import { uniqueIds } from "../internal/unique-ids.ts";
import type { Bucket } from "../nats/bucket.ts";
import { CheckpointWriter } from "./checkpoint-writer.ts";
import { BEGINNING, type Checkpoint, type SharedCheckpoint } from "./checkpoint.ts";
import { DEAD_PREFIX } from "./dead-letters.ts";
import { CorruptStateError } from "./errors.ts";
import { encodeChunks } from "./snapshot-chunks.ts";
import { type SnapshotEntry, writeEntries } from "./snapshot-entries.ts";
import {
  CLAIM_KEY,
  chunkKey,
  decodeManifest,
  encodeManifest,
  isFurther,
  type Manifest,
  SNAPSHOT_KEY,
} from "./snapshot-manifest.ts";
import type { DeadLetter } from "./state-backend.ts";

/** Where snapshots are written, and when they are worth it. */
export interface SnapshotPlace {
  readonly bucket: Bucket;
  readonly projection: string;
  /** Events behind another one's snapshot that are worth a new one. */
  readonly everyEvents: number;
  readonly requestTimeoutMs: number;
  /** Whether the commit of a checkpoint still stands in the stream. */
  readonly holds: (checkpoint: Checkpoint, signal: AbortSignal) => Promise<boolean>;
}

/** A state to be written; it does not change meanwhile. */
export interface OfferedState {
  readonly cells: ReadonlyMap<string, unknown>;
  readonly deadLetters: readonly DeadLetter[];
  readonly checkpoint: SharedCheckpoint;
  /** Whether there will be none behind it: then it is worth writing for a single event. */
  readonly isLast: boolean;
}

/** What became of an offer. */
export type WriteOutcome =
  | { readonly kind: "written"; readonly bytes: number }
  /** Another process has written one as far, or is about to: `applied` events. */
  | { readonly kind: "needless"; readonly applied: number; readonly stored: boolean };

/** A manifest as it stands in the bucket. */
export interface StandingManifest {
  readonly sequence: number;
  /** undefined where it cannot be read: by this release, or at all. */
  readonly manifest: Manifest | undefined;
  /** Why it cannot be read. */
  readonly error: CorruptStateError | undefined;
}

/** A chunk at most: a larger one takes longer to decode than the event loop should be held up. */
const MAX_CHUNK_BYTES = 256 << 10;

/**
 * Writes snapshots. Several processes may offer theirs at once: each batch of chunks is bound to the writer's claim, so
 * what one of them writes is whole, or never gets a manifest. The snapshot before it stays until the manifest of the new
 * one stands.
 */
export class SnapshotWriter {
  readonly #place: SnapshotPlace;
  readonly #claim: CheckpointWriter;
  readonly #nextNonce = uniqueIds();
  /** Sequence of a manifest whose chunks could not be read. */
  #unusable = 0;

  constructor(place: SnapshotPlace) {
    const { bucket, projection, requestTimeoutMs: attemptMs } = place;
    this.#place = place;
    this.#claim = new CheckpointWriter({ bucket, projection, attemptMs, key: CLAIM_KEY });
  }

  /** The manifest, by the leader. */
  async standing(signal: AbortSignal): Promise<StandingManifest | undefined> {
    const { bucket, requestTimeoutMs: timeoutMs } = this.#place;
    const entry = await bucket.leaderGet(SNAPSHOT_KEY, { timeoutMs, signal });
    if (entry === undefined || entry.deleted) return undefined;
    const { sequence, data } = entry;
    try {
      return { sequence, manifest: decodeManifest(bucket.name, data), error: undefined };
    } catch (error) {
      if (!(error instanceof CorruptStateError)) throw error;
      return { sequence, manifest: undefined, error };
    }
  }

  /** The manifest with this sequence may be replaced, however far it is. */
  giveUp(sequence: number): void {
    this.#unusable = sequence;
  }

  /**
   * Writes a state, unless there is one as far.
   *
   * @throws {ProjectorFencedError} another process has begun to write one; what keeps it from being written; the signal's
   * reason
   */
  async write(offer: OfferedState, signal: AbortSignal): Promise<WriteOutcome> {
    const before = await this.standing(signal);
    const needless =
      (await this.#needlessBeside(before, offer, signal)) ??
      (await this.#needlessBesideClaim(before?.manifest ?? BEGINNING, offer, signal));
    if (needless !== undefined) return needless;
    await this.#claim.claim(signal);
    // While the claim stands, nobody else writes a manifest.
    const standing = await this.standing(signal);
    const overtaken = await this.#needlessBeside(standing, offer, signal);
    if (overtaken !== undefined) return overtaken;
    return this.#writeInto(standing?.manifest?.slot === "a" ? "b" : "a", offer, signal);
  }

  async #writeInto(
    slot: Manifest["slot"],
    { cells, deadLetters, checkpoint }: OfferedState,
    signal: AbortSignal,
  ): Promise<WriteOutcome> {
    const { bucket } = this.#place;
    const nonce = this.#nextNonce();
    const maxBytes = Math.min(MAX_CHUNK_BYTES, bucket.maxEntryBytes >> 1);
    let chunks = 0;
    let bytes = 0;
    const entries = async function* (): AsyncGenerator<SnapshotEntry, void, undefined> {
      for await (const data of encodeChunks(entriesOf(cells, deadLetters), maxBytes)) {
        bytes += data.length;
        yield { key: chunkKey(slot, chunks++), data };
      }
    };
    const of = { nonce, progress: checkpoint };
    const batch = await writeEntries(this.#claim, of, entries(), signal);
    if (!(await this.#place.holds(checkpoint, signal)))
      throw new Error("another commit stands at its position: the stream was rolled back");
    const counts = { chunks, entries: cells.size, deadLetters: deadLetters.length };
    const data = encodeManifest({ ...checkpoint, nonce, slot, ...counts });
    await this.#claim.write([...batch, { key: SNAPSHOT_KEY, data }], checkpoint, signal);
    return { kind: "written", bytes };
  }

  /** Whether a snapshot that stands there is as far. */
  async #needlessBeside(
    standing: StandingManifest | undefined,
    offer: OfferedState,
    signal: AbortSignal,
  ): Promise<WriteOutcome | undefined> {
    const { sequence, manifest } = standing ?? {};
    if (manifest === undefined || sequence === this.#unusable) return undefined;
    if (!(await this.#makesNeedless(manifest, offer, signal))) return undefined;
    return { kind: "needless", applied: manifest.applied, stored: true };
  }

  /** Whether another process seems to be writing one as far. If it died, the next offer goes further. */
  async #needlessBesideClaim(
    written: Checkpoint,
    offer: OfferedState,
    signal: AbortSignal,
  ): Promise<WriteOutcome | undefined> {
    // A process that ends cannot wait for what becomes of another one's.
    if (offer.isLast) return undefined;
    const claimed = (await this.#claim.read(signal))?.checkpoint;
    if (claimed === undefined || !isFurther(claimed, written)) return undefined;
    if (!(await this.#makesNeedless(claimed, offer, signal))) return undefined;
    return { kind: "needless", applied: claimed.applied, stored: false };
  }

  async #makesNeedless(
    other: Checkpoint,
    { checkpoint, isLast }: OfferedState,
    signal: AbortSignal,
  ): Promise<boolean> {
    const isAsFar = isLast
      ? !isFurther(checkpoint, other)
      : other.applied + this.#place.everyEvents > checkpoint.applied;
    return isAsFar && other.position > 0 && this.#place.holds(other, signal);
  }
}

function* entriesOf(
  cells: ReadonlyMap<string, unknown>,
  deadLetters: readonly DeadLetter[],
): Generator<readonly [key: string, value: unknown], void, undefined> {
  yield* cells;
  for (const letter of deadLetters)
    yield [`${DEAD_PREFIX}.${letter.position}.${letter.index}`, letter];
}
