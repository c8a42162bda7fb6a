import { contentOf } from "./content.ts";
import { decideEntry } from "./decide-entry.ts";
import { bytesAtMost, type DecideContext } from "./decide-postings.ts";
import { type Decided, type DecidedItem, type Moved, NewlyDecided } from "./decided.ts";
import {
  BatchRefusedError,
  DuplicateReferenceError,
  IdempotencyConflictError,
  InconsistentStateError,
  PreconditionFailedError,
  TransactionTooLargeError,
} from "./errors.ts";
import { packEntries } from "./journal-codec.ts";
import type { JournalEntry } from "./journal-entry.ts";
import { type FoundEntry, LookupNeeded, type Lookups, lookUp, NO_LOOKUPS } from "./lookups.ts";
import type { AskedBatch, AskedPost, AskedSingle } from "./prepare.ts";
import type { Place } from "./place-table.ts";
import { idOf, type LedgerState, referenceOf } from "./state.ts";

const NO_PLACES: readonly Place[] = [];
const NONE_MOVED: readonly Moved[] = [];

/**
 * Decides commands on the state in memory, one after the other: what is decided is in the state at once. Errors come
 * in this order: the idempotency key, the reference, the expected version, what the command refers to, the
 * expected balances, the accounts, the funds, the size.
 *
 * A command whose reference is known, with the same content, returns the first result whatever its idempotency key: no
 * entry is written, so that a key which nobody used before is not remembered by that, and can still be used for another
 * content.
 */
export class Decider {
  readonly #state: LedgerState;
  readonly #maxEntryBytes: number;
  /** Of the command that is being decided: one for all, as each lives until its decision only. */
  readonly #context: { -readonly [Key in keyof DecideContext]: DecideContext[Key] };

  constructor(state: LedgerState, maxEntryBytes: number) {
    this.#state = state;
    this.#maxEntryBytes = maxEntryBytes;
    const none = { lookups: NO_LOOKUPS, decidedAt: 0, content: undefined };
    this.#context = { state, maxEntryBytes, ...none };
  }

  /**
   * Decides a command, in full or not at all.
   *
   * @throws {LookupNeeded} entries of the journal are needed first; what refuses it: nothing has changed
   */
  decide(asked: AskedSingle, lookups: Lookups, decidedAt: number): Decided {
    const state = this.#state;
    state.begin();
    try {
      const decided = this.#decide(asked, lookups, decidedAt, asked.options.dryRun);
      if (decided.dryRun) state.undo();
      return decided;
    } catch (error) {
      state.undo();
      throw error;
    }
  }

  /** Decides all commands of a batch, or none: then the first that is refused says why. */
  decideAll({ posts, options }: AskedBatch, lookups: Lookups, decidedAt: number): DecidedItem[] {
    const state = this.#state;
    state.begin();
    const decided: Decided[] = [];
    const { version, openEntries } = state;
    const before = openEntries.length;
    try {
      // each sees what those before it did, in a dry run too
      for (const post of posts) decided.push(this.#decide(post, lookups, decidedAt, false));
      const entries = openEntries.slice(before).filter((entry) => entry !== undefined);
      this.#checkSize(posts, entries);
      if (!options.dryRun) return decided;
      state.undo();
      // what repeats one of this dry run has no place either
      return decided.map((one) =>
        one.version > version ? { ...one, dryRun: true, commit: undefined } : one,
      );
    } catch (error) {
      state.undo();
      const isWhole = decided.length === posts.length;
      if (error instanceof LookupNeeded || isWhole) throw error;
      const refused = new BatchRefusedError(decided.length, error);
      return posts.map((_, at) => ({ error: at === decided.length ? error : refused }));
    }
  }

  /** All of a batch stand in one commit. @throws {TransactionTooLargeError} */
  #checkSize(posts: readonly AskedPost[], entries: readonly JournalEntry[]): void {
    let bytes = 0;
    for (const { metadataBytes } of posts) bytes += metadataBytes;
    for (const entry of entries) bytes += bytesAtMost(entry, 0);
    if (bytes <= this.#maxEntryBytes) return;
    const size = packEntries(entries).length;
    if (size > this.#maxEntryBytes)
      throw new TransactionTooLargeError(size, this.#maxEntryBytes, "bytes");
  }

  #decide(asked: AskedSingle, lookups: Lookups, decidedAt: number, dryRun: boolean): Decided {
    const state = this.#state;
    const { fingerprints, pendingNames } = state;
    const { key, expect } = asked.options;
    const reference = "reference" in asked ? asked.reference : undefined;
    const keyPrint = key === undefined ? 0 : fingerprints.of(key);
    const referencePrint = reference === undefined ? 0 : fingerprints.of(reference);
    let content: number | undefined;
    if (key !== undefined || reference !== undefined) {
      content = contentOf(asked, fingerprints);
      const first =
        this.#byKey(key, keyPrint, content, lookups) ??
        this.#byReference(reference, referencePrint, content, lookups);
      if (first !== undefined) return first;
    }
    if (expect?.version !== undefined && expect.version !== state.version) {
      const expected = String(expect.version);
      throw new PreconditionFailedError("the ledger's version", expected, String(state.version));
    }
    const context = this.#context;
    context.lookups = lookups;
    context.decidedAt = decidedAt;
    context.content = content;
    const entry = decideEntry(asked, context);
    const commit = dryRun ? undefined : state.commit;
    const decided = new NewlyDecided(entry, movedBy(entry, asked), state.version + 1, commit);
    if (dryRun) return decided;
    state.take(entry);
    if (key !== undefined) pendingNames.addKey(keyPrint, key, decided);
    if (reference !== undefined) pendingNames.addReference(referencePrint, reference, decided);
    return decided;
  }

  #byKey(
    key: string | undefined,
    fingerprint: number,
    content: number,
    lookups: Lookups,
  ): Decided | undefined {
    if (key === undefined) return undefined;
    const { keys, pendingNames } = this.#state;
    const pending = pendingNames.byKey(fingerprint, key);
    if (pending !== undefined) {
      if (pending.content === content) return { ...pending, replayed: true };
      throw new IdempotencyConflictError(key, undefined);
    }
    for (const place of keys.find(fingerprint) ?? NO_PLACES) {
      const found = recorded(lookups, idOf(place));
      if (found.entry.key !== key) continue;
      if (found.entry.content === content) return first(found);
      throw new IdempotencyConflictError(key, idOf(place));
    }
    return undefined;
  }

  #byReference(
    reference: string | undefined,
    fingerprint: number,
    content: number,
    lookups: Lookups,
  ): Decided | undefined {
    if (reference === undefined) return undefined;
    const { references, pendingNames } = this.#state;
    const pending = pendingNames.byReference(fingerprint, reference);
    if (pending !== undefined) {
      if (pending.content === content) return { ...pending, replayed: true };
      throw new DuplicateReferenceError(reference, undefined);
    }
    for (const place of references.find(fingerprint) ?? NO_PLACES) {
      const found = recorded(lookups, idOf(place));
      if (referenceOf(found.entry) !== reference) continue;
      if (found.entry.content === content) return first(found);
      throw new DuplicateReferenceError(reference, idOf(place));
    }
    return undefined;
  }
}

function recorded(lookups: Lookups, id: string): FoundEntry {
  const found = lookUp(lookups, id);
  if (found !== undefined) return found;
  throw new InconsistentStateError(`the ledger knows an entry ${id}, and its journal has none`);
}

function first({ entry, place }: FoundEntry): Decided {
  const { decidedAt, content } = entry;
  const { position, index, version } = place;
  const commit = { position, firstVersion: version - index };
  const moved = entry.kind === "posted" ? entry.postings : NONE_MOVED;
  return { decidedAt, content, moved, version, dryRun: false, replayed: true, commit };
}

function movedBy(entry: JournalEntry, asked: AskedSingle): readonly Moved[] {
  // all that it asks for, unless it takes what is there; and the command is kept anyway
  if (asked.kind === "post" && !asked.partial) return asked.postings;
  return entry.kind === "posted" ? entry.postings : NONE_MOVED;
}
