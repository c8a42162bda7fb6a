import { abortable } from "../internal/abort.ts";
import { Slots } from "../internal/slots.ts";
import type { Bucket, BucketChange, BucketEntry } from "../nats/bucket.ts";
import { readCommit, type StoredCommit } from "../store/commit.ts";
import { leaderLast } from "../store/commit-stream.ts";
import type { StoreContext } from "../store/context.ts";
import { BEGINNING, type SharedCheckpoint, encodeCheckpoint } from "./checkpoint.ts";
import type { CheckpointWriter } from "./checkpoint-writer.ts";
import { putUntilKnown } from "./put-until-known.ts";
import type { ReactorSettings } from "./reactor-options.ts";

/**
 * Makes a reactor that has no checkpoint begin behind what stands in the stream now. That is stored before anything is
 * handled, so that a process that dies right after it does not make the next one begin with the first event.
 */
export async function beginNow(
  context: StoreContext,
  bucket: Bucket,
  key: string,
  signal: AbortSignal,
): Promise<void> {
  const bounds = { timeoutMs: context.limits.readTimeoutMs, signal };
  const decide = async (standing: BucketEntry | undefined): Promise<Uint8Array | undefined> => {
    if (standing !== undefined && !standing.deleted) return undefined;
    const last = await leaderLast(context, [`${context.prefix}.>`], bounds);
    const checkpoint = last === undefined ? BEGINNING : behind(readCommit(last, context.prefix));
    return encodeCheckpoint({ ...checkpoint, writer: "", epoch: 0, nonce: "" });
  };
  await putUntilKnown(bucket, key, decide, bounds);
}

function behind({ message, commitId, payload }: StoredCommit): SharedCheckpoint {
  const { sequence } = message;
  const taken = payload.events.length;
  return { position: sequence, taken, commitId, applied: 0, complete: sequence };
}

/** Saves how far a reactor is: after so many events, after a time, and when it is told to. */
export class ReactorCheckpoint {
  readonly #writer: CheckpointWriter;
  readonly #settings: ReactorSettings;
  readonly #signal: AbortSignal;
  readonly #onFailure: (error: unknown) => void;
  readonly #turn = new Slots(1);
  #saved: SharedCheckpoint;
  #latest: SharedCheckpoint;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param saved what the writer claimed
   * @param onFailure told of what went wrong where nobody waits for it
   */
  constructor(
    writer: CheckpointWriter,
    saved: SharedCheckpoint,
    settings: ReactorSettings,
    signal: AbortSignal,
    onFailure: (error: unknown) => void,
  ) {
    this.#writer = writer;
    this.#saved = saved;
    this.#latest = saved;
    this.#settings = settings;
    this.#signal = signal;
    this.#onFailure = onFailure;
  }

  /** How far the reactor is, saved or not. */
  get latest(): SharedCheckpoint {
    return this.#latest;
  }

  get unsaved(): boolean {
    return this.#latest !== this.#saved;
  }

  /** Notes how far the reactor is. Waits where too much would be repeated otherwise. */
  advance(to: SharedCheckpoint): Promise<void> | undefined {
    const { checkpointEvery, checkpointMs } = this.#settings;
    this.#latest = to;
    if (to.applied - this.#saved.applied >= checkpointEvery) return this.save();
    this.#timer ??= setTimeout(() => void this.save().catch(this.#onFailure), checkpointMs);
    return undefined;
  }

  /** Saves what is noted, if it is not saved yet. */
  save(signal: AbortSignal = this.#signal): Promise<void> {
    this.stop();
    return this.#write([], signal);
  }

  /** Saves a change together with the checkpoint behind it: both or none. */
  saveWith(change: BucketChange, to: SharedCheckpoint): Promise<void> {
    this.stop();
    this.#latest = to;
    return this.#write([change], this.#signal);
  }

  /** Saves nothing more by itself. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** One after the other: each write expects the one before. */
  async #write(changes: readonly BucketChange[], signal: AbortSignal): Promise<void> {
    await this.#turn.take(signal);
    try {
      const checkpoint = this.#latest;
      if (changes.length === 0 && checkpoint === this.#saved) return;
      // It looks at the signal between its tries only.
      await abortable(this.#writer.write(changes, checkpoint, signal), signal);
      this.#saved = checkpoint;
    } finally {
      this.#turn.release();
    }
  }
}
