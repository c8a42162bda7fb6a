import { InvalidArgumentError } from "../errors.ts";
import type { StoredCommit } from "../store/commit.ts";
import { internalsOf } from "../store/internals.ts";
import { count } from "../store/options.ts";
import type { AccountPlaces } from "./account-places.ts";
import type { LedgerEngine } from "./engine.ts";
import { InconsistentStateError } from "./errors.ts";
import { decodeEntry } from "./journal-codec.ts";
import type { Details, EntryReference, HoldPlacedEntry, PostedEntry } from "./journal-entry.ts";
import type { FoundEntry } from "./lookups.ts";
import { checkAccount, checkAsset, checkInstant } from "./names.ts";
import { type AskedPlace, preparePlace } from "./prepare.ts";
import type { ReadOptions } from "./queries.ts";
import { dateOf, endsHold, lotOf, lotsInOrder, type NumberedLot, postingsOf } from "./results.ts";
import { idOf } from "./state.ts";
import type { HoldStatus, LotInfo, Page, Transaction } from "./transaction.ts";

/** Which lots. */
export interface LotsOptions {
  /** Only what is left of them, from memory. @default false */
  readonly live?: boolean | undefined;
}

/** When a balance is asked of. */
export type AsOf =
  /** Right after a position of the stream; `at` says what had expired, by default the time when that was stored. */
  | { readonly position: number; readonly at?: Date | undefined }
  /** Counting what was effective before an instant, whenever it was posted; what had expired by then is left out. */
  | { readonly effectiveBefore: Date };

/** Which transactions. */
export interface TransactionsQuery {
  readonly account?: string | undefined;
  /** Effective at or after this. */
  readonly from?: Date | undefined;
  /** Effective before this. */
  readonly to?: Date | undefined;
  /** Which come first, in the order of the journal. @default "oldest" */
  readonly order?: "oldest" | "newest" | undefined;
  /** The cursor of the page before, of the same order. */
  readonly after?: string | undefined;
  /** @default 100, at most 1,000 */
  readonly limit?: number | undefined;
}

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;
/** Commits that are fetched at once. */
const WINDOW = 32;

/** In which direction, behind which entry, and for how many. */
interface Walk {
  readonly newest: boolean;
  readonly after: AskedPlace | undefined;
  readonly limit: number;
}

/** Answers from the journal, by the places that the state knows of each account. */
export class History {
  readonly #engine: LedgerEngine;

  constructor(engine: LedgerEngine) {
    this.#engine = engine;
  }

  async transaction(place: AskedPlace): Promise<Transaction | undefined> {
    await this.#engine.current();
    const { journal, settings, state } = this.#engine;
    const found = await journal.entryAt(place, settings.commandTimeoutMs, state.point);
    return found === undefined ? undefined : await this.#transaction(found);
  }

  async hold(asked: AskedPlace, options: ReadOptions): Promise<HoldStatus | undefined> {
    const at = options.at === undefined ? this.#engine.now() : checkInstant("at", options.at);
    await (options.fresh === true ? this.#engine.refresh(options.signal) : this.#engine.current());
    const { journal, settings, state } = this.#engine;
    const found = await journal.entryAt(asked, settings.commandTimeoutMs, state.point);
    if (found?.entry.kind !== "hold-placed") return undefined;
    const { entry, place } = found;
    // placed by another process, and not known here yet
    if (place.version > this.#engine.state.point.version)
      await this.#engine.refresh(options.signal);
    const { account, asset, to, amount, reference, key: idempotencyKey } = entry;
    const metadata = await this.#metadata(entry, place);
    const status = await this.#statusOf(entry, place, Math.max(at, this.#engine.state.confirmedAt));
    const when = { expiresAt: new Date(entry.expiresAt), decidedAt: new Date(entry.decidedAt) };
    const said = { reference, idempotencyKey, metadata };
    return { id: idOf(place), account, asset, to, amount, ...status, ...when, ...said };
  }

  /** From memory, where the hold is active or has just expired; else its account's entries until it expired tell. */
  async #statusOf(
    { account, asset, expiresAt }: HoldPlacedEntry,
    { position, version }: EntryReference,
    decidedAt: number,
  ): Promise<Pick<HoldStatus, "status" | "remaining">> {
    const { holds = [] } =
      this.#engine.state.books.accounts.get(account)?.holding(asset)?.confirmed ?? {};
    const hold = holds.find((each) => each.version === version);
    if (hold !== undefined && expiresAt > decidedAt)
      return { status: "active", remaining: hold.remaining };
    if (hold !== undefined) return { status: "expired", remaining: 0n };
    if (expiresAt > decidedAt) return { status: "ended", remaining: 0n };
    for await (const { entry } of this.#of(account, position)) {
      if (entry.decidedAt >= expiresAt) break;
      if (endsHold(entry, version)) return { status: "ended", remaining: 0n };
    }
    return { status: "expired", remaining: 0n };
  }

  async transactions(query: TransactionsQuery): Promise<Page<Transaction>> {
    const { account, order = "oldest", limit = DEFAULT_LIMIT } = query;
    if (count("limit", limit, 1) > MAX_LIMIT)
      throw new InvalidArgumentError("limit", `at most ${MAX_LIMIT}`, limit);
    if (order !== "oldest" && order !== "newest")
      throw new InvalidArgumentError("order", '"oldest" or "newest"', order);
    const from = query.from === undefined ? -Infinity : checkInstant("from", query.from);
    const to = query.to === undefined ? Infinity : checkInstant("to", query.to);
    const after = query.after === undefined ? undefined : preparePlace("after", query.after);
    if (account !== undefined) checkAccount("account", account);
    await this.#engine.current();
    const items: Transaction[] = [];
    const walk: Walk = { newest: order === "newest", after, limit };
    const entries = account === undefined ? this.#all(walk) : this.#page(account, walk);
    for await (const found of entries) {
      const { entry, place } = found;
      if (entry.kind !== "posted" || entry.at < from || entry.at >= to) continue;
      if (after !== undefined && !isBehind(place, after, walk.newest)) continue;
      if (account !== undefined && !speaksOf(entry, account)) continue;
      if (items.length === limit) return { items, cursor: items.at(-1)?.id };
      const transaction = await this.#transaction(found);
      if (transaction !== undefined) items.push(transaction);
    }
    return { items, cursor: undefined };
  }

  async lots(account: string, asset: string, { live }: LotsOptions = {}): Promise<LotInfo[]> {
    checkAccount("account", account);
    checkAsset("asset", asset);
    await this.#engine.current();
    const lots = new Map<string, NumberedLot>();
    if (live === true) {
      const { accounts } = this.#engine.state.books;
      const { confirmed } = accounts.get(account)?.holding(asset) ?? {};
      for (const { grant, remaining } of confirmed?.lots ?? [])
        lots.set(`${grant.version}.${grant.lotIndex}`, lotOf(grant, remaining));
      return lotsInOrder(lots.values());
    }
    for await (const { entry, place } of this.#of(account)) {
      if (entry.kind !== "posted") continue;
      for (const posting of entry.postings) {
        if (posting.asset !== asset) continue;
        if (posting.destination === account) {
          for (const { lotIndex, amount, expiresAt } of posting.made ?? []) {
            const { reference } = entry;
            const of = { transactionId: idOf(place), version: place.version, reference };
            const when = { grantedAt: new Date(entry.at), expiresAt: dateOf(expiresAt) };
            const lot = { ...of, ...when, index: lotIndex, amount, remaining: amount };
            lots.set(`${place.version}.${lotIndex}`, lot);
          }
        }
        if (posting.source !== account) continue;
        for (const { version, lotIndex, amount } of posting.drained ?? []) {
          const lot = lots.get(`${version}.${lotIndex}`);
          if (lot === undefined) {
            const what = `entry ${place.version} drains a lot ${version}.${lotIndex} that ${account} never got`;
            throw new InconsistentStateError(what);
          }
          const remaining = lot.remaining - amount;
          lots.set(`${version}.${lotIndex}`, { ...lot, remaining });
        }
      }
    }
    return lotsInOrder(lots.values());
  }

  async balanceAsOf(account: string, asset: string, asOf: AsOf): Promise<bigint> {
    checkAccount("account", account);
    checkAsset("asset", asset);
    await this.#engine.current();
    const { isCounted, at, upTo } = await this.#selection(asOf);
    let balance = 0n;
    const expiring = new Map<string, bigint>();
    for await (const { entry, place } of this.#of(account, 0, upTo)) {
      if (entry.kind !== "posted" || !isCounted(entry)) continue;
      for (const posting of entry.postings) {
        if (posting.asset !== asset) continue;
        if (posting.destination === account) {
          balance += posting.amount;
          for (const { lotIndex, amount, expiresAt } of posting.made ?? [])
            if (expiresAt !== null && expiresAt <= at)
              expiring.set(`${place.version}.${lotIndex}`, amount);
        }
        if (posting.source !== account) continue;
        balance -= posting.amount;
        for (const { version, lotIndex, amount } of posting.drained ?? []) {
          const left = expiring.get(`${version}.${lotIndex}`);
          if (left !== undefined) expiring.set(`${version}.${lotIndex}`, left - amount);
        }
      }
    }
    for (const left of expiring.values()) balance -= left;
    return balance;
  }

  async #selection(asOf: AsOf): Promise<{
    readonly isCounted: (entry: PostedEntry) => boolean;
    readonly at: number;
    readonly upTo: number;
  }> {
    if ("effectiveBefore" in asOf) {
      const before = checkInstant("effectiveBefore", asOf.effectiveBefore);
      const isCounted = (entry: PostedEntry): boolean => entry.at < before;
      // the last instant that counts
      return { isCounted, at: before - 1, upTo: Number.POSITIVE_INFINITY };
    }
    const position = count("position", asOf.position, 0);
    const at =
      asOf.at === undefined
        ? ((await this.#engine.journal.storedAt(position)) ?? this.#engine.now())
        : checkInstant("at", asOf.at);
    return { isCounted: () => true, at, upTo: position };
  }

  /** The entries of the commits that speak of an account, in order, from one position to another. */
  async *#of(
    account: string,
    from = 0,
    to = Infinity,
  ): AsyncGenerator<FoundEntry, void, undefined> {
    const { places } = this.#engine.state.books.accounts.get(account) ?? {};
    if (places !== undefined) yield* this.#windows(within(places.positions(), from, to), WINDOW);
  }

  /** The same for a page of them, which most of the time takes few commits. */
  async *#page(
    account: string,
    { newest, after, limit }: Walk,
  ): AsyncGenerator<FoundEntry, void, undefined> {
    const { places } = this.#engine.state.books.accounts.get(account) ?? {};
    if (places === undefined) return;
    const first = Math.min(WINDOW, limit + 1);
    if (!newest) {
      yield* this.#windows(within(places.positions(), after?.position ?? 0, Infinity), first);
      return;
    }
    const end = after === undefined ? undefined : after.position + 1;
    yield* this.#windows(backwards(places, end), first, newest);
  }

  /** The entries of commits, of which more and more are fetched at once. */
  async *#windows(
    positions: Iterable<number>,
    first: number,
    newest = false,
  ): AsyncGenerator<FoundEntry, void, undefined> {
    let size = first;
    let window: number[] = [];
    for (const position of positions) {
      window.push(position);
      if (window.length < size) continue;
      yield* this.#at(window, newest);
      window = [];
      size = Math.min(WINDOW, size * 2);
    }
    yield* this.#at(window, newest);
  }

  /** The entries of the commits at positions. */
  async *#at(
    positions: readonly number[],
    newest = false,
  ): AsyncGenerator<FoundEntry, void, undefined> {
    const { journal, settings } = this.#engine;
    const { commandTimeoutMs } = settings;
    const commits = positions.map((position) => journal.commitAt(position, commandTimeoutMs));
    for (const [at, commit] of (await Promise.all(commits)).entries()) {
      if (commit === undefined) {
        const what = `the journal of ledger "${journal.ledger}" has no commit at position ${positions[at]}, which its state knows`;
        throw new InconsistentStateError(what);
      }
      yield* newest ? [...entriesOf(commit)].reverse() : entriesOf(commit);
    }
  }

  async *#all({ newest, after, limit }: Walk): AsyncGenerator<FoundEntry, void, undefined> {
    const { journal, settings } = this.#engine;
    const { commandTimeoutMs: timeoutMs } = settings;
    let version: number | undefined;
    if (after !== undefined) {
      const found = await journal.entryAt(after, timeoutMs);
      if (found === undefined) {
        const expected = "the cursor of a page of this ledger";
        throw new InvalidArgumentError("after", expected, idOf(after));
      }
      version = found.place.version;
    }
    const expectedEvents = limit + 1;
    if (!newest) {
      const commits = journal.commitsFrom((version ?? 0) + 1, expectedEvents, timeoutMs);
      for await (const commit of commits) yield* entriesOf(commit);
      return;
    }
    const toVersion = version === undefined ? undefined : version - 1;
    const range = { toVersion, backwards: true, expectedEvents };
    const { history } = internalsOf(journal.store);
    for await (const commit of history.commits(journal.subject, range, { timeoutMs }))
      yield* [...entriesOf(commit)].reverse();
  }

  async #transaction({ entry, place }: FoundEntry): Promise<Transaction | undefined> {
    if (entry.kind !== "posted") return undefined;
    const { state } = this.#engine;
    const { reverts, captures, reference } = entry;
    const by = state.reverted.get(place.version);
    return {
      id: idOf(place),
      ...place,
      at: new Date(entry.at),
      decidedAt: new Date(entry.decidedAt),
      postings: postingsOf(entry),
      reference,
      idempotencyKey: entry.key,
      metadata: await this.#metadata(entry, place),
      reverts: reverts === undefined ? undefined : idOf(reverts),
      revertedBy: by === undefined ? undefined : idOf(by),
      captures: captures === undefined ? undefined : idOf(captures),
    };
  }

  /** What was said of a transaction, and since. */
  async #metadata(
    { metadata = {} }: Pick<PostedEntry, "metadata">,
    { version }: EntryReference,
  ): Promise<Details> {
    const places = this.#engine.state.annotated.get(version);
    if (places === undefined) return metadata;
    const said = { ...metadata };
    for await (const { entry } of this.#at(places)) {
      if (entry.kind !== "metadata-changed" || typeof entry.of === "string") continue;
      if (entry.of.version !== version) continue;
      Object.assign(said, entry.set);
      for (const key of entry.deleted) delete said[key];
    }
    return said;
  }
}

function* entriesOf(commit: StoredCommit): Generator<FoundEntry, void, undefined> {
  const { sequence: position } = commit.message;
  for (const [index, event] of commit.payload.events.entries()) {
    const entry = decodeEntry(event, position);
    yield { entry, place: { position, index, version: commit.firstVersion + index } };
  }
}

function speaksOf(entry: PostedEntry, account: string): boolean {
  return entry.postings.some(
    ({ source, destination }) => source === account || destination === account,
  );
}

function isBehind(place: EntryReference, after: AskedPlace, newest: boolean): boolean {
  const distance = place.position - after.position || place.index - after.index;
  return newest ? distance < 0 : distance > 0;
}

function* within(
  positions: Iterable<number>,
  from: number,
  to: number,
): Generator<number, void, undefined> {
  for (const position of positions) {
    if (position > to) return;
    if (position >= from) yield position;
  }
}

/** The positions below one, newest first. */
function* backwards(
  places: AccountPlaces,
  before: number | undefined,
): Generator<number, void, undefined> {
  let end = before;
  for (;;) {
    const found = places.backwards(end, WINDOW);
    yield* found;
    end = found.at(-1);
    if (end === undefined) return;
  }
}
