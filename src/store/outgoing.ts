import { AppendTooLargeError, InvalidArgumentError } from "../errors.ts";
import { isWellFormed } from "../internal/well-formed.ts";
import type { OutgoingMessage } from "../nats/publish.ts";
import { Header } from "./commit.ts";
import { firstIndex, type HistoryIndex, indexBytes, nextIndex } from "./history-index.ts";
import { assemblePayload } from "./payload.ts";
import type { Actor } from "./subject.ts";
import type { Head } from "./version-cache.ts";

/** What an append requires of its actor: a version, or `"any"`, `"none"` (no events yet), `"exists"` (some events). */
export type ExpectedVersion = number | "any" | "none" | "exists";

/** An append to one actor, validated and packed, before it is known behind which commit it goes. */
export interface PreparedAppend {
  readonly actor: Actor;
  readonly subject: string;
  readonly expectedVersion: ExpectedVersion;
  /** The packed events and metadata. */
  readonly body: Uint8Array;
  readonly eventCount: number;
  readonly commitId: string;
  /** Whether the caller chose the commit id, so that the append may be a repetition. */
  readonly commitIdGiven: boolean;
  /** Of the caller: once aborted, nothing is sent that was not sent before. */
  readonly signal: AbortSignal | undefined;
  /** The caller's headers, as lines that each end in CR LF. */
  readonly extraHeaders: string;
  /** The very commit that it goes behind, where a version is not enough to tell it. */
  readonly behind?: CommitPlace | undefined;
  /** Headers that depend on the payload as it is stored, as lines that each end in CR LF; asked anew for each attempt. */
  readonly seal?: ((payload: Uint8Array, version: number, behind: Head) => string) | undefined;
}

/** Where a commit stands, and which it is; position 0 for none. */
interface CommitPlace {
  readonly position: number;
  readonly commitId: string;
}

/** A commit ready to be sent behind one head, and what the cache holds once it is stored. */
export interface OutgoingCommit extends OutgoingMessage {
  readonly index: HistoryIndex;
  readonly version: number;
}

/** The server's limit of a header block, in bytes. */
const MAX_HEADER_BYTES = 65_535;

/** Whether an actor at `version` is where the append expects it. */
export function meets(expected: ExpectedVersion, version: number): boolean {
  if (expected === "any") return true;
  if (expected === "none") return version === 0;
  if (expected === "exists") return version > 0;
  return version === expected;
}

/** @throws {InvalidArgumentError} naming `argument` */
export function validateExpectedVersion(expected: unknown, argument: string): ExpectedVersion {
  if (expected === "any" || expected === "none" || expected === "exists") return expected;
  if (typeof expected === "number" && Number.isSafeInteger(expected) && expected >= 0)
    return expected;
  throw new InvalidArgumentError(argument, 'a version from 0, "any", "none" or "exists"', expected);
}

/**
 * Puts an append behind `head`: its index, its headers, its payload. `batchHeaders` are those of an atomic batch.
 *
 * @throws {AppendTooLargeError} if headers and payload do not fit into one message
 */
export function outgoingCommit(
  append: PreparedAppend,
  head: Head,
  maxPayload: number,
  batchHeaders: string,
): OutgoingCommit {
  const index = indexBehind(head);
  const version = head.version + append.eventCount;
  const payload = assemblePayload(indexBytes(index), append.body);
  const sealed = append.seal?.(payload, version, head) ?? "";
  const headers = Buffer.from(
    `NATS/1.0\r\n${Header.expectedSequence}: ${head.sequence}\r\n` +
      `${Header.commit}: ${append.commitId}\r\n` +
      `${Header.version}: ${version}.${index.ordinal}\r\n` +
      `${batchHeaders}${append.extraHeaders}${sealed}\r\n`,
  );
  const size = headers.length + payload.length;
  if (size > maxPayload) {
    throw new AppendTooLargeError(
      `the append of ${append.eventCount} events to ${append.actor.type}/${append.actor.id}`,
      size,
      maxPayload,
      "bytes",
    );
  }
  if (headers.length > MAX_HEADER_BYTES) {
    throw new AppendTooLargeError("the append", headers.length, MAX_HEADER_BYTES, "header_bytes");
  }
  return { subject: append.subject, headers, payload, index, version };
}

function indexBehind(head: Head): HistoryIndex {
  if (head.index === "none") return firstIndex(head.sequence);
  if (head.index === "unknown")
    throw new TypeError("a head must be complete before it is appended to");
  return nextIndex(head.index, head.sequence, head.version);
}

const headerName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** What the wire gives back as it was: no control characters, no blanks around it, no lone surrogates. */
function isSendable(value: string): boolean {
  return !hasControlCharacter(value) && value === value.trim() && isWellFormed(value);
}

const reservedName = /^(nats|annal)-/i;

/**
 * The caller's headers as header lines.
 *
 * @throws {InvalidArgumentError} of names that are none or are reserved (`Nats-*`, `Annal-*`), and of control characters
 */
export function headerLines(headers: Readonly<Record<string, string>> | undefined): string {
  if (headers === undefined) return "";
  let lines = "";
  for (const [name, value] of Object.entries(headers)) {
    if (!headerName.test(name) || reservedName.test(name)) {
      const expected = "header names of token characters that do not start with Nats- or Annal-";
      throw new InvalidArgumentError("headers", expected, name);
    }
    if (typeof value !== "string" || !isSendable(value)) {
      throw new InvalidArgumentError(
        `headers["${name}"]`,
        "well-formed text without control characters or blanks around it",
        value,
      );
    }
    lines += `${name}: ${value}\r\n`;
  }
  return lines;
}

/** A header value may hold tabs; CR, LF and the like would end it. */
function hasControlCharacter(value: string): boolean {
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return true;
  }
  return false;
}
