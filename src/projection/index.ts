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
