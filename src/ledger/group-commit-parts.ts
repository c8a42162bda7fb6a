import type { EngineSettings } from "./engine-options.ts";
import type { Group } from "./group.ts";
import type { Journal } from "./journal.ts";
import type { Rivals } from "./rivals.ts";
import type { JournalPoint, LedgerState } from "./state.ts";

/** What a group commit works with. */
export interface GroupCommitParts {
  readonly journal: Journal;
  readonly settings: EngineSettings;
  /** The state as the journal has it now, made anew. */
  readonly load: () => Promise<LedgerState>;
  /** The clock, in milliseconds since 1970, if it may be trusted. @throws {ClockSkewError} */
  readonly clock: () => number;
  /** Told after each acknowledged commit, own or not. */
  readonly onCommit: (state: LedgerState) => void;
  readonly rivals: Rivals;
}

/** A group that was sent, and what became of it. */
export interface Flight {
  readonly group: Group;
  readonly sentAt: number;
  landed: { readonly point: JournalPoint } | { readonly error: unknown } | undefined;
}
