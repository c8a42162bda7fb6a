import { ClosedError, StreamRolledBackError } from "../errors.ts";
import type { EventMap, RecordedEvent } from "../store/event.ts";
import type { StoreInternals } from "../store/internals.ts";
import type { StreamSubscription } from "../store/subscription.ts";
import type { ExpectedState } from "./check-expected.ts";
import { BEGINNING, type Checkpoint } from "./checkpoint.ts";
import type { Projection, TableMap } from "./definition.ts";
import { type EventPlace, ProjectionFailedError } from "./errors.ts";
import { openSource, type SourceCommit } from "./event-source.ts";
import type { DeadLetter } from "./state-backend.ts";
import type { StateKey } from "./state-key.ts";
import { type PlannedEvent, UnitPlanner } from "./unit-planner.ts";
import { WorkUnit } from "./work-unit.ts";

/** What a derivation works with. */
export interface DerivationParts<Events extends EventMap, Tables extends TableMap> {
  readonly internals: StoreInternals;
  readonly projection: Projection<Events, Tables>;
  readonly expected: ExpectedState;
  /** Whether the projector that is checked set an event aside that failed here. */
  readonly isParked: (event: EventPlace) => Promise<boolean>;
  readonly signal: AbortSignal;
}

const MAX_UNIT_EVENTS = 4_096;
const NOTHING: ReadonlyMap<StateKey, unknown> = new Map();

/** Derives the state of a projection from the stream alone, from its beginning up to places that only move forward. */
export class Derivation<Events extends EventMap, Tables extends TableMap> {
  readonly #parts: DerivationParts<Events, Tables>;
  readonly #planner: UnitPlanner<Events, Tables>;
  readonly #unit: WorkUnit<Events, Tables>;
  readonly #source: StreamSubscription<SourceCommit>;
  #checkpoint = BEGINNING;
  /** Commits that were read, and lie behind the place that was asked for. */
  #held: readonly SourceCommit[] = [];

  constructor(parts: DerivationParts<Events, Tables>) {
    const { projection, expected, internals, signal } = parts;
    const limits = { maxEvents: MAX_UNIT_EVENTS, maxKeys: expected.maxFetchKeys };
    this.#parts = parts;
    this.#planner = new UnitPlanner(projection, limits, BEGINNING);
    this.#unit = new WorkUnit(projection, expected.cache, expected.format, expected.limits);
    this.#source = openSource(internals, projection.selection, { checkpoint: BEGINNING }, signal);
  }

  /** How far the state is derived. */
  get checkpoint(): Checkpoint {
    return this.#checkpoint;
  }

  /**
   * Applies what lies before a place, which must be one of the stream.
   *
   * @param onPosition told of the position that was come to, now and then
   * @returns false where the state is derived beyond it already
   * @throws what the stream cannot be read for, or the projection cannot go on with
   */
  async advanceTo(place: Checkpoint, onPosition?: (position: number) => void): Promise<boolean> {
    if (isBefore(place, this.#checkpoint)) return false;
    while (isBefore(this.#checkpoint, place)) {
      this.#planner.push(await this.#receive(place));
      while (!this.#planner.empty) await this.#applyNext();
      onPosition?.(this.#checkpoint.position);
    }
    return true;
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  /** The next commits up to the place; the commit that it cuts is cut. */
  async #receive(place: Checkpoint): Promise<readonly SourceCommit[]> {
    const { signal, internals } = this.#parts;
    const commits = this.#held.length > 0 ? this.#held : await this.#source.nextBatch();
    signal.throwIfAborted();
    if (commits === undefined) throw new ClosedError("the store");
    const next = commits.findIndex(({ position }) => position >= place.position);
    const at = commits[next];
    if (at === undefined) {
      this.#held = [];
      return commits;
    }
    if (at.position !== place.position || at.commitId !== place.commitId) {
      const found = at.position === place.position ? at.commitId : undefined;
      const { position, commitId } = place;
      throw new StreamRolledBackError(internals.context.stream, position, commitId, found);
    }
    const rest = at.events.filter(({ index }) => index >= place.taken);
    const isCut = place.taken < at.total;
    this.#held = [...(isCut ? [{ ...at, events: rest }] : []), ...commits.slice(next + 1)];
    const taken = at.events.filter(({ index }) => index < place.taken);
    return [...commits.slice(0, next), { ...at, total: place.taken, events: taken }];
  }

  async #applyNext(): Promise<void> {
    const { expected, signal } = this.#parts;
    const plan = this.#planner.plan(expected.cache);
    const fetched =
      plan.missing.size === 0 ? NOTHING : await expected.fetch([...plan.missing], signal);
    expected.cache.rotateTo(plan.generation);
    this.#unit.begin();
    const deadLetters: DeadLetter[] = [];
    let end: Checkpoint | undefined;
    for (const planned of plan.events) {
      const outcome = await this.#apply(planned, fetched);
      if (outcome === "full") break;
      ({ end } = planned);
      if (outcome === "applied") continue;
      // As with a projector, it ends its unit.
      deadLetters.push(outcome);
      break;
    }
    const isWhole = end === plan.events.at(-1)?.end && deadLetters.length === 0;
    const checkpoint = isWhole || end === undefined ? plan.end : end;
    await expected.commit({ changes: this.#unit.cells(), deadLetters, checkpoint }, signal);
    this.#planner.advance(checkpoint);
    this.#checkpoint = checkpoint;
  }

  /** Applies one event; "full" where it belongs into the next unit, a dead letter where it was set aside. */
  async #apply(
    { event, keys, failure }: PlannedEvent,
    fetched: ReadonlyMap<StateKey, unknown>,
  ): Promise<"applied" | "full" | DeadLetter> {
    const { projection, isParked } = this.#parts;
    try {
      if (failure !== undefined) {
        throw new ProjectionFailedError(projection.name, event, failure.error);
      }
      const fits = this.#unit.apply(event as RecordedEvent<Events>, keys, fetched);
      return fits ? "applied" : "full";
    } catch (error) {
      if (!(error instanceof ProjectionFailedError)) throw error;
      if (!(await isParked(error.event))) throw error;
      return { ...error.event, reason: error.message };
    }
  }
}

/** Whether one place of the stream lies before another. */
function isBefore(one: Checkpoint, other: Checkpoint): boolean {
  if (one.position !== other.position) return one.position < other.position;
  return one.taken < other.taken;
}
