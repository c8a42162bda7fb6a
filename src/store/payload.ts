import { types } from "node:util";
import { InvalidArgumentError, UnsupportedFormatError } from "../errors.ts";
import { endOfValue, uintAt } from "../internal/msgpack-bounds.ts";

import { sameValue } from "../internal/same-value.ts";
import { isWellFormed } from "../internal/well-formed.ts";
import { bigintExtension, pack, unpack } from "./packing.ts";
import { maxDepth, rootPath, serialisable } from "./serialisable.ts";

/**
 * The payload of a commit: MessagePack `[1, index, body]`, where `index` is a byte array or nil,
 * and `body` is `[events]` or `[events, metadata]`, each event `[type, data]` or `[type, data,
 * metadata]`. The body is written once; the index, which depends on the place in the history, is
 * put before it for each attempt. See docs/wire-format.md.
 */

/** The format number this version writes, and the only one it reads. */
const payloadFormat = 1;
/** Reserved for encrypted payloads. */
const encryptedFormat = 2;
/** The most characters of an event type. */
const maxEventTypeLength = 255;
/** Levels of a body above the data of an event. */
const bodyDepth = 3;

/** Free-form values about an event or a commit, such as a correlation id. */
export type Metadata = Readonly<Record<string, unknown>>;

/** What an append is given of one event. */
export interface EventInput {
  /** Non-empty, well-formed, at most 255 characters. */
  readonly type: string;
  /** Plain data; undefined is stored as null. */
  readonly data?: unknown;
  readonly metadata?: Metadata | undefined;
}

/** What a payload holds of one event. */
export interface DecodedEvent {
  readonly type: string;
  readonly data: unknown;
  readonly metadata: Metadata | undefined;
}

/** What a payload holds. */
export interface DecodedPayload {
  /** The bytes of the history index, a view of the payload; undefined for a commit without one. */
  readonly index: Uint8Array | undefined;
  /** At least one. */
  readonly events: readonly DecodedEvent[];
  /** Metadata of the whole commit. */
  readonly metadata: Metadata | undefined;
}

/**
 * The bytes are no payload; whoever knows the message's place wraps it in a `CorruptCommitError`.
 */
export class PayloadError extends Error {}

/**
 * Validates the events of a commit and encodes its body.
 *
 * @throws {InvalidArgumentError} of an empty list, an event or type that is none, metadata that is
 * no object
 * @throws {UnserialisableValueError} with the path of what cannot be stored, such as
 * `events[0].data.a[3]`
 */
export function encodeBody(
  events: readonly EventInput[],
  metadata: Metadata | undefined,
): Uint8Array {
  if (!Array.isArray(events) || events.length === 0) {
    throw new InvalidArgumentError("events", "a list of at least one event", events);
  }
  const list: unknown[] = [];
  for (let index = 0; index < events.length; index++) list.push(eventToPack(events[index], index));
  return pack(metadata === undefined ? [list] : [list, metadataToPack(metadata, undefined)]);
}

/** The payload of one attempt to append `body`, with the history index that its place gives it. */
export function assemblePayload(index: Uint8Array | undefined, body: Uint8Array): Uint8Array {
  const size = index?.length ?? 0;
  const header = index === undefined ? 1 : size < 0x100 ? 2 : size < 0x10000 ? 3 : 5;
  const payload = Buffer.allocUnsafe(2 + header + size + body.length);
  payload[0] = 0x93;
  payload[1] = payloadFormat;
  if (index === undefined) {
    payload[2] = 0xc0;
  } else {
    payload[2] = header === 2 ? 0xc4 : header === 3 ? 0xc5 : 0xc6;
    if (header === 2) payload[3] = size;
    else payload.writeUIntBE(size, 3, header - 1);
    payload.set(index, 2 + header);
  }
  payload.set(body, 2 + header + size);
  return payload;
}

/**
 * Decodes a payload, whichever implementation wrote it. Nothing but `index` refers to `bytes`.
 *
 * @throws {PayloadError} where the bytes are no payload
 * @throws {UnsupportedFormatError} of another format number
 */
export function decodePayload(bytes: Uint8Array): DecodedPayload {
  try {
    return readPayload(bytes);
  } catch (error) {
    if (error instanceof PayloadError || error instanceof UnsupportedFormatError) throw error;
    throw new PayloadError(error instanceof Error ? error.message : String(error), {
      cause: error,
    });
  }
}

/** What {@link encodeBody} has put into `body`. */
export function decodeBody(body: Uint8Array): Pick<DecodedPayload, "events" | "metadata"> {
  return readBody(unpack(body, 0, body.length));
}

/**
 * Whether two commits hold the same events: equal types and data in the same order, the order of
 * keys and metadata aside. Both sides are decoded forms, so that what encoding changes (undefined)
 * has changed in both.
 */
export function sameEvents(a: readonly DecodedEvent[], b: readonly DecodedEvent[]): boolean {
  if (a.length !== b.length) return false;
  return a.every((event, at) => {
    const other = b[at];
    return event.type === other?.type && sameValue(event.data, other.data);
  });
}

/** The event as it is packed, its data and metadata validated. */
function eventToPack(event: EventInput | undefined, index: number): unknown[] {
  if (typeof event !== "object" || event === null) {
    throw new InvalidArgumentError(`events[${index}]`, "an event { type, data }", event);
  }
  const { type, data, metadata } = event;
  if (typeof type !== "string" || type.length === 0 || type.length > maxEventTypeLength) {
    throw new InvalidArgumentError(
      `events[${index}].type`,
      `a string of 1 to ${maxEventTypeLength} characters`,
      type,
    );
  }
  if (!isWellFormed(type)) {
    throw new InvalidArgumentError(
      `events[${index}].type`,
      "a string without lone surrogates",
      type,
    );
  }
  const converted = serialisable(data, "data", index);
  if (metadata === undefined) return [type, converted];
  return [type, converted, metadataToPack(metadata, index)];
}

/** Metadata of the event `index`, or of the commit where there is none. */
function metadataToPack(metadata: Metadata, index: number | undefined): unknown {
  if (
    typeof metadata !== "object" ||
    metadata === null ||
    Array.isArray(metadata) ||
    types.isDate(metadata) ||
    types.isUint8Array(metadata)
  ) {
    throw new InvalidArgumentError(rootPath("metadata", index), "a plain object", metadata);
  }
  return serialisable(metadata, "metadata", index);
}

function readPayload(bytes: Uint8Array): DecodedPayload {
  const tag = bytes[0] ?? 0;
  const lengthSize = tag === 0xdc ? 2 : tag === 0xdd ? 4 : 0;
  if (lengthSize === 0 && (tag < 0x90 || tag > 0x9f)) {
    throw new PayloadError("the payload is no array");
  }
  const length = lengthSize === 0 ? tag & 0x0f : uintAt(bytes, 1, lengthSize);
  const indexAt = length === 0 ? 0 : checkFormat(bytes, 1 + lengthSize);
  if (length !== 3) throw new PayloadError(`the payload has ${length} elements instead of 3`);
  const bodyAt = skip(bytes, indexAt);
  const index = readIndex(bytes, indexAt, bodyAt);
  const end = skip(bytes, bodyAt);
  if (end !== bytes.length) throw new PayloadError("bytes are left over behind the payload");
  return { index, ...readBody(unpack(bytes, bodyAt, end)) };
}

function readBody(value: unknown): Pick<DecodedPayload, "events" | "metadata"> {
  const body = asList(value, 1, 2, "the body");
  const list = asList(body[0], 1, Number.POSITIVE_INFINITY, "the list of events");
  return { events: list.map(readEvent), metadata: readMetadata(body[1]) };
}

/** Where the value at `at` ends. */
function skip(bytes: Uint8Array, at: number): number {
  return endOfValue(bytes, at, maxDepth + bodyDepth, bigintExtension);
}

/** Assures that the format number at `at` is the known one, and returns where it ends. */
function checkFormat(bytes: Uint8Array, at: number): number {
  if (bytes[at] === payloadFormat) return at + 1;
  const end = skip(bytes, at);
  const format = unpack(bytes, at, end);
  if (typeof format !== "number" || !Number.isSafeInteger(format)) {
    throw new PayloadError("the payload does not begin with a format number");
  }
  if (format === encryptedFormat) {
    throw new UnsupportedFormatError(format, "encrypted payloads cannot be read by this version");
  }
  if (format !== payloadFormat) {
    throw new UnsupportedFormatError(format, `this version reads format ${payloadFormat}`);
  }
  return end;
}

function readIndex(bytes: Uint8Array, at: number, end: number): Uint8Array | undefined {
  const tag = bytes[at] ?? 0;
  if (tag === 0xc0) return undefined;
  if (tag < 0xc4 || tag > 0xc6) throw new PayloadError("the index is no byte array");
  return bytes.subarray(at + 1 + 2 ** (tag - 0xc4), end);
}

function readEvent(value: unknown): DecodedEvent {
  const event = asList(value, 2, 3, "an event");
  const type = event[0];
  if (typeof type !== "string" || type === "" || type.length > maxEventTypeLength) {
    throw new PayloadError(
      `the type of an event is no string of 1 to ${maxEventTypeLength} characters`,
    );
  }
  return { type, data: event[1], metadata: readMetadata(event[2]) };
}

function readMetadata(value: unknown): Metadata | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isMap(value)) throw new PayloadError("metadata is no map");
  return value;
}

/** Among what a payload can hold. */
function isMap(value: unknown): value is Metadata {
  return (
    typeof value === "object" &&
    !Array.isArray(value) &&
    !(value instanceof Date) &&
    !(value instanceof Uint8Array)
  );
}

function asList(value: unknown, min: number, max: number, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new PayloadError(`${what} is no array`);
  const list: readonly unknown[] = value;
  if (list.length < min || list.length > max) {
    throw new PayloadError(`${what} has ${list.length} elements, expected ${min} to ${max}`);
  }
  return list;
}
