import {
  type AppendOutcomeUnknownError,
  AppendTooLargeError,
  ClosedError,
  InvalidArgumentError,
  OverloadedError,
} from "../errors.ts";
import { abortable } from "../internal/abort.ts";
import { deferred, type Deferred } from "../internal/deferred.ts";
import { uniqueIds } from "../internal/unique-ids.ts";
import { type Appender, unresolvedAppend } from "./appender.ts";
import { type BatchAppender, MAX_BATCH_ACTORS, unresolvedBatch } from "./batch-appender.ts";
import { validateCommitId } from "./commit-id.ts";
import type { StoreContext } from "./context.ts";
import { formatCursor } from "./cursor.ts";
import { channels } from "./diagnostics.ts";
import type { AnyEvent, Cursor, EventMap, Metadata } from "./event.ts";
import type { Interpreter } from "./interpreter.ts";
import { count } from "./options.ts";
import {
  type ExpectedVersion,
  headerLines,
  type PreparedAppend,
  validateExpectedVersion,
} from "./outgoing.ts";
import { encodeBody, type EventInput } from "./payload.ts";
import type { Stored } from "./placement.ts";
import { type Actor, actorSubject } from "./subject.ts";

/** What an append (or appendAll) says beside its events. */
export interface CommitOptions {
  /**
   * Identifies the append, so that repeating it stores it once: 1 to 128 printable ASCII characters without spaces.
   * @default a new one
   */
  readonly commitId?: string | undefined;
  /** What business process or request this belongs to; stands in the events' metadata. */
  readonly correlationId?: string | undefined;
  /** Id of the event or command that caused this; stands in the events' metadata. */
  readonly causationId?: string | undefined;
  /** Facts about all events of the commit; each event's own metadata win over them. */
  readonly metadata?: Metadata | undefined;
  /** NATS headers of the message, such as `traceparent`; neither `Nats-*` nor `Annal-*`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** How long it may take, repetitions included. @default the store's `appendTimeoutMs` */
  readonly timeoutMs?: number | undefined;
  /** Rejects with its reason when aborted; what was sent by then may be stored all the same. */
  readonly signal?: AbortSignal | undefined;
}

/** How to append to one actor. */
export interface AppendOptions extends CommitOptions {
  /**
   * What the actor must be like: at this version (0 = no events), `"none"` (no events), `"exists"` (some events) or
   * `"any"`. Only `"any"` is tried again behind the caller's back when another writer was faster.
   */
  readonly expectedVersion: ExpectedVersion;
}

/** One stored append. */
export interface AppendResult {
  /** The actor's version after it. */
  readonly version: number;
  readonly position: number;
  readonly commitId: string;
  /** Goes on behind this commit. */
  readonly cursor: Cursor;
  /** Whether an earlier call with the same commit id had stored it already. */
  readonly replayed: boolean;
}

/** An actor's part of an appendAll. */
export interface AppendEntryInput {
  readonly actor: Actor;
  readonly events: readonly AnyEvent[];
  readonly expectedVersion: ExpectedVersion;
}

/** Room that an appendAll needs in its commit ids for the number of the actor. */
const MAX_BATCH_ID_LENGTH = 120;

/** Validates appends, gives them their turns, and ends them all before it closes. */
export class Writer<Events extends EventMap> {
  readonly #context: StoreContext;
  readonly #appender: Appender;
  readonly #batches: BatchAppender;
  readonly #interpreter: Interpreter<Events>;
  readonly #nextId = uniqueIds();
  #running = 0;
  #waiting = 0;
  #closed = false;
  #idle: Deferred<void> | undefined;

  constructor(
    context: StoreContext,
    appender: Appender,
    batches: BatchAppender,
    interpreter: Interpreter<Events>,
  ) {
    this.#context = context;
    this.#appender = appender;
    this.#batches = batches;
    this.#interpreter = interpreter;
  }

  get inFlight(): number {
    return this.#running;
  }

  async append(
    actor: Actor,
    events: readonly AnyEvent[],
    options: AppendOptions,
  ): Promise<AppendResult> {
    this.#begin(options.signal);
    try {
      const checked = this.#interpreter.validateNew(actor.type, eventList(events, "events"));
      const valid = checked instanceof Promise ? await checked : checked;
      const commitId = this.#commitId(options.commitId);
      const append = this.#prepare(actor, valid, options.expectedVersion, commitId, options);
      const timeoutMs = this.#timeoutMs(options.timeoutMs);
      const stored = await this.#inTurn([append.subject], options.signal, () =>
        this.#told([append], commitId, () => this.#appender.append(append, timeoutMs)),
      );
      return resultOf(append, stored);
    } finally {
      this.#end();
    }
  }

  async appendAll(
    entries: readonly AppendEntryInput[],
    options: CommitOptions,
  ): Promise<readonly AppendResult[]> {
    this.#begin(options.signal);
    try {
      const commitId = this.#commitId(options.commitId);
      if (commitId.length > MAX_BATCH_ID_LENGTH) {
        const expected = `at most ${MAX_BATCH_ID_LENGTH} characters for an appendAll`;
        throw new InvalidArgumentError("commitId", expected, commitId);
      }
      const appends = await this.#prepareAll(entries, commitId, options);
      const timeoutMs = this.#timeoutMs(options.timeoutMs);
      // Locks are taken in one order, so that two appendAll can never wait for each other.
      const sorted = appends.toSorted((a, b) => compare(a.subject, b.subject));
      const numbered = sorted.map((append, at) => ({ ...append, commitId: `${commitId}/${at}` }));
      const subjects = numbered.map(({ subject }) => subject);
      const stored = await this.#inTurn(subjects, options.signal, () =>
        this.#told(numbered, commitId, () => this.#batches.append(numbered, timeoutMs, commitId)),
      );
      const results = new Map(numbered.map((append, at) => [append.subject, { append, at }]));
      return appends.map(({ subject }) => {
        const found = results.get(subject);
        const result = found === undefined ? undefined : stored[found.at];
        if (found === undefined || result === undefined)
          throw new TypeError(`no result for ${subject}`);
        return resultOf(found.append, result);
      });
    } finally {
      this.#end();
    }
  }

  async resolve(
    error: AppendOutcomeUnknownError,
    options: Pick<CommitOptions, "timeoutMs" | "signal">,
  ): Promise<readonly AppendResult[]> {
    this.#begin(options.signal);
    try {
      const timeoutMs = this.#timeoutMs(options.timeoutMs);
      const single = unresolvedAppend(error);
      if (single !== undefined) {
        const { append } = single;
        const stored = await this.#inTurn([append.subject], options.signal, () =>
          this.#appender.resolve(single, timeoutMs),
        );
        return [resultOf(append, stored)];
      }
      const batch = unresolvedBatch(error);
      if (batch === undefined) {
        throw new InvalidArgumentError(
          "error",
          "an AppendOutcomeUnknownError of this process",
          error,
        );
      }
      const subjects = batch.members.map(({ append }) => append.subject);
      const stored = await this.#inTurn(subjects, options.signal, () =>
        this.#batches.resolve(batch, timeoutMs),
      );
      return batch.members.flatMap(({ append }, at) => {
        const result = stored[at];
        return result === undefined ? [] : [resultOf(append, result)];
      });
    } finally {
      this.#end();
    }
  }

  /** Refuses new appends and waits for those that run. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#running === 0) return;
    this.#idle ??= deferred();
    await this.#idle.promise;
  }

  async #prepareAll(
    entries: readonly AppendEntryInput[],
    commitId: string,
    options: CommitOptions,
  ): Promise<PreparedAppend[]> {
    if (!Array.isArray(entries) || entries.length === 0) {
      throw new InvalidArgumentError(
        "entries",
        "at least one { actor, events, expectedVersion }",
        entries,
      );
    }
    if (entries.length > MAX_BATCH_ACTORS) {
      throw new AppendTooLargeError("the appendAll", entries.length, MAX_BATCH_ACTORS, "actors");
    }
    const appends: PreparedAppend[] = [];
    const seen = new Set<string>();
    for (const [at, { actor, events, expectedVersion }] of entries.entries()) {
      const list = eventList(events, `entries[${at}].events`);
      const valid = await this.#interpreter.validateNew(actor.type, list);
      const append = this.#prepare(actor, valid, expectedVersion, commitId, options);
      if (seen.has(append.subject)) {
        throw new InvalidArgumentError(`entries[${at}].actor`, "each actor once", actor.id);
      }
      seen.add(append.subject);
      appends.push(append);
    }
    return appends;
  }

  #prepare(
    actor: Actor,
    events: readonly EventInput[],
    expectedVersion: unknown,
    commitId: string,
    options: CommitOptions,
  ): PreparedAppend {
    return {
      actor,
      subject: actorSubject(this.#context.prefix, actor),
      expectedVersion: validateExpectedVersion(expectedVersion, "expectedVersion"),
      body: encodeBody(events, metadataOf(options)),
      eventCount: events.length,
      commitId,
      commitIdGiven: options.commitId !== undefined,
      extraHeaders: headerLines(options.headers),
    };
  }

  #commitId(given: string | undefined): string {
    if (given === undefined) return this.#nextId();
    validateCommitId(given);
    return given;
  }

  #timeoutMs(given: number | undefined): number {
    return given === undefined
      ? this.#context.limits.appendTimeoutMs
      : count("timeoutMs", given, 1);
  }

  /**
   * Runs `work` holding the actors' locks (taken in the given order) and a slot. When `signal` aborts, the caller is let
   * go; work that has begun goes on to its end, because what was sent cannot be called back.
   */
  async #inTurn<T>(
    subjects: readonly string[],
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    const { mutex, slots } = this.#context;
    let held = 0;
    const release = (): void => {
      for (const subject of subjects.slice(0, held)) mutex.unlock(subject);
    };
    try {
      for (const subject of subjects) {
        if (!mutex.tryLock(subject)) await this.#queued(mutex.lock(subject, signal));
        held++;
      }
      if (!slots.tryTake()) await this.#queued(slots.take(signal));
      if (signal?.aborted) {
        slots.release();
        signal.throwIfAborted();
      }
    } catch (error) {
      release();
      throw error;
    }
    const done = this.#holding(work, release);
    return signal === undefined ? done : abortable(done, signal);
  }

  async #holding<T>(work: () => Promise<T>, release: () => void): Promise<T> {
    this.#running++;
    try {
      return await work();
    } finally {
      this.#context.slots.release();
      release();
      this.#end();
    }
  }

  #queued(turn: Promise<void>): Promise<void> {
    this.#waiting++;
    return turn.finally(() => {
      this.#waiting--;
    });
  }

  async #told<T extends Stored | readonly Stored[]>(
    appends: readonly PreparedAppend[],
    commitId: string,
    work: () => Promise<T>,
  ): Promise<T> {
    if (!channels.append.hasSubscribers) return work();
    const startedAt = performance.now();
    const message = {
      stream: this.#context.stream,
      subjects: appends.map(({ subject }) => subject),
      commitId,
      events: appends.reduce((sum, { eventCount }) => sum + eventCount, 0),
    };
    const tell = (position: number | undefined, error: unknown): void =>
      channels.append.publish({
        ...message,
        durationMs: performance.now() - startedAt,
        position,
        error,
      });
    try {
      const stored = await work();
      const last = [stored].flat().at(-1);
      tell(last?.position, undefined);
      return stored;
    } catch (error) {
      tell(undefined, error);
      throw error;
    }
  }

  #begin(signal: AbortSignal | undefined): void {
    if (this.#closed) throw new ClosedError("the store");
    signal?.throwIfAborted();
    const { maxQueuedAppends } = this.#context.limits;
    if (this.#waiting > maxQueuedAppends)
      throw new OverloadedError("maxQueuedAppends", maxQueuedAppends);
    this.#running++;
  }

  #end(): void {
    this.#running--;
    if (this.#running === 0) this.#idle?.resolve();
  }
}

function eventList<Event extends AnyEvent>(
  events: readonly Event[],
  argument: string,
): readonly Event[] {
  if (Array.isArray(events) && events.length > 0) return events;
  throw new InvalidArgumentError(argument, "a list of at least one event", events);
}

function metadataOf({ correlationId, causationId, metadata }: CommitOptions): Metadata | undefined {
  if (correlationId === undefined && causationId === undefined) return metadata;
  return {
    ...metadata,
    ...(correlationId === undefined ? {} : { correlationId }),
    ...(causationId === undefined ? {} : { causationId }),
  };
}

function resultOf(append: PreparedAppend, { version, position, replayed }: Stored): AppendResult {
  const { commitId, eventCount } = append;
  return {
    version,
    position,
    commitId,
    cursor: formatCursor(position, eventCount, commitId),
    replayed,
  };
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
