import { StreamRolledBackError } from "../errors.ts";
import { abortable } from "../internal/abort.ts";
import { type Backoff, backoffMs, sleep } from "../internal/backoff.ts";
import type { StoredMessage } from "../nats/stored-message.ts";
import { Header } from "./commit.ts";
import type { StoreContext } from "./context.ts";

/** A position, and the commit that was seen there. */
interface Known {
  readonly position: number;
  readonly commitId: string;
}

const RETRY: Backoff = { firstMs: 20, maxMs: 1_000 };

/**
 * Whether a reader still reads the stream that it began with. A consumer reads one stream, until that is deleted: so what
 * is found to hold after the consumer was created holds for all that it delivers. Of the first consumer that is the
 * cursor, of the others what the store's guard compares; nothing may be handed out before.
 */
export class Continuity {
  readonly #context: StoreContext;
  readonly #onBreak: (error: StreamRolledBackError) => void;
  readonly #onHindrance: (error: unknown, attempt: number) => void;
  readonly #epoch: number;
  readonly #end = new AbortController();
  #known: Known | undefined;
  #began = false;
  /** Set while the cursor is compared once more. */
  #comparing: Promise<void> | undefined;

  /**
   * @param onBreak called once, when the stream is found to be another; must not throw
   * @param onHindrance called when the cursor could not be compared for as long as a read may take: it is tried again,
   * unless this ends the reader; must not throw. @default tried again
   */
  constructor(
    context: StoreContext,
    onBreak: (error: StreamRolledBackError) => void,
    onHindrance: (error: unknown, attempt: number) => void = () => {},
  ) {
    this.#context = context;
    this.#onBreak = onBreak;
    this.#onHindrance = onHindrance;
    this.#epoch = context.guard.epoch;
    context.rollbackListeners.add(this.#onRollback);
  }

  /** Aborted when the reader has ended. */
  get ended(): AbortSignal {
    return this.#end.signal;
  }

  /** Whether {@link settled} has anything to wait for. */
  get inDoubt(): boolean {
    return this.#comparing !== undefined || this.#context.guard.checking !== undefined;
  }

  /** What the reader has come to. */
  remember(message: StoredMessage): void {
    const commitId = message.headers.get(Header.commit);
    if (commitId !== undefined) this.#known = { position: message.sequence, commitId };
  }

  /**
   * Remembers the commit of a cursor.
   *
   * @param found what stands there
   * @throws {StreamRolledBackError} if that is not the cursor's commit
   */
  begin(cursor: Known, found: StoredMessage | undefined): StoredMessage {
    if (!holds(found, cursor)) throw this.#broken(cursor, found);
    this.#known = cursor;
    return found;
  }

  /** A consumer was created: for the feed's `onConsumer`. */
  onConsumer(): void {
    const { guard } = this.#context;
    const known = this.#known;
    if (this.#began) {
      if (known !== undefined) guard.saw(known.position, known.commitId, this.#epoch);
      guard.suspect();
    } else if (known !== undefined) {
      this.#comparing = this.#compare(known).finally(() => {
        this.#comparing = undefined;
      });
    }
    this.#began = true;
  }

  /** Waits until nothing is in doubt, or the reader has ended. */
  async settled(): Promise<void> {
    for (;;) {
      const doubt = this.#comparing ?? this.#context.guard.checking;
      if (doubt === undefined || this.ended.aborted) return;
      // Rejects only where the reader has ended.
      await abortable(doubt, this.ended).catch(() => {});
    }
  }

  /** The reader has ended. Safe to call again. */
  end(): void {
    this.#context.rollbackListeners.delete(this.#onRollback);
    this.#end.abort();
  }

  async #compare(known: Known): Promise<void> {
    const { direct, limits } = this.#context;
    const bounds = { timeoutMs: limits.readTimeoutMs, signal: this.ended };
    for (let attempt = 1; !this.ended.aborted; attempt++) {
      try {
        const found = await direct.leaderBySequence(known.position, bounds);
        if (!holds(found, known)) this.#break(this.#broken(known, found));
        return;
      } catch (error) {
        // Whatever hinders a look says nothing of the stream.
        if (!this.ended.aborted) this.#onHindrance(error, attempt);
        await sleep(backoffMs(RETRY, attempt), this.ended).catch(() => {});
      }
    }
  }

  readonly #onRollback = (): void => {
    const { rollback } = this.#context.guard;
    const known = this.#known ?? {
      position: rollback?.position ?? 0,
      commitId: rollback?.expectedCommitId ?? "none",
    };
    this.#break(this.#broken(known, undefined));
  };

  #break(error: StreamRolledBackError): void {
    this.end();
    this.#onBreak(error);
  }

  #broken({ position, commitId }: Known, found: StoredMessage | undefined): StreamRolledBackError {
    const { stream } = this.#context;
    return new StreamRolledBackError(stream, position, commitId, found?.headers.get(Header.commit));
  }
}

function holds(message: StoredMessage | undefined, known: Known): message is StoredMessage {
  return message?.headers.get(Header.commit) === known.commitId;
}
