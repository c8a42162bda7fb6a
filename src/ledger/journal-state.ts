import { InconsistentStateError } from "./errors.ts";
import type { JournalCommit } from "./journal.ts";
import type { LedgerState } from "./state.ts";

/** Applies a commit that stands in the journal. */
export function applyCommit(state: LedgerState, { entries, point }: JournalCommit): void {
  for (const entry of entries) {
    if (entry.decidedAt < state.decidedAt) {
      const what = `entry ${state.version + 1} was decided at ${entry.decidedAt}, before the one ahead of it (${state.decidedAt})`;
      throw new InconsistentStateError(what);
    }
    state.apply(entry);
  }
  state.confirm(state.close(), point);
}
