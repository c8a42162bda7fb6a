import type { Expectation } from "./commands.ts";
import { PreconditionFailedError, TransactionTooLargeError } from "./errors.ts";
import { packEntries } from "./journal-codec.ts";
import type { JournalEntry, PostedEntry, PostingEntry } from "./journal-entry.ts";
import type { Lookups } from "./lookups.ts";
import {
  type AskedPosting,
  assertAccounts,
  assertNoneBelowZero,
  decidePosting,
  type PostingFrame,
} from "./posting.ts";
import { balancesOf } from "./prepare.ts";
import type { LedgerState } from "./state.ts";

/** What a decision is made on. */
export interface DecideContext {
  readonly state: LedgerState;
  readonly lookups: Lookups;
  readonly decidedAt: number;
  readonly content: number | undefined;
  readonly maxEntryBytes: number;
}

/** The most lots that one transaction may take and make. */
const MAX_LOTS = 1_000;
/** Bytes of an entry beside what depends on its content, and of each part; more than they ever are. */
const ENTRY_BYTES = 160;
const POSTING_BYTES = 120;
const LOT_BYTES = 60;

/** A transaction before its postings are decided. */
export type Draft = Omit<PostedEntry, "kind" | "postings" | "decidedAt" | "content">;

/** Decides the postings of a transaction, and how large it is. */
export function decidePostings(
  context: DecideContext,
  draft: Draft,
  postings: readonly AskedPosting[],
  how: Partial<Pick<PostingFrame, "partial" | "reverting" | "prefers">>,
  metadataBytes: number,
): PostedEntry {
  const { state, decidedAt, content } = context;
  const frame: PostingFrame = {
    at: draft.at,
    decidedAt,
    version: state.version + 1,
    reference: draft.reference ?? "",
    commit: state.commit,
    order: state.order,
    partial: how.partial === true,
    reverting: how.reverting,
    prefers: how.prefers,
    nextIndex: 0,
  };
  // a single posting looks at its accounts before its funds anyway
  if (postings.length > 1) assertAccounts(state.books, postings);
  const decided: PostingEntry[] = [];
  let lots = 0;
  for (const posting of postings) {
    const entry = decidePosting(state.books, posting, frame);
    lots += (entry.drained?.length ?? 0) + (entry.made?.length ?? 0);
    decided.push(entry);
  }
  if (how.reverting === "strict") assertNoneBelowZero(state.books, postings, frame);
  if (lots > MAX_LOTS) throw new TransactionTooLargeError(lots, MAX_LOTS, "lots");
  // field by field: spreading an object costs more than the decision
  const { key, at, reference, metadata, reverts, captures } = draft;
  const entry: PostedEntry = {
    kind: "posted",
    decidedAt,
    key,
    content,
    at,
    postings: decided,
    reference,
    metadata,
    reverts,
    captures,
  };
  checkSize(entry, bytesAtMost(entry, metadataBytes), context);
  return entry;
}

/** More bytes than the entry can have. */
export function bytesAtMost(entry: JournalEntry, metadataBytes: number): number {
  let bytes = ENTRY_BYTES + metadataBytes + 3 * (entry.key?.length ?? 0);
  if (entry.kind !== "posted") return bytes + 2_000;
  bytes += 3 * (entry.reference?.length ?? 0);
  for (const { source, destination, drained, made } of entry.postings) {
    bytes += POSTING_BYTES + source.length + destination.length;
    bytes += LOT_BYTES * ((drained?.length ?? 0) + (made?.length ?? 0));
  }
  return bytes;
}

/** @throws {TransactionTooLargeError} where the entry does not fit into a commit */
export function checkSize(
  entry: JournalEntry,
  atMost: number,
  { maxEntryBytes }: DecideContext,
): void {
  if (atMost <= maxEntryBytes) return;
  const size = packEntries([entry]).length;
  if (size > maxEntryBytes) throw new TransactionTooLargeError(size, maxEntryBytes, "bytes");
}

/** @throws {PreconditionFailedError} where an expected balance is not there */
export function checkBalances(
  { state }: DecideContext,
  expect: Expectation | undefined,
  at: number,
): void {
  if (expect?.balance === undefined) return;
  for (const { account, asset, gte } of balancesOf(expect)) {
    const found = state.books.accounts.get(account)?.holding(asset)?.value.balanceAt(at) ?? 0n;
    if (found >= gte) continue;
    const what = `the balance of ${account} in ${asset}`;
    throw new PreconditionFailedError(what, `at least ${gte}`, String(found));
  }
}
