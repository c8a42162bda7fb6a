import { CorruptCommitError, UnsupportedFormatError } from "../errors.ts";
import { InconsistentStateError, JournalBrokenError } from "./errors.ts";

/** Whether it says that the journal is not what it should be: nothing more may be decided on it. */
export function isUntrustworthy(error: unknown): boolean {
  return [
    JournalBrokenError,
    InconsistentStateError,
    CorruptCommitError,
    UnsupportedFormatError,
  ].some((kind) => error instanceof kind);
}
