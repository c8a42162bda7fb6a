import { AppendOutcomeUnknownError, StreamRolledBackError } from "../errors.ts";
import type { Outcome } from "./command.ts";
import type { Decided, DecidedItem } from "./decided.ts";
import { CommandOutcomeUnknownError, CommandTimeoutError } from "./errors.ts";
import type { JournalEntry, PostedEntry } from "./journal-entry.ts";
import type { Grant } from "./lot-list.ts";
import { idOf } from "./state.ts";
import type {
  CommandResult,
  LotInfo,
  Posting,
  PostOutcome,
  TransactionResult,
} from "./transaction.ts";

const NO_RESULT: TransactionResult = {
  id: "",
  position: 0,
  index: 0,
  version: 0,
  decidedAt: new Date(0),
  replayed: false,
  amounts: [],
};

/** What callers are told of a command that made one entry. */
export function commandResult(outcome: Outcome): CommandResult {
  const { commit, decidedAt, version, replayed } = single(outcome);
  const position = commit?.position ?? 0;
  const index = commit === undefined ? 0 : version - commit.firstVersion;
  const id = commit === undefined ? "" : `${position}.${index}`;
  return { id, position, index, version, decidedAt: new Date(decidedAt), replayed };
}

export function transactionResult(outcome: Outcome): TransactionResult {
  const { commit, decidedAt, moved, version, replayed } = single(outcome);
  const position = commit?.position ?? 0;
  const index = commit === undefined ? 0 : version - commit.firstVersion;
  // a copy, and no literal of its own: see asked-post.ts
  const result: { -readonly [Key in keyof TransactionResult]: TransactionResult[Key] } = {
    ...NO_RESULT,
  };
  if (commit !== undefined) result.id = `${position}.${index}`;
  result.position = position;
  result.index = index;
  result.version = version;
  result.decidedAt = new Date(decidedAt);
  result.replayed = replayed;
  result.amounts = moved.map(({ amount }) => amount);
  return result;
}

export function postOutcomes(outcome: Outcome): readonly PostOutcome[] {
  if (outcome === undefined || "version" in outcome) throw new TypeError("no outcome of a batch");
  return outcome.map(postOutcome);
}

function postOutcome(item: DecidedItem): PostOutcome {
  return "version" in item
    ? { status: "posted", result: transactionResult(item) }
    : refused(item.error);
}

function refused(reason: unknown): PostOutcome {
  return { status: "refused", error: errorOf(reason) };
}

/** What is told of one whose command ended with an error; one whose signal was aborted may be posted nevertheless. */
export function failedOutcome(reason: unknown, signal: AbortSignal | undefined): PostOutcome {
  const isAborted = signal?.aborted === true && reason === signal.reason;
  const isUnknown =
    isAborted ||
    reason instanceof AppendOutcomeUnknownError ||
    reason instanceof StreamRolledBackError ||
    reason instanceof CommandTimeoutError ||
    reason instanceof CommandOutcomeUnknownError;
  return isUnknown ? { status: "unknown", error: errorOf(reason) } : refused(reason);
}

function errorOf(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

function single(outcome: Outcome): Decided {
  if (outcome === undefined || !("version" in outcome))
    throw new TypeError("no outcome of a command");
  return outcome;
}

/** Postings as callers see them. */
export function postingsOf({ postings }: PostedEntry): Posting[] {
  return postings.map((posting) => ({
    ...posting,
    drained: posting.drained?.map(({ version, lotIndex, amount, expiresAt }) => ({
      transactionVersion: version,
      lotIndex,
      amount,
      expiresAt: dateOf(expiresAt),
    })),
    made: posting.made?.map((lot) => ({ ...lot, expiresAt: dateOf(lot.expiresAt) })),
  }));
}

export function dateOf(instant: number | null): Date | null {
  return instant === null ? null : new Date(instant);
}

/** A lot, with the number of the entry that made it. */
export interface NumberedLot extends LotInfo {
  readonly version: number;
}

export function lotOf(grant: Grant, remaining: bigint): NumberedLot {
  const { version, lotIndex: index, commit, grantedAt, expiresAt, reference, amount } = grant;
  const { position, firstVersion } = commit;
  return {
    transactionId: idOf({ position, index: version - firstVersion }),
    version,
    index,
    amount,
    remaining,
    grantedAt: new Date(grantedAt),
    expiresAt: dateOf(expiresAt),
    reference: reference === "" ? undefined : reference,
  };
}

/** By (granted at, reference, transaction, number). */
export function lotsInOrder(lots: Iterable<NumberedLot>): LotInfo[] {
  return [...lots]
    .sort((a, b) => {
      const byTime = a.grantedAt.getTime() - b.grantedAt.getTime();
      if (byTime !== 0) return byTime;
      const [one = "", other = ""] = [a.reference, b.reference];
      if (one !== other) return one < other ? -1 : 1;
      return a.version - b.version || a.index - b.index;
    })
    .map(({ version: _version, ...lot }) => lot);
}

/** Whether an entry ends the hold with a number, before its instant. */
export function endsHold(entry: JournalEntry, hold: number): boolean {
  if (entry.kind === "hold-released") return entry.hold.version === hold;
  return entry.kind === "posted" && entry.captures?.version === hold && entry.captures.ended;
}
