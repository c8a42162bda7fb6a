import {
  AppendOutcomeUnknownError,
  CommitIdReusedError,
  TooManyConflictsError,
  VersionConflictError,
} from "../errors.ts";
import { backoffMs, sleep } from "../internal/backoff.ts";
import { type PublishOutcome, publishAcked } from "../nats/publish.ts";
import { Header } from "./commit.ts";
import type { StoreContext } from "./context.ts";
import type { HeadLook, Heads } from "./heads.ts";
import type { HistoryIndex } from "./history-index.ts";
import { meets, outgoingCommit, type PreparedAppend } from "./outgoing.ts";
import {
  isNoAnswer,
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
import { type Head, NO_HEAD } from "./version-cache.ts";

/** The place was taken by another commit; `head` is the actor's head now. */
interface Lost {
  readonly head: Head;
}

/** An append that was (or is to be) sent behind a head: all that is needed to send it again, now or later. */
interface Sent {
  readonly append: PreparedAppend;
  readonly behind: Head;
  /** Rollbacks noticed before it. */
  readonly epoch: number;
  /** The index that it carries, once it was sent. */
  index?: HistoryIndex;
}

/** Of an append that was sent and not answered before. */
const NO_ANSWER: PublishOutcome = { kind: "unknown", reason: "timeout" };

const unresolved = new WeakMap<AppendOutcomeUnknownError, Sent>();

/** The append that an error speaks of; undefined for an error of an `appendAll`, or of another process. */
export function unresolvedAppend(error: AppendOutcomeUnknownError): Sent | undefined {
  return unresolved.get(error);
}

/** Appends to one actor; the caller holds its mutex and a slot. */
export class Appender {
  readonly #context: StoreContext;
  readonly #heads: Heads;
  readonly #placement: Placement;

  constructor(context: StoreContext, heads: Heads, placement: Placement) {
    this.#context = context;
    this.#heads = heads;
    this.#placement = placement;
  }

  append(append: PreparedAppend, limit: TimeLimit): Promise<Stored> {
    const head = this.#placement.ready ? this.#headAtHand(append) : undefined;
    return head === undefined
      ? this.#appendWithCare(append, limit)
      : this.#appendBehind(append, head, limit);
  }

  /** The head to append behind, where nothing has to be asked first. */
  #headAtHand(append: PreparedAppend): Head | undefined {
    if (looksForItself(append)) return undefined;
    const { cache } = this.#context;
    const head = this.#heads.cached(append.subject);
    if (head !== undefined) return meets(append.expectedVersion, head.version) ? head : undefined;
    const unheard = cache.peek(append.subject) ?? cache.suspect(append.subject);
    return unheard === undefined && this.#expectsNothing(append) ? NO_HEAD : undefined;
  }

  /** The usual course in as few steps as possible: one message, one ack. */
  async #appendBehind(append: PreparedAppend, head: Head, limit: TimeLimit): Promise<Stored> {
    const { guard, limits } = this.#context;
    const sent: Sent = { append, behind: head, epoch: guard.epoch };
    append.signal?.throwIfAborted();
    const leftMs = limit.deadline - performance.now();
    if (leftMs <= 0) throw notStored(this.#context, "append", limit);
    const outcome = await this.#publish(sent, Math.min(limits.ackTimeoutMs, leftMs));
    if (outcome.kind === "stored" && !outcome.duplicate) return this.#take(sent, outcome.sequence);
    const placed = await this.#place(sent, limit, outcome);
    if ("version" in placed) return placed;
    return await this.#appendWithCare(append, limit, {
      ...placed,
      epoch: sent.epoch,
    });
  }

  /**
   * Everything that needs a look before the first message, or another attempt after a lost race.
   *
   * @param race the one that was lost; a rollback noticed since makes its head one of another history
   */
  async #appendWithCare(
    append: PreparedAppend,
    limit: TimeLimit,
    race?: Lost & Pick<Sent, "epoch">,
  ): Promise<Stored> {
    const { subject, expectedVersion } = append;
    if (!(await this.#placement.whenReady(limit))) {
      throw notStored(this.#context, "append", limit);
    }
    const { epoch } = race ?? this.#context.guard;
    let head = race?.head ?? this.#context.cache.get(subject);
    if (head === undefined || head.index === "unknown") {
      head = await this.#heads.known(subject, limit);
    }
    let current = race !== undefined;
    if (looksForItself(append)) {
      const look = await this.#heads.look(subject, limit);
      const earlier = await this.#placement.recent(append, look.commit, limit);
      if (earlier !== undefined) return recognise(append, earlier);
      head = look.head;
      current = true;
    } else if (head === undefined && this.#expectsNothing(append)) {
      // That an actor has no events yet, the expectation itself proves: a first commit needs no look.
      head = NO_HEAD;
    } else if (head === undefined) {
      head = (await this.#heads.look(subject, limit)).head;
      current = true;
    }
    let conflicts = 0;
    for (let lost = race !== undefined; ; lost = true) {
      if (lost) {
        const first = await this.#afterRace(append, head, ++conflicts, limit);
        if (first !== undefined) return first;
      }
      if (!meets(expectedVersion, head.version)) {
        if (!current) head = (await this.#heads.look(subject, limit)).head;
        current = true;
        if (!meets(expectedVersion, head.version)) return await this.#refuse(append, head, limit);
      }
      const placed = await this.#place({ append, behind: head, epoch }, limit);
      if ("version" in placed) return placed;
      head = placed.head;
      current = true;
    }
  }

  /** Another writer was faster: only `"any"` goes on, after a little while; the first result of a repetition is returned. */
  async #afterRace(
    append: PreparedAppend,
    head: Head,
    conflicts: number,
    limit: TimeLimit,
  ): Promise<Stored | undefined> {
    if (append.expectedVersion !== "any") return await this.#refuse(append, head, limit);
    this.#placement.tellConflict(append, head.version);
    if (conflicts > this.#context.limits.maxConflictRetries || performance.now() > limit.deadline) {
      throw new TooManyConflictsError(append.actor, conflicts);
    }
    this.#placement.tellRetry(conflicts, "race");
    await sleep(backoffMs(RACE, conflicts));
    return undefined;
  }

  /** Finishes an append whose outcome is unknown: proves it stored, sends it again, or proves that it never will be. */
  async resolve(sent: Sent, limit: TimeLimit): Promise<Stored> {
    const { append, behind, epoch } = sent;
    if (!(await this.#placement.whenReady(limit))) throw unknownAppend(sent, limit);
    this.#placement.assertSameStream(epoch, behind);
    const placed =
      (await this.#settle(append, behind, limit, true)) ??
      (await this.#place(sent, limit, NO_ANSWER));
    if ("version" in placed) return placed;
    const note = `commit ${append.commitId} was not stored and never will be`;
    throw new VersionConflictError(append.actor, append.expectedVersion, placed.head.version, note);
  }

  /**
   * Sends the append behind its head until it is stored or another commit stands there.
   *
   * @param sentBefore what became of it where it was sent already
   */
  async #place(sent: Sent, limit: TimeLimit, sentBefore?: PublishOutcome): Promise<Stored | Lost> {
    const { append, behind: head } = sent;
    let inDoubt = false;
    for (let attempt = 1; ; attempt++) {
      const known = attempt === 1 ? sentBefore : undefined;
      const outcome = known ?? (await this.#send(sent, limit, inDoubt));
      if (outcome.kind === "stored") {
        if (outcome.duplicate) return await this.#readDuplicate(append, outcome.sequence, limit);
        return this.#take(sent, outcome.sequence);
      }
      if (outcome.kind === "unknown") inDoubt = true;
      else if (!inDoubt) throwIfFinal(outcome, `append to ${append.actor.type}/${append.actor.id}`);
      await this.#placement.pause(outcome, attempt, limit);
      const settled = await this.#settle(append, head, limit, inDoubt);
      if (settled !== undefined) return settled;
      this.#placement.tellRetry(attempt, outcome);
    }
  }

  async #send(sent: Sent, limit: TimeLimit, inDoubt: boolean): Promise<PublishOutcome> {
    if (!(await this.#placement.whenReady(limit))) {
      throw inDoubt ? unknownAppend(sent, limit) : notStored(this.#context, "append", limit);
    }
    this.#placement.assertSameStream(sent.epoch, sent.behind);
    if (!inDoubt) sent.append.signal?.throwIfAborted();
    const leftMs = limit.deadline - performance.now();
    return this.#publish(sent, Math.min(this.#context.limits.ackTimeoutMs, leftMs));
  }

  /** Builds the message and sends it; only what the cache needs later is kept while it is on its way. */
  #publish(sent: Sent, waitMs: number): Promise<PublishOutcome> {
    const { connection, maxMessageBytes } = this.#context;
    const { append, behind } = sent;
    this.#placement.assertBehind(append, behind);
    const message = outgoingCommit(append, behind, maxMessageBytes(), dedupeHeader(append));
    sent.index = message.index;
    return publishAcked(connection.requests, message, waitMs);
  }

  /** After anything but an ack: looks for proof of what stands at the place; undefined where there is none. */
  async #settle(
    append: PreparedAppend,
    head: Head,
    limit: TimeLimit,
    inDoubt: boolean,
  ): Promise<Stored | Lost | undefined> {
    if (!(await this.#placement.whenReady(limit))) return undefined;
    try {
      const look = await this.#heads.look(append.subject, limit);
      return await this.#judge(append, head, look, inDoubt, limit);
    } catch (error) {
      if (inDoubt && isNoAnswer(error)) return undefined;
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
    limit: TimeLimit,
  ): Promise<Stored | Lost | undefined> {
    const found = await this.#placement.at(append, head, look.commit, inDoubt, limit);
    if (found === "free") return undefined;
    if (found === "gone" || found.commitId !== append.commitId) return { head: look.head };
    // An id of the caller's may stand for what another process stored; a generated one is nobody else's.
    if (inDoubt && !append.commitIdGiven) {
      return { version: found.version, position: found.message.sequence, replayed: false };
    }
    return { ...recognise(append, found), replayed: !inDoubt };
  }

  /** The actor is not where it was expected: either this very append has been there before, or it is a conflict. */
  async #refuse(append: PreparedAppend, head: Head, limit: TimeLimit): Promise<Stored> {
    const earlier = await this.#placement.earlier(append, head, limit);
    if (earlier !== undefined) return recognise(append, earlier);
    this.#placement.tellConflict(append, head.version);
    throw new VersionConflictError(append.actor, append.expectedVersion, head.version);
  }

  /** The server's duplicate window knew the id: what stands there must be ours. */
  async #readDuplicate(
    append: PreparedAppend,
    sequence: number,
    limit: TimeLimit,
  ): Promise<Stored> {
    const commit = await this.#placement.bySequence(append.subject, sequence, limit);
    if (commit?.commitId === append.commitId) return recognise(append, commit);
    throw new CommitIdReusedError(append.actor, append.commitId, sequence);
  }

  #expectsNothing({ expectedVersion }: PreparedAppend): boolean {
    if (this.#context.cache.off) return false;
    return expectedVersion === 0 || expectedVersion === "none";
  }

  #take({ append, behind, epoch, index }: Sent, sequence: number): Stored {
    const { commitId, subject, eventCount } = append;
    const version = behind.version + eventCount;
    if (index !== undefined) {
      this.#context.cache.advance(subject, { version, sequence, commitId, index }, epoch);
    }
    this.#context.guard.saw(sequence, commitId, epoch);
    return { version, position: sequence, replayed: false };
  }
}

/** The error of an append of which no proof was found in time. */
export function unknownAppend(sent: Sent, limit: TimeLimit): AppendOutcomeUnknownError {
  const { append, behind } = sent;
  const error = new AppendOutcomeUnknownError(
    [placeOf(append, behind)],
    append.commitId,
    limit.timeoutMs,
  );
  unresolved.set(error, sent);
  return error;
}

/**
 * Appends that look for themselves also go through the server's duplicate window, prefixed by the actor because that
 * window is the stream's.
 */
function dedupeHeader(append: PreparedAppend): string {
  if (!looksForItself(append)) return "";
  return `${Header.messageId}: ${append.subject}/${append.commitId}\r\n`;
}
