import type { CommitOptions } from "../store/writer.ts";

/** What a command says beside itself. */
export interface SendOptions extends Omit<CommitOptions, "commitId"> {
  /**
   * Identifies the command, so that repeating it reports its first result instead of deciding again, as long as the actor
   * remembers it (`rememberedCommands`). It becomes the commit id: 1 to 128 printable ASCII characters without spaces, the
   * first not `~` (up to 100 where `decide` appends to other actors too). A command that came to nothing is not remembered.
   * @default none: repeating it decides again
   */
  readonly commandId?: string | undefined;
}
