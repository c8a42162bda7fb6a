import { applyPosting } from "./apply-posting.ts";
import { Books, type ChangeSet } from "./books.ts";
import type { AccountCell, AccountTerms, HoldingCell } from "./cells.ts";
import { CHAIN_START } from "./chain.ts";
import { type DrainOrder, drainOrder } from "./drain-order.ts";
import { InconsistentStateError } from "./errors.ts";
import { Fingerprints } from "./fingerprint.ts";
import type { ActiveHold } from "./holding.ts";
import type {
  AccountChangedEntry,
  Captured,
  EntryReference,
  HoldPlacedEntry,
  JournalEntry,
  MetadataChangedEntry,
  OpenedEntry,
} from "./journal-entry.ts";
import type { Grant } from "./lot-list.ts";
import { PlaceTable } from "./place-table.ts";
import { type CommitNames, PendingNames } from "./pending-names.ts";
import { RecentPlaces } from "./recent-places.ts";
import { SortedNames } from "./sorted-names.ts";

/** How far a journal is acknowledged, and what stands there. */
export interface JournalPoint {
  /** Number of the last entry. */
  readonly version: number;
  /** Position of the commit that holds it; 0 for an empty journal. */
  readonly position: number;
  readonly commitId: string;
  /** The commit's link of the hash chain. */
  readonly chain: string;
}

export const JOURNAL_START: JournalPoint = {
  version: 0,
  position: 0,
  commitId: "",
  chain: CHAIN_START,
};

/** Where a hold is found. */
export interface HoldPlace extends EntryReference {
  readonly account: string;
  readonly asset: string;
  readonly expiresAt: number;
}

/** Entries of one commit, applied and not acknowledged yet. */
export interface PendingCommit {
  readonly changes: ChangeSet;
  /** undefined where nothing is to be remembered of it but its names. */
  readonly entries: readonly (JournalEntry | undefined)[];
  /** What was noted of their keys and references when they were decided; undefined where nothing was. */
  readonly names: CommitNames | undefined;
  /** Its position is filled in when it is acknowledged. */
  readonly commit: Grant["commit"];
  /** Of its last entry. */
  readonly decidedAt: number;
}

/**
 * The state of a ledger: a function of its journal. What was decided and is not acknowledged yet is in it too, and can
 * be taken back; readers see what is acknowledged.
 */
export class LedgerState {
  readonly books: Books = new Books();
  /** Transactions that were reverted, by number; with what reverts them once that is acknowledged. */
  readonly reverted: Map<number, EntryReference | undefined> = new Map();
  /** Holds that have not ended by a capture or a release, by id; acknowledged ones. */
  readonly holds: Map<string, HoldPlace> = new Map();
  /** Where the metadata of transactions was changed, by their number; acknowledged changes. */
  readonly annotated: Map<number, number[]> = new Map();
  /** Accounts that acknowledged entries speak of. */
  readonly names: SortedNames = new SortedNames();
  references: PlaceTable = new PlaceTable();
  keys: RecentPlaces = new RecentPlaces(1);
  /** Keys and references of what is not acknowledged yet. */
  readonly pendingNames: PendingNames = new PendingNames();
  fingerprints: Fingerprints = new Fingerprints(0, 0);
  /** With what is not acknowledged. */
  version = 0;
  decidedAt = 0;
  opened: OpenedEntry | undefined;
  point: JournalPoint = JOURNAL_START;
  confirmedAt = 0;
  readonly #onNew = ({ name }: AccountCell): void => this.names.add(name);
  #order: DrainOrder = drainOrder("emission-first@1");
  /** Of {@link reverted}, what is not acknowledged. */
  readonly #reverting = new Set<number>();
  readonly #before = { version: 0, decidedAt: 0, entries: 0 };
  #entries: (JournalEntry | undefined)[] = [];
  /** How many of them were written. */
  #written = 0;
  #commit: Grant["commit"] = { position: 0, firstVersion: 1 };

  get order(): DrainOrder {
    return this.#order;
  }

  /** The commit that the next entry will stand in. */
  get commit(): Grant["commit"] {
    return this.#commit;
  }

  /** Entries that were applied since the last {@link close}; undefined for those that were let go of. */
  get openEntries(): readonly (JournalEntry | undefined)[] {
    return this.#entries;
  }

  /** Begins a command, whose effects {@link undo} takes back. */
  begin(): void {
    this.books.begin();
    this.pendingNames.begin();
    this.#before.version = this.version;
    this.#before.decidedAt = this.decidedAt;
    this.#before.entries = this.#entries.length;
  }

  /** Takes back the effects and the entries of the command that began last. */
  undo(): void {
    this.books.undo();
    this.pendingNames.undo();
    this.version = this.#before.version;
    this.decidedAt = this.#before.decidedAt;
    while (this.#entries.length > this.#before.entries) {
      const entry = this.#entries.pop();
      if (entry?.kind !== "posted" || entry.reverts === undefined) continue;
      this.reverted.delete(entry.reverts.version);
      this.#reverting.delete(entry.reverts.version);
    }
  }

  /** Applies a recorded entry. */
  apply(entry: JournalEntry): void {
    const { books } = this;
    switch (entry.kind) {
      case "posted":
        if (entry.captures !== undefined) this.capture(entry.captures, entry.decidedAt);
        for (const posting of entry.postings)
          applyPosting(books, posting, entry, this.version + 1, this.#commit, this.#order);
        break;
      case "hold-placed":
        this.placeHold(entry);
        break;
      case "hold-released":
        this.endHold(entry.hold, entry.decidedAt);
        break;
      case "account-changed":
        this.changeAccount(entry);
        break;
      case "metadata-changed":
        this.changeMetadata(entry);
        break;
      case "opened":
        this.#open(entry);
        break;
      default:
        throw new TypeError(`an entry of no kind: ${String(entry satisfies never)}`);
    }
    this.take(entry);
  }

  /** Counts an entry whose effects the books have already. */
  take(entry: JournalEntry): void {
    this.version++;
    this.decidedAt = entry.decidedAt;
    this.#entries.push(entry);
    if (entry.kind !== "posted" || entry.reverts === undefined) return;
    this.reverted.set(entry.reverts.version, undefined);
    this.#reverting.add(entry.reverts.version);
  }

  /** The open entries were written: those of which nothing but their names is to be remembered are let go of. */
  releaseWritten(): void {
    for (; this.#written < this.#entries.length; this.#written++) {
      const entry = this.#entries[this.#written];
      if (entry?.kind !== "posted") continue;
      if (entry.reverts === undefined && entry.captures === undefined)
        this.#entries[this.#written] = undefined;
    }
  }

  placeHold({ account, asset, amount, to, expiresAt, decidedAt }: HoldPlacedEntry): void {
    const cell = this.books.holding(this.books.account(account), asset);
    const version = this.version + 1;
    const commit = this.#commit;
    const hold: ActiveHold = { version, commit, to, remaining: amount, expiresAt };
    const { value } = cell;
    this.books.put(cell, value.withHolds(value.holdsAt(decidedAt).with(hold)));
  }

  /** Reduces a hold, or ends it where nothing is left of it. */
  endHold(of: EntryReference, decidedAt: number, left = 0n): void {
    const { cell, hold } = this.findHold(of) ?? {};
    if (cell === undefined || hold === undefined)
      throw new InconsistentStateError(`hold ${of.position}.${of.index} is not among the holds`);
    const holds = cell.value.holdsAt(decidedAt).reduced(of.version, left);
    this.books.put(cell, cell.value.withHolds(holds));
  }

  /** undefined for a hold that has ended. */
  findHold(
    of: EntryReference,
  ): { readonly cell: HoldingCell; readonly hold: ActiveHold } | undefined {
    const place = this.holds.get(`${of.position}.${of.index}`);
    if (place === undefined) return undefined;
    const cell = this.books.accounts.get(place.account)?.holding(place.asset);
    const hold = cell?.value.findHold(of.version);
    return cell === undefined || hold === undefined ? undefined : { cell, hold };
  }

  changeAccount(entry: AccountChangedEntry): void {
    const { account, lots, issuer, overdraft, frozen, closed } = entry;
    const cell = this.books.account(account);
    const { metadata } = cell.value;
    const terms: AccountTerms = { lots, issuer, overdraft, frozen, closed, metadata };
    this.books.putTerms(cell, terms);
  }

  changeMetadata({ of, set, deleted }: MetadataChangedEntry): void {
    if (typeof of !== "string") return;
    const cell = this.books.account(of);
    const metadata = { ...cell.value.metadata, ...set };
    for (const key of deleted) delete metadata[key];
    this.books.putTerms(cell, { ...cell.value, metadata });
  }

  /** Ends the commit that was decided, or read, and begins the next one. */
  close(): PendingCommit {
    const entries = this.#entries;
    const pending = {
      changes: this.books.close(),
      entries,
      names: this.pendingNames.close(),
      commit: this.#commit,
      decidedAt: this.decidedAt,
    };
    this.#entries = [];
    this.#written = 0;
    this.#commit = { position: 0, firstVersion: this.version + 1 };
    return pending;
  }

  /** A closed commit stands in the stream. */
  confirm(pending: PendingCommit, point: JournalPoint): void {
    const { changes, entries, names, commit, decidedAt } = pending;
    const { position } = point;
    commit.position = position;
    this.books.confirm(changes, position, this.#onNew);
    if (names !== undefined) this.#rememberNames(names, position, commit.firstVersion);
    for (let index = 0; index < entries.length; index++) {
      const entry = entries[index];
      if (entry === undefined) continue;
      if (names === undefined) this.#rememberNamesOf(entry, position, index);
      this.#remember(entry, position, index, commit.firstVersion + index);
    }
    this.point = point;
    this.confirmedAt = decidedAt;
  }

  /** Takes back what is not acknowledged: the open commit, and closed ones that were not stored. */
  rollback(closed: readonly PendingCommit[]): void {
    this.books.rollback(closed.map(({ changes }) => changes));
    for (const version of this.#reverting) this.reverted.delete(version);
    this.#reverting.clear();
    this.pendingNames.clear();
    this.version = this.point.version;
    this.decidedAt = this.confirmedAt;
    if (this.version === 0) this.opened = undefined;
    this.#entries = [];
    this.#written = 0;
    this.#commit = { position: 0, firstVersion: this.version + 1 };
  }

  /** What was put into it is what was acknowledged at a point. */
  restored(point: JournalPoint, confirmedAt: number): void {
    this.books.restoredAt(point.position);
    this.point = point;
    this.version = point.version;
    this.confirmedAt = confirmedAt;
    this.decidedAt = confirmedAt;
    this.#entries = [];
    this.#written = 0;
    this.#commit = { position: 0, firstVersion: point.version + 1 };
  }

  #open(entry: OpenedEntry): void {
    this.opened = entry;
    this.#order = drainOrder(entry.drainPolicy);
    this.books.order = this.#order;
    this.fingerprints = new Fingerprints(...entry.seeds);
    this.keys = new RecentPlaces(entry.idempotencyKeys);
    this.books.defaultTerms = { lots: entry.lots, overdraft: entry.overdraft };
  }

  /** Reduces or ends the hold that is captured. */
  capture(captured: Captured, decidedAt: number): void {
    const { hold } = this.findHold(captured) ?? {};
    const left = captured.ended || hold === undefined ? 0n : hold.remaining - captured.amount;
    this.endHold(captured, decidedAt, left);
  }

  /** What commands look up by key and reference. */
  #rememberNames(names: CommitNames, position: number, firstVersion: number): void {
    names.keys.forEach((fingerprint, { version }) =>
      this.keys.add(fingerprint, position, version - firstVersion),
    );
    names.references.forEach((fingerprint, { version }) =>
      this.references.add(fingerprint, position, version - firstVersion),
    );
    this.pendingNames.drop(names);
  }

  /** The same of an entry that was read. */
  #rememberNamesOf(entry: JournalEntry, position: number, index: number): void {
    const { keys, references, fingerprints } = this;
    if (entry.key !== undefined) keys.add(fingerprints.of(entry.key), position, index);
    const reference = referenceOf(entry);
    if (reference !== undefined) references.add(fingerprints.of(reference), position, index);
  }

  /** What commands and readers look up by id and account. */
  #remember(entry: JournalEntry, position: number, index: number, version: number): void {
    switch (entry.kind) {
      case "posted": {
        if (entry.reverts !== undefined) {
          this.reverted.set(entry.reverts.version, { position, index, version });
          this.#reverting.delete(entry.reverts.version);
        }
        if (entry.captures?.ended === true) this.holds.delete(idOf(entry.captures));
        break;
      }
      case "hold-placed": {
        const { account, asset, expiresAt, decidedAt } = entry;
        this.#sweepHolds(decidedAt);
        const hold = { position, index, version, account, asset, expiresAt };
        this.holds.set(idOf(hold), hold);
        break;
      }
      case "hold-released":
        this.holds.delete(idOf(entry.hold));
        break;
      case "metadata-changed":
        if (typeof entry.of !== "string") this.#annotated(entry.of.version, position);
        break;
      default:
    }
  }

  /** Forgets holds that have expired, two looked at for each that is placed. */
  #sweepHolds(decidedAt: number): void {
    for (let look = 0; look < 2; look++) {
      const [first] = this.holds;
      if (first === undefined) return;
      const [id, hold] = first;
      this.holds.delete(id);
      if (hold.expiresAt > decidedAt) this.holds.set(id, hold);
    }
  }

  #annotated(version: number, position: number): void {
    const places = this.annotated.get(version);
    if (places === undefined) this.annotated.set(version, [position]);
    else if (places.at(-1) !== position) places.push(position);
  }
}

/** What an entry says of itself that is unique in its ledger. */
export function referenceOf(entry: JournalEntry): string | undefined {
  return entry.kind === "posted" || entry.kind === "hold-placed" ? entry.reference : undefined;
}

/** The id of an entry: its place. */
export function idOf({ position, index }: Pick<EntryReference, "position" | "index">): string {
  return `${position}.${index}`;
}
