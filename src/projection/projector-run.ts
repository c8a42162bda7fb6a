import { setImmediate } from "node:timers/promises";
import { deferred, type Deferred } from "../internal/deferred.ts";
import { within } from "../internal/within.ts";
import type { EventMap, RecordedEvent } from "../store/event.ts";
import type { StoreInternals } from "../store/internals.ts";
import type { StreamSubscription } from "../store/subscription.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { projectionChannels } from "./diagnostics.ts";
import type { Projection, TableMap } from "./definition.ts";
import { ProjectionFailedError } from "./errors.ts";
import { openSource, type SourceCommit } from "./event-source.ts";
import type { Generations } from "./generations.ts";
import type { Progress } from "./progress.ts";
import type { CellChange, ClaimedState, DeadLetter, StateBackend } from "./state-backend.ts";
import type { StateKey } from "./state-key.ts";
import { headersOf } from "./unit-headers.ts";
import {
  isVoid,
  type PlanLimits,
  type PlannedEvent,
  type UnitPlan,
  UnitPlanner,
} from "./unit-planner.ts";
import { WorkUnit } from "./work-unit.ts";

/** What a run of a projector works with. */
export interface RunParts<Events extends EventMap, Tables extends TableMap> {
  readonly internals: StoreInternals;
  readonly projection: Projection<Events, Tables>;
  readonly backend: StateBackend;
  readonly progress: Progress;
  readonly limits: PlanLimits;
  /** Wait this long for more events before a unit that is not full is applied. */
  readonly batchMs: number;
  /** Set aside events that fail, and go on. */
  readonly park: boolean;
  readonly startAt: Date | number | undefined;
  /** Read the whole stream, not only what is selected. */
  readonly readAll?: boolean | undefined;
  readonly signal: AbortSignal;
}

/** A unit that was applied to the cache and is to be stored. */
interface Applied {
  readonly changes: readonly CellChange[];
  readonly deadLetters: readonly DeadLetter[];
  readonly checkpoint: Checkpoint;
  readonly recordedAtMs: number;
  /** As `UnitMessage.headers`. */
  readonly headers: readonly Readonly<Record<string, string>>[];
  /** Why nothing may be applied behind it. */
  readonly failure: { readonly error: unknown } | undefined;
}

interface AppliedUnit extends Applied {
  /** Position up to which whole commits are applied. */
  readonly completeTo: number;
  /** Keys fetched for it. */
  readonly fetched: number;
  readonly fetchMs: number;
  readonly applyMs: number;
  /** Commits of interest behind it. */
  readonly lagCommits: number;
}

const NOTHING: ReadonlyMap<StateKey, unknown> = new Map();
/** Commits without any change after which the checkpoint is stored all the same. */
const MAX_UNSAVED_COMMITS = 10_000;
/** So is it after this time without any commit: others learn from it how far this one is. */
const TAIL_MS = 200;
/** Characters of a reason that are kept. */
const MAX_REASON = 10_000;
/** Waiting events that are worth a unit of their own at once. */
const ENOUGH_EVENTS = 1_000;

/**
 * One run of a projector, from the claim of its state to its end. While a unit is being stored, the next one is
 * planned, its keys are fetched, and it is applied to the cache; it is stored once the one before it is.
 */
export class ProjectorRun<Events extends EventMap, Tables extends TableMap> {
  readonly #parts: RunParts<Events, Tables>;
  readonly #planner: UnitPlanner<Events, Tables>;
  readonly #unit: WorkUnit<Events, Tables>;
  readonly #cache: Generations;
  readonly #source: StreamSubscription<SourceCommit>;
  #failure: { readonly error: unknown } | undefined;
  /** The unit that is being stored. */
  #storing: Promise<void> | undefined;
  #incoming: Promise<readonly SourceCommit[] | undefined> | undefined;
  #saved: Checkpoint;
  /** Commits received in all, and when the checkpoint was stored last. */
  #received = 0;
  #savedReceived = 0;
  #latest: Checkpoint;
  #resume: Deferred<void> | undefined;
  #stopped = false;

  constructor(parts: RunParts<Events, Tables>, { checkpoint, cache }: ClaimedState) {
    const { projection, backend, internals, limits, startAt, readAll, signal } = parts;
    this.#parts = parts;
    this.#cache = cache;
    this.#saved = checkpoint;
    this.#latest = checkpoint;
    cache.rotateTo(cache.generationOf(Math.max(1, checkpoint.applied)));
    this.#planner = new UnitPlanner(projection, limits, checkpoint);
    this.#unit = new WorkUnit(projection, cache, backend.format, backend.limits);
    this.#source = openSource(
      internals,
      projection.selection,
      { checkpoint, startAt, readAll },
      signal,
    );
  }

  /** Applies no further unit until {@link resume}. */
  pause(): void {
    this.#resume ??= deferred();
  }

  resume(): void {
    this.#resume?.resolve();
    this.#resume = undefined;
  }

  /** Runs until it is stopped, or throws what ended it. */
  async run(): Promise<void> {
    try {
      for (;;) {
        if (this.#planner.empty && !(await this.#receive())) break;
        if (this.#failure !== undefined) break;
        await this.#gather();
        while (this.#resume !== undefined) await this.#resume.promise;
        if (this.#stopped || this.#failure !== undefined) break;
        const applied = await this.#applyNext();
        if (applied === undefined) continue;
        await this.#storing;
        if (this.#failure !== undefined) break;
        this.#store(applied);
        // What is sent leaves when the event loop turns: the server works on it while the next unit is applied.
        if (this.#storing !== undefined) await setImmediate();
        if (applied.failure === undefined) continue;
        await this.#storing;
        this.#failure ??= applied.failure;
        break;
      }
      await this.#storing;
      if (this.#failure === undefined && this.#hasTail) this.#storeTail();
      await this.#storing;
      if (this.#failure !== undefined) throw this.#failure.error;
    } finally {
      await this.#source.close();
    }
  }

  /** Ends the run with an error, unless it has ended. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    void this.#source.close();
    this.resume();
  }

  /** Ends the run: what is being stored is waited for. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#source.close();
    this.resume();
  }

  /** Waits for commits; false when there will be none. */
  async #receive(): Promise<boolean> {
    this.#incoming ??= this.#source.nextBatch();
    if (this.#hasTail && (await within(this.#incoming.then(isThere), TAIL_MS)) === undefined) {
      await this.#storing;
      this.#storeTail();
    }
    const commits = await this.#incoming;
    this.#incoming = undefined;
    if (commits === undefined) return false;
    this.#received += commits.length;
    let events = 0;
    for (const commit of commits) events += commit.events.length;
    const position = commits.at(-1)?.position ?? 0;
    this.#parts.progress.delivered(commits.length, events, position, this.#source.pending ?? 0);
    this.#planner.push(commits);
    return true;
  }

  /** While the unit before is being stored, and for `batchMs`, more events make a unit that costs hardly more. */
  async #gather(): Promise<void> {
    const until = performance.now() + this.#parts.batchMs;
    while (this.#planner.waitingEvents < ENOUGH_EVENTS) {
      const leftMs = until - performance.now();
      if (this.#storing === undefined && leftMs <= 0) return;
      this.#incoming ??= this.#source.nextBatch();
      const more = this.#incoming.then(isThere);
      const over = this.#storing?.then(() => undefined);
      const came = over === undefined ? within(more, leftMs) : Promise.race([more, over]);
      if ((await came) === undefined) continue;
      if (!(await this.#receive())) return;
    }
  }

  async #applyNext(): Promise<AppliedUnit | undefined> {
    const { backend, progress, signal } = this.#parts;
    const plan = this.#planner.plan(this.#cache);
    const plannedAt = performance.now();
    const fetched =
      plan.missing.size === 0 ? NOTHING : await backend.fetch([...plan.missing], signal);
    const fetchedAt = performance.now();
    const applied = this.#apply(plan, fetched);
    if (applied === undefined) {
      progress.replans++;
      return undefined;
    }
    const { position } = applied.checkpoint;
    const whole = this.#planner.advance(applied.checkpoint);
    const completeTo = whole ? position : position - 1;
    const appliedAt = performance.now();
    const times = { fetchMs: fetchedAt - plannedAt, applyMs: appliedAt - fetchedAt };
    // What was delivered and not applied is behind too: of a unit that fails, at least the commit on which it does.
    const lagCommits = this.#planner.waitingCommits + progress.pending;
    return { ...applied, ...times, completeTo, fetched: plan.missing.size, lagCommits };
  }

  /** Applies a unit; undefined where the cache has moved on since it was planned. */
  #apply(plan: UnitPlan, fetched: ReadonlyMap<StateKey, unknown>): Applied | undefined {
    if (isVoid(plan, this.#cache)) return undefined;
    this.#cache.rotateTo(plan.generation);
    this.#unit.begin();
    const deadLetters: DeadLetter[] = [];
    let end: Checkpoint | undefined;
    let failure: Applied["failure"];
    for (const planned of plan.events) {
      try {
        if (planned.failure !== undefined) throw this.#failed(planned);
        const event = planned.event as RecordedEvent<Events>;
        if (!this.#unit.apply(event, planned.keys, fetched)) {
          return this.#applied(end ?? this.#latest, deadLetters, plan, undefined);
        }
      } catch (error) {
        if (!(error instanceof ProjectionFailedError)) {
          this.#unit.refuse();
          throw error;
        }
        if (!this.#parts.park) {
          failure = { error };
          return this.#applied(end ?? this.#latest, deadLetters, plan, failure);
        }
        // It ends its unit, so that a batch holds one at most.
        deadLetters.push(letterOf(error));
        return this.#applied(planned.end, deadLetters, plan, undefined);
      }
      end = planned.end;
    }
    return this.#applied(plan.end, deadLetters, plan, undefined);
  }

  #failed({ event, failure }: PlannedEvent): ProjectionFailedError {
    return new ProjectionFailedError(this.#parts.projection.name, event, failure?.error);
  }

  #applied(
    checkpoint: Checkpoint,
    deadLetters: readonly DeadLetter[],
    { recordedAtMs, events }: UnitPlan,
    failure: Applied["failure"],
  ): Applied {
    this.#latest = checkpoint;
    const changes = this.#unit.cells();
    const headers = headersOf(events, checkpoint.applied);
    return { changes, deadLetters, checkpoint, recordedAtMs, headers, failure };
  }

  #store(applied: AppliedUnit): void {
    const { backend, progress, signal } = this.#parts;
    const { changes, deadLetters, checkpoint } = applied;
    const unsaved = this.#received - this.#savedReceived;
    progress.parked += deadLetters.length;
    const nothing = changes.length === 0 && deadLetters.length === 0;
    const startedAt = performance.now();
    const unit = {
      changes,
      deadLetters,
      checkpoint: { ...checkpoint, complete: applied.completeTo },
    };
    // State in memory is told of each unit: that costs nothing.
    const idle = nothing && unsaved < MAX_UNSAVED_COMMITS && !this.#cache.complete;
    const storing = idle ? undefined : backend.commit(unit, signal);
    if (storing === undefined) {
      if (!nothing) this.#keepSaved(checkpoint);
      this.#tellStored(applied, 0);
      return;
    }
    this.#follow(storing, () => {
      this.#keepSaved(checkpoint);
      this.#tellStored(applied, performance.now() - startedAt);
    });
  }

  #tellStored(unit: AppliedUnit, storeMs: number): void {
    const { progress, projection, internals } = this.#parts;
    const { checkpoint, completeTo, recordedAtMs } = unit;
    const events = checkpoint.applied - progress.applied;
    progress.stored(completeTo, checkpoint.applied, recordedAtMs);
    if (!projectionChannels.unit.hasSubscribers) return;
    const { fetched, fetchMs, applyMs, lagCommits, headers } = unit;
    projectionChannels.unit.publish({
      stream: internals.context.stream,
      projection: projection.name,
      version: projection.version,
      events,
      changes: unit.changes.length,
      fetched,
      fetchMs,
      applyMs,
      storeMs,
      position: completeTo,
      lagCommits,
      headers,
    });
  }

  /** Whether events have taken effect that changed nothing, so that nothing was stored for them. */
  get #hasTail(): boolean {
    const { position, taken } = this.#latest;
    const saved = this.#saved;
    if (this.#cache.complete) return false;
    return position > saved.position || (position === saved.position && taken > saved.taken);
  }

  #storeTail(): void {
    const { backend, signal, progress } = this.#parts;
    const checkpoint = { ...this.#latest, complete: progress.position };
    const storing = backend.commit({ changes: [], deadLetters: [], checkpoint }, signal);
    if (storing === undefined) this.#keepSaved(checkpoint);
    else this.#follow(storing, () => this.#keepSaved(checkpoint));
  }

  #keepSaved(checkpoint: Checkpoint): void {
    this.#saved = checkpoint;
    this.#savedReceived = this.#received;
  }

  #follow(storing: Promise<void>, onStored: () => void): void {
    this.#storing = storing.then(
      () => {
        this.#storing = undefined;
        onStored();
      },
      (error: unknown) => {
        this.#storing = undefined;
        this.fail(error);
      },
    );
  }
}

function letterOf({ event, cause }: ProjectionFailedError): DeadLetter {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return { ...event, reason: reason.slice(0, MAX_REASON) };
}

function isThere(): true {
  return true;
}
