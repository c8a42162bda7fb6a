import { ReadTimeoutError, StreamRolledBackError } from "../errors.ts";
import { abortable } from "../internal/abort.ts";
import type { ReadBounds } from "../nats/direct.ts";
import type { StoredMessage } from "../nats/stored-message.ts";
import { Header, headOf, readCommit, type StoredCommit } from "./commit.ts";
import type { StoreContext } from "./context.ts";
import { channels } from "./diagnostics.ts";
import { settled } from "./stream-guard.ts";
import { type Head, NO_HEAD } from "./version-cache.ts";

/** What a look at an actor's head showed: its last commit, and the latest head that can be appended behind. */
export interface HeadLook {
  readonly commit: StoredCommit | undefined;
  readonly head: Head;
}

/** Finds actors' heads: the last message of the subject, never the history. Every answer goes into the cache. */
export class Heads {
  readonly #context: StoreContext;

  constructor(context: StoreContext) {
    this.#context = context;
  }

  /** The actor's last commit as the leader has it; undefined for an actor without events. */
  async fetch(subject: string, bounds: ReadBounds): Promise<StoredCommit | undefined> {
    const message = await this.#last(subject, bounds);
    return message === undefined ? undefined : readCommit(message, this.#context.prefix);
  }

  /** For the holder of the actor's mutex: asks, and makes the cache hold the answer even where it is lower. */
  async look(subject: string, bounds: ReadBounds): Promise<HeadLook> {
    const { epoch } = this.#context.cache;
    const before = this.#context.cache.peek(subject);
    const commit = await this.fetch(subject, bounds);
    const seen = commit === undefined ? NO_HEAD : headOf(commit);
    const head = this.#corrected(subject, before, seen, epoch);
    // Headers of a later commit passed by meanwhile: behind what was seen, the server refuses, and one looks again.
    return { commit, head: head.index === "unknown" ? seen : head };
  }

  /**
   * For the holder of the mutex, where {@link cached} gave nothing: what the cache knows and has to be completed first. A
   * head from before the stream came under suspicion is compared with the stream once.
   *
   * @throws {StreamRolledBackError} if another commit stands where the suspected head was
   */
  async known(subject: string, bounds: ReadBounds): Promise<Head | undefined> {
    const { cache } = this.#context;
    // Only its headers were seen, as they passed by: the commit itself is needed to append behind it.
    if (cache.peek(subject) !== undefined) return (await this.look(subject, bounds)).head;
    const suspect = cache.suspect(subject);
    if (suspect !== undefined) await this.#acquit(subject, suspect, bounds);
    return undefined;
  }

  /** The head from the cache alone, if it can be appended behind. */
  cached(subject: string): Head | undefined {
    const { cache, stream } = this.#context;
    const head = cache.get(subject);
    const usable = head !== undefined && head.index !== "unknown";
    if (channels.cache.hasSubscribers) {
      channels.cache.publish({ stream, subject, what: usable ? "hit" : "miss" });
    }
    return usable ? head : undefined;
  }

  /**
   * The actor's version for a reader, who holds no mutex: what the server shows; should it show less than is known, the
   * leader is asked under the mutex, because only then may the cache be lowered.
   */
  async latest(subject: string, bounds: ReadBounds): Promise<Head> {
    const { cache, turns } = this.#context;
    const { epoch } = cache;
    const deadline = performance.now() + bounds.timeoutMs;
    const commit = await this.fetch(subject, bounds);
    const seen = commit === undefined ? NO_HEAD : headOf(commit);
    const known = cache.peek(subject);
    if (known === undefined || seen.sequence > known.sequence || seen.commitId === known.commitId) {
      if (commit !== undefined) this.#context.guard.saw(seen.sequence, seen.commitId, epoch);
      return cache.advance(subject, seen, epoch);
    }
    await this.#lock(subject, deadline, bounds);
    try {
      const timeoutMs = Math.max(1, deadline - performance.now());
      return (await this.look(subject, { ...bounds, timeoutMs })).head;
    } finally {
      turns.mutex.unlock(subject);
    }
  }

  /**
   * For a reader that was shown less of an actor than the store knows, or something else. If the stream is the same and
   * shows it after all, that is the actor's last commit; what was purged is forgotten.
   *
   * @param epoch as the guard's was when the reader asked
   * @throws {StreamRolledBackError} what was known does not stand there any more
   */
  async contradicted(
    subject: string,
    known: Head,
    epoch: number,
    bounds: ReadBounds,
  ): Promise<StoredCommit> {
    const { guard, direct, stream, turns } = this.#context;
    guard.suspect();
    if (guard.checking !== undefined) {
      await abortable(settled(guard.checking, stream, bounds.timeoutMs), bounds.signal);
    }
    if (guard.epoch === epoch) {
      // Only the holder of the mutex may lower the cache; who appends to the actor now looks for himself.
      const locked = turns.mutex.tryLock(subject);
      try {
        const commit = locked
          ? (await this.look(subject, bounds)).commit
          : await this.fetch(subject, bounds);
        if (commit !== undefined && !disagrees(known, placeOf(commit))) return commit;
      } finally {
        if (locked) turns.mutex.unlock(subject);
      }
    }
    const found = await direct.leaderBySequence(known.sequence, bounds);
    const commitId = found?.headers.get(Header.commit);
    throw new StreamRolledBackError(stream, known.sequence, known.commitId, commitId);
  }

  async #lock(subject: string, deadline: number, bounds: ReadBounds): Promise<void> {
    const { mutex } = this.#context.turns;
    if (mutex.tryLock(subject)) return;
    const { signal, timeoutMs } = bounds;
    const late = new AbortController();
    const error = new ReadTimeoutError(
      `${subject}: an append kept a read waiting for ${timeoutMs} ms`,
    );
    const timer = setTimeout(() => late.abort(error), Math.max(0, deadline - performance.now()));
    try {
      const any = signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]);
      await mutex.lock(subject, any);
    } finally {
      clearTimeout(timer);
    }
  }

  #corrected(subject: string, before: Head | undefined, head: Head, epoch: number): Head {
    const { cache, stream } = this.#context;
    if (before !== undefined && disagrees(before, head)) {
      this.#context.guard.suspect();
      if (channels.cache.hasSubscribers)
        channels.cache.publish({ stream, subject, what: "lowered" });
    }
    if (head.sequence > 0) this.#context.guard.saw(head.sequence, head.commitId, epoch);
    return cache.correct(subject, before, head, epoch);
  }

  #last(subject: string, bounds: ReadBounds): Promise<StoredMessage | undefined> {
    const { direct, replicated } = this.#context;
    return replicated()
      ? direct.leaderLastBySubject(subject, bounds)
      : direct.lastBySubject(subject, bounds);
  }

  async #acquit(subject: string, suspect: Head, bounds: ReadBounds): Promise<void> {
    const { cache, direct, stream } = this.#context;
    const message = await direct.leaderBySequence(suspect.sequence, bounds);
    cache.settle(subject);
    const found = message?.subject === subject ? message.headers.get(Header.commit) : undefined;
    if (found === suspect.commitId) return;
    throw new StreamRolledBackError(stream, suspect.sequence, suspect.commitId, found);
  }
}

/** Where a commit stands, and which it is. */
type Place = Pick<Head, "sequence" | "commitId">;

/** A commit's place. */
export function placeOf({ message, commitId }: StoredCommit): Place {
  return { sequence: message.sequence, commitId };
}

/** Whether what was found of an actor cannot have come after what is known. */
export function disagrees(known: Place, found: Place): boolean {
  if (found.sequence === known.sequence) return found.commitId !== known.commitId;
  return found.sequence < known.sequence;
}
