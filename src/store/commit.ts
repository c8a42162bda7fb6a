import { CorruptCommitError } from "../errors.ts";
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
  const commitId = headers.get(Header.commit);
  if (commitId === undefined || commitId === "")
    throw corrupt(message, `no ${Header.commit} header`);
  const stated = headers.get(Header.version);
  if (stated === undefined) throw corrupt(message, `no ${Header.version} header`);
  const dot = stated.indexOf(".");
  const version = Number(dot < 0 ? stated : stated.slice(0, dot));
  const ordinal = dot < 0 ? undefined : Number(stated.slice(dot + 1));
  if (!Number.isSafeInteger(version) || version < 1 || !isOrdinal(ordinal)) {
    throw corrupt(
      message,
      `${Header.version} is "${stated}", expected <version> or <version>.<ordinal>`,
    );
  }
  const expected = headers.get(Header.expectedSequence);
  return {
    commitId,
    version,
    ordinal,
    expectedSequence: expected === undefined ? undefined : Number(expected),
  };
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

function isOrdinal(ordinal: number | undefined): boolean {
  return ordinal === undefined || (Number.isSafeInteger(ordinal) && ordinal >= 0);
}

function corrupt(message: StoredMessage, reason: string, cause?: unknown): CorruptCommitError {
  return new CorruptCommitError(message.sequence, message.subject, reason, { cause });
}
