import type { EntryCommon } from "./journal-entry.ts";
import type { Grant } from "./lot-list.ts";

/** What a posting moved. */
export interface Moved {
  readonly amount: bigint;
}

/**
 * What a command comes to, once it is acknowledged. It is kept until then: of the entry no more than what is told, and
 * what tells whether another command is the same.
 */
export interface Decided {
  readonly decidedAt: number;
  /** Fingerprint of the command's content, where it has a key or a reference. */
  readonly content: number | undefined;
  /** By its postings; empty where it is no transaction. */
  readonly moved: readonly Moved[];
  /** Number of the entry; of a dry run, the one that it would have had. */
  readonly version: number;
  readonly dryRun: boolean;
  readonly replayed: boolean;
  /** The commit that the entry stands in; its position is known once it is acknowledged. undefined for a dry run. */
  readonly commit: Grant["commit"] | undefined;
}

/** What a new command comes to. An instance of a class for what `asked-post.ts` says. */
export class NewlyDecided implements Decided {
  readonly decidedAt: number;
  readonly content: number | undefined;
  readonly moved: readonly Moved[];
  readonly version: number;
  readonly dryRun: boolean;
  readonly replayed = false;
  readonly commit: Grant["commit"] | undefined;

  /** @param commit undefined for a dry run */
  constructor(
    { decidedAt, content }: EntryCommon,
    moved: readonly Moved[],
    version: number,
    commit: Grant["commit"] | undefined,
  ) {
    this.decidedAt = decidedAt;
    this.content = content;
    this.moved = moved;
    this.version = version;
    this.dryRun = commit === undefined;
    this.commit = commit;
  }
}

/** What one of an atomic batch comes to. */
export type DecidedItem = Decided | { readonly error: unknown };
