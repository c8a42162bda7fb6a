export { check } from "./check.ts";
export { defineProjection, table } from "./definition.ts";
export {
  CorruptStateError,
  CoverageError,
  LeaseLostError,
  ProjectionFailedError,
  ProjectionMismatchError,
  ProjectorFencedError,
  ReactorFailedError,
  StateKeyMissingError,
  StateTooLargeError,
} from "./errors.ts";
export { projectionChannels } from "./diagnostics.ts";
export { Projector, startProjector } from "./projector.ts";
export { Reactor, startReactor } from "./reactor.ts";
export { deleteVersion, openTables, StateReader } from "./state-reader.ts";
export { kvState, memoryState } from "./state-options.ts";
export type { CheckOptions, CheckProgress } from "./check.ts";
export type { CheckFinding, CheckReport } from "./check-report.ts";
export type { CheckPhase } from "./check-run.ts";
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
export type { HandleMessage, PhaseMessage, SnapshotMessage, UnitMessage } from "./diagnostics.ts";
export type { EventPlace } from "./errors.ts";
export type { ValueFormat } from "./plain-value.ts";
export type { ProjectorPhase, ProjectorStatus } from "./progress.ts";
export type { ProjectorOptions } from "./projector.ts";
export type { ReactorWaitOptions } from "./reactor.ts";
export type { ReactorDeadLetter } from "./reactor-dead-letters.ts";
export type { HandleContext, ReactorOptions } from "./reactor-options.ts";
export type { ReactorPhase, ReactorStatus } from "./reactor-progress.ts";
export type { ReadTable, ReadTables, TableReadOptions } from "./read-tables.ts";
export type { DeadLetter, EntriesOptions, StateEntry, WatchedEntry } from "./state-backend.ts";
export type { StateKey } from "./state-key.ts";
export type {
  KvStateOptions,
  KvStateSettings,
  MemoryStateOptions,
  MemoryStateSettings,
  SnapshotOptions,
  SnapshotSettings,
  StateOptions,
} from "./state-options.ts";
