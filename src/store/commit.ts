import { CorruptCommitError, UnsupportedFormatError } from "../errors.ts";
import type { StoredMessage } from "../nats/stored-message.ts";
import { decodeIndex, type HistoryIndex } from "./history-index.ts";
import { type DecodedPayload, decodePayload } from "./payload.ts";
import { type Actor, parseActorSubject } from "./subject.ts";
import type { Head } from "./version-cache.ts";

/** Names of the headers of a commit (docs/wire-format.md). */
export const Header = {
  expectedSequence: "Nats-Expected-Last-Subject-Sequence",
  messageId: "Nats-Msg-Id",
  commit: "Annal-Commit",
  version: "Annal-Version",
} as const;

/** How this implementation writes them. */
const WRITTEN_ORDER = [Header.expectedSequence, Header.commit, Header.version];

/** What the headers of a commit say. */
export interface CommitHeaders {
  readonly commitId: string;
  /** Version of its last event. */
  readonly version: number;
  /** Number of the commit in its epoch; undefined for a commit without index. */
  readonly ordinal: number | undefined;
  /** Sequence of the actor's commit before it, verified by the server; undefined where the writer stated none. */
  readonly expectedSequence: number | undefined;
}

/** A commit as it is stored, its payload decoded. */
export interface StoredCommit extends CommitHeaders {
  readonly message: StoredMessage;
  readonly actor: Actor;
  readonly firstVersion: number;
  readonly payload: DecodedPayload;
}

/** Reads a commit's headers, without its payload. */
export function readCommitHeaders(message: StoredMessage): CommitHeaders {
  const { headers } = message;
  const [
    expected = headers.get(Header.expectedSequence),
    commitId = headers.get(Header.commit),
    stated = headers.get(Header.version),
  ] = headers.leading(WRITTEN_ORDER) ?? [];
  if (commitId === undefined || commitId === "")
    throw corrupt(message, `no ${Header.commit} header`);
  if (stated === undefined) throw corrupt(message, `no ${Header.version} header`);
  const dot = stated.indexOf(".");
  const version = parseDecimal(stated, 0, dot < 0 ? stated.length : dot);
  const ordinal = dot < 0 ? undefined : parseDecimal(stated, dot + 1, stated.length);
  if (!(version >= 1) || Number.isNaN(ordinal)) {
    throw corrupt(
      message,
      `${Header.version} is "${stated}", expected <version> or <version>.<ordinal>`,
    );
  }
  const expectedSequence =
    expected === undefined ? undefined : parseDecimal(expected, 0, expected.length);
  if (Number.isNaN(expectedSequence)) {
    throw corrupt(message, `${Header.expectedSequence} is "${expected}", expected a sequence`);
  }
  return { commitId, version, ordinal, expectedSequence };
}

/** Reads a whole commit; whatever is none is an error that names its position, never skipped. */
export function readCommit(message: StoredMessage, prefix: string): StoredCommit {
  const { commitId, version, ordinal, expectedSequence } = readCommitHeaders(message);
  const actor = parseActorSubject(prefix, message.subject);
  if (actor === undefined) throw corrupt(message, "its subject names no actor");
  let payload: DecodedPayload;
  try {
    payload = decodePayload(message.data);
  } catch (cause) {
    // not corrupt: another version reads it
    if (cause instanceof UnsupportedFormatError) {
      throw new UnsupportedFormatError(cause.format, cause.note, message.sequence, { cause });
    }
    throw corrupt(message, cause instanceof Error ? cause.message : String(cause), cause);
  }
  const firstVersion = version - payload.events.length + 1;
  if (firstVersion < 1) {
    throw corrupt(message, `${payload.events.length} events cannot end at version ${version}`);
  }
  return { message, actor, commitId, firstVersion, version, ordinal, expectedSequence, payload };
}

/**
 * The index that a commit carries, where it holds: as many pointers as its ordinal demands, the newest pointing at the
 * commit that the server verified as its predecessor, with the version before its own.
 */
export function indexOf(commit: StoredCommit): HistoryIndex | "none" {
  const { ordinal, payload, expectedSequence, firstVersion } = commit;
  if (ordinal === undefined || payload.index === undefined || expectedSequence === undefined)
    return "none";
  const index = decodeIndex(payload.index, ordinal);
  if (index === undefined) return "none";
  // without predecessor, the commit is the actor's first
  if (index.pointers.length === 0 && index.unindexedBelow === 0 && firstVersion !== 1) {
    return "none";
  }
  const [sequence = index.unindexedBelow, version = firstVersion - 1] = index.pointers;
  return sequence === expectedSequence && version === firstVersion - 1 ? index : "none";
}

/** The commit as its actor's head. */
export function headOf(commit: StoredCommit): Head {
  return {
    version: commit.version,
    sequence: commit.message.sequence,
    commitId: commit.commitId,
    index: indexOf(commit),
  };
}

/**
 * The plain decimal in `text` from `start` to `end`: a safe integer without sign or leading zeros;
 * NaN of anything else. A loop because this runs for every message, twice or three times.
 */
function parseDecimal(text: string, start: number, end: number): number {
  const digits = end - start;
  // 2^53 has 16 digits
  if (digits < 1 || digits > 16 || (digits > 1 && text.charCodeAt(start) === 0x30)) {
    return Number.NaN;
  }
  let value = 0;
  for (let at = start; at < end; at++) {
    const digit = text.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return value <= Number.MAX_SAFE_INTEGER ? value : Number.NaN;
}

function corrupt(message: StoredMessage, reason: string, cause?: unknown): CorruptCommitError {
  return new CorruptCommitError(message.sequence, message.subject, reason, { cause });
}
