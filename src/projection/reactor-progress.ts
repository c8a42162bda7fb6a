import type { Checkpoint } from "./checkpoint.ts";
import { projectionChannels } from "./diagnostics.ts";
import type { SourceCommit } from "./event-source.ts";
import { Progress } from "./progress.ts";

/**
 * What a reactor does: `standby` waits until it is the active one, `catching_up` handles what stood in the stream when it
 * became that, `live` what is appended since; `retrying` waits for, or makes, another attempt at an event; `stopped` was
 * closed, `failed` ended by an error.
 */
export type ReactorPhase = "standby" | "catching_up" | "live" | "retrying" | "stopped" | "failed";

/** How far a reactor is; counts are those of this process. */
export interface ReactorStatus {
  readonly reactor: string;
  readonly phase: ReactorPhase;
  /** Position of the last commit whose events are all handled or parked. */
  readonly position: number;
  /** Position of the last commit known to be of interest. */
  readonly head: number;
  /** Events that were handled. */
  readonly handled: number;
  /** Attempts beyond the first. */
  readonly retries: number;
  /** Events that were set aside as dead letters. */
  readonly parked: number;
  /** Events between `position` and the head: exact in commits, times the mean of events a commit. */
  readonly lagEvents: number;
  /** How long ago the last handled commit was recorded, by the clocks of server and process; 0 without lag. */
  readonly lagSeconds: number;
  /** What made it fail; before that, what the last attempt that failed failed with. */
  readonly error: unknown;
}

/** How far a reactor is, and who waits for it. */
export class ReactorProgress {
  readonly #stream: string;
  readonly #reactor: string;
  readonly #progress: Progress;
  #handled = 0;
  #retries = 0;
  #parked = 0;
  #retrying = false;
  #error: unknown;

  constructor(stream: string, reactor: string) {
    this.#stream = stream;
    this.#reactor = reactor;
    this.#progress = new Progress({ name: reactor, version: 1 });
    this.#progress.phase = "standby";
  }

  standby(): void {
    this.#retrying = false;
    this.#enter("standby");
  }

  /** It is the active one, behind a checkpoint. */
  active(checkpoint: Checkpoint, head: number): void {
    this.#progress.begin(checkpoint, head);
    this.#enter("catching_up");
  }

  live(): void {
    if (this.#progress.phase === "catching_up") this.#enter("live");
  }

  /** Commits came from the stream; `behind` more are there. */
  delivered(commits: readonly SourceCommit[], behind: number): void {
    const events = commits.reduce((sum, commit) => sum + commit.events.length, 0);
    const position = commits.at(-1)?.position ?? 0;
    this.#progress.delivered(commits.length, events, position, behind + commits.length);
  }

  /** An attempt failed, and there will be another. */
  failedOnce(error: unknown): void {
    this.#error = error;
    this.#retries++;
    this.#retrying = true;
  }

  handled(): void {
    this.#handled++;
    this.#retrying = false;
  }

  parked(error: unknown): void {
    this.#error = error;
    this.#parked++;
    this.#retrying = false;
  }

  /** All events of a commit are dealt with; `behind` more commits are there. */
  passed({ position, recordedAtMs }: SourceCommit, applied: number, behind: number): void {
    this.#progress.delivered(0, 0, position, behind);
    this.#progress.stored(position, applied, recordedAtMs);
  }

  /** Resolves when everything up to the position is dealt with. */
  reached(position: number, signal: AbortSignal | undefined): Promise<void> {
    return this.#progress.reached(position, signal);
  }

  end(phase: "stopped" | "failed", error: unknown): void {
    this.#retrying = false;
    this.#progress.end(phase, error);
    this.#tell(phase === "failed" ? error : undefined);
  }

  status(): ReactorStatus {
    const { phase, position, head, lagEvents, lagSeconds, error } = this.#progress.status();
    return {
      reactor: this.#reactor,
      // A reactor is never paused.
      phase: phase === "paused" ? "live" : this.#retrying ? "retrying" : phase,
      position,
      head,
      handled: this.#handled,
      retries: this.#retries,
      parked: this.#parked,
      lagEvents,
      lagSeconds,
      error: error ?? this.#error,
    };
  }

  #enter(phase: "standby" | "catching_up" | "live"): void {
    this.#progress.phase = phase;
    this.#tell(undefined);
  }

  #tell(error: unknown): void {
    const channel = projectionChannels.phase;
    if (!channel.hasSubscribers) return;
    const { phase } = this.#progress;
    channel.publish({
      stream: this.#stream,
      projection: this.#reactor,
      version: undefined,
      phase,
      error,
    });
  }
}
