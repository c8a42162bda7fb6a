import { type TypedChannel, typedChannel } from "../internal/typed-channel.ts";

/**
 * The channels on which ledgers say what they do (`node:diagnostics_channel`). Publishing costs nothing while nobody
 * listens; subscribers must not throw.
 *
 * | channel | message |
 * |---|---|
 * | `annal:ledger:snapshot` | a snapshot of a ledger was written or restored, or not: {@link LedgerSnapshotMessage} |
 * | `annal:ledger:commit` | commands were acknowledged together, or must be decided again: {@link LedgerCommitMessage} |
 */
export const ledgerChannels: {
  readonly snapshot: TypedChannel<LedgerSnapshotMessage>;
  readonly commit: TypedChannel<LedgerCommitMessage>;
} = {
  snapshot: typedChannel("annal:ledger:snapshot"),
  commit: typedChannel("annal:ledger:commit"),
};

/** Commands that were decided together. */
export interface LedgerCommitMessage {
  readonly ledger: string;
  readonly commands: number;
  /** Entries of the journal that they made; 0 where nothing was to be stored. */
  readonly entries: number;
  /** Bytes of the entries. */
  readonly bytes: number;
  /** From sending to the acknowledgement; undefined where another process was faster. */
  readonly durationMs: number | undefined;
  /** The ledger's version with them; undefined where another process was faster. */
  readonly version: number | undefined;
}

/** What became of a snapshot of a ledger. */
export interface LedgerSnapshotMessage {
  readonly ledger: string;
  /**
   * `written`; `dropped`: not written, because it failed or there is no need; `restored`: the ledger may begin with it;
   * `ignored`: there is one that cannot be used, so the ledger is built from its journal.
   */
  readonly what: "written" | "dropped" | "restored" | "ignored";
  /** Of the last journal entry in it; undefined where that is not known. */
  readonly version: number | undefined;
  /** Chunks of the ledger's state that were written or restored. */
  readonly chunks: number;
  readonly bytes: number;
  readonly durationMs: number;
  /** Why it was dropped or ignored. */
  readonly reason: string | undefined;
}
