import { CorruptCommitError, UnsupportedFormatError } from "../errors.ts";
import type { StoredCommit } from "../store/commit.ts";
import type { Actor } from "../store/subject.ts";
import {
  type LedgerInfo,
  isMap,
  ledgerInfo,
  ledgerSettings,
  type NewLedger,
} from "./ledger-info.ts";

/**
 * The events of the directory. Those of a ledger say what happened, and how the ledger is since then; so one request for
 * the actor's last commit tells all, however often the ledger was changed. Of a bucket the last event tells whether it is
 * deleted. The format number is the first thing in the data of each.
 *
 * | actor | event | data |
 * |---|---|---|
 * | `ledger/<name>` | `LedgerCreated` | `format, bucket, createdAtMs, settings, metadata` |
 * | `ledger/<name>` | `LedgerMetadataSet` | the same, and `set`: the keys that were set, with their values |
 * | `ledger/<name>` | `LedgerMetadataDeleted` | the same, and `deleted`: the keys that were removed |
 * | `bucket/<name>` | `LedgerAdded` | `format, ledger` |
 * | `bucket/<name>` | `BucketDeleted`, `BucketRestored` | `format` |
 */
const FORMAT = 1;

/** Types of the directory's actors. */
export const LEDGER = "ledger";
export const BUCKET = "bucket";

/** An event to append. */
export interface DirectoryEvent {
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export function ledgerActor(name: string): Actor {
  return { type: LEDGER, id: name };
}

export function bucketActor(name: string): Actor {
  return { type: BUCKET, id: name };
}

export function ledgerCreated(info: LedgerInfo): DirectoryEvent {
  return { type: "LedgerCreated", data: stateOf(info) };
}

/** @param info as it is with them */
export function ledgerMetadataSet(
  info: LedgerInfo,
  set: Readonly<Record<string, unknown>>,
): DirectoryEvent {
  return { type: "LedgerMetadataSet", data: { ...stateOf(info), set } };
}

/** @param info as it is without them */
export function ledgerMetadataDeleted(
  info: LedgerInfo,
  deleted: readonly string[],
): DirectoryEvent {
  return { type: "LedgerMetadataDeleted", data: { ...stateOf(info), deleted } };
}

export function ledgerAdded({ name }: NewLedger): DirectoryEvent {
  return { type: "LedgerAdded", data: { format: FORMAT, ledger: name } };
}

export function bucketDeleted(): DirectoryEvent {
  return { type: "BucketDeleted", data: { format: FORMAT } };
}

export function bucketRestored(): DirectoryEvent {
  return { type: "BucketRestored", data: { format: FORMAT } };
}

/**
 * The ledger as a commit of its actor left it.
 *
 * @throws {CorruptCommitError}, {UnsupportedFormatError}
 */
export function ledgerAfter(commit: StoredCommit): LedgerInfo {
  const { type, data } = lastEvent(commit);
  switch (type) {
    case "LedgerCreated":
    case "LedgerMetadataSet":
    case "LedgerMetadataDeleted":
      return readLedger(commit, data);
    default:
      throw corrupt(commit, `a ledger has no events of type ${type}`);
  }
}

/** Whether the bucket is deleted since a commit of its actor. @throws as {@link ledgerAfter} */
export function isDeletedAfter(commit: StoredCommit): boolean {
  const { type } = lastEvent(commit);
  switch (type) {
    case "BucketDeleted":
      return true;
    case "BucketRestored":
    case "LedgerAdded":
      return false;
    default:
      throw corrupt(commit, `a bucket has no events of type ${type}`);
  }
}

/** Whether a commit of a bucket's actor did nothing but add a ledger, which changes no other. */
export function onlyAddsLedgers(commit: StoredCommit): boolean {
  return commit.payload.events.every(({ type }) => type === "LedgerAdded");
}

/** Names of the ledgers that a commit of a bucket's actor added. @throws as {@link ledgerAfter} */
export function ledgersAdded(commit: StoredCommit): string[] {
  const names: string[] = [];
  for (const { type, data } of commit.payload.events) {
    if (type !== "LedgerAdded") continue;
    const { ledger } = checkFormat(commit, data);
    if (typeof ledger !== "string") throw corrupt(commit, "LedgerAdded names no ledger");
    names.push(ledger);
  }
  return names;
}

function stateOf({ bucket, createdAtMs, settings, metadata }: LedgerInfo): DirectoryEvent["data"] {
  return { format: FORMAT, bucket, createdAtMs, settings, metadata };
}

function lastEvent(commit: StoredCommit): DirectoryEvent {
  const last = commit.payload.events.at(-1);
  if (last === undefined) throw corrupt(commit, "it holds no event");
  return { type: last.type, data: checkFormat(commit, last.data) };
}

function checkFormat(commit: StoredCommit, data: unknown): DirectoryEvent["data"] {
  const format = isMap(data) ? data["format"] : undefined;
  if (!isMap(data) || typeof format !== "number") {
    throw corrupt(commit, "its events do not begin with a format number");
  }
  if (format === FORMAT) return data;
  const note = `this version reads events of the directory in format ${FORMAT}`;
  throw new UnsupportedFormatError(format, note, commit.message.sequence);
}

function readLedger(commit: StoredCommit, data: DirectoryEvent["data"]): LedgerInfo {
  const { bucket, createdAtMs, settings, metadata } = data;
  if (typeof bucket !== "string" || typeof createdAtMs !== "number" || !isMap(metadata)) {
    throw corrupt(commit, "bucket, createdAtMs or metadata of the ledger are missing");
  }
  if (!isMap(settings)) throw corrupt(commit, "the settings of the ledger are missing");
  const name = commit.actor.id;
  try {
    return ledgerInfo({
      name,
      bucket,
      createdAtMs,
      settings: ledgerSettings(settings),
      metadata,
    });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CorruptCommitError(commit.message.sequence, commit.message.subject, reason, {
      cause,
    });
  }
}

function corrupt({ message }: StoredCommit, reason: string): CorruptCommitError {
  return new CorruptCommitError(message.sequence, message.subject, reason);
}
