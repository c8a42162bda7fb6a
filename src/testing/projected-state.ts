import { toJson } from "../internal/json.ts";
import { BEGINNING } from "../projection/checkpoint.ts";
import type {
  Immutable,
  Projection,
  StateTable,
  StateTables,
  TableMap,
  ValueOf,
} from "../projection/definition.ts";
import { ProjectionFailedError } from "../projection/errors.ts";
import { Generations } from "../projection/generations.ts";
import { splitStateKey, stateKey } from "../projection/state-key.ts";
import { UnitPlanner } from "../projection/unit-planner.ts";
import { WorkUnit } from "../projection/work-unit.ts";
import type { EventMap, RecordedEvent } from "../store/event.ts";
import { type GivenEvent, recordEvents } from "./given-events.ts";
import { Immutability } from "./immutability.ts";

/** A table of a state that a test looks at. */
export interface ProjectedTable<Value> {
  /** The value; undefined where there is none. */
  get(id: string): Immutable<Value> | undefined;
  /** All entries, sorted by id. */
  entries(): ReadonlyMap<string, Immutable<Value>>;
}

/** The tables of a state that a test looks at. */
export type ProjectedTables<Tables extends TableMap> = {
  readonly [Name in keyof Tables]: ProjectedTable<ValueOf<Tables[Name]>>;
};

const UNLIMITED = Number.POSITIVE_INFINITY;
const LIMITS = { maxKeys: UNLIMITED, maxBytes: UNLIMITED, maxValueBytes: UNLIMITED };

/** What a projection makes of events. Made by {@link stateOf}; never changes. */
export class ProjectedState<Events extends EventMap, Tables extends TableMap> {
  readonly tables: ProjectedTables<Tables>;
  readonly #projection: Projection<Events, Tables>;
  readonly #events: readonly RecordedEvent<Events>[];

  /** @internal see {@link stateOf} */
  constructor(projection: Projection<Events, Tables>, events: readonly RecordedEvent<Events>[]) {
    this.#projection = projection;
    this.#events = events;
    this.tables = tablesOf(projection.tables, fold(projection, events));
  }

  /**
   * The state after these events, behind those that were given before. Events that the projection does not select are
   * passed over, as a projector does.
   *
   * @throws {CoverageError} `apply` read or deleted what `keys` had not declared
   * @throws {ProjectionFailedError} `keys` or `apply` threw, or changed in place what it was handed
   * @throws {InvalidArgumentError}, {UnserialisableValueError} an event could not be appended
   */
  after(events: readonly GivenEvent<Events>[]): ProjectedState<Events, Tables> {
    const all = [...this.#events, ...recordEvents(this.#events, events)];
    return new ProjectedState(this.#projection, all);
  }

  /** Tables, their ids and values, as JSON has them: bigints as text, dates in ISO 8601, bytes as base64. */
  toJSON(): unknown {
    const names = Object.keys(this.#projection.tables);
    const tables = names.map((name) => [name, Object.fromEntries(this.#table(name).entries())]);
    return JSON.parse(toJson(Object.fromEntries(tables)));
  }

  #table(name: keyof Tables): ProjectedTable<unknown> {
    return this.tables[name];
  }
}

/**
 * The empty state of a projection, to be looked at `after` events: the quickest test, without a server, through the same
 * gate as in a projector. What `apply` is handed is frozen, so that a projection that changes a value in place fails.
 *
 * @example
 * const state = stateOf(balances).after([
 *   { actor: { type: "account", id: "alice" }, type: "Deposited", data: { amount: 10n } },
 * ]);
 * expect(state.tables.balance.get("alice")).toBe(10n);
 */
export function stateOf<Events extends EventMap, Tables extends TableMap>(
  projection: Projection<Events, Tables>,
): ProjectedState<Events, Tables> {
  return new ProjectedState(projection, []);
}

/** Applies the events as a projector with its state in memory does. */
function fold<Events extends EventMap, Tables extends TableMap>(
  projection: Projection<Events, Tables>,
  events: readonly RecordedEvent<Events>[],
): Generations {
  const immutability = new Immutability();
  const cache = new Generations(UNLIMITED);
  const planner = new UnitPlanner(
    projection,
    { maxEvents: UNLIMITED, maxKeys: UNLIMITED },
    BEGINNING,
  );
  const unit = new WorkUnit(protecting(projection, immutability), cache, "msgpack", LIMITS);
  planner.push(
    events
      .filter((event) => isSelected(projection, event))
      .map((event) => {
        const { position, commitId, recordedAt } = event;
        const selected = [immutability.protect(event)];
        return {
          position,
          commitId,
          total: 1,
          recordedAtMs: recordedAt.getTime(),
          events: selected,
        };
      }),
  );
  unit.begin();
  for (const { event, keys, failure } of planner.plan(cache).events) {
    if (failure !== undefined) {
      throw new ProjectionFailedError(projection.name, event, failure.error);
    }
    unit.apply(event as RecordedEvent<Events>, keys);
  }
  return cache;
}

function isSelected<Events extends EventMap>(
  { selection }: Pick<Projection<Events>, "selection">,
  { actorType, type }: RecordedEvent<Events>,
): boolean {
  return selection.has(actorType) && (selection.get(actorType)?.has(type) ?? true);
}

/** The projection with an `apply` that cannot change in place what it is handed, and hands over. */
function protecting<Events extends EventMap, Tables extends TableMap>(
  projection: Projection<Events, Tables>,
  immutability: Immutability,
): Projection<Events, Tables> {
  return {
    ...projection,
    apply: (event, tables) => {
      const guarded = Object.entries<StateTable<unknown>>(tables).map(([name, inner]) => {
        const outer: StateTable<unknown> = {
          ...inner,
          get: (id) => immutability.protect(inner.get(id)),
          put: (id, value) => inner.put(id, immutability.protect(value)),
        };
        return [name, outer];
      });
      immutability.protect(event);
      const result: unknown = projection.apply(
        event,
        Object.fromEntries(guarded) as StateTables<Tables>,
      );
      immutability.verify();
      // An `apply` that returns a promise is refused as in a projector.
      return result as undefined;
    },
  };
}

function tablesOf<Tables extends TableMap>(
  tables: Tables,
  cache: Generations,
): ProjectedTables<Tables> {
  const byTable = new Map<string, [id: string, value: unknown][]>();
  for (const [key, value] of cache.entries()) {
    const { table, id } = splitStateKey(key);
    const entries = byTable.get(table) ?? [];
    entries.push([id, value]);
    byTable.set(table, entries);
  }
  const projected: Record<string, ProjectedTable<unknown>> = {};
  for (const name of Object.keys(tables)) {
    const sorted = (byTable.get(name) ?? []).sort(([a], [b]) => (a < b ? -1 : 1));
    projected[name] = {
      get: (id) => cache.get(stateKey(name, id)),
      entries: () => new Map(sorted),
    };
  }
  return projected as ProjectedTables<Tables>;
}
