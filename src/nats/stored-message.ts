/**
 * A message of the stream, whichever way it came: delivered by a consumer, fetched directly from any replica, or read
 * from the leader. Decoding is put off until somebody asks.
 */

import { Buffer } from "node:buffer";
import type { Msg } from "@nats-io/nats-core";
import { HeaderBlock, noHeaders } from "./header-block.ts";
import { fastHeaders, fastSubject, replyBytes } from "./raw-message.ts";

export { HeaderBlock } from "./header-block.ts";

/** A message as the stream holds it. */
export interface StoredMessage {
  readonly subject: string;
  /** Stream sequence, from 1. */
  readonly sequence: number;
  /** When the server stored it, in whole milliseconds since 1970 (the server's nanoseconds, rounded down). */
  readonly timestampMs: number;
  readonly headers: HeaderBlock;
  /** The payload; may be a view into a network chunk, so copy what outlives the message. */
  readonly data: Uint8Array;
}

/** The `message` part of an answer of `$JS.API.STREAM.MSG.GET.<stream>`. */
export interface LeaderMessage {
  readonly subject: string;
  readonly seq: number;
  /** RFC 3339 with nanoseconds. */
  readonly time: string;
  /** Header block in base64. */
  readonly hdrs?: string | undefined;
  /** Payload in base64. */
  readonly data?: string | undefined;
}

/** Reads an answer of a direct get; undefined where it is none, such as a 404 or the end of a batch. */
export function fromDirectGet(msg: Msg): StoredMessage | undefined {
  const headers = fastHeaders(msg);
  const subject = headers?.getLast("Nats-Subject");
  const time = headers?.getLast("Nats-Time-Stamp");
  const sequence = Number(headers?.getLast("Nats-Sequence") ?? 0);
  if (headers === undefined || subject === undefined || time === undefined) return undefined;
  if (!Number.isSafeInteger(sequence) || sequence < 1) return undefined;
  return { subject, sequence, timestampMs: parseTimestamp(time), headers, data: msg.data };
}

/** Reads the `message` part of the leader's answer. */
export function fromLeaderGet(message: LeaderMessage): StoredMessage {
  const { hdrs, data } = message;
  return {
    subject: message.subject,
    sequence: message.seq,
    timestampMs: parseTimestamp(message.time),
    headers: hdrs === undefined ? noHeaders : new HeaderBlock(fromBase64(hdrs).toString()),
    data: data === undefined ? new Uint8Array(0) : fromBase64(data),
  };
}

/**
 * Reads a delivery of a pull consumer; undefined where the message is none (a status, or no `$JS.ACK` reply subject).
 * Costs well below a microsecond; subject, headers and data are decoded when first asked for.
 *
 * @param numbersAt what {@link numbersStart} gave for an earlier delivery of the same consumer
 */
export function fromConsumerMessage(msg: Msg, numbersAt?: number): ConsumerMessage | undefined {
  const reply = replyBytes(msg);
  if (reply === undefined) return undefined;
  const start = numbersAt ?? findNumbers(reply);
  if (start === undefined) return undefined;
  cursor = start;
  const delivered = nextNumber(reply);
  const sequence = nextNumber(reply);
  const deliverySequence = nextNumber(reply);
  const timestampMs = nextMilliseconds(reply);
  const pending = nextNumber(reply);
  return new ConsumerMessage(msg, sequence, deliverySequence, delivered, timestampMs, pending);
}

/** Where the numbers begin in the reply subjects of the consumer that delivered `msg`: they are the same for all. */
export function numbersStart(msg: Msg): number | undefined {
  const reply = replyBytes(msg);
  return reply === undefined ? undefined : findNumbers(reply);
}

function findNumbers(reply: Uint8Array): number | undefined {
  if (reply.length < ackPrefix.length) return undefined;
  for (let at = 0; at < ackPrefix.length; at += 1) {
    if (reply[at] !== ackPrefix.charCodeAt(at)) return undefined;
  }
  let dots = 0;
  for (const byte of reply) if (byte === dot) dots += 1;
  // 9 tokens; since 2.12 also 11 or 12, with domain and account hash in front of the stream (ADR-15 of NATS).
  if (dots !== 8 && dots < 10) return undefined;
  let token = dots === 8 ? 4 : 6;
  let start = 0;
  while (token > 0) if (reply[start++] === dot) token -= 1;
  return start;
}

const ackPrefix = "$JS.ACK.";
const dot = 46;
const zero = 48;
const nanosecondDigits = 6;

/** A message that a consumer delivered. */
export class ConsumerMessage implements StoredMessage {
  readonly sequence: number;
  /** Number of this delivery within its consumer, from 1, without holes. */
  readonly deliverySequence: number;
  /** How often this message was delivered, from 1. */
  readonly delivered: number;
  readonly timestampMs: number;
  /** Messages of the stream that match the consumer's filter and stand behind this one. */
  readonly pending: number;
  readonly #msg: Msg;
  #subject: string | undefined;
  #headers: HeaderBlock | undefined;

  /** @internal see {@link fromConsumerMessage} */
  constructor(
    msg: Msg,
    sequence: number,
    deliverySequence: number,
    delivered: number,
    timestampMs: number,
    pending: number,
  ) {
    this.#msg = msg;
    this.sequence = sequence;
    this.deliverySequence = deliverySequence;
    this.delivered = delivered;
    this.timestampMs = timestampMs;
    this.pending = pending;
  }

  get subject(): string {
    this.#subject ??= fastSubject(this.#msg);
    return this.#subject;
  }

  get headers(): HeaderBlock {
    this.#headers ??= fastHeaders(this.#msg) ?? noHeaders;
    return this.#headers;
  }

  get data(): Uint8Array {
    return this.#msg.data;
  }
}

/** Where the decimal tokens of a reply subject are being read; a module's own, because an object a message is felt. */
let cursor = 0;

function nextNumber(bytes: Uint8Array): number {
  let value = 0;
  while (cursor < bytes.length) {
    const byte = bytes[cursor++] ?? dot;
    if (byte === dot) break;
    value = value * 10 + byte - zero;
  }
  return value;
}

/** A token in nanoseconds, which are more than a number holds, as milliseconds. */
function nextMilliseconds(bytes: Uint8Array): number {
  let end = cursor;
  while (end < bytes.length && bytes[end] !== dot) end += 1;
  let value = 0;
  for (const stop = end - nanosecondDigits; cursor < stop; cursor += 1) {
    value = value * 10 + (bytes[cursor] ?? zero) - zero;
  }
  cursor = end + 1;
  return value;
}

const fractionOf = /\.(\d+)/;

/** Milliseconds since 1970 of an RFC 3339 time, rounded down as in a consumer's delivery. */
export function parseTimestamp(time: string): number {
  // As the server writes it, in UTC; `Date.parse` costs many times this.
  if (time.length >= 20 && time.charCodeAt(time.length - 1) === 0x5a) {
    const seconds = Date.UTC(
      digitsOf(time, 0, 4),
      digitsOf(time, 5, 7) - 1,
      digitsOf(time, 8, 10),
      digitsOf(time, 11, 13),
      digitsOf(time, 14, 16),
      digitsOf(time, 17, 19),
    );
    if (!Number.isNaN(seconds)) return seconds + milliseconds(time);
  }
  const fraction = fractionOf.exec(time)?.[1] ?? "";
  return Date.parse(time.replace(fractionOf, "")) + Number(fraction.slice(0, 3).padEnd(3, "0"));
}

/** The number in a range of characters; NaN where one is no digit. */
function digitsOf(text: string, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at += 1) {
    const digit = text.charCodeAt(at) - zero;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}

/** The first three digits behind the point of a time in UTC. */
function milliseconds(time: string): number {
  if (time.charCodeAt(19) !== dot) return 0;
  const end = Math.min(23, time.length - 1);
  return digitsOf(time, 20, end) * 10 ** (23 - end);
}

function fromBase64(text: string): Buffer {
  return Buffer.from(text, "base64");
}
