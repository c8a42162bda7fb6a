import { AppendOutcomeUnknownError } from "../errors.ts";
import type { Outcome } from "./command.ts";
import type { Decided, DecidedItem } from "./decider.ts";
import { CommandOutcomeUnknownError, CommandTimeoutError } from "./errors.ts";
import type { CommandResult, PostOutcome, TransactionResult } from "./transaction.ts";

/** What callers are told of a command that made one entry. */
export function commandResult(outcome: Outcome): CommandResult {
  const { commit, entry, version, replayed } = single(outcome);
  const position = commit?.position ?? 0;
  const index = commit === undefined ? 0 : version - commit.firstVersion;
  return {
    id: commit === undefined ? "" : `${position}.${index}`,
    position,
    index,
    version,
    decidedAt: new Date(entry.decidedAt),
    replayed,
  };
}

export function transactionResult(outcome: Outcome): TransactionResult {
  const { commit, entry, version, replayed } = single(outcome);
  const position = commit?.position ?? 0;
  const index = commit === undefined ? 0 : version - commit.firstVersion;
  return {
    id: commit === undefined ? "" : `${position}.${index}`,
    position,
    index,
    version,
    decidedAt: new Date(entry.decidedAt),
    replayed,
    amounts: entry.kind === "posted" ? entry.postings.map(({ amount }) => amount) : [],
  };
}

export function postOutcomes(outcome: Outcome): readonly PostOutcome[] {
  if (outcome === undefined || "entry" in outcome) throw new TypeError("no outcome of a batch");
  return outcome.map(postOutcome);
}

function postOutcome(item: DecidedItem): PostOutcome {
  return "entry" in item
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
    reason instanceof CommandTimeoutError ||
    reason instanceof CommandOutcomeUnknownError;
  return isUnknown ? { status: "unknown", error: errorOf(reason) } : refused(reason);
}

function errorOf(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

function single(outcome: Outcome): Decided {
  if (outcome === undefined || !("entry" in outcome))
    throw new TypeError("no outcome of a command");
  return outcome;
}
