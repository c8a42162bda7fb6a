import type { ConsumerMessage } from "../nats/stored-message.ts";
import { readCommit, type StoredCommit } from "./commit.ts";
import type { CommitStream } from "./commit-stream.ts";
import type { StoreContext } from "./context.ts";

/** What a reader of the stream makes of each commit. */
export type Interpret<T> = (
  commit: StoredCommit,
  taken: number,
) => readonly T[] | Promise<readonly T[]>;

/** Makes values of the commits of a stream. */
export class CommitValues<T> {
  readonly #prefix: string;
  readonly #stream: CommitStream;
  readonly #interpret: Interpret<T>;
  readonly #onCommit: (commit: StoredCommit) => void;
  readonly #accepts: ((subject: string) => boolean) | undefined;
  #failure: { readonly error: unknown } | undefined;

  /**
   * @param onCommit told of each commit that could be read
   * @param accepts which subjects to read; undefined for all
   */
  constructor(
    context: StoreContext,
    stream: CommitStream,
    interpret: Interpret<T>,
    onCommit: (commit: StoredCommit) => void,
    accepts?: (subject: string) => boolean,
  ) {
    this.#prefix = context.prefix;
    this.#stream = stream;
    this.#interpret = interpret;
    this.#onCommit = onCommit;
    this.#accepts = accepts;
  }

  /** Throws what made a commit unreadable, once the values of those before it were given. */
  throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** The values of messages up to a position, so many at most; those before a commit that cannot be read. */
  async of(
    messages: readonly ConsumerMessage[],
    upTo: number = Number.MAX_SAFE_INTEGER,
    limit: number = Number.POSITIVE_INFINITY,
  ): Promise<readonly T[]> {
    const values: T[] = [];
    try {
      for (const message of messages) {
        if (message.sequence > upTo || values.length >= limit) break;
        if (this.#accepts !== undefined && !this.#accepts(message.subject)) continue;
        const commit = readCommit(message, this.#prefix);
        this.#onCommit(commit);
        const made = this.#interpret(commit, this.#stream.takenAt(message.sequence));
        for (const value of made instanceof Promise ? await made : made) values.push(value);
      }
    } catch (error) {
      if (values.length === 0) throw error;
      this.#failure = { error };
    }
    if (values.length > limit) values.length = limit;
    return values;
  }
}
