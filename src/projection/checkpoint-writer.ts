import { ConnectionFailedError } from "../errors.ts";
import { abortable } from "../internal/abort.ts";
import { type Backoff, backoffMs, sleep } from "../internal/backoff.ts";
import { uniqueIds } from "../internal/unique-ids.ts";
import type { Bucket, BucketChange } from "../nats/bucket.ts";
import type { PublishOutcome } from "../nats/publish.ts";
import {
  BEGINNING,
  type SharedCheckpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  type StoredCheckpoint,
} from "./checkpoint.ts";
import { CorruptStateError, ProjectorFencedError } from "./errors.ts";
import { isPassing } from "../nats/passing.ts";
import { assertPassing } from "./put-until-known.ts";

/** Key of the checkpoint in a projection's bucket. */
export const CHECKPOINT_KEY = "_checkpoint";

const RETRY: Backoff = { firstMs: 20, maxMs: 1_000 };

/** A checkpoint as it stands in the bucket. */
export interface StandingCheckpoint {
  readonly sequence: number;
  readonly checkpoint: StoredCheckpoint;
}

/** How the writer reaches its bucket. */
interface WriterOptions {
  readonly bucket: Bucket;
  readonly projection: string;
  /** Wait for one answer. */
  readonly attemptMs: number;
  readonly key?: string | undefined;
}

/**
 * Writes batches that end in the checkpoint. Each batch expects the checkpoint that this writer wrote last: whoever
 * claims the bucket after it makes all its later batches fail, whatever delays them.
 */
export class CheckpointWriter {
  readonly #options: WriterOptions;
  readonly #key: string;
  readonly #writer: string;
  readonly #nextNonce = uniqueIds();
  #epoch = 0;
  #sequence = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#key = options.key ?? CHECKPOINT_KEY;
    this.#writer = this.#nextNonce();
  }

  /** Sequence of the checkpoint that this writer wrote last; 0 before {@link claim}. */
  get sequence(): number {
    return this.#sequence;
  }

  get writer(): string {
    return this.#writer;
  }

  /** Makes this the only writer, and tells how far the others came. */
  async claim(signal: AbortSignal): Promise<SharedCheckpoint> {
    for (;;) {
      const standing = await this.read(signal);
      this.#sequence = standing?.sequence ?? 0;
      this.#epoch = (standing?.checkpoint.epoch ?? 0) + 1;
      const checkpoint = standing?.checkpoint ?? BEGINNING;
      try {
        await this.write([], checkpoint, signal);
        return checkpoint;
      } catch (error) {
        // Another one claimed it in between: it must be fenced off too.
        if (!(error instanceof ProjectorFencedError)) throw error;
      }
    }
  }

  /**
   * Writes the changes and the checkpoint, or nothing. Tries until the outcome is known.
   *
   * @throws {ProjectorFencedError} another writer has claimed the bucket; {CorruptStateError} it is not the bucket any
   * more; the signal's reason
   */
  async write(
    changes: readonly BucketChange[],
    checkpoint: SharedCheckpoint,
    signal: AbortSignal,
  ): Promise<void> {
    const { bucket, attemptMs } = this.#options;
    const nonce = this.#nextNonce();
    const stored = { ...checkpoint, writer: this.#writer, epoch: this.#epoch, nonce };
    const data = encodeCheckpoint(stored);
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      const guard = { key: this.#key, data, expectedSequence: this.#sequence };
      const outcome = await abortable(bucket.commit(changes, guard, attemptMs), signal).catch(
        unsent,
      );
      if (outcome.kind === "stored") {
        this.#sequence = outcome.sequence;
        return;
      }
      // Without the bucket, waiting for it is in vain.
      if (outcome.kind === "no_responders") await bucket.state().catch(passing);
      else if (await this.#isStored(outcome, nonce, signal)) return;
      await sleep(backoffMs(RETRY, attempt), signal);
    }
  }

  /** The checkpoint as the leader has it. */
  async read(signal: AbortSignal): Promise<StandingCheckpoint | undefined> {
    const { bucket, attemptMs } = this.#options;
    const entry = await bucket.leaderGet(this.#key, { timeoutMs: attemptMs, signal });
    if (entry === undefined) return undefined;
    const { sequence, deleted, data } = entry;
    if (deleted) return { sequence, checkpoint: { ...BEGINNING, writer: "", epoch: 0, nonce: "" } };
    return { sequence, checkpoint: decodeCheckpoint(bucket.name, this.#key, data) };
  }

  /**
   * Throws where it is in vain to wait for what this writer wrote last: another one has taken over, or the bucket is gone
   * or another one. Nobody being there to tell is no reason.
   */
  async assertStanding(signal: AbortSignal): Promise<void> {
    const { bucket } = this.#options;
    const sequence = this.#sequence;
    await bucket.state().catch(passing);
    const standing = await this.read(signal).catch(passing);
    if (standing === "unknown") return;
    const isOwn = standing?.checkpoint.writer === this.#writer;
    if (!isOwn || standing.sequence < sequence) throw this.#overtaken(standing);
  }

  /**
   * Whether the batch stands after all; false where its place is still free, so that it may be sent again. Not there
   * does not mean not stored: the batch may still be on its way, and will then be refused or be the first of two.
   */
  async #isStored(outcome: PublishOutcome, nonce: string, signal: AbortSignal): Promise<boolean> {
    const { bucket } = this.#options;
    if (outcome.kind === "refused") assertPassing(outcome, bucket);
    const standing = await this.read(signal).catch(passing);
    if (standing === "unknown") return false;
    if (standing?.checkpoint.nonce === nonce) {
      this.#sequence = standing.sequence;
      return true;
    }
    if ((standing?.sequence ?? 0) === this.#sequence) return false;
    throw this.#overtaken(standing);
  }

  /** Why this writer may write no more. */
  #overtaken(standing: StandingCheckpoint | undefined): Error {
    const { bucket, projection } = this.#options;
    if ((standing?.sequence ?? 0) > this.#sequence) {
      return new ProjectorFencedError(projection, standing?.checkpoint.writer);
    }
    const reason = "what was written there is gone: the bucket was deleted or restored";
    return new CorruptStateError(bucket.name, this.#key, reason);
  }
}

/** Nothing was sent. */
function unsent(error: unknown): PublishOutcome {
  if (error instanceof ConnectionFailedError) return { kind: "unknown", reason: "disconnected" };
  throw error;
}

/** What may be otherwise in a moment. */
function passing(error: unknown): "unknown" {
  if (isPassing(error)) return "unknown";
  throw error;
}
