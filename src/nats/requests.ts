import {
  createInbox,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  type Subscription,
} from "@nats-io/nats-core";
import { MsgHdrsImpl } from "@nats-io/nats-core/internal";
import { subjectBytes } from "./raw-message.ts";

/** Why no (further) reply will come. */
export type RequestFailure = "timeout" | "disconnected" | "closed";

/** What waits for the replies to one request. Neither method may throw: it would deafen the connection. */
export interface ReplyHandler {
  /** Takes a reply; true when the request is answered in full. */
  onReply(message: Msg): boolean;
  onFailure(failure: RequestFailure): void;
}

/** A message on its way, with what waits for its reply, if anything does. */
interface Outgoing {
  readonly subject: string;
  /** Let go once they are written: thousands of requests in flight would keep them from the garbage collector. */
  payload: Uint8Array;
  headers: Uint8Array | undefined;
  /** 0 where nothing waits. */
  readonly token: number;
  readonly handler: ReplyHandler | undefined;
  readonly timeoutMs: number;
  deadline: number;
}

const EMPTY = new Uint8Array(0);
const SWEEP_MS = 25;

/** Headers that were encoded before: the client asks for the bytes while it publishes, nothing else. */
class EncodedHeaders extends MsgHdrsImpl {
  bytes: Uint8Array = new Uint8Array(0);

  override encode(): Uint8Array {
    return this.bytes;
  }
}

/**
 * Requests through one inbox subscription and one timer. The client's own request costs a promise race, a timer and
 * an error object each; this costs a map entry, which is what makes thousands of appends in flight cheap.
 */
export class Requests {
  readonly #nc: NatsConnection;
  readonly #inbox: string;
  readonly #prefixLength: number;
  readonly #pending = new Map<number, Outgoing>();
  readonly #headers = new EncodedHeaders();
  #subscription: Subscription | undefined;
  #outgoing: Outgoing[] = [];
  #lastToken = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(nc: NatsConnection, inboxPrefix: string) {
    this.#nc = nc;
    this.#inbox = `${createInbox(inboxPrefix)}.`;
    this.#prefixLength = this.#inbox.length;
  }

  get inFlight(): number {
    return this.#pending.size;
  }

  /**
   * Sends one request; `handler` gets the replies until it says that it has all, or a failure. The deadline starts
   * anew with each reply.
   *
   * @returns a token for {@link forget}
   */
  send(
    subject: string,
    payload: Uint8Array,
    headers: Uint8Array | undefined,
    timeoutMs: number,
    handler: ReplyHandler,
  ): number {
    this.#subscription ??= this.#subscribe();
    const token = ++this.#lastToken;
    const deadline = performance.now() + timeoutMs;
    const request = { subject, payload, headers, token, handler, timeoutMs, deadline };
    this.#pending.set(token, request);
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP_MS);
    this.#enqueue(request);
    return token;
  }

  /** Publishes without waiting for anything; in the order of calls, {@link send} included. */
  publish(subject: string, payload: Uint8Array, headers: Uint8Array | undefined): void {
    const nothing = { token: 0, handler: undefined, timeoutMs: 0, deadline: 0 };
    this.#enqueue({ subject, payload, headers, ...nothing });
  }

  /** Stops waiting for a request, whose handler hears nothing more. */
  forget(token: number): void {
    this.#pending.delete(token);
  }

  /** Fails everything in flight: no reply to it can come any more. */
  failAll(failure: RequestFailure): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    this.#stopTimer();
    for (const { handler } of pending) handler?.onFailure(failure);
  }

  unsubscribe(): void {
    if (!this.#nc.isClosed()) this.#subscription?.unsubscribe();
    this.#subscription = undefined;
  }

  /**
   * The client writes to the socket in a microtask after the first publish, when most of those that a chunk of acks sets
   * free are still on their way through their promises. Waiting for all of these makes one write of a hundred.
   */
  #enqueue(message: Outgoing): void {
    if (this.#outgoing.length === 0) process.nextTick(this.#flush);
    this.#outgoing.push(message);
  }

  readonly #flush = (): void => {
    const outgoing = this.#outgoing;
    this.#outgoing = [];
    for (const message of outgoing) {
      if (message.token > 0 && !this.#pending.has(message.token)) continue;
      try {
        this.#write(message);
        message.payload = EMPTY;
        message.headers = undefined;
      } catch {
        // The connection is closed or draining: nothing was sent, and nothing will answer.
        this.#pending.delete(message.token);
        message.handler?.onFailure("closed");
      }
    }
  };

  #write({ subject, payload, headers, token }: Outgoing): void {
    const options: { headers?: MsgHdrs; reply?: string } = {};
    if (token > 0) options.reply = `${this.#inbox}${token}`;
    if (headers !== undefined) {
      this.#headers.bytes = headers;
      options.headers = this.#headers;
    }
    this.#nc.publish(subject, payload, options);
  }

  #subscribe(): Subscription {
    return this.#nc.subscribe(`${this.#inbox}*`, {
      callback: (error, message) => {
        if (error === null) this.#onMessage(message);
      },
    });
  }

  #onMessage(message: Msg): void {
    const token = parseToken(subjectBytes(message), this.#prefixLength);
    const pending = this.#pending.get(token);
    if (pending === undefined) return;
    if (pending.handler?.onReply(message) !== false) this.#pending.delete(token);
    else pending.deadline = performance.now() + pending.timeoutMs;
  }

  #sweep(): void {
    if (this.#pending.size === 0) {
      this.#stopTimer();
      return;
    }
    const now = performance.now();
    for (const [token, { deadline, handler }] of this.#pending) {
      if (deadline > now) continue;
      this.#pending.delete(token);
      handler?.onFailure("timeout");
    }
  }

  #stopTimer(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** The decimal number that a reply's subject ends with; NaN for none. */
function parseToken(subject: Uint8Array, from: number): number {
  let token = 0;
  for (let at = from; at < subject.length; at++) token = token * 10 + (subject[at] ?? 0) - 48;
  return subject.length > from ? token : Number.NaN;
}
