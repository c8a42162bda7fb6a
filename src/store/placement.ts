import {
  type AppendPlace,
  ClosedError,
  CommitIdReusedError,
  ConnectionFailedError,
  JetStreamUnavailableError,
  ServerRefusedError,
  StreamRolledBackError,
} from "../errors.ts";
import { type Backoff, backoffMs, sleep } from "../internal/backoff.ts";
import type { ReadBounds } from "../nats/direct.ts";
import { isPassing } from "../nats/passing.ts";
import { ErrorCode, type PublishOutcome } from "../nats/publish.ts";
import { readCommit, type StoredCommit } from "./commit.ts";
import type { StoreContext } from "./context.ts";
import { channels } from "./diagnostics.ts";
import type { HistoryReader } from "./history-reader.ts";
import type { PreparedAppend } from "./outgoing.ts";
import { decodeBody, sameEvents } from "./payload.ts";
import { settled } from "./stream-guard.ts";
import type { Head } from "./version-cache.ts";

/** What became of an append to one actor. */
export interface Stored {
  /** Version of its last event. */
  readonly version: number;
  readonly position: number;
  /** Whether it had been stored by an earlier call already. */
  readonly replayed: boolean;
}

/** How long an append may take, its reads included; `timeoutMs` is what the caller gave, for errors. */
export interface TimeLimit extends ReadBounds {
  /** By `performance.now()`. */
  readonly deadline: number;
}

/** What stands right behind a head: nothing yet, another history altogether, or a commit. */
export type AtPlace = "free" | "gone" | StoredCommit;

/** Waits between attempts that the server put off. */
const BUSY: Backoff = { firstMs: 5, maxMs: 250 };
/** Waits between the races of an append with `"any"`. */
export const RACE: Backoff = { firstMs: 1, maxMs: 50 };

/** How far back an append that states no place of its own looks for its commit id. */
const RECENT_COMMITS = 64;

const busyCodes: ReadonlySet<number> = new Set([
  ErrorCode.wrongLastSequence,
  ErrorCode.wrongLastSequenceUndecided,
  ErrorCode.duplicateInProcess,
  ErrorCode.temporarilyUnavailable,
  ErrorCode.clusterWithoutLeader,
  ErrorCode.batchIncomplete,
  ErrorCode.tooManyBatches,
]);

/** What single appends and batches share: finding out what stands at the place an append was meant for. */
export class Placement {
  readonly #context: StoreContext;
  readonly #history: HistoryReader;

  constructor(context: StoreContext, history: HistoryReader) {
    this.#context = context;
    this.#history = history;
  }

  /**
   * The commit right behind `head`, given the actor's commit now.
   *
   * @throws {StreamRolledBackError} if the actor lost commits while an outcome was in doubt: no proof can be found
   */
  async at(
    append: PreparedAppend,
    head: Head,
    current: StoredCommit | undefined,
    inDoubt: boolean,
    bounds: ReadBounds,
  ): Promise<AtPlace> {
    const sequence = current?.message.sequence ?? 0;
    if (sequence === head.sequence) return "free";
    if (current === undefined || sequence < head.sequence) {
      if (!inDoubt) return "gone";
      const { stream } = this.#context;
      throw new StreamRolledBackError(stream, head.sequence, head.commitId, current?.commitId);
    }
    if (current.expectedSequence === head.sequence) return current;
    // Sent once and refused, under an id that nobody else has: what stands there cannot be ours.
    if (!inDoubt && !append.commitIdGiven) return "gone";
    const version = head.version + 1;
    return (await this.#history.commitAt(append.subject, version, current, bounds)) ?? "gone";
  }

  /** The commit of an earlier call of a pinned append, found by the version it expects and its commit id. */
  async earlier(
    append: PreparedAppend,
    head: Head,
    bounds: ReadBounds,
  ): Promise<StoredCommit | undefined> {
    const { commitId, commitIdGiven, expectedVersion, subject } = append;
    if (!commitIdGiven || !isPinned(append)) return undefined;
    const version = expectedVersion === "none" ? 0 : Number(expectedVersion);
    if (version >= head.version) return undefined;
    const found = await this.#history.commitAt(subject, version + 1, undefined, bounds);
    return found?.commitId === commitId && found.firstVersion === version + 1 ? found : undefined;
  }

  /** The commit of an earlier call, found by its id alone among the actor's last commits, of which `last` is the newest. */
  async recent(
    { commitId, subject }: PreparedAppend,
    last: StoredCommit | undefined,
    bounds: ReadBounds,
  ): Promise<StoredCommit | undefined> {
    if (last === undefined) return undefined;
    let left = RECENT_COMMITS;
    const range = { backwards: true, expectedEvents: left };
    for await (const commit of this.#history.commits(subject, range, bounds, last)) {
      if (commit.commitId === commitId) return commit;
      if (--left === 0) break;
    }
    return undefined;
  }

  /** The actor's commit at a sequence, by the leader; undefined where something else stands there. */
  async bySequence(
    subject: string,
    sequence: number,
    bounds: ReadBounds,
  ): Promise<StoredCommit | undefined> {
    const { direct, prefix, replicated } = this.#context;
    const message = replicated()
      ? await direct.leaderBySequence(sequence, bounds)
      : await direct.bySequence(sequence, bounds);
    return message?.subject === subject ? readCommit(message, prefix) : undefined;
  }

  /** Whether something may be sent at once: connected, and no suspicion of the stream. */
  get ready(): boolean {
    const { connection, guard } = this.#context;
    return connection.connected && guard.checking === undefined;
  }

  /** Whether something may be sent, now or in time. */
  async whenReady({ deadline }: TimeLimit): Promise<boolean> {
    const { connection, guard, stream } = this.#context;
    try {
      for (;;) {
        const leftMs = deadline - performance.now();
        if (leftMs <= 0) return false;
        if (!connection.connected) await connection.whenConnected(leftMs);
        else if (guard.checking !== undefined) await settled(guard.checking, stream, leftMs);
        else return true;
      }
    } catch (error) {
      if (isNoAnswer(error)) return false;
      throw error;
    }
  }

  /**
   * Refuses to go on with a head from before the stream was rolled back: the same expectation would be accepted on
   * another history.
   */
  assertSameStream(epoch: number, head: Head): void {
    const { guard, stream } = this.#context;
    if (guard.epoch === epoch) return;
    const { position, expectedCommitId, actualCommitId } = guard.rollback ?? {
      position: head.sequence,
      expectedCommitId: head.commitId || "no commit",
      actualCommitId: undefined,
    };
    throw new StreamRolledBackError(stream, position, expectedCommitId, actualCommitId);
  }

  /**
   * Refuses to put an append behind another commit than the one that it was made for, though the version be the same.
   *
   * @throws {StreamRolledBackError}
   */
  assertBehind({ behind }: PreparedAppend, head: Head): void {
    if (behind === undefined) return;
    const { position, commitId } = behind;
    if (head.sequence === position && head.commitId === commitId) return;
    const { stream } = this.#context;
    throw new StreamRolledBackError(stream, position, commitId || "no commit", head.commitId);
  }

  /** Waits as the outcome demands before anything is sent again; an unknown one is looked into at once. */
  async pause(outcome: PublishOutcome, attempt: number, { deadline }: TimeLimit): Promise<void> {
    if (outcome.kind === "unknown") return;
    if (attempt === 1 && isConflict(outcome)) return;
    const leftMs = Math.max(0, deadline - performance.now());
    await sleep(Math.min(backoffMs(BUSY, attempt), leftMs));
  }

  tellConflict({ subject, expectedVersion }: PreparedAppend, actualVersion: number): void {
    if (!channels.conflict.hasSubscribers) return;
    const retried = expectedVersion === "any";
    const { stream } = this.#context;
    channels.conflict.publish({ stream, subject, expectedVersion, actualVersion, retried });
  }

  tellRetry(attempt: number, outcome: Exclude<PublishOutcome, { kind: "stored" }> | "race"): void {
    if (!channels.retry.hasSubscribers) return;
    const { stream } = this.#context;
    const kind = outcome === "race" ? outcome : outcome.kind;
    const reason = outcome === "race" ? "another writer was faster" : reasonOf(outcome);
    channels.retry.publish({ stream, what: "append", attempt, outcome: kind, reason });
  }
}

/**
 * A commit with the append's own id: its first result.
 *
 * @throws {CommitIdReusedError} if it holds other events
 */
export function recognise(append: PreparedAppend, found: StoredCommit): Stored {
  const own = decodeBody(append.body).events;
  if (!sameEvents(own, found.payload.events)) {
    throw new CommitIdReusedError(append.actor, append.commitId, found.message.sequence);
  }
  return { version: found.version, position: found.message.sequence, replayed: true };
}

/** The error at the deadline of an append of which nothing can have been stored. */
export function notStored(
  { connection, stream }: StoreContext,
  what: string,
  { timeoutMs }: TimeLimit,
): Error {
  if (connection.closed) return new ClosedError("the connection");
  return connection.connected
    ? new JetStreamUnavailableError(
        `stream ${stream} took no ${what} within ${timeoutMs} ms; nothing was stored`,
      )
    : new ConnectionFailedError(`disconnected for ${timeoutMs} ms; nothing was stored`);
}

/** Whether the version that the append expects says where an earlier call would have stored it. */
export function isPinned({ expectedVersion }: PreparedAppend): boolean {
  return expectedVersion !== "any" && expectedVersion !== "exists";
}

/** Appends that may be repetitions, but state no place of their own, can only be recognised by their id. */
export function looksForItself(append: PreparedAppend): boolean {
  return append.commitIdGiven && !isPinned(append);
}

/** Where an append behind `head` would stand. */
export function placeOf(append: PreparedAppend, head: Head): AppendPlace {
  const { actor, subject } = append;
  return { actor, subject, expectedSequence: head.sequence, firstVersion: head.version + 1 };
}

/** Throws a refusal that says "no" rather than "not now". */
export function throwIfFinal(outcome: PublishOutcome, what: string): void {
  if (outcome.kind !== "refused" || busyCodes.has(outcome.errorCode)) return;
  throw new ServerRefusedError(outcome.errorCode, outcome.description, what);
}

/** Errors of a read that say nothing about the stream. */
export function isNoAnswer(error: unknown): boolean {
  return error instanceof ClosedError || isPassing(error);
}

function isConflict(outcome: PublishOutcome): boolean {
  return outcome.kind === "refused" && outcome.errorCode === ErrorCode.wrongLastSequence;
}

function reasonOf(outcome: PublishOutcome): string {
  if (outcome.kind === "unknown") return outcome.reason;
  return outcome.kind === "refused" ? outcome.description : outcome.kind;
}
