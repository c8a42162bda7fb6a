import { CorruptCommitError, StreamRolledBackError } from "../errors.ts";
import type { ReadBounds } from "../nats/direct.ts";
import type { StoredMessage } from "../nats/stored-message.ts";
import { headOf, indexOf, readCommit, type StoredCommit } from "./commit.ts";
import type { StoreContext } from "./context.ts";
import { channels } from "./diagnostics.ts";
import { disagrees, Heads, placeOf } from "./heads.ts";
import { HistoryWalk, type VersionRange } from "./history-walk.ts";
import { NO_HEAD } from "./version-cache.ts";

/** Which commits of an actor to read: those that hold a version of the range, oldest first unless `backwards`. */
export interface HistoryRange {
  /** @default 1 */
  readonly fromVersion?: number | undefined;
  /** @default the actor's version when the read starts */
  readonly toVersion?: number | undefined;
  readonly backwards?: boolean | undefined;
  /** About how many events will be taken, so that no more than needed is fetched ahead. */
  readonly expectedEvents?: number | undefined;
}

const SCAN_BATCH = 512;

/**
 * Reads actors' histories by the index that the commits carry; where it does not hold, by the server's filtered read,
 * which is slow and therefore said on a channel. What is returned is dense in version, or the read fails.
 */
export class HistoryReader {
  readonly #context: StoreContext;
  readonly #heads: Heads;

  constructor(context: StoreContext) {
    this.#context = context;
    this.#heads = new Heads(context);
  }

  /** The commit that holds `version`; `head`, if the caller has it, saves a request. */
  async commitAt(
    subject: string,
    version: number,
    head: StoredCommit | undefined,
    bounds: ReadBounds,
  ): Promise<StoredCommit | undefined> {
    const range = { fromVersion: version, toVersion: version, expectedEvents: 1 };
    for await (const commit of this.commits(subject, range, bounds, head)) return commit;
    return undefined;
  }

  /**
   * The commits of an actor up to the head seen at the start. A read to the end tells the version cache.
   *
   * @throws {StreamRolledBackError} the store knew more of the actor, or the stream was rolled back in the middle of it
   */
  async *commits(
    subject: string,
    range: HistoryRange,
    bounds: ReadBounds,
    knownHead?: StoredCommit,
  ): AsyncGenerator<StoredCommit, void, undefined> {
    const { guard } = this.#context;
    const { epoch } = guard;
    const head = knownHead ?? (await this.head(subject, bounds, "any"));
    if (head === undefined) return;
    const fromVersion = range.fromVersion ?? 1;
    const toVersion = Math.min(range.toVersion ?? head.version, head.version);
    if (fromVersion > toVersion) return;
    const versions = { fromVersion, toVersion };
    const backwards = range.backwards === true;
    const walk = this.#walk(subject, head, versions, range, bounds);
    let last: StoredCommit | undefined;
    for (;;) {
      const step = walk.take() ?? (await walk.next());
      if (step === undefined) return;
      if (guard.epoch !== epoch) throw this.#rolledBack(head);
      const isHole = "reason" in step;
      if (isHole || !(backwards ? precedes(step, last) : follows(last, step, versions))) {
        const reason = isHole ? step.reason : "versions are not dense";
        this.#tellHole(subject, isHole ? step.sequence : step.message.sequence, reason);
        const rest = backwards
          ? this.#stepBack(subject, last ?? head, last === undefined, versions, bounds)
          : this.#scan(subject, head, versions, last, bounds);
        yield* this.#ofOneHistory(rest, head, epoch);
        return;
      }
      last = step;
      yield step;
      if (backwards ? step.firstVersion <= fromVersion : step.version >= toVersion) return;
    }
  }

  #walk(
    subject: string,
    head: StoredCommit,
    range: VersionRange,
    hints: HistoryRange,
    bounds: ReadBounds,
  ): HistoryWalk {
    const { prefix, limits } = this.#context;
    return new HistoryWalk(head, range, {
      backwards: hints.backwards === true,
      windowBytes: limits.readWindowBytes,
      expectedEvents: hints.expectedEvents,
      fetch: (sequence) => this.#bySequence(sequence, bounds),
      predecessor: (commit) => this.#predecessor(subject, commit, bounds),
      read: (message) => readCommit(message, prefix),
      indexOf,
      subject,
    });
  }

  /** The commits, until a rollback is noticed: what does not fit together from then on is no damage. */
  async *#ofOneHistory(
    commits: AsyncIterable<StoredCommit>,
    head: StoredCommit,
    epoch: number,
  ): AsyncGenerator<StoredCommit, void, undefined> {
    const { guard } = this.#context;
    try {
      for await (const commit of commits) {
        if (guard.epoch !== epoch) throw this.#rolledBack(head);
        yield commit;
      }
    } catch (error) {
      if (guard.epoch === epoch || !(error instanceof CorruptCommitError)) throw error;
      throw this.#rolledBack(head);
    }
  }

  /** The server's filtered read, from behind the last commit that was returned to the head: slow, but needs no index. */
  async *#scan(
    subject: string,
    head: StoredCommit,
    range: VersionRange,
    lastYielded: StoredCommit | undefined,
    bounds: ReadBounds,
  ): AsyncGenerator<StoredCommit, void, undefined> {
    let last = lastYielded;
    let from = (last?.message.sequence ?? 0) + 1;
    while (from <= head.message.sequence) {
      const found = await this.#context.direct.nextBySubject(subject, from, SCAN_BATCH, bounds);
      const messages = found.length > 0 ? found : [head.message];
      for (const message of messages) {
        if (message.sequence > head.message.sequence) return;
        from = message.sequence + 1;
        const commit = readCommit(message, this.#context.prefix);
        if (commit.version < range.fromVersion) continue;
        if (!follows(last, commit, range)) {
          throw gap(commit, last?.version ?? range.fromVersion - 1);
        }
        last = commit;
        yield commit;
        if (commit.version < range.toVersion) continue;
        // The head ends at this version too: if it is another commit, a version stands there twice.
        const isHead = message.sequence === head.message.sequence;
        if (commit.version === head.version && !isHead) throw gap(head, commit.version);
        return;
      }
    }
  }

  /** Backwards by each commit's predecessor, one request each. */
  async *#stepBack(
    subject: string,
    start: StoredCommit,
    inclusive: boolean,
    range: VersionRange,
    bounds: ReadBounds,
  ): AsyncGenerator<StoredCommit, void, undefined> {
    let commit = start;
    if (inclusive) yield commit;
    while (commit.firstVersion > range.fromVersion) {
      const message = await this.#predecessor(subject, commit, bounds);
      const before = message === undefined ? undefined : readCommit(message, this.#context.prefix);
      if (before === undefined || before.version !== commit.firstVersion - 1) {
        throw gap(commit, before?.version ?? 0);
      }
      commit = before;
      if (commit.firstVersion <= range.toVersion) yield commit;
    }
  }

  /** The actor's commit at a stream sequence; undefined where something else, or nothing, stands there. */
  async bySequence(
    subject: string,
    sequence: number,
    bounds: ReadBounds,
  ): Promise<StoredCommit | undefined> {
    const message = await this.#bySequence(sequence, bounds);
    return message?.subject === subject ? readCommit(message, this.#context.prefix) : undefined;
  }

  /**
   * The actor's last commit, which goes into the cache: as any replica shows it that is not behind what the store knows,
   * or as the leader has it. Undefined for an actor without events.
   *
   * @throws {StreamRolledBackError} the store knew more of the actor
   */
  async head(
    subject: string,
    bounds: ReadBounds,
    by: "any" | "leader",
  ): Promise<StoredCommit | undefined> {
    const { cache, direct, guard, prefix, replicated } = this.#context;
    const { epoch } = cache;
    const guardEpoch = guard.epoch;
    const known = cache.peek(subject);
    const unsure = replicated() && (by === "leader" || (cache.hasForgotten && known === undefined));
    let message = unsure ? undefined : await direct.lastBySubject(subject, bounds);
    // A replica may lag behind what was seen here; of an actor that is no longer cached nobody can tell.
    const seen = cache.peek(subject)?.sequence ?? 0;
    if (unsure || ((message?.sequence ?? 0) < seen && replicated())) {
      message = await direct.leaderLastBySubject(subject, bounds);
    }
    const commit = message === undefined ? undefined : readCommit(message, prefix);
    if (known !== undefined && disagrees(known, commit === undefined ? NO_HEAD : placeOf(commit))) {
      return await this.#heads.contradicted(subject, known, guardEpoch, bounds);
    }
    if (commit === undefined) return undefined;
    cache.advance(subject, headOf(commit), epoch);
    guard.saw(commit.message.sequence, commit.commitId, guardEpoch);
    return commit;
  }

  /** By sequence; what a replica does not have is asked of the leader before it counts as missing. */
  async #bySequence(sequence: number, bounds: ReadBounds): Promise<StoredMessage | undefined> {
    const { direct } = this.#context;
    const found = await direct.bySequence(sequence, bounds);
    return found ?? (await direct.leaderBySequence(sequence, bounds));
  }

  /** The commit before one: by its verified expectation, else by asking for the subject's last below it. */
  async #predecessor(
    subject: string,
    commit: StoredCommit,
    bounds: ReadBounds,
  ): Promise<StoredMessage | undefined> {
    const { expectedSequence, message } = commit;
    if (expectedSequence === 0 || commit.firstVersion === 1) return undefined;
    if (expectedSequence !== undefined) {
      const found = await this.#bySequence(expectedSequence, bounds);
      if (found?.subject === subject) return found;
    }
    return this.#context.direct.lastBySubjectUpTo(subject, message.sequence - 1, bounds);
  }

  #rolledBack({ message, commitId }: StoredCommit): StreamRolledBackError {
    return new StreamRolledBackError(this.#context.stream, message.sequence, commitId, undefined);
  }

  #tellHole(subject: string, sequence: number, reason: string): void {
    if (!channels.history.hasSubscribers) return;
    channels.history.publish({ stream: this.#context.stream, subject, sequence, reason });
  }
}

function follows(last: StoredCommit | undefined, next: StoredCommit, range: VersionRange): boolean {
  if (last === undefined) return next.firstVersion <= range.fromVersion;
  return next.firstVersion === last.version + 1;
}

function precedes(before: StoredCommit, last: StoredCommit | undefined): boolean {
  return last === undefined || before.version === last.firstVersion - 1;
}

function gap(commit: StoredCommit, version: number): CorruptCommitError {
  const { message, firstVersion } = commit;
  return new CorruptCommitError(
    message.sequence,
    message.subject,
    `its first event is version ${firstVersion}, but the actor's history before it ends at version ${version}`,
  );
}
