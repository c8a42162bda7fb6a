import { setImmediate as turn } from "node:timers/promises";
import type { SharedCheckpoint } from "./checkpoint.ts";
import { projectionChannels, type SnapshotMessage } from "./diagnostics.ts";
import type { Generations } from "./generations.ts";
import { readSnapshot, type SnapshotContent } from "./snapshot-reader.ts";
import { type SnapshotPlace, SnapshotWriter } from "./snapshot-writer.ts";
import type { DeadLetter } from "./state-backend.ts";

/** A state as it was when the snapshot was written. */
export interface RestoredState extends SnapshotContent {
  readonly checkpoint: SharedCheckpoint;
}

/** A state in memory, at the end of a unit of work. */
export interface LiveState {
  readonly cache: Generations;
  readonly checkpoint: SharedCheckpoint;
  readonly deadLetters: readonly DeadLetter[];
}

/** A snapshot that cannot be used. */
class UnusableSnapshotError extends Error {}

const ATTEMPTS = 2;
/** Between two snapshots, so many times as long as the first one took: where they are slow, they are rare. */
const REST_FACTOR = 4;
/** Keys of the overlay taken over at once; doubled each time, so that it ends however fast more are added. */
const THAWED_AT_ONCE = 8_192;

/**
 * Snapshots of a state in memory: when they are written, and what is restored at the start. They only save time: what
 * hinders them is told on a channel, and is no error.
 */
export class Snapshots {
  readonly #place: SnapshotPlace;
  readonly #writer: SnapshotWriter;
  /** Count of applied events at which the next one is due. */
  #dueAt: number;
  /** Count of applied events of the one that is known to stand. */
  #storedAt = 0;
  #restUntil = 0;
  #writing: Promise<void> | undefined;

  constructor(place: SnapshotPlace) {
    this.#place = place;
    this.#writer = new SnapshotWriter(place);
    this.#dueAt = place.everyEvents;
  }

  /** The state of the last snapshot; undefined where there is none that can be used. */
  async restore(signal: AbortSignal): Promise<RestoredState | undefined> {
    const startedAt = performance.now();
    let reason: string | undefined;
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      try {
        const restored = await this.#tryRestore(signal);
        if (restored === undefined) return undefined;
        const { cache, bytes, checkpoint } = restored;
        this.#stored(checkpoint.applied);
        this.#tell("restored", { entries: cache.size, bytes, startedAt });
        return restored;
      } catch (error) {
        signal.throwIfAborted();
        reason = reasonOf(error);
      }
    }
    this.#tell("ignored", { startedAt, reason });
    return undefined;
  }

  /** A unit of work was applied: begins to write a snapshot where one is due. Must not throw. */
  passed(state: LiveState, signal: AbortSignal): void {
    if (state.checkpoint.applied < this.#dueAt || this.#writing !== undefined) return;
    if (performance.now() < this.#restUntil) return;
    this.#writing = this.#write({ ...state, isLast: false }, signal).finally(() => {
      this.#writing = undefined;
    });
  }

  /** Writes a last one, unless nothing was applied since the one before. */
  async close(state: LiveState, signal: AbortSignal): Promise<void> {
    await this.#writing;
    if (state.checkpoint.applied > this.#storedAt)
      await this.#write({ ...state, isLast: true }, signal);
  }

  async #tryRestore(signal: AbortSignal): Promise<RestoredState | undefined> {
    const { bucket, requestTimeoutMs: timeoutMs, holds } = this.#place;
    const standing = await this.#writer.standing(signal);
    if (standing === undefined) return undefined;
    const { sequence, manifest, error } = standing;
    if (manifest === undefined) throw error;
    if (!(await holds(manifest, signal))) {
      const { position } = manifest;
      throw new UnusableSnapshotError(
        `another commit stands at its position ${position}: the stream was rolled back`,
      );
    }
    try {
      const content = await readSnapshot(bucket, manifest, { timeoutMs, signal });
      const { position, taken, commitId, applied, complete } = manifest;
      return { ...content, checkpoint: { position, taken, commitId, applied, complete } };
    } catch (failure) {
      this.#writer.giveUp(sequence);
      throw failure;
    }
  }

  async #write(
    { cache, checkpoint, deadLetters, isLast }: LiveState & { readonly isLast: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    const startedAt = performance.now();
    const entries = cache.size;
    const offer = { cells: cache.freeze(), deadLetters: [...deadLetters], checkpoint, isLast };
    this.#dueAt = checkpoint.applied + this.#place.everyEvents;
    try {
      const outcome = await this.#writer.write(offer, signal);
      if (outcome.kind === "needless") {
        if (outcome.stored) this.#stored(outcome.applied);
        else this.#dueAt = outcome.applied + this.#place.everyEvents;
        const reason = `another process's has ${outcome.applied} events of ${checkpoint.applied}`;
        this.#tell("dropped", { startedAt, reason });
      } else {
        this.#stored(checkpoint.applied);
        this.#tell("written", { entries, bytes: outcome.bytes, startedAt });
      }
    } catch (error) {
      this.#tell("dropped", { startedAt, reason: reasonOf(error) });
    }
    for (let keys = THAWED_AT_ONCE; !cache.thaw(keys); keys *= 2) await turn();
    const endedAt = performance.now();
    this.#restUntil = endedAt + REST_FACTOR * (endedAt - startedAt);
  }

  #stored(applied: number): void {
    this.#storedAt = applied;
    this.#dueAt = applied + this.#place.everyEvents;
  }

  #tell(
    what: SnapshotMessage["what"],
    of: {
      readonly startedAt: number;
      readonly entries?: number;
      readonly bytes?: number;
      readonly reason?: string | undefined;
    },
  ): void {
    if (!projectionChannels.snapshot.hasSubscribers) return;
    const { startedAt, entries = 0, bytes = 0, reason } = of;
    const durationMs = performance.now() - startedAt;
    const { projection } = this.#place;
    projectionChannels.snapshot.publish({ projection, what, entries, bytes, durationMs, reason });
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
