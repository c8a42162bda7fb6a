import type { Msg } from "@nats-io/nats-core";
import {
  ClosedError,
  JetStreamUnavailableError,
  ReadTimeoutError,
  ServerRefusedError,
} from "../errors.ts";
import { onAbort } from "../internal/abort.ts";
import { type Backoff, backoffMs, sleep } from "../internal/backoff.ts";
import { LATE, TimedSlots } from "../internal/timed-slots.ts";
import type { Connection } from "./connection.ts";
import type { HeaderBlock } from "./header-block.ts";
import { fastHeaders } from "./raw-message.ts";
import type { ReplyHandler, RequestFailure } from "./requests.ts";
import {
  fromDirectGet,
  fromLeaderGet,
  type LeaderMessage,
  type StoredMessage,
} from "./stored-message.ts";

/** How to read: `timeoutMs` bounds the whole read, its repetitions included. */
export interface ReadBounds {
  readonly timeoutMs: number;
  /** By `performance.now()`: what several reads of one caller have together; each ends with it if it comes first. */
  readonly deadline?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

type Answer =
  | { readonly kind: "found"; readonly messages: readonly StoredMessage[] }
  | { readonly kind: "failed"; readonly error: Error }
  | { readonly kind: "again"; readonly reason: string };

/** The answer of `STREAM.MSG.GET`. */
interface LeaderAnswer {
  readonly message?: LeaderMessage;
  readonly error?: {
    readonly code: number;
    readonly err_code: number;
    readonly description: string;
  };
}

/** What is asked for: one message, some of what there is, or all of what there is. */
type Extent = "one" | "some" | "all";

/** Subjects in one request for the last messages: the server takes 1024 (`maxAllowedResponses` in its stream.go). */
const MAX_SUBJECTS = 1_024;
/** How long one request waits for its answer before it is repeated. */
const ATTEMPT_MS = 5_000;
/** The same of the first one for one message: a node that stands for election loses requests, and is up again at once. */
const FIRST_ATTEMPT_MS = 1_000;
const NO_MESSAGE_FOUND = 10037;
const RETRY: Backoff = { firstMs: 10, maxMs: 500 };
const EMPTY = new Uint8Array(0);
const NO_TIME = "no time was left to ask";

/**
 * Point reads of a stream. `direct` reads are answered by any replica, which may lag; `leader` reads by the leader
 * alone. All may be repeated safely, so they are, until their time is over.
 */
export class DirectReader {
  readonly stream: string;
  readonly #connection: Connection;
  readonly #directSubject: string;
  readonly #leaderSubject: string;
  readonly #slots: TimedSlots;
  readonly #onRetry: (reason: string, attempt: number) => void;

  /**
   * @param maxInFlight reads of this store on their way at once; more wait
   * @param onRetry told of each repetition, for diagnostics
   */
  constructor(
    connection: Connection,
    stream: string,
    apiPrefix: string,
    maxInFlight: number,
    onRetry: (reason: string, attempt: number) => void,
  ) {
    this.stream = stream;
    this.#connection = connection;
    this.#directSubject = `${apiPrefix}.DIRECT.GET.${stream}`;
    this.#leaderSubject = `${apiPrefix}.STREAM.MSG.GET.${stream}`;
    this.#slots = new TimedSlots(maxInFlight);
    this.#onRetry = onRetry;
  }

  /** The message at a stream sequence; undefined where this replica has none. */
  bySequence(sequence: number, bounds: ReadBounds): Promise<StoredMessage | undefined> {
    return this.#one(this.#directSubject, Buffer.from(`{"seq":${sequence}}`), bounds);
  }

  /** The last message of a literal subject; undefined where this replica has none. */
  lastBySubject(subject: string, bounds: ReadBounds): Promise<StoredMessage | undefined> {
    return this.#one(`${this.#directSubject}.${subject}`, EMPTY, bounds);
  }

  /** The message at a sequence, asked of the leader. */
  leaderBySequence(sequence: number, bounds: ReadBounds): Promise<StoredMessage | undefined> {
    return this.#one(this.#leaderSubject, Buffer.from(`{"seq":${sequence}}`), bounds);
  }

  /** The last message of a literal subject, asked of the leader. */
  leaderLastBySubject(subject: string, bounds: ReadBounds): Promise<StoredMessage | undefined> {
    const request = Buffer.from(JSON.stringify({ last_by_subj: subject }));
    return this.#one(this.#leaderSubject, request, bounds);
  }

  /**
   * The next messages of a literal subject from a sequence on, by the server's own filtered read: it scans the
   * stream's blocks, so this is for what the history index cannot reach.
   */
  nextBySubject(
    subject: string,
    fromSequence: number,
    limit: number,
    bounds: ReadBounds,
  ): Promise<readonly StoredMessage[]> {
    const request = { seq: fromSequence, next_by_subj: subject, batch: limit, max_bytes: 8 << 20 };
    return this.#read(this.#directSubject, Buffer.from(JSON.stringify(request)), bounds, "some");
  }

  /** The last message of a literal subject at or below a sequence; undefined where there is none. */
  async lastBySubjectUpTo(
    subject: string,
    upToSequence: number,
    bounds: ReadBounds,
  ): Promise<StoredMessage | undefined> {
    const request = { multi_last: [subject], up_to_seq: upToSequence };
    const bytes = Buffer.from(JSON.stringify(request));
    const [found] = await this.#read(this.#directSubject, bytes, bounds, "some");
    return found;
  }

  /**
   * The last messages of literal subjects, in stream order, all of one moment and from one replica; a subject without
   * messages is left out.
   *
   * @throws {RangeError} above 1,024 subjects, or where the request exceeds half of what the server takes
   */
  async multiLast(
    subjects: readonly string[],
    bounds: ReadBounds,
  ): Promise<readonly StoredMessage[]> {
    if (subjects.length === 0) return [];
    if (subjects.length > MAX_SUBJECTS) {
      throw new RangeError(`at most ${MAX_SUBJECTS} subjects at once, got ${subjects.length}`);
    }
    const request = Buffer.from(JSON.stringify({ multi_last: subjects }));
    const limit = Math.floor(this.#connection.maxPayload / 2);
    if (request.length > limit) {
      throw new RangeError(
        `${subjects.length} subjects of ${request.length} bytes, limit ${limit}`,
      );
    }
    return this.#read(this.#directSubject, request, bounds, "all");
  }

  /** One message: usually one request and one answer, else as {@link #read} does it. */
  #one(
    subject: string,
    request: Uint8Array,
    bounds: ReadBounds,
  ): Promise<StoredMessage | undefined> {
    const { requests, connected } = this.#connection;
    if (bounds.signal !== undefined || !connected || !this.#slots.tryTake()) {
      return this.#oneWithCare(subject, request, bounds);
    }
    const now = performance.now();
    const deadline = deadlineOf(bounds, now);
    return new Promise((resolve, reject) => {
      const collector = new Collector("one", this.stream, (answer) => {
        this.#slots.release();
        if (answer.kind === "found") resolve(answer.messages[0]);
        else if (answer.kind === "failed") reject(answer.error);
        else {
          const left = { ...bounds, deadline };
          this.#oneWithCare(subject, request, left, answer.reason).then(resolve, reject);
        }
      });
      const waitMs = Math.min(deadline - now, FIRST_ATTEMPT_MS);
      requests.send(subject, request, undefined, waitMs, collector);
    });
  }

  async #oneWithCare(
    subject: string,
    request: Uint8Array,
    bounds: ReadBounds,
    failedBefore?: string,
  ): Promise<StoredMessage | undefined> {
    const [found] = await this.#read(subject, request, bounds, "one", failedBefore);
    return found;
  }

  async #read(
    subject: string,
    request: Uint8Array,
    bounds: ReadBounds,
    extent: Extent,
    failedBefore?: string,
  ): Promise<readonly StoredMessage[]> {
    const deadline = deadlineOf(bounds, performance.now());
    if (failedBefore !== undefined) await this.#pause(failedBefore, 1, deadline, bounds);
    for (let attempt = failedBefore === undefined ? 1 : 2; ; attempt++) {
      bounds.signal?.throwIfAborted();
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) throw this.#late(NO_TIME, bounds.timeoutMs);
      if (!this.#connection.connected) await this.#connection.whenConnected(leftMs, bounds.signal);
      const mostMs = extent === "one" && attempt === 1 ? FIRST_ATTEMPT_MS : ATTEMPT_MS;
      const answer = await this.#ask(subject, request, deadline, mostMs, extent, bounds);
      if (answer.kind === "found") return answer.messages;
      if (answer.kind === "failed") throw answer.error;
      await this.#pause(answer.reason, attempt, deadline, bounds);
    }
  }

  async #pause(
    reason: string,
    attempt: number,
    deadline: number,
    bounds: ReadBounds,
  ): Promise<void> {
    this.#onRetry(reason, attempt);
    const pauseMs = backoffMs(RETRY, attempt);
    if (performance.now() + pauseMs >= deadline) throw this.#late(reason, bounds.timeoutMs);
    await sleep(pauseMs, bounds.signal);
  }

  async #ask(
    subject: string,
    request: Uint8Array,
    deadline: number,
    mostMs: number,
    extent: Extent,
    { signal, timeoutMs }: ReadBounds,
  ): Promise<Answer> {
    try {
      if (!this.#slots.tryTake()) await this.#slots.take(signal, deadline);
    } catch (error) {
      if (error !== LATE) throw error;
      throw this.#late(`${this.#slots.limit} other reads are in flight`, timeoutMs);
    }
    try {
      // The wait for the slot may have taken the time, or the connection.
      signal?.throwIfAborted();
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) throw this.#late(NO_TIME, timeoutMs);
      if (!this.#connection.connected) return { kind: "again", reason: "disconnected" };
      const waitMs = Math.min(leftMs, mostMs);
      return await new Promise<Answer>((resolve, reject) => {
        let end: (() => void) | undefined;
        const collector = new Collector(extent, this.stream, (answer) => {
          end?.();
          resolve(answer);
        });
        const { requests } = this.#connection;
        const token = requests.send(subject, request, undefined, waitMs, collector);
        if (signal === undefined) return;
        end = onAbort(signal, () => {
          requests.forget(token);
          reject(signal.reason);
        });
      });
    } finally {
      this.#slots.release();
    }
  }

  #late(reason: string, timeoutMs: number): Error {
    return reason === "no responders"
      ? new JetStreamUnavailableError(
          `nobody answers for stream ${this.stream} within ${timeoutMs} ms: it was deleted, has no leader, ` +
            "or JetStream is off",
        )
      : new ReadTimeoutError(`stream ${this.stream}: no answer within ${timeoutMs} ms (${reason})`);
  }
}

function deadlineOf({ timeoutMs, deadline }: ReadBounds, now: number): number {
  return Math.min(now + timeoutMs, deadline ?? Number.POSITIVE_INFINITY);
}

/** Collects the replies to one get: one message, or many up to the end mark. */
class Collector implements ReplyHandler {
  readonly #extent: Extent;
  readonly #stream: string;
  readonly #done: (answer: Answer) => void;
  readonly #messages: StoredMessage[] = [];

  constructor(extent: Extent, stream: string, done: (answer: Answer) => void) {
    this.#extent = extent;
    this.#stream = stream;
    this.#done = done;
  }

  onReply(message: Msg): boolean {
    try {
      return this.#take(message);
    } catch (error) {
      this.#done({
        kind: "failed",
        error: error instanceof Error ? error : new Error(String(error)),
      });
      return true;
    }
  }

  onFailure(failure: RequestFailure): void {
    if (failure === "closed") {
      this.#done({ kind: "failed", error: new ClosedError("the connection") });
    } else {
      this.#done({ kind: "again", reason: failure });
    }
  }

  #take(message: Msg): boolean {
    const headers = fastHeaders(message);
    if (headers === undefined) return this.#takeLeaderAnswer(message);
    const status = message.data.length === 0 ? headers.status : undefined;
    if (status === undefined) {
      const stored = fromDirectGet(message);
      if (stored === undefined) throw new ServerRefusedError(0, "unreadable answer", "direct get");
      this.#messages.push(stored);
      if (this.#extent !== "one") return false;
      return this.#finish({ kind: "found", messages: this.#messages });
    }
    if (status === 204 || status === 404) {
      const failure = this.#extent === "all" ? this.#incomplete(status, headers) : undefined;
      return this.#finish(failure ?? { kind: "found", messages: this.#messages });
    }
    if (status === 503) return this.#finish({ kind: "again", reason: "no responders" });
    const error = new ServerRefusedError(
      status,
      headers.description,
      `reading stream ${this.#stream}`,
    );
    return this.#finish({ kind: "failed", error });
  }

  /** What is wrong with an end where all of what there is was asked for; undefined for nothing. */
  #incomplete(status: number, headers: HeaderBlock): Answer | undefined {
    // No subject has a message, or one was replaced before the server came to it: only the words tell which.
    if (status === 404 && (this.#messages.length > 0 || headers.description !== "No Results")) {
      return { kind: "again", reason: "a message was replaced" };
    }
    if (Number(headers.getLast("Nats-Num-Pending") ?? 0) === 0) return undefined;
    const description = "the answer is larger than the server's max_pending; ask for less at once";
    const error = new ServerRefusedError(0, description, `reading stream ${this.#stream}`);
    return { kind: "failed", error };
  }

  #takeLeaderAnswer(message: Msg): boolean {
    const { error, message: found } = message.json<LeaderAnswer>();
    if (found !== undefined)
      return this.#finish({ kind: "found", messages: [fromLeaderGet(found)] });
    if (error?.err_code === NO_MESSAGE_FOUND) return this.#finish({ kind: "found", messages: [] });
    const description = error?.description ?? "unreadable answer";
    if (error?.code === 503) return this.#finish({ kind: "again", reason: description });
    const what = `reading stream ${this.#stream}`;
    const refused = new ServerRefusedError(error?.err_code ?? 0, description, what);
    return this.#finish({ kind: "failed", error: refused });
  }

  #finish(answer: Answer): true {
    this.#done(answer);
    return true;
  }
}
