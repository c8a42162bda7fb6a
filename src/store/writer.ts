import {
  type AppendOutcomeUnknownError,
  AppendTooLargeError,
  InvalidArgumentError,
} from "../errors.ts";
import { abortable } from "../internal/abort.ts";
import { uniqueIds } from "../internal/unique-ids.ts";
import {
  type AppendEntryInput,
  assertBatchId,
  type EncodedAppend,
  eventList,
  metadataOf,
  validOptions,
  within,
} from "./append-input.ts";
import { type Tell, tellAppend, traceAppend, traceAppendAll } from "./append-tracing.ts";
import { type Appender, unknownAppend, unresolvedAppend } from "./appender.ts";
import {
  type BatchAppender,
  MAX_BATCH_ACTORS,
  unknownBatch,
  unresolvedBatch,
} from "./batch-appender.ts";
import { madeUpId, validateCommitId } from "./commit-id.ts";
import type { StoreContext } from "./context.ts";
import { formatCursor } from "./cursor.ts";
import { appendTracing, channels } from "./diagnostics.ts";
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
import { notStored, type Stored, type TimeLimit } from "./placement.ts";
import { type Actor, actorSubject, validateActor } from "./subject.ts";
import { inTime } from "./turns.ts";

/** What an append (or appendAll) says beside its events. */
export interface CommitOptions {
  /**
   * Identifies the append, so that repeating it with the same events stores it once and reports its first result: for
   * good where the expected version is a number or `"none"` (for an appendAll: that of one actor or more), else within
   * the last 64 commits of the actor (for an appendAll: of the one whose subject sorts first), and for a single append
   * within the stream's duplicate window besides. 1 to 128 printable ASCII characters without spaces.
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
  /** How long it may take, waiting for its turn and repetitions included. @default the store's `appendTimeoutMs` */
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

type Headers = CommitOptions["headers"];

/** With less time left, an append's outcome would only be unknown. */
const MIN_LEFT_MS = 5;

/** Validates appends, gives them their turns, and ends them all before it closes. */
export class Writer<Events extends EventMap> {
  readonly #context: StoreContext;
  readonly #appender: Appender;
  readonly #batches: BatchAppender;
  readonly #interpreter: Interpreter<Events>;
  readonly #nextId = uniqueIds();

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

  async append(
    actor: Actor,
    events: readonly AnyEvent[],
    options: AppendOptions,
  ): Promise<AppendResult> {
    const calledAt = performance.now();
    validateActor(actor);
    const { signal } = validOptions(options);
    signal?.throwIfAborted();
    const checked = this.#interpreter.validateNew(actor.type, eventList(events, "events"));
    const valid = checked instanceof Promise ? await checked : checked;
    const commitId = this.#commitId(options.commitId);
    const append = this.#prepare(actor, valid, options.expectedVersion, commitId, options);
    return this.#append(append, this.#limit(calledAt, options.timeoutMs), options.headers);
  }

  appendEncoded(encoded: EncodedAppend, timeoutMs?: number): Promise<AppendResult> {
    const limit = this.#limit(performance.now(), timeoutMs);
    return this.#append(this.#prepared(encoded), limit, encoded.extraHeaders);
  }

  /** Several actors at once, all or nothing; ids, headers and who gave the id are those of the first. */
  appendAllEncoded(
    encoded: readonly [EncodedAppend, ...EncodedAppend[]],
    timeoutMs?: number,
  ): Promise<readonly AppendResult[]> {
    const [{ commitId, extraHeaders }] = encoded;
    assertBatchId(commitId);
    const limit = this.#limit(performance.now(), timeoutMs);
    const appends = encoded.map((append) => this.#prepared(append));
    return this.#appendAll(appends, limit, { commitId, headers: extraHeaders });
  }

  #append(append: PreparedAppend, limit: TimeLimit, headers: Headers): Promise<AppendResult> {
    if (!appendTracing.hasSubscribers) return this.#place(append, limit);
    const place = (traced: PreparedAppend): Promise<AppendResult> => this.#place(traced, limit);
    return traceAppend(this.#context.stream, append, headers, place);
  }

  async #place(append: PreparedAppend, limit: TimeLimit): Promise<AppendResult> {
    const { turns } = this.#context;
    const { subject, signal, commitId } = append;
    if (!turns.tryTake(subject)) {
      const late = (): Error => notStored(this.#context, "append (it waited for its turn)", limit);
      await inTime(turns.take(subject, signal, limit.deadline), late);
      if (limit.deadline - performance.now() < MIN_LEFT_MS) {
        turns.release(subject);
        throw late();
      }
    }
    if (signal === undefined && !channels.append.hasSubscribers) {
      try {
        return resultOf(append, await this.#appender.append(append, limit));
      } finally {
        turns.release(subject);
      }
    }
    const work = this.#inTurn(
      () => this.#appender.append(append, limit),
      () => turns.release(subject),
      tellAppend(this.#context.stream, [append], commitId),
    );
    return resultOf(append, await abortable(work, signal));
  }

  async appendAll(
    entries: readonly AppendEntryInput[],
    options: CommitOptions,
  ): Promise<readonly AppendResult[]> {
    const calledAt = performance.now();
    const { signal } = options;
    signal?.throwIfAborted();
    const commitId = this.#commitId(options.commitId);
    assertBatchId(commitId);
    const appends = await this.#prepareAll(entries, commitId, options);
    return this.#appendAll(appends, this.#limit(calledAt, options.timeoutMs), {
      ...options,
      commitId,
    });
  }

  #appendAll(
    appends: readonly PreparedAppend[],
    limit: TimeLimit,
    { commitId, headers, signal }: CommitOptions & { readonly commitId: string },
  ): Promise<readonly AppendResult[]> {
    const place = (prepared: readonly PreparedAppend[]): Promise<readonly AppendResult[]> =>
      this.#placeAll(prepared, limit, commitId, signal);
    if (!appendTracing.hasSubscribers) return place(appends);
    return traceAppendAll(this.#context.stream, commitId, appends, headers, place);
  }

  async #placeAll(
    appends: readonly PreparedAppend[],
    limit: TimeLimit,
    commitId: string,
    signal: AbortSignal | undefined,
  ): Promise<readonly AppendResult[]> {
    // Locks are taken in one order, so that two appendAll can never wait for each other.
    const sorted = appends.toSorted((a, b) => compare(a.subject, b.subject));
    const numbered = sorted.map((append, at) => ({ ...append, commitId: `${commitId}/${at}` }));
    const subjects = numbered.map(({ subject }) => subject);
    const { turns } = this.#context;
    const turn = turns.takeAll(subjects, signal, limit.deadline);
    await inTime(turn, () => notStored(this.#context, "appendAll (it waited for its turn)", limit));
    const work = this.#inTurn(
      () => this.#batches.append(numbered, limit, commitId),
      () => turns.releaseAll(subjects),
      tellAppend(this.#context.stream, numbered, commitId),
    );
    const stored = await abortable(work, signal);
    const results = new Map(numbered.map((append, at) => [append.subject, { append, at }]));
    return appends.map(({ subject }) => {
      const found = results.get(subject);
      const result = found === undefined ? undefined : stored[found.at];
      if (found === undefined || result === undefined)
        throw new TypeError(`no result for ${subject}`);
      return resultOf(found.append, result);
    });
  }

  async resolve(
    error: AppendOutcomeUnknownError,
    options: Pick<CommitOptions, "timeoutMs" | "signal">,
  ): Promise<readonly AppendResult[]> {
    const { signal } = options;
    signal?.throwIfAborted();
    const limit = this.#limit(performance.now(), options.timeoutMs);
    const { turns } = this.#context;
    const single = unresolvedAppend(error);
    const batch = unresolvedBatch(error);
    if (single !== undefined) {
      const { append } = single;
      const turn = turns.take(append.subject, signal, limit.deadline);
      await inTime(turn, () => unknownAppend(single, limit));
      const work = this.#inTurn(
        () => this.#appender.resolve(single, limit),
        () => turns.release(append.subject),
      );
      return [resultOf(append, await abortable(work, signal))];
    }
    if (batch === undefined) {
      throw new InvalidArgumentError("error", "an AppendOutcomeUnknownError of this store", error);
    }
    const subjects = batch.members.map(({ append }) => append.subject);
    const turn = turns.takeAll(subjects, signal, limit.deadline);
    await inTime(turn, () => unknownBatch(batch, limit));
    const work = this.#inTurn(
      () => this.#batches.resolve(batch, limit),
      () => turns.releaseAll(subjects),
    );
    const stored = await abortable(work, signal);
    return batch.members.flatMap(({ append }, at) => {
      const result = stored[at];
      return result === undefined ? [] : [resultOf(append, result)];
    });
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
    for (const [at, entry] of entries.entries()) {
      if (typeof entry !== "object" || entry === null) {
        const expected = "an entry { actor, events, expectedVersion }";
        throw new InvalidArgumentError(`entries[${at}]`, expected, entry);
      }
      const append = await within(`entries[${at}]`, async () => {
        const { actor, events, expectedVersion } = entry;
        validateActor(actor);
        const list = eventList(events, "events");
        const valid = await this.#interpreter.validateNew(actor.type, list);
        return this.#prepare(actor, valid, expectedVersion, commitId, options);
      });
      if (seen.has(append.subject)) {
        throw new InvalidArgumentError(`entries[${at}].actor`, "each actor once", append.actor.id);
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
      signal: options.signal,
      extraHeaders: headerLines(options.headers),
    };
  }

  #prepared(encoded: EncodedAppend): PreparedAppend {
    const { actor, expectedVersion, body, eventCount, commitId, behind, seal } = encoded;
    return {
      actor,
      subject: actorSubject(this.#context.prefix, actor),
      expectedVersion,
      body,
      eventCount,
      commitId,
      commitIdGiven: encoded.commitIdGiven ?? false,
      signal: undefined,
      extraHeaders: headerLines(encoded.extraHeaders),
      behind,
      seal,
    };
  }

  #commitId(given: string | undefined): string {
    if (given === undefined) return madeUpId(this.#nextId());
    validateCommitId(given);
    return given;
  }

  #limit(calledAt: number, given: number | undefined): TimeLimit {
    const timeoutMs =
      given === undefined ? this.#context.limits.appendTimeoutMs : count("timeoutMs", given, 1);
    return { timeoutMs, deadline: calledAt + timeoutMs };
  }

  /**
   * Runs `work` in the turn that was taken, and gives it back. When its caller is let go by a signal, it goes on to its
   * end in its turn all the same, because what was sent cannot be called back.
   */
  async #inTurn<T extends Stored | readonly Stored[]>(
    work: () => Promise<T>,
    release: () => void,
    tell?: Tell,
  ): Promise<T> {
    try {
      const stored = await work();
      tell?.(stored, undefined);
      return stored;
    } catch (error) {
      tell?.(undefined, error);
      throw error;
    } finally {
      release();
    }
  }
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
