import {
  AppendOutcomeUnknownError,
  CommitIdReusedError,
  TooManyConflictsError,
  VersionConflictError,
} from "../errors.ts";
import { backoffMs, sleep } from "../internal/backoff.ts";
import type { ReadBounds } from "../nats/direct.ts";
import { publishAcked } from "../nats/publish.ts";
import { Header, readCommit, type StoredCommit } from "./commit.ts";
import type { StoreContext } from "./context.ts";
import type { HeadLook, Heads } from "./heads.ts";
import type { HistoryReader } from "./history-reader.ts";
import { meets, type OutgoingCommit, outgoingCommit, type PreparedAppend } from "./outgoing.ts";
import {
  isPassing,
  type Placement,
  placeOf,
  RACE,
  recognise,
  type Stored,
  throwIfFinal,
} from "./placement.ts";
import { type Head, NO_HEAD } from "./version-cache.ts";

/** The place was taken by another commit; `head` is the actor's head now. */
interface Lost {
  readonly head: Head;
}

/** What an unknown append needs to be resolved later: what was sent, and behind what. */
interface Unresolved {
  readonly append: PreparedAppend;
  readonly behind: Head;
  /** Rollbacks noticed before it. */
  readonly epoch: number;
}

const unresolved = new WeakMap<AppendOutcomeUnknownError, Unresolved>();

/** The append that an error speaks of; undefined for an error of an `appendAll`, or of another process. */
export function unresolvedAppend(error: AppendOutcomeUnknownError): Unresolved | undefined {
  return unresolved.get(error);
}

/** How far back an append with `"any"` or `"exists"` looks for its own commit id. */
const RECENT_COMMITS = 64;

/** Appends to one actor; the caller holds its mutex and a slot. */
export class Appender {
  readonly #context: StoreContext;
  readonly #heads: Heads;
  readonly #history: HistoryReader;
  readonly #placement: Placement;

  constructor(context: StoreContext, heads: Heads, history: HistoryReader, placement: Placement) {
    this.#context = context;
    this.#heads = heads;
    this.#history = history;
    this.#placement = placement;
  }

  async append(append: PreparedAppend, timeoutMs: number): Promise<Stored> {
    const deadline = performance.now() + timeoutMs;
    const bounds: ReadBounds = { timeoutMs };
    const { subject, expectedVersion } = append;
    if (!this.#placement.ready && !(await this.#placement.whenReady(timeoutMs))) {
      throw this.#placement.notStored("append", timeoutMs);
    }
    const { epoch } = this.#context.guard;
    let head = this.#heads.cached(subject) ?? (await this.#heads.known(subject, bounds));
    // That an actor has no events yet, the expectation itself proves: a first commit needs no look.
    let current = head === undefined && !this.#expectsNothing(append);
    head ??= current ? (await this.#heads.look(subject, bounds)).head : NO_HEAD;
    let searched = !looksForItself(append);
    for (let conflicts = 0; ; ) {
      if (!meets(expectedVersion, head.version)) {
        if (current) return await this.#refuse(append, head, bounds);
        head = (await this.#heads.look(subject, bounds)).head;
        current = true;
        continue;
      }
      if (!searched) {
        const earlier = await this.#findRecent(append, head, bounds);
        if (earlier !== undefined) return recognise(append, earlier);
        searched = true;
        // The search has seen the actor's head: behind an older one the append could only be refused.
        head = (await this.#heads.known(subject, bounds)) ?? head;
      }
      const placed = await this.#place({ append, behind: head, epoch }, deadline, timeoutMs, false);
      if ("version" in placed) return placed;
      head = placed.head;
      current = true;
      if (expectedVersion !== "any") return await this.#refuse(append, head, bounds);
      this.#placement.tellConflict(append, head.version);
      conflicts++;
      if (conflicts > this.#context.limits.maxConflictRetries || performance.now() > deadline) {
        throw new TooManyConflictsError(append.actor, conflicts);
      }
      this.#placement.tellRetry(conflicts, "race");
      await sleep(backoffMs(RACE, conflicts));
    }
  }

  /** Finishes an append whose outcome is unknown: proves it stored, sends it again, or proves that it never will be. */
  async resolve(sent: Unresolved, timeoutMs: number): Promise<Stored> {
    const { append, behind, epoch } = sent;
    const deadline = performance.now() + timeoutMs;
    if (!(await this.#placement.whenReady(timeoutMs))) throw unknownOutcome(sent, timeoutMs);
    this.#placement.assertSameStream(epoch, behind);
    const placed =
      (await this.#settle(append, behind, deadline, true)) ??
      (await this.#place(sent, deadline, timeoutMs, true));
    if ("version" in placed) return placed;
    const note = `commit ${append.commitId} was not stored and never will be`;
    throw new VersionConflictError(append.actor, behind.version, placed.head.version, note);
  }

  /** Sends the append behind `head` until it is stored or another commit stands there. */
  async #place(
    sent: Unresolved,
    deadline: number,
    timeoutMs: number,
    alreadySent: boolean,
  ): Promise<Stored | Lost> {
    const { connection, limits } = this.#context;
    const { append, behind: head, epoch } = sent;
    const message = outgoingCommit(
      append,
      head,
      this.#context.maxMessageBytes(),
      dedupeHeader(append),
    );
    let inDoubt = alreadySent;
    for (let attempt = 1; ; attempt++) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0 || !(this.#placement.ready || (await this.#placement.whenReady(leftMs)))) {
        throw inDoubt
          ? unknownOutcome(sent, timeoutMs)
          : this.#placement.notStored("append", timeoutMs);
      }
      this.#placement.assertSameStream(epoch, head);
      if (!inDoubt) append.signal?.throwIfAborted();
      const waitMs = Math.min(limits.ackTimeoutMs, leftMs);
      const outcome = await publishAcked(connection.requests, message, waitMs);
      if (outcome.kind === "stored") {
        if (outcome.duplicate) return await this.#readDuplicate(append, outcome.sequence, deadline);
        return this.#take(sent, message, outcome.sequence);
      }
      if (outcome.kind === "unknown") inDoubt = true;
      else if (!inDoubt) throwIfFinal(outcome, `append to ${append.actor.type}/${append.actor.id}`);
      await this.#placement.pause(outcome, attempt, deadline);
      const settled = await this.#settle(append, head, deadline, inDoubt);
      if (settled !== undefined) return settled;
      this.#placement.tellRetry(attempt, outcome);
    }
  }

  /** After anything but an ack: looks for proof of what stands at the place; undefined where there is none. */
  async #settle(
    append: PreparedAppend,
    head: Head,
    deadline: number,
    inDoubt: boolean,
  ): Promise<Stored | Lost | undefined> {
    if (!(await this.#placement.whenReady(deadline - performance.now()))) return undefined;
    const bounds = { timeoutMs: Math.max(1, deadline - performance.now()) };
    try {
      const look = await this.#heads.look(append.subject, bounds);
      return await this.#judge(append, head, look, inDoubt, bounds);
    } catch (error) {
      if (inDoubt && isPassing(error)) return undefined;
      throw error;
    }
  }

  /**
   * Which commit stands right behind `head`: ours (stored), another (lost, for good), or none yet, which proves nothing:
   * what was sent may still arrive.
   */
  async #judge(
    append: PreparedAppend,
    head: Head,
    look: HeadLook,
    inDoubt: boolean,
    bounds: ReadBounds,
  ): Promise<Stored | Lost | undefined> {
    const found = await this.#placement.at(append, head, look.commit, inDoubt, bounds);
    if (found === "free") return undefined;
    if (found === "gone" || found.commitId !== append.commitId) return { head: look.head };
    if (!inDoubt) return recognise(append, found);
    return { version: found.version, position: found.message.sequence, replayed: false };
  }

  /** The actor is not where it was expected: either this very append has been there before, or it is a conflict. */
  async #refuse(append: PreparedAppend, head: Head, bounds: ReadBounds): Promise<Stored> {
    const earlier = await this.#placement.earlier(append, head, bounds);
    if (earlier !== undefined) return earlier;
    this.#placement.tellConflict(append, head.version);
    throw new VersionConflictError(append.actor, append.expectedVersion, head.version);
  }

  async #findRecent(
    append: PreparedAppend,
    head: Head,
    bounds: ReadBounds,
  ): Promise<StoredCommit | undefined> {
    if (head.version === 0) return undefined;
    let left = RECENT_COMMITS;
    const range = { backwards: true, expectedEvents: left };
    for await (const commit of this.#history.commits(append.subject, range, bounds)) {
      if (commit.commitId === append.commitId) return commit;
      if (--left === 0) break;
    }
    return undefined;
  }

  /** The server's duplicate window knew the id: what stands there must be ours. */
  async #readDuplicate(
    append: PreparedAppend,
    sequence: number,
    deadline: number,
  ): Promise<Stored> {
    const { direct, prefix, replicated } = this.#context;
    const bounds = { timeoutMs: Math.max(1, deadline - performance.now()) };
    const message = replicated()
      ? await direct.leaderBySequence(sequence, bounds)
      : await direct.bySequence(sequence, bounds);
    if (message?.subject === append.subject) {
      const commit = readCommit(message, prefix);
      if (commit.commitId === append.commitId) return recognise(append, commit);
    }
    throw new CommitIdReusedError(append.actor, append.commitId, sequence);
  }

  #expectsNothing({ expectedVersion }: PreparedAppend): boolean {
    if (this.#context.cache.off) return false;
    return expectedVersion === 0 || expectedVersion === "none";
  }

  #take(
    { append, epoch }: Unresolved,
    { version, index }: OutgoingCommit,
    sequence: number,
  ): Stored {
    const { commitId, subject } = append;
    this.#context.cache.advance(subject, { version, sequence, commitId, index }, epoch);
    this.#context.guard.saw(sequence, commitId, epoch);
    return { version, position: sequence, replayed: false };
  }
}

function unknownOutcome(sent: Unresolved, timeoutMs: number): AppendOutcomeUnknownError {
  const { append, behind } = sent;
  const error = new AppendOutcomeUnknownError(
    [placeOf(append, behind)],
    append.commitId,
    timeoutMs,
  );
  unresolved.set(error, sent);
  return error;
}

/** Appends that state no place of their own can only be recognised by their id. */
function looksForItself({ expectedVersion, commitIdGiven }: PreparedAppend): boolean {
  return commitIdGiven && (expectedVersion === "any" || expectedVersion === "exists");
}

/** They also go through the server's duplicate window, prefixed by the actor because that window is the stream's. */
function dedupeHeader(append: PreparedAppend): string {
  if (!looksForItself(append)) return "";
  return `${Header.messageId}: ${append.subject}/${append.commitId}\r\n`;
}
