import {
  AppendTooLargeError,
  ClosedError,
  CommitIdReusedError,
  ConnectionFailedError,
  InvalidArgumentError,
  JetStreamUnavailableError,
  OverloadedError,
  ReadTimeoutError,
  SchemaValidationError,
  TooManyConflictsError,
  UnserialisableValueError,
  VersionConflictError,
} from "../errors.ts";
import { type Backoff, backoffMs, sleep } from "../internal/backoff.ts";
import type { KeyedMutex } from "../internal/keyed-mutex.ts";
import type { ReadBounds } from "../nats/direct.ts";
import type { AnyEvent } from "../store/event.ts";
import type { Actor } from "../store/subject.ts";
import type { AppendEntryInput } from "../store/append-input.ts";
import type { AppendResult } from "../store/writer.ts";

/** What the directory needs of a store to write; any `EventStore` is one. */
export interface DirectoryStore {
  append(
    actor: Actor,
    events: readonly AnyEvent[],
    options: { readonly expectedVersion: number; readonly timeoutMs: number },
  ): Promise<AppendResult>;
  appendAll(
    entries: readonly AppendEntryInput[],
    options: { readonly commitId: string; readonly timeoutMs: number },
  ): Promise<readonly AppendResult[]>;
}

/** Races that a write of the directory may lose against other processes. */
const MAX_CONFLICTS = 50;
const RACE: Backoff = { firstMs: 2, maxMs: 200 };

/** With these the store says that nothing was stored, and that nothing will be. */
const REFUSALS = [
  AppendTooLargeError,
  ClosedError,
  CommitIdReusedError,
  ConnectionFailedError,
  InvalidArgumentError,
  JetStreamUnavailableError,
  OverloadedError,
  ReadTimeoutError,
  SchemaValidationError,
  TooManyConflictsError,
  UnserialisableValueError,
  VersionConflictError,
] as const;

/** One change of the directory: how much time it has left, and whether something of it may be stored. */
export class DirectoryWrite {
  readonly signal: AbortSignal | undefined;
  readonly #actor: Actor;
  readonly #timeoutMs: number;
  readonly #deadline: number;
  #mayBeStored = false;

  /** @param actor whose writers it competes with */
  constructor(actor: Actor, timeoutMs: number, signal: AbortSignal | undefined) {
    signal?.throwIfAborted();
    this.#actor = actor;
    this.#timeoutMs = timeoutMs;
    this.#deadline = performance.now() + timeoutMs;
    this.signal = signal;
  }

  /** Whether what was sent is stored, or may be stored now or later. */
  get mayBeStored(): boolean {
    return this.#mayBeStored;
  }

  /** For reads. @throws {ReadTimeoutError} once the time is over */
  bounds(): ReadBounds {
    return { timeoutMs: this.#leftMs(), signal: this.signal };
  }

  /**
   * Reads, decides and sends, again whenever another process was faster. Writers of this process wait for each other.
   *
   * @param attempt reads, and appends through {@link send}
   * @throws {TooManyConflictsError}
   */
  async run<Result>(mutex: KeyedMutex, attempt: () => Promise<Result>): Promise<Result> {
    const key = `${this.#actor.type} ${this.#actor.id}`;
    await this.#lock(mutex, key);
    try {
      for (let conflicts = 1; ; conflicts++) {
        try {
          return await attempt();
        } catch (error) {
          if (!(error instanceof VersionConflictError)) throw error;
          if (conflicts > MAX_CONFLICTS) throw new TooManyConflictsError(this.#actor, conflicts);
          await sleep(Math.min(backoffMs(RACE, conflicts), this.#leftMs()), this.signal);
        }
      }
    } finally {
      mutex.unlock(key);
    }
  }

  /** Once sent, nothing can be called back: the signal has no say any more. */
  async send<Result>(append: (timeoutMs: number) => Promise<Result>): Promise<Result> {
    this.signal?.throwIfAborted();
    const timeoutMs = this.#leftMs();
    this.#mayBeStored = true;
    try {
      return await append(timeoutMs);
    } catch (error) {
      if (REFUSALS.some((refusal) => error instanceof refusal)) this.#mayBeStored = false;
      throw error;
    }
  }

  #leftMs(): number {
    const leftMs = Math.ceil(this.#deadline - performance.now());
    if (leftMs > 0) return leftMs;
    throw this.#late();
  }

  #late(): ReadTimeoutError {
    const { type, id } = this.#actor;
    return new ReadTimeoutError(
      `${type} "${id}" was not changed within ${this.#timeoutMs} ms; nothing was stored`,
    );
  }

  async #lock(mutex: KeyedMutex, key: string): Promise<void> {
    if (mutex.tryLock(key)) return;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(this.#late()), this.#leftMs());
    const { signal } = this;
    try {
      const end = signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]);
      await mutex.lock(key, end);
    } finally {
      clearTimeout(timer);
    }
  }
}
