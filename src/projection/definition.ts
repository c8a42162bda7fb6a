import { InvalidArgumentError } from "../errors.ts";
import type { ActorType, EventMap, RecordedEvent } from "../store/event.ts";
import { validateActorType } from "../store/subject.ts";
import { type StateKey, stateKey } from "./state-key.ts";

/** A value as projections hand it out: plain data that nobody may change in place. */
export type Immutable<Value> = Value extends Date | Uint8Array
  ? Value
  : Value extends object
    ? { readonly [Key in keyof Value]: Immutable<Value[Key]> }
    : Value;

declare const valueOfTable: unique symbol;

/** A named table of a projection's state: text keys, plain values. Made by {@link table}. */
export interface TableDefinition<Value = unknown> {
  readonly kind: "table";
  /** Only there for the compiler. */
  readonly [valueOfTable]?: Value;
}

/** The tables of a projection, by name: a letter followed by letters, digits, `_` and `-`. */
export type TableMap = { readonly [name: string]: TableDefinition };

/** The type of a table's values. */
export type ValueOf<Table> = Table extends TableDefinition<infer Value> ? Value : never;

/**
 * Declares a table whose values are `Value`: plain data (null, booleans, numbers, strings, bigints, dates, bytes, lists
 * and objects of these), never changed in place.
 *
 * @example const tables = { balance: table<bigint>(), holder: table<{ name: string }>() };
 */
export function table<Value>(): TableDefinition<Value> {
  return { kind: "table" };
}

/** Which events a projection applies: by actor type, the event types, or `"all"`. */
export type EventSelection<Events extends EventMap> = {
  readonly [Type in ActorType<Events>]?: readonly Events[Type]["type"][] | "all";
};

/** The events that a selection takes. */
export type SelectedEvent<Events extends EventMap, Selection> = {
  [Type in ActorType<Events> &
    keyof Selection]: Selection[Type] extends readonly (infer EventType)[]
    ? Extract<RecordedEvent<Events, Type>, { readonly type: EventType }>
    : RecordedEvent<Events, Type>;
}[ActorType<Events> & keyof Selection];

/** What `keys` names the state keys with. */
export type KeyTables<Tables extends TableMap> = {
  readonly [Name in keyof Tables]: { readonly key: (id: string) => StateKey };
};

/** A table as `apply` sees it. Keys are any non-empty well-formed text. */
export interface StateTable<Value> {
  readonly key: (id: string) => StateKey;
  /**
   * The value, or undefined. The key must be among those that `keys` declared for this event.
   *
   * @throws {CoverageError}
   */
  get(id: string): Immutable<Value> | undefined;
  /** Sets the value; needs no declaration. */
  put(id: string, value: Immutable<Value>): void;
  /**
   * Deletes a declared key that must be there.
   *
   * @throws {CoverageError}, {StateKeyMissingError}
   */
  delete(id: string): void;
  /** Deletes a declared key; false, and nothing is written, where it is not there. */
  deleteIfPresent(id: string): boolean;
}

/** The state of a projection as `apply` sees it. */
export type StateTables<Tables extends TableMap> = {
  readonly [Name in keyof Tables]: StateTable<ValueOf<Tables[Name]>>;
};

/** What `defineProjection` takes. */
export interface ProjectionDefinition<
  Events extends EventMap,
  Selection extends EventSelection<Events>,
  Tables extends TableMap,
> {
  /** A letter followed by letters, digits, `_` and `-`, at most 64 characters. */
  readonly name: string;
  /** A whole number from 1; raise it when `keys`, `apply`, `tables` or `events` change: the state is then built anew. */
  readonly version: number;
  readonly events: Selection & {
    // Beside an actor type that there is, TypeScript itself would let any other pass.
    readonly [Type in Exclude<keyof Selection, ActorType<Events>>]: never;
  };
  readonly tables: Tables;
  /** Versions of rules from elsewhere that the state depends on; state made under others is refused. @default none */
  readonly policies?: Readonly<Record<string, number>> | undefined;
  /**
   * The state keys that `apply` reads or deletes for an event; they are fetched ahead. Pure.
   * @default none
   */
  readonly keys?: (
    event: SelectedEvent<Events, Selection>,
    tables: KeyTables<Tables>,
  ) => readonly StateKey[];
  /**
   * Changes the state by one event. Synchronous, and a pure function of the event and the state: no clock, no
   * randomness, no I/O. May run more than once for an event; takes effect once.
   */
  readonly apply: (event: SelectedEvent<Events, Selection>, tables: StateTables<Tables>) => void;
}

/** A checked definition of a projection; what `startProjector`, `check` and the test kit take. */
export interface Projection<
  Events extends EventMap = EventMap,
  Tables extends TableMap = TableMap,
> {
  readonly name: string;
  readonly version: number;
  readonly tables: Tables;
  readonly policies: Readonly<Record<string, number>>;
  /** Event types by actor type; undefined for all of that actor type. */
  readonly selection: ReadonlyMap<string, ReadonlySet<string> | undefined>;
  keys(event: RecordedEvent<Events>, tables: KeyTables<Tables>): readonly StateKey[];
  apply(event: RecordedEvent<Events>, tables: StateTables<Tables>): void;
}

/**
 * Defines a projection: which events it applies, and how they change its tables.
 *
 * @throws {InvalidArgumentError} naming the part of the definition
 * @example
 * const balances = defineProjection<Bank>()({
 *   name: "balances",
 *   version: 1,
 *   events: { account: ["Deposited", "Withdrawn"] },
 *   tables: { balance: table<bigint>() },
 *   keys: (event, t) => [t.balance.key(event.actor.id)],
 *   apply: (event, t) => {
 *     const sign = event.type === "Deposited" ? 1n : -1n;
 *     const { id } = event.actor;
 *     t.balance.put(id, (t.balance.get(id) ?? 0n) + sign * event.data.amount);
 *   },
 * });
 */
export function defineProjection<Events extends EventMap>(): <
  const Selection extends EventSelection<Events>,
  const Tables extends TableMap,
>(
  definition: ProjectionDefinition<Events, Selection, Tables>,
) => Projection<Events, Tables> {
  return (definition) => {
    const { name, version, tables, policies = {} } = definition;
    checkName("name", name);
    checkVersion("version", version);
    if (typeof tables !== "object" || tables === null || Object.keys(tables).length === 0) {
      throw new InvalidArgumentError("tables", "at least one table", tables);
    }
    for (const tableName of Object.keys(tables)) checkName(`tables.${tableName}`, tableName);
    for (const [policy, number] of Object.entries(policies)) {
      checkVersion(`policies.${policy}`, number);
    }
    checkFunction("apply", definition.apply);
    if (definition.keys !== undefined) checkFunction("keys", definition.keys);
    // The source hands over no other events than the selected ones.
    const erased = definition as unknown as {
      keys?: Projection<Events, typeof tables>["keys"];
      apply: Projection<Events, typeof tables>["apply"];
    };
    return {
      name,
      version,
      tables,
      policies: { ...policies },
      selection: readSelection(definition.events),
      keys: erased.keys ?? (() => []),
      apply: erased.apply,
    };
  };
}

/** The names of tables and projections. */
export function checkName(argument: string, name: unknown): void {
  if (typeof name === "string" && /^[A-Za-z][A-Za-z0-9_-]{0,63}$/.test(name)) return;
  const expected = "a letter followed by up to 63 letters, digits, _ and -";
  throw new InvalidArgumentError(argument, expected, name);
}

function checkVersion(argument: string, version: unknown): void {
  if (typeof version === "number" && Number.isSafeInteger(version) && version >= 1) return;
  throw new InvalidArgumentError(argument, "a whole number from 1", version);
}

function checkFunction(argument: string, value: unknown): void {
  if (typeof value !== "function") throw new InvalidArgumentError(argument, "a function", value);
}

export function readSelection(events: unknown): Map<string, ReadonlySet<string> | undefined> {
  if (typeof events !== "object" || events === null || Object.keys(events).length === 0) {
    throw new InvalidArgumentError("events", "event types by actor type", events);
  }
  const selection = new Map<string, ReadonlySet<string> | undefined>();
  for (const [actorType, types] of Object.entries(events)) {
    const argument = `events.${actorType}`;
    validateActorType(actorType, argument);
    if (types === "all") selection.set(actorType, undefined);
    else if (Array.isArray(types) && types.length > 0 && types.every(isText)) {
      selection.set(actorType, new Set(types));
    } else {
      throw new InvalidArgumentError(argument, 'a list of event types, or "all"', types);
    }
  }
  return selection;
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

/** What names the keys of these tables. */
export function keyTables<Tables extends TableMap>(tables: Tables): KeyTables<Tables> {
  const named: Record<string, { key: (id: string) => StateKey }> = {};
  for (const name of Object.keys(tables)) named[name] = { key: (id) => stateKey(name, id) };
  return named as KeyTables<Tables>;
}
