import type { EntryReference, JournalEntry } from "./journal-entry.ts";

/** An entry of the journal that was read. */
export interface FoundEntry {
  readonly entry: JournalEntry;
  readonly place: EntryReference;
}

/** What was read of the journal for a command, by id; undefined where no entry stands there. */
export type Lookups = ReadonlyMap<string, FoundEntry | undefined>;

export const NO_LOOKUPS: Lookups = new Map();

/** A command cannot be decided before this entry of the journal was read. */
export class LookupNeeded extends Error {
  readonly id: string;

  constructor(id: string) {
    super(`entry ${id} is needed`);
    this.id = id;
  }
}

/**
 * The entry with an id; undefined where none stands there.
 *
 * @throws {LookupNeeded} where it was not read yet
 */
export function lookUp(lookups: Lookups, id: string): FoundEntry | undefined {
  const found = lookups.get(id);
  if (found === undefined && !lookups.has(id)) throw new LookupNeeded(id);
  return found;
}
