/**
 * Reads what nats-core 3.4 holds of a received message as bytes, without its slow decoding. Where the shape is not the
 * known one, the functions fall back to the public interface: slower, never wrong.
 */

import { Buffer } from "node:buffer";
import type { Msg } from "@nats-io/nats-core";
import { HeaderBlock } from "./header-block.ts";

/** The private parts of nats-core's message: `hdr` is the length of the headers, -1 for none. */
interface RawMessage {
  readonly _rdata?: unknown;
  readonly _msg?: {
    readonly hdr?: unknown;
    readonly size?: unknown;
    readonly subject?: unknown;
    readonly reply?: unknown;
  };
}

/** The header block of a message; undefined where it has none. */
export function fastHeaders(msg: Msg): HeaderBlock | undefined {
  const raw = msg as unknown as RawMessage;
  const bytes = raw._rdata;
  const length = raw._msg?.hdr;
  if (bytes instanceof Uint8Array && typeof length === "number" && length <= bytes.length) {
    return length > 0 ? new HeaderBlock(textOf(bytes, length)) : undefined;
  }
  const headers = msg.headers;
  if (headers === undefined) return undefined;
  const status = headers.code > 0 ? ` ${headers.code} ${headers.description}` : "";
  let text = `NATS/1.0${status}\r\n`;
  for (const [name, values] of headers) {
    for (const value of values) text += `${name}: ${value}\r\n`;
  }
  return new HeaderBlock(`${text}\r\n`);
}

/** The subject of a message. */
export function fastSubject(msg: Msg): string {
  const bytes = (msg as unknown as RawMessage)._msg?.subject;
  return bytes instanceof Uint8Array ? textOf(bytes, bytes.length) : msg.subject;
}

/** The subject of a message as bytes. */
export function subjectBytes(msg: Msg): Uint8Array {
  const bytes = (msg as unknown as RawMessage)._msg?.subject;
  return bytes instanceof Uint8Array ? bytes : Buffer.from(msg.subject);
}

/** The reply subject of a message as bytes; undefined where it has none. */
export function replyBytes(msg: Msg): Uint8Array | undefined {
  const raw = (msg as unknown as RawMessage)._msg;
  if (raw !== undefined) {
    const bytes = raw.reply;
    return bytes instanceof Uint8Array && bytes.length > 0 ? bytes : undefined;
  }
  return msg.reply === undefined || msg.reply === "" ? undefined : Buffer.from(msg.reply);
}

/** Bytes of headers and payload. */
export function messageBytes(msg: Msg): number {
  const size = (msg as unknown as RawMessage)._msg?.size;
  return typeof size === "number" ? Math.max(0, size) : msg.data.length;
}

function textOf(bytes: Uint8Array, length: number): string {
  const buffer = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return buffer.toString("utf8", 0, length);
}
