import { InvalidArgumentError } from "../errors.ts";
import { isMadeUp, validateCommitId } from "../store/commit-id.ts";
import type { CommitOptions } from "../store/writer.ts";
import { isShared } from "./recent-commands.ts";

/** What a command says beside itself. */
export interface SendOptions extends Omit<CommitOptions, "commitId"> {
  /**
   * Identifies the command, so that repeating it reports its first result instead of deciding again, as long as the actor
   * remembers it (`rememberedCommands`). It becomes the commit id: 1 to 105 printable ASCII characters without spaces, such
   * as the id of a request, or of the event that causes the command; not the commit id of another append. A command that
   * came to nothing is not remembered.
   * @default none: repeating it decides again
   */
  readonly commandId?: string | undefined;
}

/** With the hash of the actor, and the number of each actor of a decision, it is a commit id. */
const MAX_LENGTH = 105;

/** @throws {InvalidArgumentError} of an id by which a command could not be found again */
export function assertCommandId(commandId: string): void {
  try {
    validateCommitId(commandId);
    if (commandId.length > MAX_LENGTH) throw new RangeError(`${commandId.length} characters`);
  } catch (cause) {
    const expected = `1 to ${MAX_LENGTH} printable ASCII characters without spaces`;
    throw new InvalidArgumentError("commandId", expected, commandId, { cause });
  }
  if (!isMadeUp(commandId) && !isShared(commandId)) return;
  const expected = "an id of its own, not the commit id of another append";
  throw new InvalidArgumentError("commandId", expected, commandId);
}
