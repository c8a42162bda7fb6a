import { contentOf } from "./content.ts";
import { decideEntry } from "./decide-entry.ts";
import { bytesAtMost, type DecideContext } from "./decide-postings.ts";
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
import type { Grant } from "./lot-list.ts";
import type { AskedBatch, AskedPost, AskedSingle } from "./prepare.ts";
import { idOf, type LedgerState } from "./state.ts";

/** What a command comes to, once it is acknowledged. */
export interface Decided {
  readonly entry: JournalEntry;
  /** Number of the entry; of a dry run, the one that it would have had. */
  readonly version: number;
  readonly dryRun: boolean;
  readonly replayed: boolean;
  /** The commit that the entry stands in; its position is known once it is acknowledged. undefined for a dry run. */
  readonly commit: Grant["commit"] | undefined;
}

/** What one of an atomic batch comes to. */
export type DecidedItem = Decided | { readonly error: unknown };

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
  readonly #keys = new Map<string, Decided>();
  readonly #references = new Map<string, Decided>();

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
    try {
      // each sees what those before it did, in a dry run too
      for (const post of posts) decided.push(this.#decide(post, lookups, decidedAt, false));
      this.#checkSize(posts, decided);
      if (!options.dryRun) return decided;
      this.#takeBack(decided);
      const tried = new Set(decided.filter(({ replayed }) => !replayed).map(({ entry }) => entry));
      return decided.map((one) =>
        tried.has(one.entry) ? { ...one, dryRun: true, commit: undefined } : one,
      );
    } catch (error) {
      this.#takeBack(decided);
      const isWhole = decided.length === posts.length;
      if (error instanceof LookupNeeded || isWhole) throw error;
      const refused = new BatchRefusedError(decided.length, error);
      return posts.map((_, at) => ({ error: at === decided.length ? error : refused }));
    }
  }

  /** Entries were acknowledged: from now on the state knows their keys and references. */
  forget(entries: readonly JournalEntry[]): void {
    for (const entry of entries) {
      if (entry.key !== undefined) this.#keys.delete(entry.key);
      const reference = referenceOf(entry);
      if (reference !== undefined) this.#references.delete(reference);
    }
  }

  /** Nothing of what was decided is stored. */
  forgetAll(): void {
    this.#keys.clear();
    this.#references.clear();
  }

  /** All of a batch stand in one commit. @throws {TransactionTooLargeError} */
  #checkSize(posts: readonly AskedPost[], decided: readonly Decided[]): void {
    const entries = decided.filter(({ replayed }) => !replayed).map(({ entry }) => entry);
    let bytes = 0;
    for (const { metadataBytes } of posts) bytes += metadataBytes;
    for (const entry of entries) bytes += bytesAtMost(entry, 0);
    if (bytes <= this.#maxEntryBytes) return;
    const size = packEntries(entries).length;
    if (size > this.#maxEntryBytes)
      throw new TransactionTooLargeError(size, this.#maxEntryBytes, "bytes");
  }

  #takeBack(decided: readonly Decided[]): void {
    this.#state.undo();
    this.forget(decided.filter(({ replayed }) => !replayed).map(({ entry }) => entry));
  }

  #decide(asked: AskedSingle, lookups: Lookups, decidedAt: number, dryRun: boolean): Decided {
    const state = this.#state;
    const { key, expect } = asked.options;
    const reference = "reference" in asked ? asked.reference : undefined;
    let content: number | undefined;
    if (key !== undefined || reference !== undefined) {
      content = contentOf(asked, state.fingerprints);
      const first =
        this.#byKey(key, content, lookups) ?? this.#byReference(reference, content, lookups);
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
    const version = state.version + 1;
    const commit = dryRun ? undefined : state.commit;
    const decided: Decided = { entry, version, dryRun, replayed: false, commit };
    if (dryRun) return decided;
    state.take(entry);
    if (key !== undefined) this.#keys.set(key, decided);
    if (reference !== undefined) this.#references.set(reference, decided);
    return decided;
  }

  #byKey(key: string | undefined, content: number, lookups: Lookups): Decided | undefined {
    if (key === undefined) return undefined;
    const pending = this.#keys.get(key);
    if (pending !== undefined) {
      if (pending.entry.content === content) return repeated(pending);
      throw new IdempotencyConflictError(key, undefined);
    }
    const { keys, fingerprints } = this.#state;
    for (const place of keys.find(fingerprints.of(key)) ?? []) {
      const found = recorded(lookups, idOf(place));
      if (found.entry.key !== key) continue;
      if (found.entry.content === content) return first(found);
      throw new IdempotencyConflictError(key, idOf(place));
    }
    return undefined;
  }

  #byReference(
    reference: string | undefined,
    content: number,
    lookups: Lookups,
  ): Decided | undefined {
    if (reference === undefined) return undefined;
    const pending = this.#references.get(reference);
    if (pending !== undefined) {
      if (pending.entry.content === content) return repeated(pending);
      throw new DuplicateReferenceError(reference, undefined);
    }
    const { references, fingerprints } = this.#state;
    for (const place of references.find(fingerprints.of(reference)) ?? []) {
      const found = recorded(lookups, idOf(place));
      if (referenceOf(found.entry) !== reference) continue;
      if (found.entry.content === content) return first(found);
      throw new DuplicateReferenceError(reference, idOf(place));
    }
    return undefined;
  }
}

/** What an entry says of itself that is unique in its ledger. */
export function referenceOf(entry: JournalEntry): string | undefined {
  return entry.kind === "posted" || entry.kind === "hold-placed" ? entry.reference : undefined;
}

function recorded(lookups: Lookups, id: string): FoundEntry {
  const found = lookUp(lookups, id);
  if (found !== undefined) return found;
  throw new InconsistentStateError(`the ledger knows an entry ${id}, and its journal has none`);
}

function first({ entry, place }: FoundEntry): Decided {
  const { position, index, version } = place;
  const commit = { position, firstVersion: version - index };
  return { entry, version, dryRun: false, replayed: true, commit };
}

function repeated({ entry, version, commit }: Decided): Decided {
  return { entry, version, dryRun: false, replayed: true, commit };
}
