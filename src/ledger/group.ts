import { MsgpackWriter } from "../internal/msgpack-writer.ts";
import type { Command } from "./command.ts";
import { joinPieces, writeEntry } from "./journal-codec.ts";
import type { JournalEntry } from "./journal-entry.ts";
import type { PendingCommit } from "./state.ts";

/** Commands that are acknowledged together, and the commit that they make. */
export class Group {
  readonly commands: Command[] = [];
  readonly #writer = new MsgpackWriter();
  #entries = 0;
  #deadline = 0;
  /** What they made of the state, once the group is closed. */
  pending: PendingCommit | undefined;

  /** Bytes of its entries. */
  get bytes(): number {
    return this.#writer.length;
  }

  /** When the last of its commands must be told, by `performance.now`. */
  get deadline(): number {
    return this.#deadline;
  }

  get entries(): number {
    return this.#entries;
  }

  /** Adds a command that was decided; `entries` are those of all its commands by now. */
  add(command: Command, entries: readonly (JournalEntry | undefined)[]): void {
    this.commands.push(command);
    if (command.deadline > this.#deadline) this.#deadline = command.deadline;
    while (this.#entries < entries.length) {
      const entry = entries[this.#entries++];
      // it would be missing in the commit for good
      if (entry === undefined) throw new TypeError("an entry was let go of before it was written");
      writeEntry(this.#writer, entry);
    }
  }

  /** The body of its commit. */
  body(): Uint8Array {
    return joinPieces([this.#writer.written], this.#entries);
  }

  /** It is acknowledged: tells the commands. */
  settle(): void {
    for (const command of this.commands) command.settle();
  }
}
