import type { Immutable, TableMap, ValueOf } from "./definition.ts";
import type { EntriesOptions, StateBackend, StateEntry, WatchedEntry } from "./state-backend.ts";
import { stateKey } from "./state-key.ts";

/** How to read a value. */
export interface TableReadOptions {
  readonly signal?: AbortSignal | undefined;
}

/** A table of a projection's stored state. */
export interface ReadTable<Value> {
  /** The value; undefined where there is none. */
  get(id: string, options?: TableReadOptions): Promise<Immutable<Value> | undefined>;
  /** The entries, sorted by id (by its escaped form in a bucket). */
  entries(options?: EntriesOptions): AsyncIterableIterator<StateEntry<Immutable<Value>>>;
  /** The value now, then each change of it; a change in quick succession may be passed over. */
  watch(
    id: string,
    options?: TableReadOptions,
  ): AsyncIterableIterator<WatchedEntry<Immutable<Value>>>;
}

/** The tables of a projection for readers. */
export type ReadTables<Tables extends TableMap> = {
  readonly [Name in keyof Tables]: ReadTable<ValueOf<Tables[Name]>>;
};

export function readTables<Tables extends TableMap>(
  tables: Tables,
  backend: Pick<StateBackend, "read" | "entries" | "watch">,
): ReadTables<Tables> {
  const readers: Record<string, ReadTable<unknown>> = {};
  for (const name of Object.keys(tables)) {
    readers[name] = {
      get: (id, { signal } = {}) => backend.read(stateKey(name, id), signal),
      entries: (options = {}) => backend.entries(name, options),
      watch: (id, { signal } = {}) => backend.watch(stateKey(name, id), signal),
    };
  }
  return readers as ReadTables<Tables>;
}
