import { StreamRolledBackError, VersionConflictError } from "../errors.ts";
import { type OnSignal, Signal } from "../nats/signal.ts";
import type { EventMap } from "../store/event.ts";
import type { EventStore } from "../store/event-store.ts";
import { readCommit, type StoredCommit } from "../store/commit.ts";
import { CommitStream } from "../store/commit-stream.ts";
import { internalsOf, type StoreInternals } from "../store/internals.ts";
import { actorSubject } from "../store/subject.ts";
import type { Head } from "../store/version-cache.ts";
import type { AppendResult } from "../store/writer.ts";
import { CHAIN_HEADER, chainHash } from "./chain.ts";
import { CommitCache } from "./commit-cache.ts";
import { InconsistentStateError, JournalBrokenError } from "./errors.ts";
import { decodeEntry } from "./journal-codec.ts";
import type { JournalEntry } from "./journal-entry.ts";
import type { FoundEntry } from "./lookups.ts";
import type { AskedPlace } from "./prepare.ts";
import { JOURNAL_START, type JournalPoint } from "./state.ts";

/** A commit of a journal whose link of the chain was found right. */
export interface JournalCommit {
  readonly entries: readonly JournalEntry[];
  readonly firstVersion: number;
  readonly point: JournalPoint;
  readonly recordedAtMs: number;
}

/** The actor type of journals. */
const JOURNAL_TYPE = "journal";

/** The journal of a ledger on the server: appended to, read on from a point, and looked into. */
export class Journal {
  readonly ledger: string;
  readonly subject: string;
  readonly store: EventStore;
  readonly #internals: StoreInternals;
  /** Another one after a rollback: what was on its way then goes into the old one. */
  #cache = new CommitCache();

  constructor(store: EventStore, ledger: string) {
    this.ledger = ledger;
    this.store = store;
    this.#internals = internalsOf<EventMap>(store);
    this.subject = actorSubject(this.#internals.context.prefix, this.actor);
  }

  get actor(): { readonly type: string; readonly id: string } {
    return { type: JOURNAL_TYPE, id: this.ledger };
  }

  /** Calls back when the store notices that the stream is another one; returns what ends it. */
  readonly onRollback = (listener: () => void): (() => void) => {
    const { rollbackListeners } = this.#internals.context;
    const onRollback = (): void => {
      this.#cache = new CommitCache();
      listener();
    };
    rollbackListeners.add(onRollback);
    return () => rollbackListeners.delete(onRollback);
  };

  /** A channel to the other processes that write this journal. */
  signal(onSignal: OnSignal): Signal {
    const { connection, stream } = this.#internals.context;
    return new Signal(connection, `annal.turn.${stream}.${this.ledger}`, onSignal);
  }

  /** Bytes that one commit may have. */
  get maxCommitBytes(): number {
    return this.#internals.context.maxMessageBytes();
  }

  /** Version that the process has seen of the journal without asking: by its own appends, and where the store follows. */
  get seenVersion(): number {
    return this.#internals.context.cache.peek(this.subject)?.version ?? 0;
  }

  /**
   * Appends a commit behind a point.
   *
   * @returns what it was stored as, and the point behind it
   * @throws as {@link EventStore.append}
   */
  async append(
    body: Uint8Array,
    eventCount: number,
    commitId: string,
    behind: JournalPoint,
    timeoutMs: number,
  ): Promise<JournalPoint> {
    let chain = "";
    const seal = (payload: Uint8Array, version: number, head: Head): string => {
      this.#assertSame(behind, head.commitId);
      chain = chainHash(behind.chain, version, commitId, payload);
      return `${CHAIN_HEADER}: ${chain}\r\n`;
    };
    const { actor } = this;
    const expectedVersion = behind.version;
    const append = { actor, body, eventCount, expectedVersion, commitId, seal };
    const stored: AppendResult = await this.#internals.appendEncoded(append, timeoutMs);
    return { version: stored.version, position: stored.position, commitId, chain };
  }

  /**
   * Asks the leader whether the journal ends at a point.
   *
   * @throws {VersionConflictError} it does not
   */
  async assertCurrent(point: JournalPoint, timeoutMs: number): Promise<JournalPoint> {
    const { version, commitId } = await this.#internals.heads.latest(this.subject, { timeoutMs });
    if (version !== point.version)
      throw new VersionConflictError(this.actor, point.version, version);
    this.#assertSame(point, commitId);
    return point;
  }

  /** A stream that was put back may have come to the same version by other commits. */
  #assertSame({ position, commitId }: JournalPoint, found: string): void {
    if (found === commitId) return;
    throw new StreamRolledBackError(this.store.stream, position, commitId, found);
  }

  /** The few commits behind a point, up to the head; each found right. */
  async *tail(
    after: JournalPoint,
    timeoutMs: number,
  ): AsyncGenerator<JournalCommit, void, undefined> {
    const range = { fromVersion: after.version + 1 };
    let point = after;
    for await (const commit of this.#internals.history.commits(this.subject, range, {
      timeoutMs,
    })) {
      const next = this.verified(commit, point);
      yield next;
      point = next.point;
    }
  }

  /** All commits behind a point, up to the head seen at the start, at the speed of the stream. */
  async *readOn(
    after: JournalPoint,
    signal?: AbortSignal,
  ): AsyncGenerator<JournalCommit, void, undefined> {
    for await (const commit of this.storedBehind(after, signal)) {
      const next = this.verified(commit, after);
      yield next;
      after = next.point;
    }
  }

  /** The same as it is stored, nothing of it checked. */
  async *storedBehind(
    after: JournalPoint,
    signal?: AbortSignal,
  ): AsyncGenerator<StoredCommit, void, undefined> {
    const { context } = this.#internals;
    const since = after.position + 1;
    const stream = new CommitStream(context, { filters: [this.subject], since, signal });
    try {
      await stream.open(() => {});
      for (;;) {
        const messages = await stream.nextUntilCaughtUp();
        if (messages === undefined) return;
        for (const message of messages) {
          // what arrived behind the target belongs to the next reader
          if (message.sequence > stream.target) return;
          yield readCommit(message, context.prefix);
        }
      }
    } finally {
      await stream.close();
    }
  }

  /**
   * The entry at a place; undefined where none of this journal stands there.
   *
   * @param known how far the journal is known
   * @throws {InconsistentStateError} nothing stands there although the journal goes on behind it
   */
  async entryAt(
    { position, index }: AskedPlace,
    timeoutMs: number,
    known: JournalPoint = JOURNAL_START,
  ): Promise<FoundEntry | undefined> {
    const commit = await this.recentCommitAt(position, timeoutMs, known);
    return commit === undefined ? undefined : entryOf(commit, index);
  }

  /** As {@link commitAt}, unless it was looked into a moment ago. */
  async recentCommitAt(
    position: number,
    timeoutMs: number,
    known: JournalPoint = JOURNAL_START,
  ): Promise<StoredCommit | undefined> {
    const cache = this.#cache;
    const recent = cache.get(position);
    if (recent !== undefined) return recent;
    const commit = await this.commitAt(position, timeoutMs, known);
    if (commit !== undefined) cache.add(commit);
    return commit;
  }

  /** The commit at a position; undefined where none of this journal stands there. */
  async commitAt(
    position: number,
    timeoutMs: number,
    known: JournalPoint = JOURNAL_START,
  ): Promise<StoredCommit | undefined> {
    const { direct, prefix } = this.#internals.context;
    if (position < 1) return undefined;
    const bounds = { timeoutMs };
    const message =
      (await direct.bySequence(position, bounds)) ??
      (await direct.leaderBySequence(position, bounds));
    if (message === undefined && position <= known.position) {
      const what = `nothing stands at position ${position} of the stream any more, and the journal of ledger "${this.ledger}" goes on to ${known.position}`;
      throw new InconsistentStateError(what);
    }
    return message?.subject === this.subject ? readCommit(message, prefix) : undefined;
  }

  /** Commits from the one that holds a version on, up to the head; about so many entries will be taken. */
  commitsFrom(
    fromVersion: number,
    expectedEvents: number,
    timeoutMs: number,
  ): AsyncGenerator<StoredCommit, void, undefined> {
    const range = { fromVersion, expectedEvents };
    return this.#internals.history.commits(this.subject, range, { timeoutMs });
  }

  /** When a message of the stream was stored, in milliseconds since 1970; undefined where none stands there. */
  async storedAt(position: number): Promise<number | undefined> {
    const { direct, limits } = this.#internals.context;
    if (position < 1) return undefined;
    const bounds = { timeoutMs: limits.readTimeoutMs };
    return (await direct.leaderBySequence(position, bounds))?.timestampMs;
  }

  /** A stored commit behind a point. @throws {JournalBrokenError} where it does not fit to it */
  verified(commit: StoredCommit, behind: JournalPoint): JournalCommit {
    const { commitId, version, firstVersion, message, payload } = commit;
    const position = message.sequence;
    if (firstVersion !== behind.version + 1) {
      const reason = `entry ${behind.version + 1} expected, found ${firstVersion}`;
      throw new JournalBrokenError(this.ledger, position, reason);
    }
    const chain = chainHash(behind.chain, version, commitId, message.data);
    if (message.headers.get(CHAIN_HEADER) !== chain) {
      const reason = `the hash of its commit ${commitId} is another one than its header says`;
      throw new JournalBrokenError(this.ledger, position, reason);
    }
    return {
      entries: payload.events.map((event) => decodeEntry(event, position)),
      firstVersion,
      point: { version, position, commitId, chain },
      recordedAtMs: message.timestampMs,
    };
  }
}

/** The entry at a place in a commit; undefined where it has none there. */
export function entryOf(commit: StoredCommit, index: number): FoundEntry | undefined {
  const event = commit.payload.events[index];
  if (event === undefined) return undefined;
  const { sequence: position } = commit.message;
  const place = { position, index, version: commit.firstVersion + index };
  return { entry: decodeEntry(event, position), place };
}
