import type { RecordedEvent } from "../store/event.ts";
import { decodeEntry } from "./journal-codec.ts";
import type { DrainPolicyName } from "./account.ts";
import type { JournalEntry, PostingEntry } from "./journal-entry.ts";
import { idOf } from "./state.ts";
import type { Posting } from "./transaction.ts";

/** The types of the events of journals. */
export type JournalEventType =
  | "JournalOpened"
  | "TransactionPosted"
  | "HoldPlaced"
  | "HoldReleased"
  | "AccountChanged"
  | "MetadataChanged";

/** The events of journals, for projections of one's own: `defineProjection<JournalEvents>()`, with {@link journalEntry}. */
export type JournalEvents = {
  readonly journal: {
    readonly [Type in JournalEventType]: {
      readonly type: Type;
      /** A list whose places have their meanings: {@link journalEntry} reads it. */
      readonly data: readonly unknown[];
    };
  }[JournalEventType];
};

/** What all entries say. */
interface EntryPlace {
  /** Name of the ledger. */
  readonly ledger: string;
  /** Its place in the stream: `<position>.<index>`; of a transaction and a hold, their id. */
  readonly id: string;
  readonly position: number;
  readonly index: number;
  /** Number of the entry in the journal: 1, 2, 3 … */
  readonly version: number;
  /** When it was decided; never decreases along a journal. */
  readonly decidedAt: Date;
  readonly idempotencyKey: string | undefined;
}

/** The first entry: what the ledger was created with. */
export interface OpenedLedgerEntry extends EntryPlace {
  readonly kind: "opened";
  readonly drainPolicy: DrainPolicyName;
  readonly lots: boolean;
  readonly overdraft: bigint | "unlimited";
}

/** A transaction, as it was posted. */
export interface PostedLedgerEntry extends EntryPlace {
  readonly kind: "posted";
  /** Effective time. */
  readonly at: Date;
  readonly postings: readonly Posting[];
  readonly reference: string | undefined;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** The transaction that it reverts. */
  readonly reverts: string | undefined;
  /** The hold that it captures, how much the hold reserves less for it, and whether the hold has ended with it. */
  readonly captures:
    | { readonly hold: string; readonly amount: bigint; readonly ended: boolean }
    | undefined;
}

export interface HoldPlacedLedgerEntry extends EntryPlace {
  readonly kind: "hold-placed";
  readonly at: Date;
  readonly account: string;
  readonly asset: string;
  readonly amount: bigint;
  readonly to: string;
  readonly expiresAt: Date;
  readonly reference: string | undefined;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface HoldReleasedLedgerEntry extends EntryPlace {
  readonly kind: "hold-released";
  readonly hold: string;
}

/** All terms of an account, those too that stay as they were. */
export interface AccountChangedLedgerEntry extends EntryPlace {
  readonly kind: "account-changed";
  readonly account: string;
  readonly lots: boolean;
  readonly issuer: boolean;
  readonly overdraft: bigint | "unlimited";
  readonly frozen: boolean;
  readonly closed: boolean;
}

export interface MetadataChangedLedgerEntry extends EntryPlace {
  readonly kind: "metadata-changed";
  readonly of: { readonly account: string } | { readonly transaction: string };
  readonly set: Readonly<Record<string, unknown>>;
  readonly deleted: readonly string[];
}

/** An entry of a journal. */
export type LedgerEntry =
  | OpenedLedgerEntry
  | PostedLedgerEntry
  | HoldPlacedLedgerEntry
  | HoldReleasedLedgerEntry
  | AccountChangedLedgerEntry
  | MetadataChangedLedgerEntry;

/** What is asked of a stored event. */
export type JournalEvent = Pick<
  RecordedEvent,
  "actor" | "type" | "data" | "position" | "index" | "version" | "metadata"
>;

/**
 * The entry of a journal that a stored event is: events of the actor type `journal`, as `readAll`, subscriptions and
 * projections hand them out. A pure function.
 *
 * @throws {UnsupportedFormatError} of an entry that a newer release wrote; {@link InconsistentStateError} of what is none
 * @example
 * const turnover = defineProjection<JournalEvents>()({
 *   name: "turnover",
 *   version: 1,
 *   events: { journal: ["TransactionPosted"] },
 *   tables: { asset: table<bigint>() },
 *   keys: (event, t) => assetsOf(journalEntry(event)).map((asset) => t.asset.key(asset)),
 *   apply: (event, t) => …
 * });
 */
export function journalEntry(event: JournalEvent): LedgerEntry {
  const entry = storedEntry(event);
  const place = placeOf(event, entry);
  switch (entry.kind) {
    case "posted": {
      const { kind, reference, metadata = {}, reverts, captures } = entry;
      return {
        kind,
        ...place,
        at: new Date(entry.at),
        postings: entry.postings.map(readable),
        reference,
        metadata,
        reverts: reverts && idOf(reverts),
        captures: captures && {
          hold: idOf(captures),
          amount: captures.amount,
          ended: captures.ended,
        },
      };
    }
    case "hold-placed": {
      const { kind, account, asset, amount, to, reference, metadata = {} } = entry;
      const at = new Date(entry.at);
      const expiresAt = new Date(entry.expiresAt);
      return { kind, ...place, at, account, asset, amount, to, expiresAt, reference, metadata };
    }
    case "hold-released":
      return { kind: entry.kind, ...place, hold: idOf(entry.hold) };
    case "account-changed": {
      const { kind, account, lots, issuer, overdraft = "unlimited", frozen, closed } = entry;
      return { kind, ...place, account, lots, issuer, overdraft, frozen, closed };
    }
    case "metadata-changed": {
      const { kind, set, deleted } = entry;
      const of =
        typeof entry.of === "string" ? { account: entry.of } : { transaction: idOf(entry.of) };
      return { kind, ...place, of, set, deleted };
    }
    case "opened": {
      const { kind, drainPolicy, lots, overdraft = "unlimited" } = entry;
      return { kind, ...place, drainPolicy, lots, overdraft };
    }
    default:
      throw new TypeError(`an entry of no kind: ${String(entry satisfies never)}`);
  }
}

/** The same as it is stored. */
export function storedEntry({ type, data, metadata, position }: JournalEvent): JournalEntry {
  return decodeEntry({ type, data, metadata }, position);
}

function placeOf(
  { actor, position, index, version }: JournalEvent,
  { decidedAt, key }: JournalEntry,
): EntryPlace {
  const id = idOf({ position, index });
  const decided = new Date(decidedAt);
  return {
    ledger: actor.id,
    id,
    position,
    index,
    version,
    decidedAt: decided,
    idempotencyKey: key,
  };
}

/** A posting with its instants as dates. */
function readable(posting: PostingEntry): Posting {
  return {
    ...posting,
    drained: posting.drained?.map(({ version, lotIndex, amount, expiresAt }) => ({
      transactionVersion: version,
      lotIndex,
      amount,
      expiresAt: dateOf(expiresAt),
    })),
    made: posting.made?.map((lot) => ({ ...lot, expiresAt: dateOf(lot.expiresAt) })),
  };
}

function dateOf(instant: number | null): Date | null {
  return instant === null ? null : new Date(instant);
}
