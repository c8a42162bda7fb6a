import { ClosedError, InvalidArgumentError } from "../errors.ts";
import { abortable } from "../internal/abort.ts";
import { type Backoff, backoffMs, sleep } from "../internal/backoff.ts";
import { deferred } from "../internal/deferred.ts";
import { uniqueIds } from "../internal/unique-ids.ts";
import { isBefore, leaderLast } from "../store/commit-stream.ts";
import type { StoredMessage } from "../nats/stored-message.ts";
import type { EventMap } from "../store/event.ts";
import type { EventStore } from "../store/event-store.ts";
import { internalsOf } from "../store/internals.ts";
import { count } from "../store/options.ts";
import type { Projection, TableMap } from "./definition.ts";
import { selectsMost, subjectsOf } from "./event-source.ts";
import { completeOf } from "./checkpoint.ts";
import { projectionChannels } from "./diagnostics.ts";
import { ProjectorFencedError } from "./errors.ts";
import { Lease } from "./lease.ts";
import { type OpenedState, openState } from "./open-state.ts";
import { isPassing } from "../nats/passing.ts";
import { Progress, type ProjectorPhase, type ProjectorStatus } from "./progress.ts";
import { ProjectorRun, type RunParts } from "./projector-run.ts";
import type { DeadLetter } from "./state-backend.ts";
import { checkStandby } from "./standby-options.ts";
import type { StateOptions } from "./state-options.ts";
import { type ReadTables, readTables } from "./read-tables.ts";

/** How to run a projection. */
export interface ProjectorOptions {
  /** Where its state lives: `kvState({ bucket })` or `memoryState()`. */
  readonly state: StateOptions;
  /** Events applied as one unit at most. @default 4096 */
  readonly maxBatchEvents?: number | undefined;
  /** How long to wait for more events before a unit that is not full is applied. @default 0 */
  readonly batchMs?: number | undefined;
  /** What to do with an event on which `keys` or `apply` throws. @default "stop" */
  readonly onFailure?: "stop" | "park" | undefined;
  /**
   * Where there is no state yet, begin with the first commit stored at or after this time, or with the one at this
   * position. For tests: what is left out is missing from the state. @default the first
   */
  readonly startAt?: Date | number | undefined;
  /**
   * Take turns with the projectors of this version in other processes: one is active, the others wait and take over
   * within about `leaseMs` when it dies, at once when it is closed. All must ask for it. @default false
   */
  readonly standby?: boolean | undefined;
  /** With `standby`: how long the active projector is waited for when it does not show that it lives. @default 3000 */
  readonly leaseMs?: number | undefined;
  /** Delete the state of this version first. Not while another projector runs it. @default false */
  readonly reset?: boolean | undefined;
  /** Called about twice a second while catching up, and when the phase changes. Must not throw. */
  readonly onProgress?: ((status: ProjectorStatus) => void) | undefined;
  /** Ends the start; a running projector is ended by `close`. */
  readonly signal?: AbortSignal | undefined;
}

const PROGRESS_MS = 500;
/** What was appended while it caught up is caught up with too, until that takes no longer than this. */
const SHORT_MS = 500;
const AGAIN: Backoff = { firstMs: 100, maxMs: 2_000 };
/** How long `close` waits for what is being stored: a server that is gone must not hold up a service that ends. */
const CLOSE_MS = 5_000;

/** What a projector works with. */
interface ProjectorSetup<Events extends EventMap, Tables extends TableMap>
  extends Omit<RunParts<Events, Tables>, "progress"> {
  readonly state: OpenedState;
  /** Where several projectors take turns. */
  readonly lease: Lease | undefined;
  /** Aborts what still runs when closing takes too long. */
  readonly stopping: AbortController;
  readonly onProgress: ((status: ProjectorStatus) => void) | undefined;
}

/**
 * Runs a projection: catches up with the stream, then follows it. Every event takes effect exactly once.
 *
 * @example
 * await using projector = await startProjector(store, balances, { state: kvState({ bucket: "balances" }) });
 * await projector.caughtUp();
 * await projector.tables.balance.get("alice");
 */
export class Projector<Events extends EventMap, Tables extends TableMap> {
  /** The state as it is stored: reads see whole units only. */
  readonly tables: ReadTables<Tables>;
  /** Resolves when it is closed, rejects with what made it fail. */
  readonly ended: Promise<void>;
  readonly #setup: ProjectorSetup<Events, Tables>;
  readonly #progress: Progress;
  readonly #started = deferred();
  #run: ProjectorRun<Events, Tables> | undefined;
  #ticker: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;

  /** @internal see {@link startProjector} */
  constructor(setup: ProjectorSetup<Events, Tables>) {
    const { projection, backend } = setup;
    this.#setup = setup;
    this.#progress = new Progress(projection, () => this.#lastMatching(undefined));
    this.tables = readTables(projection.tables, backend);
    this.ended = this.#live().then(
      () => this.#end("stopped", new ClosedError("the projector")),
      (error: unknown) => {
        // What had to be given up because closing took too long is no failure.
        const closed = this.#closing !== undefined && error instanceof ClosedError;
        this.#end(closed ? "stopped" : "failed", error);
        if (!closed) throw error;
      },
    );
    this.ended.catch((error: unknown) => this.#started.reject(error));
  }

  /** @internal resolves when it applies events, or stands by */
  get started(): Promise<void> {
    return this.#started.promise;
  }

  /** How far it is, without asking anybody. */
  status(): ProjectorStatus {
    return this.#progress.status();
  }

  /**
   * Resolves when all that stands in the stream now is applied and stored.
   *
   * @throws what made the projector fail; {ClosedError}
   */
  caughtUp(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    return this.waitFor(Number.MAX_SAFE_INTEGER, options);
  }

  /**
   * Resolves when the commit at `position`, and all before it, is applied and stored: after an append, hand it the
   * result's `position` to read one's own writes.
   */
  async waitFor(
    position: number,
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    count("position", position, 0);
    await this.#progress.reached(position, signal);
  }

  /** Applies nothing more until {@link resume}. */
  pause(): void {
    this.#progress.paused = true;
    this.#run?.pause();
  }

  resume(): void {
    this.#progress.paused = false;
    this.#run?.resume();
  }

  /** Events that were set aside, oldest first. */
  deadLetters(): Promise<readonly DeadLetter[]> {
    return this.#setup.backend.deadLetters();
  }

  /** Stores what is applied, and ends. Safe to call again. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const { stopping, backend, lease } = this.#setup;
    const timer = setTimeout(() => stopping.abort(new ClosedError("the projector")), CLOSE_MS);
    await this.#run?.stop();
    // What is being stored is waited for before another one may take over.
    if (this.#run === undefined) await lease?.close();
    await this.ended.catch(() => {});
    await lease?.close();
    await backend.close(stopping.signal);
    clearTimeout(timer);
    // A run that failed may have left a batch on its way, which is sent again until its outcome is known.
    stopping.abort(new ClosedError("the projector"));
  }

  async #live(): Promise<void> {
    const { lease, signal } = this.#setup;
    this.#ticker = setInterval(() => this.#tick(), PROGRESS_MS);
    if (lease === undefined) {
      await this.#lead(signal);
      return;
    }
    for (let attempt = 1; this.#closing === undefined; attempt++) {
      let lost: AbortSignal | undefined;
      try {
        await this.#standBy(lease);
        if (this.#closing !== undefined) return;
        lost = lease.lost;
        await this.#lead(AbortSignal.any([signal, lost]));
      } catch (error) {
        // Another one goes on from where this one stored last.
        const ousted = lost?.aborted === true || error instanceof ProjectorFencedError;
        if (!ousted && !isPassing(error)) throw error;
        if (ousted) attempt = 1;
      } finally {
        this.#run = undefined;
        await lease.release();
      }
      await sleep(backoffMs(AGAIN, attempt), signal);
    }
  }

  /** What stands before the start needs no waiting for. */
  async #passOver(signal: AbortSignal): Promise<void> {
    const { startAt } = this.#setup;
    if (startAt === undefined) return;
    const last = await this.#leaderLast(signal);
    if (last !== undefined && isBefore(last, startAt)) this.#progress.stored(last.sequence, 0, 0);
  }

  /** Waits for its turn; meanwhile it tells how far the active one is. */
  async #standBy(lease: Lease): Promise<void> {
    const { backend, signal } = this.#setup;
    const turn = new AbortController();
    this.#enter("standby");
    this.#progress.begin(await backend.stored(signal), await this.#lastMatching(signal));
    this.#started.resolve();
    const following = this.#followStored(AbortSignal.any([signal, turn.signal]));
    try {
      await lease.acquire(signal);
    } catch (error) {
      if (this.#closing === undefined) throw error;
    } finally {
      turn.abort(new ClosedError("the standby"));
      await following.catch(() => {});
    }
  }

  async #followStored(signal: AbortSignal): Promise<void> {
    const progress = this.#progress;
    for await (const stored of this.#setup.backend.followStored(signal)) {
      const complete = completeOf(stored);
      progress.delivered(0, 0, complete, 0);
      progress.stored(complete, stored.applied, Date.now());
    }
  }

  async #lead(signal: AbortSignal): Promise<void> {
    const { backend, state } = this.#setup;
    const claimed = await backend.claim(signal);
    this.#enter("catching_up");
    const head = await this.#lastMatching(signal);
    this.#progress.begin(claimed.checkpoint, head);
    if (claimed.checkpoint.position === 0) await this.#passOver(signal);
    const readAll = await this.#selectsMost(claimed.checkpoint.position + 1, signal);
    const parts = { ...this.#setup, progress: this.#progress, readAll, signal };
    const run = new ProjectorRun(parts, claimed);
    this.#run = run;
    if (this.#progress.paused) run.pause();
    if (!state.rebuilding) await state.makeLive(signal);
    this.#started.resolve();
    if (this.#closing !== undefined) await run.stop();
    const running = run.run();
    this.#goLive(signal).catch((error: unknown) => run.fail(error));
    await running;
  }

  /** Once hardly anything is left to apply, readers go over to this version. */
  async #goLive(signal: AbortSignal): Promise<void> {
    let startedAt: number;
    do {
      startedAt = performance.now();
      await this.caughtUp({ signal });
    } while (performance.now() - startedAt > SHORT_MS);
    this.#enter("live");
    const { state } = this.#setup;
    for (let attempt = 1; state.rebuilding; attempt++) {
      try {
        return await state.makeLive(signal);
      } catch (error) {
        if (!isPassing(error)) throw error;
      }
      await sleep(backoffMs(AGAIN, attempt), signal);
    }
  }

  #enter(phase: "standby" | "catching_up" | "live"): void {
    this.#progress.phase = phase;
    this.#tell(phase, undefined);
  }

  #end(phase: "stopped" | "failed", error: unknown): void {
    clearInterval(this.#ticker);
    this.#progress.end(phase, error);
    this.#tell(phase, phase === "failed" ? error : undefined);
  }

  #tick(): void {
    if (this.#progress.phase === "catching_up") this.#setup.onProgress?.(this.status());
  }

  #tell(phase: ProjectorPhase, error: unknown): void {
    this.#setup.onProgress?.(this.status());
    if (!projectionChannels.phase.hasSubscribers) return;
    const { internals, projection } = this.#setup;
    const { stream } = internals.context;
    const { name, version } = projection;
    projectionChannels.phase.publish({ stream, projection: name, version, phase, error });
  }

  /** Position of the last commit of interest. */
  async #lastMatching(signal: AbortSignal | undefined): Promise<number> {
    return (await this.#leaderLast(signal))?.sequence ?? 0;
  }

  #selectsMost(from: number, signal: AbortSignal): Promise<boolean> {
    const { internals, projection } = this.#setup;
    const bounds = { timeoutMs: internals.context.limits.readTimeoutMs, signal };
    return selectsMost(internals, projection.selection, from, bounds);
  }

  #leaderLast(signal: AbortSignal | undefined): Promise<StoredMessage | undefined> {
    const { internals, projection } = this.#setup;
    const { context } = internals;
    const bounds = { timeoutMs: context.limits.readTimeoutMs, signal };
    return leaderLast(context, subjectsOf(projection.selection, context.prefix), bounds);
  }
}

/**
 * Starts a projector. Resolves when it has claimed the state and applies events.
 *
 * @throws {ProjectionMismatchError} the state belongs to another projection or version
 * @throws {StreamRolledBackError} from `ended`: another commit stands at the checkpoint; rebuild the projection
 */
export async function startProjector<Events extends EventMap, Tables extends TableMap>(
  store: EventStore<Events>,
  projection: Projection<Events, Tables>,
  options: ProjectorOptions,
): Promise<Projector<Events, Tables>> {
  const { onFailure = "stop", startAt, onProgress, signal } = options;
  const maxEvents = count("maxBatchEvents", options.maxBatchEvents ?? 4_096, 1);
  const batchMs = count("batchMs", options.batchMs ?? 0, 0);
  if (onFailure !== "stop" && onFailure !== "park") {
    throw new InvalidArgumentError("onFailure", '"stop" or "park"', onFailure);
  }
  checkStart(startAt);
  checkStandby(options);
  signal?.throwIfAborted();
  const internals = internalsOf(store);
  const reset = options.reset ?? false;
  const state = await openState(internals, projection, options.state, { reset, signal });
  const stopping = new AbortController();
  const projector = new Projector({
    internals,
    projection,
    state,
    lease: openLease(state, projection.version, options),
    backend: state.backend,
    stopping,
    limits: { maxEvents, maxKeys: 900 },
    batchMs,
    park: onFailure === "park",
    startAt,
    onProgress,
    signal: stopping.signal,
  });
  try {
    await abortable(projector.started, signal);
  } catch (error) {
    await projector.close();
    throw error;
  }
  return projector;
}

function checkStart(startAt: unknown): void {
  if (startAt === undefined) return;
  if (startAt instanceof Date && !Number.isNaN(startAt.getTime())) return;
  if (typeof startAt === "number" && Number.isSafeInteger(startAt) && startAt >= 1) return;
  throw new InvalidArgumentError("startAt", "a valid Date, or a position from 1", startAt);
}

function openLease(
  { directory }: OpenedState,
  version: number,
  { standby, leaseMs }: ProjectorOptions,
): Lease | undefined {
  if (standby !== true || directory === undefined) return undefined;
  return new Lease(directory, { key: `lease.v${version}`, holder: uniqueIds()(), ttlMs: leaseMs });
}
