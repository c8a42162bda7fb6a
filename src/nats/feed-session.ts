import { createInbox, type Msg, nuid, type Subscription } from "@nats-io/nats-core";
import { deferred } from "../internal/deferred.ts";
import { ServerRefusedError } from "../errors.ts";
import type { Connection } from "./connection.ts";
import {
  createConsumer,
  type CreatedConsumer,
  deleteConsumer,
  type FeedSelection,
  type FeedStart,
} from "./feed-api.ts";
import type { FeedBuffer } from "./feed-buffer.ts";
import { type PullStatus, parsePullStatus } from "./feed-status.ts";
import { messageBytes } from "./raw-message.ts";
import { type ConsumerMessage, fromConsumerMessage, numbersStart } from "./stored-message.ts";

/** How much a session may hold and how it finds out that its consumer is silent. */
export interface SessionLimits {
  readonly maxMessages: number;
  readonly maxBytes: number;
  readonly idleHeartbeatMs: number;
  readonly inboxPrefix: string;
}

/** How a session ended: `error` where no other session can do better. */
export interface SessionEnd {
  readonly reason: string;
  readonly error?: Error;
}

const pullExpiresMs = 30_000;
/** Heartbeats are looked for twice per interval; two missed ones and a late timer make this many quiet looks. */
const quietTicksUntilLost = 5;
const deleteTimeoutMs = 2_000;

/**
 * One server-side consumer, from its creation until it is lost: pulls as the buffer has room, checks that the
 * deliveries are without holes, and ends itself at the first doubt. What comes after is the feed's business.
 */
export class FeedSession {
  readonly ended: Promise<SessionEnd>;
  readonly #end: (end: SessionEnd) => void;
  readonly #connection: Connection;
  readonly #selection: FeedSelection;
  readonly #limits: SessionLimits;
  readonly #buffer: FeedBuffer;
  readonly #onMessage: (message: ConsumerMessage) => void;
  readonly #name = `annal-${nuid.next()}`;
  readonly #inbox: string;
  readonly #pullSubject: string;
  #subscription: Subscription | undefined;
  #timer: NodeJS.Timeout | undefined;
  #ready = false;
  #over = false;
  /** Where this consumer's reply subjects hold their numbers. */
  #numbersAt: number | undefined;
  #lastDelivered = 0;
  /** Messages asked for and not delivered. */
  #outstanding = 0;
  /** Messages outstanding and held at most; lower than asked where the server limits a pull. */
  #window: number;
  /** The next message is larger than a pull's bytes: the next pull asks for one message of any size. */
  #oversized = false;
  #quietTicks = 0;

  constructor(
    connection: Connection,
    selection: FeedSelection,
    limits: SessionLimits,
    buffer: FeedBuffer,
    onMessage: (message: ConsumerMessage) => void,
  ) {
    this.#connection = connection;
    this.#selection = selection;
    this.#limits = limits;
    this.#window = limits.maxMessages;
    this.#buffer = buffer;
    this.#onMessage = onMessage;
    this.#inbox = createInbox(limits.inboxPrefix);
    this.#pullSubject = `${selection.apiPrefix}.CONSUMER.MSG.NEXT.${selection.stream}.${this.#name}`;
    const end = deferred<SessionEnd>();
    this.ended = end.promise;
    this.#end = (how) => end.resolve(how);
  }

  /** Whether its consumer stands. */
  get open(): boolean {
    return this.#ready && !this.#over;
  }

  /** Creates the consumer and starts to pull; rejects where that fails. */
  async start(start: FeedStart, timeoutMs: number): Promise<CreatedConsumer> {
    this.#subscription = this.#connection.nc.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => this.#receive(error, message),
    });
    const created = await createConsumer(
      this.#connection,
      this.#selection,
      this.#name,
      start,
      timeoutMs,
    );
    this.#ready = true;
    const tick = setInterval(() => this.#tick(), this.#limits.idleHeartbeatMs / 2);
    this.#timer = tick;
    tick.unref();
    return created;
  }

  /** Asks for more where there is room for at least half the window. */
  pull(): void {
    if (!this.#ready || this.#over || !this.#connection.connected) return;
    if (this.#buffer.bytes > this.#limits.maxBytes / 2) return;
    const half = Math.max(1, Math.floor(this.#window / 2));
    try {
      // At most half the window a pull: one that ends early leaves another open, and the pipe stays full.
      for (;;) {
        const room = this.#window - this.#outstanding - this.#buffer.messages;
        if (room < half) return;
        this.#ask(this.#oversized ? 1 : half);
        if (this.#oversized) return;
      }
    } catch (error) {
      this.end({ reason: error instanceof Error ? error.message : "publish failed" });
    }
  }

  /** Ends the session; nothing arrives from then on. */
  end(end: SessionEnd): void {
    if (this.#over) return;
    this.#over = true;
    clearInterval(this.#timer);
    if (!this.#connection.nc.isClosed()) this.#subscription?.unsubscribe();
    this.#end(end);
  }

  /** Deletes the consumer on the server, as far as that can be reached. */
  async remove(): Promise<void> {
    if (this.#connection.connected) {
      await deleteConsumer(this.#connection, this.#selection, this.#name, deleteTimeoutMs);
    }
  }

  #ask(batch: number): void {
    const { maxBytes, idleHeartbeatMs } = this.#limits;
    const request = {
      batch,
      expires: Math.max(pullExpiresMs, idleHeartbeatMs * 4) * 1_000_000,
      idle_heartbeat: idleHeartbeatMs * 1_000_000,
      ...(this.#oversized ? {} : { max_bytes: Math.max(1, Math.floor(maxBytes / 4)) }),
    };
    // The reply subject carries the batch: some statuses do not say how much of it they leave undelivered.
    const reply = `${this.#inbox}.${batch}`;
    if (this.#outstanding === 0) this.#quietTicks = 0;
    this.#connection.nc.publish(this.#pullSubject, JSON.stringify(request), { reply });
    this.#outstanding += batch;
  }

  /** Runs inside the client's read loop: a throw would end it and leave the connection deaf. */
  #receive(error: Error | null, message: Msg): void {
    try {
      if (this.#over) return;
      this.#quietTicks = 0;
      if (error !== null) this.#refuse(error.message);
      else this.#accept(message);
    } catch (cause) {
      this.end({ reason: cause instanceof Error ? cause.message : "a message was not understood" });
    }
  }

  #accept(raw: Msg): void {
    this.#numbersAt ??= numbersStart(raw);
    const message = fromConsumerMessage(raw, this.#numbersAt);
    if (message === undefined) {
      this.#onStatus(parsePullStatus(raw));
      return;
    }
    if (message.deliverySequence !== this.#lastDelivered + 1) {
      this.end({
        reason: `delivery ${this.#lastDelivered + 1} was expected, ${message.deliverySequence} came`,
      });
      return;
    }
    this.#lastDelivered += 1;
    this.#outstanding -= 1;
    this.#oversized = false;
    this.#buffer.push(message, messageBytes(raw));
    this.#onMessage(message);
    if (this.#outstanding * 2 <= this.#window) this.pull();
  }

  #onStatus(status: PullStatus): void {
    switch (status.kind) {
      case "heartbeat":
        if (status.lastDelivered > this.#lastDelivered) {
          this.end({ reason: `delivery ${status.lastDelivered} did not arrive` });
        }
        return;
      case "too_large":
        this.#oversized ||= status.untouched;
        this.#settle(status.unused);
        return;
      case "batch_limit":
        this.#window = Math.min(this.#window, status.limit * 2);
        this.#settle(status.unused);
        return;
      case "ended":
        this.#settle(status.unused);
        return;
      case "lost":
        this.end({ reason: status.reason });
        return;
      case "refused":
        this.#refuse(status.reason);
        return;
      default:
        status satisfies never;
    }
  }

  #settle(unused: number): void {
    this.#outstanding = Math.max(0, this.#outstanding - unused);
    this.pull();
  }

  #refuse(reason: string): void {
    const what = `reading stream ${this.#selection.stream}`;
    this.end({ reason, error: new ServerRefusedError(0, reason, what) });
  }

  #tick(): void {
    if (this.#outstanding === 0) return;
    this.#quietTicks += 1;
    if (this.#quietTicks >= quietTicksUntilLost) this.end({ reason: "missed heartbeats" });
  }
}
