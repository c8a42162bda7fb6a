import {
  AppendOutcomeUnknownError,
  AppendTooLargeError,
  CommitIdReusedError,
  TooManyConflictsError,
  VersionConflictError,
} from "../errors.ts";
import { backoffMs, sleep } from "../internal/backoff.ts";
import { publishBatchAcked } from "../nats/publish.ts";
import { headOf, type StoredCommit } from "./commit.ts";
import type { StoreContext } from "./context.ts";
import type { Heads } from "./heads.ts";
import { meets, type OutgoingCommit, outgoingCommit, type PreparedAppend } from "./outgoing.ts";
import {
  isNoAnswer,
  isPinned,
  looksForItself,
  notStored,
  type Placement,
  placeOf,
  RACE,
  recognise,
  type Stored,
  type TimeLimit,
  throwIfFinal,
} from "./placement.ts";
import type { Head } from "./version-cache.ts";

/** An actor's append of a batch, and the head it goes behind. */
interface Member {
  readonly append: PreparedAppend;
  readonly head: Head;
}

interface UnresolvedBatch {
  readonly members: readonly Member[];
  /** Rollbacks noticed before it. */
  readonly epoch: number;
  readonly commitId: string;
}

/** What became of a batch; `members` hold the actors' heads now. */
type Placed =
  | { readonly kind: "stored"; readonly results: readonly Stored[] }
  | { readonly kind: "lost"; readonly members: Member[] };

/** Messages in one atomic batch (nats-server's default of `max_msgs` for batches, ADR-50). */
export const MAX_BATCH_ACTORS = 1000;

const unresolved = new WeakMap<AppendOutcomeUnknownError, UnresolvedBatch>();

/** The batch that an error speaks of; undefined for an error of a single append. */
export function unresolvedBatch(error: AppendOutcomeUnknownError): UnresolvedBatch | undefined {
  return unresolved.get(error);
}

/** Appends to several actors at once, all or nothing; the caller holds their turn. */
export class BatchAppender {
  readonly #context: StoreContext;
  readonly #heads: Heads;
  readonly #placement: Placement;
  readonly #nextId: () => string;

  /** @param nextId gives ids that no other batch has */
  constructor(context: StoreContext, heads: Heads, placement: Placement, nextId: () => string) {
    this.#context = context;
    this.#heads = heads;
    this.#placement = placement;
    this.#nextId = nextId;
  }

  async append(
    appends: readonly PreparedAppend[],
    limit: TimeLimit,
    commitId: string,
  ): Promise<readonly Stored[]> {
    if (!(await this.#placement.whenReady(limit))) {
      throw notStored(this.#context, "appendAll", limit);
    }
    const { epoch } = this.#context.guard;
    let members = await this.#each(appends, async ({ subject }) => {
      const known = this.#heads.cached(subject) ?? (await this.#heads.known(subject, limit));
      return known ?? (await this.#heads.look(subject, limit)).head;
    });
    const searched = appends.every(looksForItself) ? appends[0] : undefined;
    for (let conflicts = 0; ; ) {
      if (members.some(isUnmet)) {
        members = await this.#each(appends, async ({ subject }) => {
          return (await this.#heads.look(subject, limit)).head;
        });
      }
      if (searched !== undefined) {
        // Behind the head that the search began at nothing is missed: the expectation is on that very head.
        const { commit, head } = await this.#heads.look(searched.subject, limit);
        const earlier = await this.#placement.recent(searched, commit, limit);
        if (earlier !== undefined) {
          return resultsOf(await this.#whole(appends, earlier, 0, limit), true);
        }
        members = members.with(0, { append: searched, head });
      }
      if (members.some(isUnmet)) return await this.#refuse(members, members, limit);
      const placed = await this.#place({ members, epoch, commitId }, limit, false);
      if (placed.kind === "stored") return placed.results;
      const taken = moved(members, placed.members);
      if (taken.some(({ append }) => append.expectedVersion !== "any")) {
        return await this.#refuse(placed.members, taken, limit);
      }
      for (const { append, head } of taken) this.#placement.tellConflict(append, head.version);
      conflicts++;
      if (
        conflicts > this.#context.limits.maxConflictRetries ||
        performance.now() > limit.deadline
      ) {
        const [loser = members[0]] = taken;
        if (loser !== undefined) throw new TooManyConflictsError(loser.append.actor, conflicts);
      }
      this.#placement.tellRetry(conflicts, "race");
      await sleep(backoffMs(RACE, conflicts));
      members = placed.members;
    }
  }

  /** Finishes a batch of unknown outcome, as `Appender.resolve` does for one actor. */
  async resolve(sent: UnresolvedBatch, limit: TimeLimit): Promise<readonly Stored[]> {
    const { members, commitId, epoch } = sent;
    if (!(await this.#placement.whenReady(limit))) throw unknownBatch(sent, limit);
    for (const { head } of members) this.#placement.assertSameStream(epoch, head);
    const placed =
      (await this.#settle(members, limit, true)) ?? (await this.#place(sent, limit, true));
    if (placed.kind === "stored") return placed.results;
    const [taken = members[0]] = moved(members, placed.members);
    if (taken === undefined) throw new TypeError("an appendAll has at least one actor");
    const { append, head } = taken;
    const note = `appendAll ${commitId} was not stored and never will be`;
    throw new VersionConflictError(append.actor, append.expectedVersion, head.version, note);
  }

  /** Sends the batch until it is stored or a place is taken. */
  async #place(sent: UnresolvedBatch, limit: TimeLimit, alreadySent: boolean): Promise<Placed> {
    const { connection, limits } = this.#context;
    const { members, epoch, commitId } = sent;
    let inDoubt = alreadySent;
    for (let attempt = 1; ; attempt++) {
      if (!(await this.#placement.whenReady(limit))) {
        throw inDoubt ? unknownBatch(sent, limit) : notStored(this.#context, "appendAll", limit);
      }
      for (const { append, head } of members) {
        this.#placement.assertSameStream(epoch, head);
        if (!inDoubt) append.signal?.throwIfAborted();
      }
      // A batch id is good for one attempt: leftovers of a lost one must not mix with the next.
      const messages = this.#messages(members, this.#nextId());
      const waitMs = Math.min(limits.ackTimeoutMs, limit.deadline - performance.now());
      const outcome = await publishBatchAcked(connection.requests, messages, waitMs);
      if (outcome.kind === "stored") return this.#take(sent, messages, outcome.sequence);
      if (outcome.kind === "unknown") inDoubt = true;
      else if (!inDoubt) throwIfFinal(outcome, `appendAll ${commitId}`);
      await this.#placement.pause(outcome, attempt, limit);
      const settled = await this.#settle(members, limit, inDoubt);
      if (settled !== undefined) return settled;
      this.#placement.tellRetry(attempt, outcome);
    }
  }

  async #settle(
    members: readonly Member[],
    limit: TimeLimit,
    inDoubt: boolean,
  ): Promise<Placed | undefined> {
    if (!(await this.#placement.whenReady(limit))) return undefined;
    try {
      return await this.#judge(members, inDoubt, limit);
    } catch (error) {
      if (inDoubt && isNoAnswer(error)) return undefined;
      throw error;
    }
  }

  /**
   * A batch is atomic: our commit at one actor's place proves that all are stored, another's that none ever will be, whatever
   * the looks at the others showed, which may be older. All places free proves nothing.
   */
  async #judge(
    members: readonly Member[],
    inDoubt: boolean,
    limit: TimeLimit,
  ): Promise<Placed | undefined> {
    const { cache } = this.#context;
    const { epoch } = cache;
    const looks = await Promise.all(
      members.map(async ({ append, head }) => {
        const look = await this.#heads.look(append.subject, limit);
        const found = await this.#placement.at(append, head, look.commit, inDoubt, limit);
        return { append, head: look.head, found };
      }),
    );
    for (const [at, { append, found }] of looks.entries()) {
      if (typeof found === "string" || found.commitId !== append.commitId) continue;
      const appends = members.map((member) => member.append);
      const commits = await this.#whole(appends, found, at, limit);
      // Actors that were looked at before the batch landed have moved since.
      for (const commit of commits) cache.advance(commit.message.subject, headOf(commit), epoch);
      return { kind: "stored", results: resultsOf(commits, !inDoubt) };
    }
    return looks.every(({ found }) => found === "free")
      ? undefined
      : { kind: "lost", members: looks };
  }

  /**
   * A stored batch, given the commit of the member at `at`: the others stand side by side with it, in order.
   *
   * @throws {CommitIdReusedError} if it was stored with other events, or for other actors
   */
  async #whole(
    appends: readonly PreparedAppend[],
    found: StoredCommit,
    at: number,
    limit: TimeLimit,
  ): Promise<readonly StoredCommit[]> {
    const first = found.message.sequence - at;
    const commits = await Promise.all(
      appends.map(async ({ subject }, n) =>
        n === at ? found : await this.#placement.bySequence(subject, first + n, limit),
      ),
    );
    return appends.map((append, n) => {
      const commit = commits[n];
      if (commit?.commitId !== append.commitId) {
        const { actor, commitId, message } = found;
        throw new CommitIdReusedError(actor, commitId, message.sequence);
      }
      recognise(append, commit);
      return commit;
    });
  }

  /** Refused: a repetition of the same appendAll reports its first result, anything else is a conflict. */
  async #refuse(
    members: readonly Member[],
    culprits: readonly Member[],
    limit: TimeLimit,
  ): Promise<readonly Stored[]> {
    const at = members.findIndex(({ append }) => isPinned(append));
    const pinned = members[at];
    const earlier = pinned && (await this.#placement.earlier(pinned.append, pinned.head, limit));
    if (earlier !== undefined) {
      const appends = members.map(({ append }) => append);
      return resultsOf(await this.#whole(appends, earlier, at, limit), true);
    }
    const culprit =
      culprits.find(isUnmet) ?? culprits.find(({ append }) => append.expectedVersion !== "any");
    if (culprit === undefined)
      throw new TypeError("an appendAll is refused only because of an actor");
    const { append, head } = culprit;
    this.#placement.tellConflict(append, head.version);
    throw new VersionConflictError(append.actor, append.expectedVersion, head.version);
  }

  #each(
    appends: readonly PreparedAppend[],
    headOf: (append: PreparedAppend) => Promise<Head>,
  ): Promise<Member[]> {
    return Promise.all(appends.map(async (append) => ({ append, head: await headOf(append) })));
  }

  #messages(members: readonly Member[], batchId: string): OutgoingCommit[] {
    const { limits } = this.#context;
    let bytes = 0;
    const messages = members.map(({ append, head }, at) => {
      const last = at === members.length - 1 ? "Nats-Batch-Commit: 1\r\n" : "";
      const batch = `Nats-Batch-Id: ${batchId}\r\nNats-Batch-Sequence: ${at + 1}\r\n${last}`;
      this.#placement.assertBehind(append, head);
      const message = outgoingCommit(append, head, this.#context.maxMessageBytes(), batch);
      bytes += message.headers.length + message.payload.length;
      return message;
    });
    if (bytes > limits.maxBatchBytes) {
      throw new AppendTooLargeError("the appendAll", bytes, limits.maxBatchBytes, "bytes");
    }
    return messages;
  }

  #take(
    { members, epoch }: UnresolvedBatch,
    messages: readonly OutgoingCommit[],
    lastSequence: number,
  ): Placed {
    const results = members.map(({ append }, at) => {
      const sequence = lastSequence - messages.length + 1 + at;
      const { version = 0, index = "none" } = messages[at] ?? {};
      const { commitId, subject } = append;
      this.#context.cache.advance(subject, { version, sequence, commitId, index }, epoch);
      this.#context.guard.saw(sequence, commitId, epoch);
      return { version, position: sequence, replayed: false };
    });
    return { kind: "stored", results };
  }
}

/** The error of a batch of which no proof was found in time. */
export function unknownBatch(sent: UnresolvedBatch, limit: TimeLimit): AppendOutcomeUnknownError {
  const [first, ...rest] = sent.members.map(({ append, head }) => placeOf(append, head));
  if (first === undefined) throw new TypeError("an appendAll has at least one actor");
  const error = new AppendOutcomeUnknownError([first, ...rest], sent.commitId, limit.timeoutMs);
  unresolved.set(error, sent);
  return error;
}

function resultsOf(commits: readonly StoredCommit[], replayed: boolean): readonly Stored[] {
  return commits.map(({ version, message }) => ({ version, position: message.sequence, replayed }));
}

function isUnmet({ append, head }: Member): boolean {
  return !meets(append.expectedVersion, head.version);
}

/** The members whose actors are no longer where they were. */
function moved(before: readonly Member[], now: readonly Member[]): readonly Member[] {
  return now.filter(({ head }, at) => head.sequence !== before[at]?.head.sequence);
}
