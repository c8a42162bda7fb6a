import { LruMap } from "../internal/lru-map.ts";
import type { StoredCommit } from "../store/commit.ts";

const MAX_COMMITS = 64;
/** As they are stored; decoded they take several times as much. */
const MAX_BYTES: number = 4 << 20;

/** The commits of a journal that were looked into last, decoded: repeated commands come in swarms, and ask for the same ones. */
export class CommitCache {
  readonly #commits = new LruMap<number, StoredCommit>(MAX_COMMITS);
  #bytes = 0;

  get(position: number): StoredCommit | undefined {
    return this.#commits.get(position);
  }

  add(commit: StoredCommit): void {
    const { sequence, data } = commit.message;
    if (this.#commits.get(sequence) !== undefined || data.length > MAX_BYTES) return;
    for (const [position, { message }] of this.#commits.entries()) {
      const hasRoom = this.#commits.size < MAX_COMMITS && this.#bytes + data.length <= MAX_BYTES;
      if (hasRoom) break;
      this.#commits.delete(position);
      this.#bytes -= message.data.length;
    }
    this.#commits.set(sequence, commit);
    this.#bytes += data.length;
  }
}
