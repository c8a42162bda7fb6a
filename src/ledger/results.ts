import type { Outcome } from "./command.ts";
import type { Decided, DecidedItem } from "./decider.ts";
import { idOf } from "./state.ts";
import type { CommandResult, PostOutcome, TransactionResult } from "./transaction.ts";

/** What callers are told of a command that made one entry. */
export function commandResult(outcome: Outcome): CommandResult {
  const { place, entry, version, replayed } = single(outcome);
  return {
    id: place === undefined ? "" : idOf(place),
    position: place?.position ?? 0,
    index: place?.index ?? 0,
    version,
    decidedAt: new Date(entry.decidedAt),
    replayed,
  };
}

export function transactionResult(outcome: Outcome): TransactionResult {
  const { place, entry, version, replayed } = single(outcome);
  return {
    id: place === undefined ? "" : idOf(place),
    position: place?.position ?? 0,
    index: place?.index ?? 0,
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

export function refused(reason: unknown): PostOutcome {
  return { status: "refused", error: reason instanceof Error ? reason : new Error(String(reason)) };
}

function single(outcome: Outcome): Decided {
  if (outcome === undefined || !("entry" in outcome))
    throw new TypeError("no outcome of a command");
  return outcome;
}
