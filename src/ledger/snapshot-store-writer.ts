import { uniqueIds } from "../internal/unique-ids.ts";
import type { Bucket } from "../nats/bucket.ts";
import { CheckpointWriter } from "../projection/checkpoint-writer.ts";
import type { SharedCheckpoint } from "../projection/checkpoint.ts";
import { CorruptStateError, ProjectorFencedError } from "../projection/errors.ts";
import { stamped, writeEntries } from "../projection/snapshot-entries.ts";
import { SnapshotFormatError } from "./errors.ts";
import { type ChunkCounts, entriesOf } from "./snapshot-store-chunks.ts";
import {
  claimKey,
  decodeManifest,
  encodeManifest,
  isSameCheckpoint,
  type LedgerCheckpoint,
  type LedgerManifest,
  manifestKey,
} from "./snapshot-store-manifest.ts";

/** Where the snapshots of a ledger are, and when they are worth it. */
export interface SnapshotPlace {
  readonly bucket: Bucket;
  readonly ledger: string;
  /** Journal entries behind the last snapshot that are worth a new one. */
  readonly everyEntries: number;
  readonly requestTimeoutMs: number;
}

/** When a single offer is worth more, or less, than others. */
export interface WriteOptions {
  /** Journal entries behind the last snapshot that are worth this one, such as the last of a process. @default as opened */
  readonly everyEntries?: number | undefined;
}

/** What became of an offer. */
export type WriteOutcome =
  | ({ readonly kind: "written" } & Readonly<ChunkCounts>)
  | {
      readonly kind: "needless";
      /** Of the snapshot that is as far; undefined where another process writes one, or a newer release did. */
      readonly checkpoint: LedgerCheckpoint | undefined;
      readonly reason: string;
    };

/** A manifest as it stands in the bucket. */
export interface StandingManifest {
  readonly sequence: number;
  /** Or why it cannot be read. */
  readonly manifest: LedgerManifest | CorruptStateError | SnapshotFormatError;
}

type Needless = Extract<WriteOutcome, { kind: "needless" }>;

/** How long a claim may stay as it is before its writer counts as dead, in times that one request may take. */
const CLAIM_PATIENCE = 2;

/**
 * Writes the snapshots of a ledger. Several processes may offer theirs at once: each batch of chunks is bound to the
 * writer's claim, so what one of them writes is whole, or never gets a manifest. The snapshot before it stays until the
 * manifest of the new one stands.
 */
export class LedgerSnapshotWriter {
  readonly #place: SnapshotPlace;
  readonly #claim: CheckpointWriter;
  readonly #nextNonce = uniqueIds();
  /** Sequence of a manifest whose chunks could not be read. */
  #unreadable = 0;
  /** Of a snapshot that does not belong to the journal. */
  #refused: LedgerCheckpoint | undefined;
  /** Another writer's claim, and since when it is known to be as it is. */
  #seen = { sequence: 0, atMs: 0 };
  #isWriting = false;

  constructor(place: SnapshotPlace) {
    const { bucket, ledger, requestTimeoutMs: attemptMs } = place;
    this.#place = place;
    const key = claimKey(ledger);
    this.#claim = new CheckpointWriter({ bucket, projection: ledger, attemptMs, key });
  }

  /** The manifest, by the leader. */
  async standing(signal: AbortSignal): Promise<StandingManifest | undefined> {
    const { bucket, ledger, requestTimeoutMs: timeoutMs } = this.#place;
    const entry = await bucket.leaderGet(manifestKey(ledger), { timeoutMs, signal });
    if (entry === undefined || entry.deleted) return undefined;
    const { sequence } = entry;
    try {
      return { sequence, manifest: decodeManifest(bucket.name, ledger, entry) };
    } catch (error) {
      const isToTell = error instanceof CorruptStateError || error instanceof SnapshotFormatError;
      if (!isToTell) throw error;
      return { sequence, manifest: error };
    }
  }

  /** The manifest with this sequence may be replaced, however far it is: its chunks cannot be read. */
  giveUp(sequence: number): void {
    this.#unreadable = sequence;
  }

  /** A snapshot at this checkpoint may be replaced, however far it is: its commit does not stand in the journal. */
  refuse(checkpoint: LedgerCheckpoint): void {
    this.#refused = checkpoint;
  }

  /**
   * Writes a snapshot, unless there is one less than `everyEntries` behind, or another process is about to write one.
   *
   * @throws what the chunks throw; what keeps it from being written; the signal's reason
   */
  async write(
    checkpoint: LedgerCheckpoint,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    signal: AbortSignal,
    { everyEntries = this.#place.everyEntries }: WriteOptions = {},
  ): Promise<WriteOutcome> {
    // Two at once would pass for one under the same claim.
    if (this.#isWriting) return needless(undefined, "this process is writing one");
    this.#isWriting = true;
    try {
      return await this.#write(checkpoint, everyEntries, chunks, signal);
    } catch (error) {
      if (!(error instanceof ProjectorFencedError)) throw error;
      const beside = this.#besideManifest(await this.standing(signal), checkpoint, everyEntries);
      return beside ?? needless(undefined, "another process has begun to write one");
    } finally {
      this.#isWriting = false;
    }
  }

  async #write(
    checkpoint: LedgerCheckpoint,
    everyEntries: number,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<WriteOutcome> {
    const before = await this.standing(signal);
    const beside =
      this.#besideManifest(before, checkpoint, everyEntries) ??
      (await this.#besideClaim(before, signal));
    if (beside !== undefined) return beside;
    await this.#claim.claim(signal);
    // While the claim stands, nobody else writes a manifest.
    const standing = await this.standing(signal);
    const overtaken = this.#besideManifest(standing, checkpoint, everyEntries);
    if (overtaken !== undefined) return overtaken;
    const { bucket, ledger } = this.#place;
    const slot = manifestOf(standing)?.slot === "a" ? "b" : "a";
    const counts: ChunkCounts = { chunks: 0, bytes: 0 };
    const nonce = this.#nextNonce();
    const progress = progressOf(checkpoint);
    const entries = entriesOf(chunks, { bucket, ledger, slot }, counts, signal);
    const rest = await writeEntries(this.#claim, { nonce, progress }, entries, signal);
    const data = encodeManifest({ checkpoint, nonce, slot, ...counts });
    const manifest = stamped({ key: manifestKey(ledger), data }, nonce);
    await this.#claim.write([...rest, manifest], progress, signal);
    return { kind: "written", ...counts };
  }

  /** Whether a snapshot stands there that is as far, or is not to be replaced. */
  #besideManifest(
    standing: StandingManifest | undefined,
    { version }: LedgerCheckpoint,
    everyEntries: number,
  ): Needless | undefined {
    if (standing === undefined) return undefined;
    const { manifest, sequence } = standing;
    if (manifest instanceof SnapshotFormatError) return needless(undefined, manifest.message);
    if (manifest instanceof CorruptStateError || sequence === this.#unreadable) return undefined;
    const { checkpoint } = manifest;
    if (this.#refused !== undefined && isSameCheckpoint(checkpoint, this.#refused))
      return undefined;
    if (checkpoint.version + everyEntries <= version) return undefined;
    return needless(checkpoint, `there is one of version ${checkpoint.version}`);
  }

  /**
   * Whether another process seems to be writing one. Each of its batches moves its claim: one that has not moved for
   * longer than a request may take is a dead one's. Without this, writers that take longer than `everyEntries` take
   * would fence each other off for ever.
   */
  async #besideClaim(
    standing: StandingManifest | undefined,
    signal: AbortSignal,
  ): Promise<Needless | undefined> {
    const claim = await this.#claim.read(signal);
    if (claim === undefined || claim.checkpoint.writer === this.#claim.writer) return undefined;
    const { sequence, checkpoint } = claim;
    // A manifest is written right before the claim's last entry.
    const isDone = standing !== undefined && sequence <= standing.sequence + 1;
    const written = manifestOf(standing)?.checkpoint.version ?? 0;
    if (isDone || checkpoint.applied <= written) return undefined;
    const now = performance.now();
    if (this.#seen.sequence !== sequence) this.#seen = { sequence, atMs: now };
    const isDead = now - this.#seen.atMs >= CLAIM_PATIENCE * this.#place.requestTimeoutMs;
    if (isDead) return undefined;
    return needless(undefined, `another process is writing one of version ${checkpoint.applied}`);
  }
}

/** The manifest, where it can be read. */
function manifestOf(standing: StandingManifest | undefined): LedgerManifest | undefined {
  const manifest = standing?.manifest;
  return manifest instanceof Error ? undefined : manifest;
}

/** As the claim holds it. */
function progressOf({ version, position, commitId }: LedgerCheckpoint): SharedCheckpoint {
  return { position, taken: 0, commitId, applied: version };
}

function needless(checkpoint: LedgerCheckpoint | undefined, reason: string): Needless {
  return { kind: "needless", checkpoint, reason };
}
