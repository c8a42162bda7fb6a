import { ClosedError, InvalidArgumentError, StreamNotFoundError } from "../errors.ts";
import { backoffMs } from "../internal/backoff.ts";
import { type Deferred, deferred } from "../internal/deferred.ts";
import type { Connection, ConnectionEvent } from "./connection.ts";
import {
  type CreatedConsumer,
  type FeedSelection,
  type FeedStart,
  TransientApiError,
} from "./feed-api.ts";
import { FeedBuffer } from "./feed-buffer.ts";
import { FeedSession, type SessionLimits } from "./feed-session.ts";
import type { ConsumerMessage } from "./stored-message.ts";

export type { FeedStart } from "./feed-api.ts";

/** What a feed reads, and how much of it ahead of its reader. */
export interface FeedOptions {
  readonly stream: string;
  /** `$JS.<domain>.API` for another JetStream domain. @default "$JS.API" */
  readonly apiPrefix?: string | undefined;
  /** Prefix of the feed's inboxes, where the connection's permissions ask for one. @default "_INBOX" */
  readonly inboxPrefix?: string | undefined;
  /** Subjects, wildcards allowed, that must not overlap. @default none: the whole stream */
  readonly filterSubjects?: readonly string[] | undefined;
  /** @default `{ sequence: 1 }` */
  readonly start?: FeedStart | undefined;
  /** Leave the payloads on the server; `Nats-Msg-Size` tells how long they are. @default false */
  readonly headersOnly?: boolean | undefined;
  /** Messages asked for and held at most, those in the reader's hand included. @default 5000 */
  readonly maxMessages?: number | undefined;
  /** The same in bytes, roughly: what is under way may exceed it by half. @default 8 MiB */
  readonly maxBytes?: number | undefined;
  /** The server shows that it is alive this often; without two of them the feed starts anew. @default 2000 */
  readonly idleHeartbeatMs?: number | undefined;
  /** Wait for the creation of a consumer, before it is tried again. @default 5000 */
  readonly timeoutMs?: number | undefined;
  /** Closes the feed; `next` then rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called when the reader has taken everything and the server had nothing more; again after each time there was. */
  readonly onCaughtUp?: (() => void) | undefined;
  /** Called when the feed lost its consumer and goes on with another; must not throw. */
  readonly onRecreate?: ((reason: string) => void) | undefined;
  /**
   * Called when a consumer was created, the first one or another, before anything that it delivers is handed out; must
   * not throw. Whoever compares the stream with what is known since then has compared the stream that it reads.
   */
  readonly onConsumer?: (() => void) | undefined;
}

const defaultMaxMessages = 5_000;
const defaultMaxBytes = 8 * 1024 * 1024;
const defaultIdleHeartbeatMs = 2_000;
const minIdleHeartbeatMs = 100;
const defaultTimeoutMs = 5_000;
const largestChunk = 256;
const recreation = { firstMs: 50, maxMs: 2_000 };
/** A session that lived this long was sound: what ended it is no reason to wait longer for the next. */
const soundSessionMs = 10_000;
const firstRecreationTimeoutMs = 700;
/** While a cluster starts, a stream may not be found though it is there. */
const notFoundUntilBelieved = 5;

/**
 * Messages of a stream in order, without holes or repetitions, for as long as the connection lives. Losing its
 * consumer (the server restarts, its leader changes, somebody deletes it, heartbeats fail) it goes on with another one,
 * behind the last message that it handed out: what it held besides is fetched anew, because the stream that it was
 * fetched from may be gone.
 *
 * @example
 * const feed = new Feed(connection, { stream: "BANK", start: { sequence: 1 } });
 * for (let batch = await feed.next(); batch !== undefined; batch = await feed.next()) …
 */
export class Feed {
  readonly #connection: Connection;
  readonly #options: FeedOptions;
  readonly #selection: FeedSelection;
  readonly #limits: SessionLimits;
  readonly #buffer: FeedBuffer;
  readonly #closing = deferred();
  readonly #unlisten: () => void;
  readonly #running: Promise<void>;
  #session: FeedSession | undefined;
  #start: FeedStart;
  #opened = false;
  /** The last message that was handed out. */
  #lastTaken = 0;
  /** Matching messages behind the last that arrived; undefined while no consumer says so. */
  #pending: number | undefined;
  #caughtUpReported = false;
  #waiter: Deferred<void> | undefined;
  #reconnected: Deferred<void> | undefined;
  #failure: { readonly error: unknown } | undefined;
  #closed = false;

  constructor(connection: Connection, options: FeedOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#start = options.start ?? { sequence: 1 };
    this.#selection = {
      stream: options.stream,
      apiPrefix: options.apiPrefix ?? "$JS.API",
      filterSubjects: options.filterSubjects ?? [],
      headersOnly: options.headersOnly ?? false,
    };
    this.#limits = limitsOf(options);
    this.#buffer = new FeedBuffer(Math.min(largestChunk, Math.ceil(this.#limits.maxMessages / 8)));
    const { signal } = options;
    const onAbort = (): void => {
      this.#buffer.clear();
      this.#fail(signal?.reason);
    };
    const unlisten = connection.listen((event) => this.#onConnection(event));
    this.#unlisten = () => {
      signal?.removeEventListener("abort", onAbort);
      unlisten();
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
    this.#running = this.#run().catch((error: unknown) => this.#fail(error));
  }

  /** Matching messages behind those that were handed out; undefined until the server first told. */
  get pending(): number | undefined {
    return this.#pending === undefined ? undefined : this.#pending + this.#buffer.waiting;
  }

  /** Whether it has a consumer now. */
  get reading(): boolean {
    return this.#session?.open === true;
  }

  /** True while all that the server showed was handed out and it had nothing more. */
  get caughtUp(): boolean {
    return this.pending === 0;
  }

  /**
   * The next messages in stream order, at least one; coming back for more says that those before are dealt with, and
   * makes room for others. One call at a time.
   *
   * @returns undefined once the feed is closed
   * @throws StreamNotFoundError, ServerRefusedError, JetStreamUnavailableError where trying again is useless;
   * ClosedError where the connection was closed; the signal's reason
   */
  async next(): Promise<readonly ConsumerMessage[] | undefined> {
    if (this.#waiter !== undefined) {
      throw new InvalidArgumentError("next", "one call at a time", "a second one");
    }
    this.#buffer.release();
    for (;;) {
      const batch = this.#buffer.take();
      this.#session?.pull();
      if (batch !== undefined) {
        this.#lastTaken = batch.at(-1)?.sequence ?? this.#lastTaken;
        return batch;
      }
      if (this.#failure !== undefined) throw this.#failure.error;
      if (this.#closed) return undefined;
      if (this.#reportCaughtUp()) continue;
      this.#waiter = deferred();
      await this.#waiter.promise;
    }
  }

  /** Stops reading and deletes the consumer; waits until the server said so or cannot. Safe to call again. */
  async close(): Promise<void> {
    this.#buffer.clear();
    this.#shut();
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #run(): Promise<void> {
    let attempt = 0;
    let notFound = 0;
    for (;;) {
      await this.#untilConnected();
      if (this.#closed) return;
      const session = this.#newSession();
      const startedAt = performance.now();
      let reason: string;
      try {
        this.#onCreated(await session.start(this.#startOfNext(), this.#timeoutMs(attempt)));
        notFound = 0;
        session.pull();
        const end = await session.ended;
        reason = end.reason;
        if (end.error !== undefined) this.#fail(end.error);
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error);
        if (error instanceof StreamNotFoundError) notFound += 1;
        if (this.#connection.nc.isClosed()) this.#fail(new ClosedError("the connection"));
        else if (!this.#worthRetrying(error, notFound)) this.#fail(error);
      }
      await this.#retire(session, reason);
      attempt = performance.now() - startedAt > soundSessionMs ? 1 : attempt + 1;
      if (!this.#closed) this.#options.onRecreate?.(reason);
      await this.#pause(backoffMs(recreation, attempt));
    }
  }

  #newSession(): FeedSession {
    this.#session = new FeedSession(
      this.#connection,
      this.#selection,
      this.#limits,
      this.#buffer,
      (message) => this.#onMessage(message),
    );
    return this.#session;
  }

  #startOfNext(): FeedStart {
    return this.#lastTaken > 0 ? { sequence: this.#lastTaken + 1 } : this.#start;
  }

  /** A cluster that has just lost a server may give the consumer to that one, which never answers: ask again soon. */
  #timeoutMs(attempt: number): number {
    const most = this.#options.timeoutMs ?? defaultTimeoutMs;
    return this.#opened ? Math.min(most, firstRecreationTimeoutMs * 1.4 ** attempt) : most;
  }

  #worthRetrying(error: unknown, notFound: number): boolean {
    if (error instanceof StreamNotFoundError)
      return this.#opened && notFound < notFoundUntilBelieved;
    return error instanceof TransientApiError;
  }

  async #retire(session: FeedSession, reason: string): Promise<void> {
    this.#session = undefined;
    session.end({ reason });
    this.#buffer.dropWaiting();
    this.#pending = undefined;
    const removed = session.remove();
    if (this.#closed) await removed;
  }

  #onCreated(created: CreatedConsumer): void {
    this.#opened = true;
    // Once resolved, "new" and a time must not be resolved anew: what was stored in between would be lost.
    if (created.startSequence !== undefined && this.#lastTaken === 0) {
      this.#start = { sequence: created.startSequence };
    }
    this.#pending = created.pending;
    this.#options.onConsumer?.();
    this.#wake();
  }

  #onMessage(message: ConsumerMessage): void {
    this.#pending = message.pending;
    this.#caughtUpReported = false;
    if (this.#waiter !== undefined) this.#wake();
  }

  #onConnection(event: ConnectionEvent): void {
    if (event === "disconnect") {
      this.#session?.end({ reason: "disconnected" });
    } else if (event === "close") {
      this.#fail(new ClosedError("the connection"));
    } else {
      this.#reconnected?.resolve();
    }
  }

  /** @returns whether it was reported, after which the caller looks anew: the listener may have closed the feed */
  #reportCaughtUp(): boolean {
    if (this.#caughtUpReported || !this.caughtUp) return false;
    this.#caughtUpReported = true;
    this.#options.onCaughtUp?.();
    return true;
  }

  #wake(): void {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    waiter?.resolve();
  }

  #fail(error: unknown): void {
    if (this.#closed) return;
    this.#failure = { error };
    this.#shut();
  }

  #shut(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#unlisten();
    this.#session?.end({ reason: "closed" });
    this.#closing.resolve();
    this.#reconnected?.resolve();
    this.#wake();
  }

  async #untilConnected(): Promise<void> {
    if (this.#connection.closed) this.#fail(new ClosedError("the connection"));
    while (!this.#closed && !this.#connection.connected) {
      this.#reconnected = deferred();
      await this.#reconnected.promise;
    }
  }

  async #pause(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const waited = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    });
    await Promise.race([waited, this.#closing.promise]);
    clearTimeout(timer);
  }
}

function limitsOf(options: FeedOptions): SessionLimits {
  const { maxMessages, maxBytes, idleHeartbeatMs, inboxPrefix } = options;
  return {
    maxMessages: atLeast(1, "maxMessages", maxMessages ?? defaultMaxMessages),
    maxBytes: atLeast(1, "maxBytes", maxBytes ?? defaultMaxBytes),
    idleHeartbeatMs: atLeast(
      minIdleHeartbeatMs,
      "idleHeartbeatMs",
      idleHeartbeatMs ?? defaultIdleHeartbeatMs,
    ),
    inboxPrefix: inboxPrefix ?? "_INBOX",
  };
}

function atLeast(least: number, option: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new InvalidArgumentError(option, `an integer of at least ${least}`, value);
}
