import { completeOf, type SharedCheckpoint } from "./checkpoint.ts";

import { PositionWaiters } from "./position-waiters.ts";

/**
 * What a projector does: `standby` waits for its turn, `catching_up` applies what stood in the stream when it started,
 * `live` what is appended since; `paused` nothing for now; `stopped` was closed, `failed` ended by an error.
 */
export type ProjectorPhase = "standby" | "catching_up" | "live" | "paused" | "stopped" | "failed";

/** How far a projector is. */
export interface ProjectorStatus {
  readonly projection: string;
  readonly version: number;
  readonly phase: ProjectorPhase;
  /** Position of the last commit whose events are applied and stored. */
  readonly position: number;
  /** Position of the last commit known to be of interest. */
  readonly head: number;
  /** Events that the projection has applied since its beginning. */
  readonly applied: number;
  /** Events between `position` and the head: exact in commits, times the mean of events a commit. */
  readonly lagEvents: number;
  /** How long ago the last applied commit was recorded, by the clocks of server and process; 0 without lag. */
  readonly lagSeconds: number;
  /** Events applied a second, over the last seconds. */
  readonly eventsPerSecond: number;
  /** Share of what stood in the stream at the start that is done, from 0 to 1. */
  readonly progress: number;
  /** Units that were planned again because the cache had moved on. */
  readonly replans: number;
  /** Events that were set aside in this run. */
  readonly parked: number;
  readonly error: unknown;
}

const RATE_WINDOW_MS = 2_000;

/** How far a projector is, and who waits for it. */
export class Progress {
  phase: Exclude<ProjectorPhase, "paused"> = "catching_up";
  /** Whether whoever owns the projector has stopped it for a while. */
  paused = false;
  error: unknown;
  replans = 0;
  parked = 0;
  readonly #projection: { readonly name: string; readonly version: number };
  readonly #waiters: PositionWaiters;
  #position = 0;
  #start = 0;
  #head = 0;
  #applied = 0;
  #pending = 0;
  #commits = 0;
  #events = 0;
  #recordedAtMs = 0;
  #rate = 0;
  #rateSince = performance.now();
  #rateApplied = 0;

  /** @param askLast gives the position of the last commit of interest; without it, positions are waited for as given */
  constructor(
    projection: { readonly name: string; readonly version: number },
    askLast?: () => Promise<number>,
  ) {
    this.#projection = projection;
    this.#waiters = new PositionWaiters(askLast);
  }

  get position(): number {
    return this.#position;
  }

  /** Commits of interest behind those that were delivered. */
  get pending(): number {
    return this.#pending;
  }

  get applied(): number {
    return this.#applied;
  }

  /** A run begins: what the state holds already, and where the stream ends now. */
  begin(checkpoint: SharedCheckpoint, head: number): void {
    const complete = completeOf(checkpoint);
    const { applied } = checkpoint;
    this.#start = complete;
    this.#head = Math.max(head, complete);
    this.#rateApplied = applied;
    this.#rateSince = performance.now();
    this.stored(complete, applied, this.#recordedAtMs);
  }

  /** Commits came from the stream; `pending` more are there. */
  delivered(commits: number, events: number, lastPosition: number, pending: number): void {
    this.#commits += commits;
    this.#events += events;
    this.#pending = pending;
    this.#head = Math.max(this.#head, lastPosition);
  }

  /** Everything up to here is applied and stored. */
  stored(position: number, applied: number, recordedAtMs: number): void {
    this.#position = position;
    this.#applied = applied;
    this.#recordedAtMs = recordedAtMs;
    const now = performance.now();
    const elapsed = now - this.#rateSince;
    if (elapsed >= RATE_WINDOW_MS) {
      this.#rate = ((applied - this.#rateApplied) * 1_000) / elapsed;
      this.#rateSince = now;
      this.#rateApplied = applied;
    }
    this.#waiters.advance(position);
  }

  /** Resolves when everything of interest up to the position is applied and stored. */
  reached(position: number, signal: AbortSignal | undefined): Promise<void> {
    return this.#waiters.reached(position, signal);
  }

  /** It is over: nobody waits any longer. */
  end(phase: "stopped" | "failed", error: unknown): void {
    this.phase = phase;
    this.error = phase === "failed" ? error : undefined;
    this.#waiters.end(error);
  }

  get #running(): boolean {
    return this.phase === "catching_up" || this.phase === "live";
  }

  status(): ProjectorStatus {
    const waiting = Math.max(0, this.#head - this.#position);
    const eventsPerCommit = this.#commits === 0 ? 1 : this.#events / this.#commits;
    const lagEvents = waiting === 0 ? this.#pending : Math.max(1, this.#pending);
    const elapsed = performance.now() - this.#rateSince;
    const recent =
      elapsed > 500 ? ((this.#applied - this.#rateApplied) * 1_000) / elapsed : this.#rate;
    const span = this.#head - this.#start;
    return {
      projection: this.#projection.name,
      version: this.#projection.version,
      phase: this.paused && this.#running ? "paused" : this.phase,
      position: this.#position,
      head: this.#head,
      applied: this.#applied,
      lagEvents: Math.round(lagEvents * eventsPerCommit),
      lagSeconds:
        lagEvents === 0 || this.#recordedAtMs === 0
          ? 0
          : Math.max(0, Date.now() - this.#recordedAtMs) / 1_000,
      eventsPerSecond: Math.round(recent),
      progress: span <= 0 ? 1 : Math.min(1, (this.#position - this.#start) / span),
      replans: this.replans,
      parked: this.parked,
      error: this.error,
    };
  }
}
