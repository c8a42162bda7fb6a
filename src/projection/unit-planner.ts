import { InvalidArgumentError } from "../errors.ts";
import type { HeaderBlock } from "../nats/header-block.ts";
import type { EventMap, RecordedEvent } from "../store/event.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { type KeyTables, keyTables, type Projection, type TableMap } from "./definition.ts";
import type { SourceCommit } from "./event-source.ts";
import type { Generations } from "./generations.ts";
import type { StateKey } from "./state-key.ts";

/** Events to be applied together, and the keys to be fetched for them. All lie in one generation. */
export interface UnitPlan {
  /** Generation that the cache was in when the plan was made: what it held then decided what is fetched. */
  readonly madeIn: number;
  /** Generation that its events belong to. */
  readonly generation: number;
  readonly events: readonly PlannedEvent[];
  /** Declared keys that the cache will not hold. */
  readonly missing: ReadonlySet<StateKey>;
  /** Checkpoint when all its events are applied. */
  readonly end: Checkpoint;
  /** When the last commit that it touches was recorded. */
  readonly recordedAtMs: number;
}

/** An event with the keys that it declares. */
export interface PlannedEvent {
  readonly event: RecordedEvent;
  readonly keys: readonly StateKey[];
  /** Why `keys` failed on it. */
  readonly failure: { readonly error: unknown } | undefined;
  /** Checkpoint once it is applied. */
  readonly end: Checkpoint;
  /** Of its commit, as `SourceCommit.headers`. */
  readonly headers: HeaderBlock | undefined;
}

/** How large a unit may be. */
export interface PlanLimits {
  readonly maxEvents: number;
  /** Keys fetched for it at most, those of its first event aside. */
  readonly maxKeys: number;
}

/** Waiting commits, cut into units of work. */
export class UnitPlanner<Events extends EventMap, Tables extends TableMap> {
  readonly #projection: Projection<Events, Tables>;
  readonly #keyTables: KeyTables<Tables>;
  readonly #limits: PlanLimits;
  #commits: SourceCommit[] = [];
  #commitAt = 0;
  /** Selected events of the first waiting commit that units have taken. */
  #eventAt = 0;
  #waiting = 0;
  #checkpoint: Checkpoint;

  constructor(projection: Projection<Events, Tables>, limits: PlanLimits, checkpoint: Checkpoint) {
    this.#projection = projection;
    this.#keyTables = keyTables(projection.tables);
    this.#limits = limits;
    this.#checkpoint = checkpoint;
  }

  get empty(): boolean {
    return this.#commitAt >= this.#commits.length;
  }

  /** Selected events that no unit has taken. */
  get waitingEvents(): number {
    return this.#waiting;
  }

  /** Commits that units have not taken whole. */
  get waitingCommits(): number {
    return this.#commits.length - this.#commitAt;
  }

  push(commits: readonly SourceCommit[]): void {
    this.#commits = this.empty
      ? [...commits]
      : [...this.#commits.slice(this.#commitAt), ...commits];
    this.#commitAt = 0;
    for (const { events } of commits) this.#waiting += events.length;
  }

  /** The next unit, at least one waiting commit given; nothing is taken off before {@link advance}. */
  plan(cache: Generations): UnitPlan {
    let end = this.#checkpoint;
    let recordedAtMs = 0;
    const generation = cache.generationOf(end.applied + 1);
    const room = Math.min(this.#limits.maxEvents, cache.lastOf(generation) - end.applied);
    const events: PlannedEvent[] = [];
    const missing = new Set<StateKey>();
    const done = (): UnitPlan => {
      // Without an event, the projection's count stands still, and so does the cache.
      const unitGeneration = events.length === 0 ? cache.generation : generation;
      const madeIn = cache.generation;
      return { madeIn, generation: unitGeneration, events, missing, end, recordedAtMs };
    };
    let eventAt = this.#eventAt;
    for (let at = this.#commitAt; at < this.#commits.length; at++) {
      const commit = this.#commits[at];
      if (commit === undefined) break;
      for (; eventAt < commit.events.length; eventAt++) {
        const event = commit.events[eventAt];
        if (event === undefined || events.length >= room) return done();
        const taken = eventAt === commit.events.length - 1 ? commit.total : event.index + 1;
        const next = behind(commit, taken, end.applied + 1);
        const planned = this.#planEvent(event, next, commit.headers);
        if (!cache.complete && !this.#addMissing(planned, cache, generation, missing))
          return done();
        events.push(planned);
        end = planned.end;
        recordedAtMs = commit.recordedAtMs;
      }
      eventAt = 0;
      if (commit.events.length > 0) continue;
      end = behind(commit, commit.total, end.applied);
      recordedAtMs = commit.recordedAtMs;
    }
    return done();
  }

  /** Takes off what a checkpoint of a unit, its end or earlier, covers; true where it ends with a whole commit. */
  advance(to: Checkpoint): boolean {
    this.#waiting -= to.applied - this.#checkpoint.applied;
    this.#checkpoint = to;
    for (; this.#commitAt < this.#commits.length; this.#commitAt++) {
      const commit = this.#commits[this.#commitAt];
      if (commit === undefined || commit.position > to.position) return true;
      if (commit.position === to.position && to.taken < commit.total) {
        this.#eventAt = commit.events.findIndex(({ index }) => index >= to.taken);
        return false;
      }
      this.#eventAt = 0;
    }
    return true;
  }

  #planEvent(
    event: RecordedEvent,
    end: Checkpoint,
    headers: HeaderBlock | undefined,
  ): PlannedEvent {
    try {
      const keys = this.#projection.keys(event as RecordedEvent<Events>, this.#keyTables);
      if (!Array.isArray(keys)) throw new InvalidArgumentError("keys", "a list of keys", keys);
      return { event, keys, failure: undefined, end, headers };
    } catch (error) {
      return { event, keys: [], failure: { error }, end, headers };
    }
  }

  /** Adds what the cache will lack; false where the unit has others and no room for these. */
  #addMissing(
    { keys }: PlannedEvent,
    cache: Generations,
    generation: number,
    missing: Set<StateKey>,
  ): boolean {
    const lacking = keys.filter((key) => !cache.covers(key, generation) && !missing.has(key));
    if (missing.size > 0 && missing.size + lacking.length > this.#limits.maxKeys) return false;
    for (const key of lacking) missing.add(key);
    return true;
  }
}

/**
 * Whether a plan must be made anew: one for two generations later counted on keys that are gone by then, one for the
 * past on keys that were not there yet.
 */
export function isVoid(plan: UnitPlan, cache: Generations): boolean {
  const age = plan.generation - plan.madeIn;
  return age < 0 || age > 1 || cache.generation !== plan.madeIn;
}

function behind({ position, commitId }: SourceCommit, taken: number, applied: number): Checkpoint {
  return { position, taken, commitId, applied };
}
