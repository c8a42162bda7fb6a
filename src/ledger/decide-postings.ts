import type { Expectation } from "./commands.ts";
import { PreconditionFailedError, TransactionTooLargeError } from "./errors.ts";
import { packEntries } from "./journal-codec.ts";
import type {
  Captured,
  EntryReference,
  JournalEntry,
  PostedEntry,
  PostingEntry,
} from "./journal-entry.ts";
import type { Lookups } from "./lookups.ts";
import {
  type AskedPosting,
  assertAccounts,
  assertNoneBelowZero,
  decidePosting,
  decideSumPosting,
  type PostingFrame,
} from "./posting.ts";
import { type AskedDetails, balancesOf } from "./prepare.ts";
import type { LedgerState } from "./state.ts";

/** What a decision is made on. */
export interface DecideContext {
  readonly state: LedgerState;
  readonly lookups: Lookups;
  readonly decidedAt: number;
  readonly content: number | undefined;
  readonly maxEntryBytes: number;
}

/**
 * What one transaction may touch: each holding that it moves once, each part of a lot that it takes, each lot that it
 * makes, and the hold that it captures. A read model takes a transaction in one unit of work, which holds 998 keys at
 * most, and one that it cannot take would stop it for good. Told as "lots", which are most of it in a transaction that
 * large, unless it has very many accounts. `MAX_POSTINGS` postings fit where they are between few accounts.
 */
export const MAX_TOUCHED = 900;
/** Bytes of an entry beside what depends on its content, and of each part; more than they ever are. */
const ENTRY_BYTES = 160;
const POSTING_BYTES = 120;
const LOT_BYTES = 60;

/** A transaction whose postings are being decided. */
interface Draft extends PostedEntry {
  postings: readonly PostingEntry[];
}

const UNDECIDED: readonly PostingEntry[] = [];

/** A transaction before its postings are decided. */
export function draftOf(
  { decidedAt, content }: DecideContext,
  key: string | undefined,
  at: number,
  { reference, metadata }: Pick<AskedDetails, "reference" | "metadata">,
  reverts?: EntryReference,
  captures?: Captured,
): Draft {
  return {
    kind: "posted",
    decidedAt,
    key,
    content,
    at,
    postings: UNDECIDED,
    reference,
    metadata,
    reverts,
    captures,
  };
}

/** How the postings of a transaction are decided, where that is not as usual. */
export type Manner = Partial<Pick<PostingFrame, "partial" | "reverting" | "prefers">>;

export const USUAL: Manner = {};

/** Decides the postings of a transaction, and how large it is. */
export function decidePostings(
  context: DecideContext,
  draft: Draft,
  postings: readonly AskedPosting[],
  manner: Manner,
  metadataBytes: number,
): PostedEntry {
  const [first] = postings;
  const isSingle = first !== undefined && postings.length === 1;
  const ofSum =
    isSingle && manner.reverting === undefined
      ? decideSumPosting(context.state.books, first)
      : undefined;
  draft.postings = ofSum === undefined ? decideEach(context, draft, postings, manner) : [ofSum];
  checkSize(draft, bytesAtMost(draft, metadataBytes), context);
  return draft;
}

function decideEach(
  { state, decidedAt }: DecideContext,
  { at, reference = "", captures }: Draft,
  postings: readonly AskedPosting[],
  { partial = false, reverting, prefers }: Manner,
): PostingEntry[] {
  const { books } = state;
  const frame: PostingFrame = {
    at,
    decidedAt,
    version: state.version + 1,
    reference,
    commit: state.commit,
    order: state.order,
    partial,
    reverting,
    prefers,
    nextIndex: 0,
  };
  // a single posting looks at its accounts before its funds anyway
  if (postings.length > 1) assertAccounts(books, postings);
  const [first] = postings;
  const decided =
    first !== undefined && postings.length === 1
      ? [decidePosting(books, first, frame)]
      : postings.map(
          (posting) =>
            (reverting === undefined ? decideSumPosting(books, posting) : undefined) ??
            decidePosting(books, posting, frame),
        );
  let lots = captures === undefined ? 0 : 1;
  for (const { drained, made } of decided) lots += (drained?.length ?? 0) + (made?.length ?? 0);
  if (reverting === "strict") assertNoneBelowZero(books, postings, frame);
  if (lots + 2 * decided.length > MAX_TOUCHED) checkTouched(lots, decided);
  return decided;
}

/** @throws {TransactionTooLargeError} */
function checkTouched(lots: number, postings: readonly PostingEntry[]): void {
  const holdings = new Set<string>();
  for (const { source, destination, asset, amount } of postings) {
    if (amount === 0n) continue;
    holdings.add(`${source} ${asset}`);
    holdings.add(`${destination} ${asset}`);
  }
  const touched = lots + holdings.size;
  if (touched > MAX_TOUCHED) throw new TransactionTooLargeError(touched, MAX_TOUCHED, "lots");
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
    const found = state.books.accounts.get(account)?.holding(asset)?.balanceAt(at) ?? 0n;
    if (found >= gte) continue;
    const what = `the balance of ${account} in ${asset}`;
    throw new PreconditionFailedError(what, `at least ${gte}`, String(found));
  }
}
