import { types } from "node:util";
import {
  InvalidArgumentError,
  UnserialisableValueError,
  UnsupportedFormatError,
} from "../errors.ts";
import { sameValue } from "../internal/same-value.ts";
import { MalformedError, MessagePackReader } from "../internal/msgpack-reader.ts";
import { MessagePackWriter, UnwritableError } from "../internal/msgpack-writer.ts";
import { isWellFormed } from "../internal/well-formed.ts";

/**
 * The payload of a commit: MessagePack `[1, index, body]`, where `index` is a byte array or nil,
 * and `body` is `[events]` or `[events, metadata]`, each event `[type, data]` or `[type, data,
 * metadata]`. The body is written once; the index, which depends on the place in the history, is
 * put before it for each attempt. See docs/wire-format.md.
 */

/** The format number this version writes, and the only one it reads. */
export const payloadFormat = 1;
/** Reserved for encrypted payloads. */
const encryptedFormat = 2;
/** The most characters of an event type. */
export const maxEventTypeLength = 255;

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

// taken while in use: a getter in the caller's data could encode another commit in the middle of
// this one
let spare: MessagePackWriter | undefined;

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
  const writer = spare ?? new MessagePackWriter();
  spare = undefined;
  try {
    writer.reset();
    writer.listHeader(metadata === undefined ? 1 : 2);
    writer.listHeader(events.length);
    for (let index = 0; index < events.length; index++) writeEvent(writer, events[index], index);
    if (metadata !== undefined) {
      writeMetadata(writer, metadata, undefined);
    }
    return writer.finish();
  } finally {
    spare = writer;
  }
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
    payload.writeUIntBE(size, 3, header - 1);
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
    return readPayload(new MessagePackReader(bytes));
  } catch (error) {
    if (error instanceof MalformedError) throw new PayloadError(error.message, { cause: error });
    throw error;
  }
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

function writeEvent(writer: MessagePackWriter, event: EventInput | undefined, index: number): void {
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
  writer.listHeader(metadata === undefined ? 2 : 3);
  writer.text(type);
  write(writer, data, index, "data");
  if (metadata !== undefined) writeMetadata(writer, metadata, index);
}

/** Metadata of the event `index`, or of the commit where there is none. */
function writeMetadata(
  writer: MessagePackWriter,
  metadata: Metadata,
  index: number | undefined,
): void {
  if (
    typeof metadata !== "object" ||
    metadata === null ||
    Array.isArray(metadata) ||
    types.isDate(metadata) ||
    types.isUint8Array(metadata)
  ) {
    throw new InvalidArgumentError(rootPath(index, "metadata"), "a plain object", metadata);
  }
  write(writer, metadata, index, "metadata");
}

function write(
  writer: MessagePackWriter,
  value: unknown,
  index: number | undefined,
  part: "data" | "metadata",
): void {
  try {
    writer.value(value);
  } catch (error) {
    if (error instanceof UnwritableError) {
      throw new UnserialisableValueError(writer.path(rootPath(index, part)), error.message);
    }
    throw error;
  }
}

function rootPath(index: number | undefined, part: string): string {
  return index === undefined ? part : `events[${index}].${part}`;
}

function readPayload(reader: MessagePackReader): DecodedPayload {
  const length = reader.listHeader("the payload");
  const format = length === 0 ? undefined : reader.value();
  if (typeof format !== "number" || !Number.isSafeInteger(format)) {
    throw new PayloadError("the payload does not begin with a format number");
  }
  if (format === encryptedFormat) {
    throw new UnsupportedFormatError(format, "encrypted payloads cannot be read by this version");
  }
  if (format !== payloadFormat) {
    throw new UnsupportedFormatError(format, `this version reads format ${payloadFormat}`);
  }
  if (length !== 3) throw new PayloadError(`the payload has ${length} elements instead of 3`);
  const index = reader.skipNil() ? undefined : reader.binaryView("the index");
  const bodyLength = reader.listHeader("the body");
  if (bodyLength < 1 || bodyLength > 2) {
    throw new PayloadError(`the body has ${bodyLength} elements instead of 1 or 2`);
  }
  const count = reader.listHeader("the list of events");
  if (count === 0) throw new PayloadError("the commit has no events");
  const events: DecodedEvent[] = [];
  for (let at = 0; at < count; at++) events.push(readEvent(reader));
  const metadata = bodyLength === 2 ? readMetadata(reader) : undefined;
  if (!reader.atEnd) throw new PayloadError("bytes are left over behind the payload");
  return { index, events, metadata };
}

function readEvent(reader: MessagePackReader): DecodedEvent {
  const length = reader.listHeader("an event");
  if (length < 2 || length > 3) {
    throw new PayloadError(`an event has ${length} elements instead of 2 or 3`);
  }
  const type = reader.symbol("an event type");
  if (type === "" || type.length > maxEventTypeLength) {
    throw new PayloadError(`an event type has ${type.length} characters`);
  }
  const data = reader.value();
  return { type, data, metadata: length === 3 ? readMetadata(reader) : undefined };
}

function readMetadata(reader: MessagePackReader): Metadata | undefined {
  return reader.skipNil() ? undefined : reader.map("metadata");
}
