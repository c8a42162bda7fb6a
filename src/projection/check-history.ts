import {
  CorruptCommitError,
  SchemaValidationError,
  StreamRolledBackError,
  UnsupportedFormatError,
} from "../errors.ts";
import { streamState } from "../nats/stream.ts";
import { Header } from "../store/commit.ts";
import type { StoreInternals } from "../store/internals.ts";
import { parseActorSubject } from "../store/subject.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { CorruptStateError, CoverageError, ProjectionFailedError } from "./errors.ts";
import type { Selection } from "./event-source.ts";

/** The stream cannot say what the state should be: a check ends without an answer. */
export class IncompleteHistoryError extends Error {}

/** Why an error means that nothing can be said of the state; undefined for one that the caller must see. */
export function incompleteReason(error: unknown): string | undefined {
  const tells =
    error instanceof IncompleteHistoryError ||
    error instanceof CorruptCommitError ||
    error instanceof UnsupportedFormatError ||
    error instanceof SchemaValidationError ||
    error instanceof StreamRolledBackError ||
    error instanceof ProjectionFailedError ||
    error instanceof CoverageError ||
    error instanceof CorruptStateError;
  return tells ? error.message : undefined;
}

/**
 * Asks the leader whether all the messages that the stream ever took are there.
 *
 * @throws {IncompleteHistoryError}
 */
export async function assertWhole({ context }: StoreInternals): Promise<void> {
  const { connection, stream, apiPrefix, limits } = context;
  const access = { apiPrefix, timeoutMs: limits.readTimeoutMs };
  const { firstSequence, lastSequence, messages } = await streamState(
    connection.nc,
    stream,
    access,
  );
  if (messages === lastSequence) return;
  const missing = lastSequence - messages;
  const where =
    firstSequence > 1
      ? `its first message is at position ${firstSequence}`
      : "they were deleted from its midst";
  throw new IncompleteHistoryError(
    `stream ${stream}: ${missing} of its ${lastSequence} messages are missing: ${where}`,
  );
}

/**
 * Compares a checkpoint with what stands at its position in the stream.
 *
 * @throws {StreamRolledBackError}, {IncompleteHistoryError}
 */
export async function assertPlace(
  { context }: StoreInternals,
  selection: Selection,
  { position, commitId }: Checkpoint,
  signal: AbortSignal,
): Promise<void> {
  if (position === 0) return;
  const { direct, stream, prefix, limits } = context;
  const bounds = { timeoutMs: limits.readTimeoutMs, signal };
  const message = await direct.leaderBySequence(position, bounds);
  const found = message?.headers.get(Header.commit);
  if (message === undefined || found !== commitId) {
    throw new StreamRolledBackError(stream, position, commitId, found);
  }
  const actor = parseActorSubject(prefix, message.subject);
  if (actor !== undefined && selection.has(actor.type)) return;
  throw new IncompleteHistoryError(
    `the checkpoint names position ${position} of stream ${stream}, which holds no event of the projection`,
  );
}
