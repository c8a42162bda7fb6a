import type { SharedCheckpoint } from "./checkpoint.ts";
import type { Cell, Generations } from "./generations.ts";
import type { ValueFormat } from "./plain-value.ts";
import type { StateKey } from "./state-key.ts";
import type { UnitLimits } from "./work-unit.ts";

/** One changed key of a unit: its new cell, and the event that changed it last. */
export interface CellChange {
  readonly key: StateKey;
  readonly cell: Cell;
  readonly position: number;
  readonly index: number;
}

/** An event that `apply` could not take and that was set aside. */
export interface DeadLetter {
  readonly position: number;
  readonly index: number;
  readonly id: string;
  readonly type: string;
  readonly actor: { readonly type: string; readonly id: string };
  /** Message of the error. */
  readonly reason: string;
}

/** A unit of work to be stored: all of it or nothing. */
export interface UnitResult {
  readonly changes: readonly CellChange[];
  readonly deadLetters: readonly DeadLetter[];
  readonly checkpoint: SharedCheckpoint;
}

/** One value of a table. */
export interface StateEntry<Value = unknown> {
  readonly id: string;
  readonly value: Value;
  /** Position of the commit that last changed it; undefined for state in memory. */
  readonly position: number | undefined;
}

/** Which entries of a table to list. */
export interface EntriesOptions {
  /** Only ids that start with this. @default all */
  readonly prefix?: string | undefined;
  /** Only ids behind this one, in the order of the listing. */
  readonly after?: string | undefined;
  /** @default all */
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A key as it is now, or as it became. */
export interface WatchedEntry<Value = unknown> {
  /** undefined where it is not there. */
  readonly value: Value | undefined;
  /** Position of the commit that last changed it; undefined for a key that never was there, and for state in memory. */
  readonly position: number | undefined;
}

/** State that a projector has claimed. */
export interface ClaimedState {
  readonly checkpoint: SharedCheckpoint;
  /** What is cached of it: all of it for state in memory, else nothing yet. */
  readonly cache: Generations;
}

/** Where the state of a projection lives. One projector uses it at a time. */
export interface StateBackend {
  readonly format: ValueFormat;
  readonly limits: UnitLimits;
  /** Makes this projector the one that writes, and tells how far the state is. */
  claim(signal: AbortSignal): Promise<ClaimedState>;
  /** How far the state is, whoever writes it. */
  stored(signal: AbortSignal): Promise<SharedCheckpoint>;
  /** The same each time somebody stores a unit. */
  followStored(signal: AbortSignal): AsyncIterable<SharedCheckpoint>;
  /** The values of those keys that are there, at least as new as all that this projector has stored. */
  fetch(keys: readonly StateKey[], signal: AbortSignal): Promise<ReadonlyMap<StateKey, unknown>>;
  /** Stores a unit; undefined, or a promise that resolves, when it is durable. @throws {ProjectorFencedError} */
  commit(unit: UnitResult, signal: AbortSignal): Promise<void> | undefined;
  read(key: StateKey, signal: AbortSignal | undefined): Promise<unknown>;
  entries(table: string, options: EntriesOptions): AsyncIterableIterator<StateEntry>;
  watch(key: StateKey, signal: AbortSignal | undefined): AsyncIterableIterator<WatchedEntry>;
  deadLetters(): Promise<readonly DeadLetter[]>;
  /** Called once nothing is applied any more; what still waits ends with the signal. */
  close(signal: AbortSignal): Promise<void>;
}
