import type { Command } from "./command.ts";
import type { Decided } from "./decider.ts";
import { bytesAtMost } from "./decide-postings.ts";
import { joinPieces, packEntries } from "./journal-codec.ts";
import type { JournalEntry } from "./journal-entry.ts";
import type { PendingCommit } from "./state.ts";

/** Commands that are acknowledged together, and the commit that they make. */
export class Group {
  readonly commands: Command[] = [];
  readonly #pieces: Uint8Array[] = [];
  #packed = 0;
  #bytes = 0;
  #deadline = 0;
  /** What they made of the state, once the group is closed. */
  pending: PendingCommit | undefined;

  /** Bytes of its commit, at most. */
  get bytes(): number {
    return this.#bytes;
  }

  /** When the last of its commands must be told, by `performance.now`. */
  get deadline(): number {
    return this.#deadline;
  }

  get entries(): number {
    return this.#packed;
  }

  /** Packs what was decided since the last time. */
  pack(entries: readonly JournalEntry[]): void {
    if (entries.length === this.#packed) return;
    const piece = packEntries(entries.slice(this.#packed));
    this.#packed = entries.length;
    this.#pieces.push(piece);
  }

  add(command: Command): void {
    this.commands.push(command);
    if (command.deadline > this.#deadline) this.#deadline = command.deadline;
  }

  /** Counts what a command was decided to, before it is packed. */
  weigh({ asked, outcome }: Command): void {
    if (outcome === undefined) return;
    const metadataBytes = "metadataBytes" in asked ? asked.metadataBytes : 0;
    if ("entry" in outcome) this.#weigh(outcome, metadataBytes);
    else for (const item of outcome) if ("entry" in item) this.#weigh(item, 0);
    if (asked.kind !== "batch") return;
    for (const post of asked.posts) this.#bytes += post.metadataBytes;
  }

  #weigh({ entry, dryRun, replayed }: Decided, metadataBytes: number): void {
    if (!dryRun && !replayed) this.#bytes += bytesAtMost(entry, metadataBytes);
  }

  /** The body of its commit. */
  body(): Uint8Array {
    return joinPieces(this.#pieces, this.#packed);
  }

  /** It is acknowledged: tells the commands. */
  settle(): void {
    for (const command of this.commands) command.settle();
  }
}
