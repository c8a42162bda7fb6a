import { InvalidArgumentError } from "../errors.ts";
import type { EventMap, RecordedEvent } from "../store/event.ts";
import type { Projection, StateTable, StateTables, TableMap } from "./definition.ts";
import {
  CoverageError,
  ProjectionFailedError,
  StateKeyMissingError,
  StateTooLargeError,
} from "./errors.ts";
import { type Cell, type Generations, TOMBSTONE } from "./generations.ts";
import { type Meter, plainValue, type ValueFormat } from "./plain-value.ts";
import type { CellChange } from "./state-backend.ts";
import { type StateKey, stateKey } from "./state-key.ts";

/** The last change of a key in a unit. */
export interface Change {
  /** The event that made it. */
  readonly event: RecordedEvent;
  /** Bytes of the new value, about; 0 for a delete. */
  readonly bytes: number;
}

/** What a unit of work may hold. */
export interface UnitLimits {
  /** Keys changed at most. */
  readonly maxKeys: number;
  /** Bytes of the changed values at most. */
  readonly maxBytes: number;
  /** Bytes of one value at most. */
  readonly maxValueBytes: number;
}

interface Undo {
  readonly key: StateKey;
  readonly cell: Cell | undefined;
  readonly change: Change | undefined;
}

const NOTHING: ReadonlyMap<StateKey, unknown> = new Map();
/** Above this many declared keys, a set is faster than the list. */
const FEW_KEYS = 8;
/** About what an entry costs beside its value: subject, headers. */
const ENTRY_BYTES = 150;

/**
 * Applies events to the cached state, one after the other, and remembers what they changed until {@link begin} starts
 * the next unit. It is the gate through which `apply` sees the state: what `keys` did not declare for the event cannot
 * be read or deleted. An event that fails leaves no trace.
 */
export class WorkUnit<Events extends EventMap, Tables extends TableMap> {
  readonly #projection: Projection<Events, Tables>;
  readonly #cache: Generations;
  readonly #format: ValueFormat;
  readonly #limits: UnitLimits;
  readonly #tables: StateTables<Tables>;
  readonly #changes = new Map<StateKey, Change>();
  readonly #undo: Undo[] = [];
  readonly #meter: Meter = { bytes: 0 };
  /** Where the undo list stood when the event began. */
  #mark = 0;
  #bytes = 0;
  #event: RecordedEvent<Events> | undefined;
  #declared: readonly StateKey[] = [];
  #declaredSet: ReadonlySet<StateKey> | undefined;
  #violation: CoverageError | undefined;
  /** What was read last. */
  #readKey: StateKey | undefined;
  #readCell: Cell | undefined;

  constructor(
    projection: Projection<Events, Tables>,
    cache: Generations,
    format: ValueFormat,
    limits: UnitLimits,
  ) {
    this.#projection = projection;
    this.#cache = cache;
    this.#format = format;
    this.#limits = limits;
    const tables: Record<string, StateTable<unknown>> = {};
    for (const name of Object.keys(projection.tables)) tables[name] = this.#table(name);
    this.#tables = tables as StateTables<Tables>;
  }

  /** What changed since {@link begin}: the new cells are in the cache. */
  get changes(): ReadonlyMap<StateKey, Change> {
    return this.#changes;
  }

  /** The new cells of what changed since {@link begin}, as they are to be stored. */
  cells(): CellChange[] {
    const changes: CellChange[] = [];
    for (const [key, { event }] of this.#changes) {
      // Always there: a value, which may be null, or a tombstone.
      const cell = this.#cache.current(key);
      changes.push({ key, cell, position: event.position, index: event.index });
    }
    return changes;
  }

  /** Starts the next unit. */
  begin(): void {
    this.#violation = undefined;
    this.#changes.clear();
    this.#undo.length = 0;
    this.#readKey = undefined;
    this.#mark = 0;
    this.#bytes = 0;
  }

  /** Takes back all that was applied since {@link begin}. */
  refuse(): void {
    this.#rollBackTo(0);
  }

  /**
   * Applies one event. The values that were fetched for its keys are taken with it: one that is not applied leaves
   * none of them in the cache either.
   *
   * @returns false where the unit is full: the event left no trace and belongs into the next one
   * @throws {CoverageError} the unit must be refused; {ProjectionFailedError} the event left no trace
   */
  apply(
    event: RecordedEvent<Events>,
    declared: readonly StateKey[],
    fetched: ReadonlyMap<StateKey, unknown> = NOTHING,
  ): boolean {
    const before = this.#changes.size;
    if (fetched.size > 0) this.#take(declared, fetched);
    this.#event = event;
    this.#declared = declared;
    this.#declaredSet = declared.length > FEW_KEYS ? new Set(declared) : undefined;
    try {
      const result: unknown = this.#projection.apply(event, this.#tables);
      if (isThenable(result)) {
        result.then(undefined, () => {});
        throw new InvalidArgumentError(
          "apply",
          "a synchronous function",
          "one that returns a promise",
        );
      }
    } catch (error) {
      this.#rollBackTo(this.#mark);
      throw this.#violation ?? new ProjectionFailedError(this.#projection.name, event, error);
    } finally {
      this.#event = undefined;
    }
    // A violation counts also where apply caught the error.
    if (this.#violation !== undefined) throw this.#violation;
    const { maxKeys, maxBytes } = this.#limits;
    if (this.#changes.size > maxKeys || this.#bytes > maxBytes)
      return this.#overflow(event, before);
    this.#mark = this.#undo.length;
    return true;
  }

  #take(keys: readonly StateKey[], fetched: ReadonlyMap<StateKey, unknown>): void {
    for (const key of keys) {
      const value = fetched.get(key);
      if (value === undefined || !this.#cache.take(key, value)) continue;
      this.#undo.push({ key, cell: undefined, change: undefined });
    }
  }

  #overflow(event: RecordedEvent<Events>, keysBefore: number): boolean {
    const keys = this.#changes.size;
    const bytes = this.#bytes;
    this.#rollBackTo(this.#mark);
    if (keysBefore > 0) return false;
    const { maxKeys, maxBytes } = this.#limits;
    const cause =
      keys > maxKeys
        ? new StateTooLargeError("what one event changes", keys, maxKeys, "keys")
        : new StateTooLargeError("what one event changes", bytes, maxBytes, "bytes");
    throw new ProjectionFailedError(this.#projection.name, event, cause);
  }

  #table(name: string): StateTable<unknown> {
    return {
      key: (id) => stateKey(name, id),
      get: (id) => {
        const key = stateKey(name, id);
        this.#admit(key, "read");
        const cell = this.#cache.get(key);
        this.#readKey = key;
        this.#readCell = cell;
        return cell === TOMBSTONE ? undefined : cell;
      },
      put: (id, value) => this.#put(stateKey(name, id), value),
      delete: (id) => {
        const key = stateKey(name, id);
        if (!this.#delete(key)) throw new StateKeyMissingError(key);
      },
      deleteIfPresent: (id) => this.#delete(stateKey(name, id)),
    };
  }

  #put(key: StateKey, value: unknown): void {
    const event = this.#current();
    this.#meter.bytes = 0;
    const plain = plainValue(value, this.#format, key, this.#meter);
    const { bytes } = this.#meter;
    const { maxValueBytes } = this.#limits;
    if (bytes > maxValueBytes) throw new StateTooLargeError(key, bytes, maxValueBytes, "bytes");
    this.#note(key, event, bytes + ENTRY_BYTES);
    this.#cache.put(key, plain);
  }

  #delete(key: StateKey): boolean {
    const event = this.#current();
    this.#admit(key, "deleted");
    const cell = this.#cache.get(key);
    if (cell === undefined || cell === TOMBSTONE) return false;
    this.#note(key, event, ENTRY_BYTES);
    return this.#cache.delete(key);
  }

  /** Remembers a change that is about to be made, and how to undo it. */
  #note(key: StateKey, event: RecordedEvent, bytes: number): void {
    if (this.#cache.complete) {
      // Nothing is stored elsewhere, so nobody asks what changed. Most events put what they have just read.
      const known = this.#readKey === key ? this.#readCell : this.#cache.current(key);
      this.#readKey = undefined;
      this.#undo.push({ key, cell: known, change: undefined });
      return;
    }
    const cell = this.#cache.current(key);
    const change = this.#changes.get(key);
    this.#undo.push({ key, cell, change });
    this.#changes.set(key, { event, bytes });
    this.#bytes += bytes - (change?.bytes ?? 0);
  }

  #rollBackTo(mark: number): void {
    this.#readKey = undefined;
    for (const { key, cell, change } of this.#undo.splice(mark).toReversed()) {
      this.#bytes += (change?.bytes ?? 0) - (this.#changes.get(key)?.bytes ?? 0);
      this.#cache.restore(key, cell);
      if (change === undefined) this.#changes.delete(key);
      else this.#changes.set(key, change);
    }
    this.#mark = mark;
  }

  #admit(key: StateKey, what: "read" | "deleted"): void {
    const event = this.#current();
    const declared = this.#declaredSet?.has(key) ?? this.#declared.includes(key);
    if (declared) return;
    this.#violation ??= new CoverageError(this.#projection.name, event, key, what);
    throw this.#violation;
  }

  #current(): RecordedEvent<Events> {
    if (this.#event !== undefined) return this.#event;
    throw new InvalidArgumentError(
      "tables",
      "to be used while apply runs",
      "a use after it returned",
    );
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    "then" in value &&
    typeof value.then === "function"
  );
}
