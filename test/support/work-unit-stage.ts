import { Generations } from "../../src/projection/generations.ts";
import { stateKey } from "../../src/projection/state-key.ts";
import { type UnitLimits, WorkUnit } from "../../src/projection/work-unit.ts";
import {
  type Script,
  type ScriptTables,
  scriptedEvent,
  scriptedProjection,
  type Step,
} from "./projection-script.ts";

export const ROOMY: UnitLimits = { maxKeys: 100, maxBytes: 1e6, maxValueBytes: 1e6 };
/** Spans of a generation. */
export const caches = [
  ["two generations", 2] as const,
  ["the whole state", Number.POSITIVE_INFINITY] as const,
];

/** A unit of work on an empty cache, with scripted events. */
export interface Stage {
  readonly cache: Generations;
  readonly unit: WorkUnit<Script, ScriptTables>;
  /** What `get` and `deleteIfPresent` gave. */
  readonly reads: unknown[];
  /** Applies an event of the next commit. */
  readonly run: (
    steps: readonly Step[],
    declares?: readonly string[],
    fetched?: Readonly<Record<string, unknown>>,
  ) => boolean;
  /** What is to be stored. */
  readonly changed: () => Record<string, unknown>;
}

export function stage({
  span = 2,
  limits = ROOMY,
}: {
  span?: number;
  limits?: UnitLimits;
} = {}): Stage {
  const cache = new Generations(span);
  const reads: unknown[] = [];
  const unit = new WorkUnit(scriptedProjection(reads), cache, "msgpack", limits);
  unit.begin();
  let position = 0;
  return {
    cache,
    unit,
    reads,
    run: (steps, declares, fetched = {}) => {
      const event = scriptedEvent(steps, declares, { position: ++position });
      return unit.apply(
        event,
        event.data.declares.map((id) => stateKey("t", id)),
        new Map(Object.entries(fetched).map(([id, value]) => [stateKey("t", id), value])),
      );
    },
    changed: () => Object.fromEntries(unit.cells().map(({ key, cell }) => [key, cell])),
  };
}

/** What a function throws. */
export function failureOf(attempt: () => unknown): unknown {
  try {
    attempt();
  } catch (error) {
    return error;
  }
  throw new Error("nothing failed");
}
