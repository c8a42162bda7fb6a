import { InvalidArgumentError } from "../errors.ts";
import type { AccountTerms } from "./cells.ts";
import { decideCapture, decideHold, decideRelease } from "./decide-hold.ts";
import {
  bytesAtMost,
  checkBalances,
  checkSize,
  type DecideContext,
  decidePostings,
  draftOf,
  type Manner,
  USUAL,
} from "./decide-postings.ts";
import {
  AccountNotUsableError,
  AccountOptionsError,
  AlreadyRevertedError,
  InconsistentStateError,
  PreconditionFailedError,
  TransactionNotFoundError,
} from "./errors.ts";
import type {
  AccountChangedEntry,
  JournalEntry,
  MetadataChangedEntry,
  PostedEntry,
} from "./journal-entry.ts";
import { type FoundEntry, lookUp } from "./lookups.ts";
import { WORLD } from "./names.ts";
import type { AskedPosting } from "./posting.ts";
import {
  type AskedAccountChange,
  type AskedMetadata,
  type AskedPlace,
  type AskedPost,
  type AskedRevert,
  type AskedSingle,
} from "./prepare.ts";
import { idOf } from "./state.ts";

const PARTIAL: Manner = { partial: true };

/** What a command makes of the books: they hold it already, the journal does not yet. */
export function decideEntry(asked: AskedSingle, context: DecideContext): JournalEntry {
  switch (asked.kind) {
    case "post":
      return decidePost(asked, context);
    case "revert":
      return decideRevert(asked, context);
    case "hold":
      return decideHold(asked, context);
    case "capture":
      return decideCapture(asked, context);
    case "release":
      return decideRelease(asked, context);
    case "account":
      return decideAccount(asked, context);
    case "metadata":
      return decideMetadata(asked, context);
    default:
      throw new TypeError(`a command of no kind: ${String(asked satisfies never)}`);
  }
}

function decidePost(asked: AskedPost, context: DecideContext): PostedEntry {
  const { metadataBytes, options, postings, partial } = asked;
  const at = asked.at ?? context.decidedAt;
  checkBalances(context, options.expect, at);
  const draft = draftOf(context, options.key, at, asked);
  return decidePostings(context, draft, postings, partial ? PARTIAL : USUAL, metadataBytes);
}

function decideRevert(asked: AskedRevert, context: DecideContext): PostedEntry {
  const { state, decidedAt } = context;
  const { target, metadataBytes, options } = asked;
  const id = idOf(target);
  const { entry, place } = postedAt(target, context);
  if (entry.postings.length === 0)
    throw new InconsistentStateError(`transaction ${id} stands in the journal without postings`);
  if (state.reverted.has(place.version)) {
    const by = state.reverted.get(place.version);
    throw new AlreadyRevertedError(id, by === undefined ? undefined : idOf(by));
  }
  const moved = entry.postings.filter(({ amount }) => amount > 0n);
  if (moved.length === 0)
    throw new PreconditionFailedError(`transaction ${id}`, "something moved", "nothing");
  const postings = moved.reverse().map(
    (posting): AskedPosting => ({
      source: posting.destination,
      destination: posting.source,
      asset: posting.asset,
      amount: posting.amount,
      expiresAt: null,
      restores: posting,
    }),
  );
  const at = asked.atEffectiveDate ? entry.at : decidedAt;
  checkBalances(context, options.expect, at);
  const draft = draftOf(context, options.key, at, asked, place);
  const reverting = asked.force ? "force" : "strict";
  const manner: Manner = { reverting, prefers: place.version };
  return decidePostings(context, draft, postings, manner, metadataBytes);
}

function decideAccount(
  { account, change, options }: AskedAccountChange,
  { state, decidedAt, content }: DecideContext,
): AccountChangedEntry {
  if (account === WORLD)
    throw new InvalidArgumentError("account", "an account other than world", account);
  const cell = state.books.account(account);
  const before = cell.value;
  if (before.closed) throw new AccountNotUsableError(account, "closed");
  const { overdraft } = change;
  const after: AccountTerms = {
    ...before,
    lots: change.lots ?? before.lots,
    issuer: change.issuer ?? before.issuer,
    frozen: change.frozen ?? before.frozen,
    closed: change.closed === true,
    overdraft:
      overdraft === undefined
        ? before.overdraft
        : overdraft === "unlimited"
          ? undefined
          : overdraft,
  };
  if (cell.holdings.length > 0 && (after.lots !== before.lots || after.issuer !== before.issuer)) {
    throw new AccountOptionsError(account, "lots and issuer are fixed by the first posting");
  }
  if (after.closed && !cell.holdings.every(({ value }) => value.isEmptyAt(decidedAt))) {
    const reason = "only an account without balances, debts and holds can be closed";
    throw new AccountOptionsError(account, reason);
  }
  const { lots, issuer, frozen, closed } = after;
  const entry: AccountChangedEntry = {
    kind: "account-changed",
    decidedAt,
    key: options.key,
    content,
    account,
    lots,
    issuer,
    overdraft: after.overdraft,
    frozen,
    closed,
  };
  state.changeAccount(entry);
  return entry;
}

function decideMetadata(
  { of, set, deleted, options, metadataBytes }: AskedMetadata,
  context: DecideContext,
): MetadataChangedEntry {
  const { state, decidedAt, content } = context;
  const entry: MetadataChangedEntry = {
    kind: "metadata-changed",
    decidedAt,
    key: options.key,
    content,
    of: typeof of === "string" ? of : transactionAt(of, context).place,
    set,
    deleted,
  };
  checkSize(entry, bytesAtMost(entry, metadataBytes), context);
  state.changeMetadata(entry);
  return entry;
}

/** @throws {TransactionNotFoundError} */
function postedAt(
  place: AskedPlace,
  context: DecideContext,
): FoundEntry & { readonly entry: PostedEntry } {
  const { entry, place: found } = transactionAt(place, context);
  if (entry.kind === "posted") return { entry, place: found };
  throw new TransactionNotFoundError(idOf(place), `it is a ${entry.kind} entry`);
}

function transactionAt(place: AskedPlace, { lookups }: DecideContext): FoundEntry {
  const id = idOf(place);
  const found = lookUp(lookups, id);
  if (found?.entry.kind === "posted" || found?.entry.kind === "hold-placed") return found;
  const stands = found === undefined ? "no entry of this ledger" : `a ${found.entry.kind} entry`;
  throw new TransactionNotFoundError(id, `${stands} stands there`);
}
