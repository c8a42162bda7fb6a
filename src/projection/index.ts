export { defineProjection, table } from "./definition.ts";
export {
  CorruptStateError,
  CoverageError,
  ProjectionFailedError,
  ProjectionMismatchError,
  ProjectorFencedError,
  StateKeyMissingError,
  StateTooLargeError,
} from "./errors.ts";
export { Projector, startProjector } from "./projector.ts";
export { kvState, memoryState } from "./state-options.ts";
export type {
  EventSelection,
  Immutable,
  KeyTables,
  Projection,
  ProjectionDefinition,
  SelectedEvent,
  StateTable,
  StateTables,
  TableDefinition,
  TableMap,
  ValueOf,
} from "./definition.ts";
export type { EventPlace } from "./errors.ts";
export type { ValueFormat } from "./plain-value.ts";
export type { ProjectorPhase, ProjectorStatus } from "./progress.ts";
export type { ProjectorOptions } from "./projector.ts";
export type { ReadTable, ReadTables, TableReadOptions } from "./read-tables.ts";
export type { DeadLetter, EntriesOptions, StateEntry, WatchedEntry } from "./state-backend.ts";
export type { StateKey } from "./state-key.ts";
export type {
  KvStateOptions,
  KvStateSettings,
  MemoryStateOptions,
  StateOptions,
} from "./state-options.ts";
