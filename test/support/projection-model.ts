import { BEGINNING, type Checkpoint } from "../../src/projection/checkpoint.ts";
import { ProjectionFailedError } from "../../src/projection/errors.ts";
import type { SourceCommit } from "../../src/projection/event-source.ts";
import { Generations, TOMBSTONE } from "../../src/projection/generations.ts";
import type { CellChange } from "../../src/projection/state-backend.ts";
import type { StateKey } from "../../src/projection/state-key.ts";
import {
  isVoid,
  type PlanLimits,
  type UnitPlan,
  UnitPlanner,
} from "../../src/projection/unit-planner.ts";
import { type UnitLimits, WorkUnit } from "../../src/projection/work-unit.ts";
import {
  type Script,
  type ScriptEvent,
  type ScriptTables,
  scriptedProjection,
} from "./projection-script.ts";

/** What survives a crash: values and checkpoint, which change together. */
export class DurableModel {
  readonly values = new Map<string, unknown>();
  checkpoint: Checkpoint = BEGINNING;
  /** Deletes of keys that were not there. */
  vainDeletes = 0;

  store({ changes, checkpoint }: StoredUnit): void {
    for (const { key, cell } of changes) {
      if (cell !== TOMBSTONE) this.values.set(key, cell);
      else if (!this.values.delete(key)) this.vainDeletes++;
    }
    this.checkpoint = checkpoint;
  }
}

/** A unit on its way into the durable state. */
export interface StoredUnit {
  readonly changes: readonly CellChange[];
  readonly checkpoint: Checkpoint;
}

/** How a run cuts the stream. */
export interface RunShape extends PlanLimits {
  /** Commits that come at once. */
  readonly batchCommits: number;
  /** Keys that a unit changes at most. */
  readonly maxChanges: number;
}

/**
 * One run of a projector without a server: plan, fetch, apply, store, where the unit before may still be on its way
 * while keys are fetched. An event that fails counts as applied, and leaves no trace.
 */
export class ModelRun {
  readonly cache: Generations;
  readonly #durable: DurableModel;
  readonly #planner: UnitPlanner<Script, ScriptTables>;
  readonly #unit: WorkUnit<Script, ScriptTables>;
  readonly #shape: RunShape;
  #ahead: readonly SourceCommit[];
  #storing: StoredUnit | undefined;

  constructor(
    durable: DurableModel,
    commits: readonly SourceCommit[],
    span: number,
    shape: RunShape,
  ) {
    const { checkpoint } = durable;
    const projection = scriptedProjection();
    const limits: UnitLimits = { maxKeys: shape.maxChanges, maxBytes: 1e9, maxValueBytes: 1e9 };
    this.cache = new Generations(span);
    this.cache.rotateTo(this.cache.generationOf(Math.max(1, checkpoint.applied)));
    this.#durable = durable;
    this.#shape = shape;
    this.#ahead = behind(commits, checkpoint);
    this.#planner = new UnitPlanner(projection, shape, checkpoint);
    this.#unit = new WorkUnit(projection, this.cache, "msgpack", limits);
  }

  get done(): boolean {
    return this.#planner.empty && this.#ahead.length === 0;
  }

  /** Fetches and applies one unit; `early` fetches before the one before it is stored. */
  step(early: boolean): Checkpoint {
    if (this.#planner.empty) {
      this.#planner.push(this.#ahead.slice(0, this.#shape.batchCommits));
      this.#ahead = this.#ahead.slice(this.#shape.batchCommits);
    }
    if (!early) this.settle();
    const plan = this.#planner.plan(this.cache);
    if (isVoid(plan, this.cache)) throw new Error("a plan is void as soon as it is made");
    const fetched = this.#fetch(plan.missing);
    const checkpoint = this.#apply(plan, fetched);
    this.#planner.advance(checkpoint);
    this.settle();
    this.#storing = { changes: this.#unit.cells(), checkpoint };
    return checkpoint;
  }

  /** What is on its way arrives. */
  settle(): void {
    this.copyUnsettled(this.#durable);
    this.#storing = undefined;
  }

  /** What is on its way, as it will arrive. */
  copyUnsettled(into: DurableModel): void {
    if (this.#storing !== undefined) into.store(this.#storing);
  }

  #fetch(keys: ReadonlySet<StateKey>): Map<StateKey, unknown> {
    const found = new Map<StateKey, unknown>();
    for (const key of keys) {
      if (this.#durable.values.has(key)) found.set(key, this.#durable.values.get(key));
    }
    return found;
  }

  #apply(plan: UnitPlan, fetched: ReadonlyMap<StateKey, unknown>): Checkpoint {
    this.cache.rotateTo(plan.generation);
    this.#unit.begin();
    let end: Checkpoint | undefined;
    for (const { event, keys, end: next } of plan.events) {
      try {
        if (!this.#unit.apply(event as ScriptEvent, keys, fetched)) {
          if (end === undefined) throw new Error("a unit is full before its first event");
          return end;
        }
      } catch (error) {
        if (!(error instanceof ProjectionFailedError)) throw error;
      }
      end = next;
    }
    return plan.end;
  }
}

/** The commits as the stream hands them over behind a checkpoint. */
function behind(commits: readonly SourceCommit[], { position, taken }: Checkpoint): SourceCommit[] {
  return commits
    .filter(
      (commit) =>
        commit.position > position || (commit.position === position && taken < commit.total),
    )
    .map((commit) =>
      commit.position === position
        ? { ...commit, events: commit.events.filter(({ index }) => index >= taken) }
        : commit,
    );
}

/** What the events make of the table `t`, told without any of the code under test. */
export function naiveFold(commits: readonly SourceCommit[]): Map<string, unknown> {
  let state = new Map<string, unknown>();
  for (const { events } of commits) {
    for (const event of events) state = foldEvent(state, event as ScriptEvent) ?? state;
  }
  return state;
}

/** The state after an event; undefined where it fails. */
function foldEvent(
  before: ReadonlyMap<string, unknown>,
  { data }: ScriptEvent,
): Map<string, unknown> | undefined {
  const state = new Map(before);
  for (const [what, id, value] of data.steps) {
    const key = `t.${id}`;
    switch (what) {
      case "get":
        break;
      case "put":
        state.set(key, value);
        break;
      case "add":
        state.set(key, Number(state.get(key) ?? 0) + value);
        break;
      case "delete":
        if (!state.delete(key)) return undefined;
        break;
      case "deleteIfPresent":
        state.delete(key);
        break;
      case "throw":
        return undefined;
    }
  }
  return state;
}
