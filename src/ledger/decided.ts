import type { JournalEntry } from "./journal-entry.ts";
import type { Grant } from "./lot-list.ts";

/** What a command comes to, once it is acknowledged. */
export interface Decided {
  readonly entry: JournalEntry;
  /** Number of the entry; of a dry run, the one that it would have had. */
  readonly version: number;
  readonly dryRun: boolean;
  readonly replayed: boolean;
  /** The commit that the entry stands in; its position is known once it is acknowledged. undefined for a dry run. */
  readonly commit: Grant["commit"] | undefined;
}

/** What one of an atomic batch comes to. */
export type DecidedItem = Decided | { readonly error: unknown };
