import { ClosedError } from "../errors.ts";
import { abortable } from "../internal/abort.ts";
import { type Backoff, backoffMs, sleep } from "../internal/backoff.ts";
import { uniqueIds } from "../internal/unique-ids.ts";
import { leaderLast } from "../store/commit-stream.ts";
import type { EventMap } from "../store/event.ts";
import type { EventStore } from "../store/event-store.ts";
import { internalsOf } from "../store/internals.ts";
import type { EventSelection } from "./definition.ts";
import { LeaseLostError, ProjectorFencedError, ReactorFailedError } from "./errors.ts";
import { subjectsOf } from "./event-source.ts";
import { Lease } from "./lease.ts";
import { openBucket } from "./open-state.ts";
import { isPassing } from "../nats/passing.ts";
import { Attempts } from "./reactor-attempts.ts";
import { type ReactorDeadLetter, ReactorDeadLetters } from "./reactor-dead-letters.ts";
import { type ReactorOptions, type ReactorSettings, reactorSettings } from "./reactor-options.ts";
import { ReactorProgress, type ReactorStatus } from "./reactor-progress.ts";
import { type ReactorParts, ReactorRun } from "./reactor-run.ts";

/** What may end a wait. */
export interface ReactorWaitOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Waits before the next try to become the active one, after losing that or not getting through. */
const RETURN: Backoff = { firstMs: 20, maxMs: 1_000 };
/** Runs that last so long begin a new series of waits. */
const SOUND_RUN_MS = 10_000;

/** Carries out side effects of events: see {@link startReactor}. */
export class Reactor {
  /** Resolves when it is closed, rejects with what made it fail. */
  readonly ended: Promise<void>;
  readonly #parts: ReactorParts;
  readonly #progress: ReactorProgress;
  readonly #stop = new AbortController();
  readonly #abort = new AbortController();
  #closing: Promise<void> | undefined;

  /** @internal see {@link startReactor} */
  constructor(parts: Omit<ReactorParts, "attempts" | "progress" | "signals">) {
    const { settings, internals } = parts;
    this.#progress = new ReactorProgress(internals.context.stream, settings.name);
    this.#parts = {
      ...parts,
      progress: this.#progress,
      attempts: new Attempts(internals.context.stream, settings),
      signals: { abort: this.#abort.signal, stopping: this.#stop.signal },
    };
    this.ended = this.#live().then(
      () => this.#progress.end("stopped", this.#closedError()),
      async (error: unknown) => {
        await this.#parts.lease.close();
        this.#progress.end("failed", error);
        throw error;
      },
    );
    this.ended.catch(() => {});
  }

  get name(): string {
    return this.#parts.settings.name;
  }

  /** How far it is, without asking anybody. */
  status(): ReactorStatus {
    return this.#progress.status();
  }

  /**
   * Resolves when this reactor has dealt with all that stands in the stream now. One that stands by does so only once it
   * is the active one.
   *
   * @throws what made the reactor fail; {ClosedError}; the signal's reason
   */
  async caughtUp({ signal }: ReactorWaitOptions = {}): Promise<void> {
    this.#assertOpen();
    const { internals, settings } = this.#parts;
    const { context } = internals;
    const filters = subjectsOf(settings.selection, context.prefix);
    const bounds = { timeoutMs: context.limits.readTimeoutMs, signal };
    const last = await leaderLast(context, filters, bounds);
    this.#assertOpen();
    // The position of a reactor that stands by is what it was when it was the active one.
    await this.#progress.reached(last?.sequence ?? 0, signal);
  }

  /** Events that were set aside, in the order of the stream; those of all processes. */
  deadLetters({ signal }: ReactorWaitOptions = {}): Promise<readonly ReactorDeadLetter[]> {
    return this.#parts.deadLetters.list(signal);
  }

  /**
   * Handles an event that was set aside once more, in this process, between two others, and removes the dead letter when
   * that succeeds. The event comes out of its order: what stands behind it was handled long ago.
   *
   * @param id as in {@link ReactorDeadLetter}
   * @throws {ReactorFailedError} `handle` failed again: the dead letter stays, with the new error; {InvalidArgumentError} there is none;
   * {StreamRolledBackError} the event does not stand in the stream any more; {ClosedError}; the signal's reason
   */
  async retryDeadLetter(id: string, { signal }: ReactorWaitOptions = {}): Promise<void> {
    this.#assertOpen();
    const { attempts, deadLetters } = this.#parts;
    const stop = AbortSignal.any([this.#stop.signal, ...(signal === undefined ? [] : [signal])]);
    const abort = AbortSignal.any([this.#abort.signal, ...(signal === undefined ? [] : [signal])]);
    const stored = await deadLetters.get(id, stop);
    const { letter } = stored;
    const event = await deadLetters.eventOf(letter, stop);
    this.#assertOpen();
    const attempt = letter.attempts + 1;
    try {
      await attempts.once(event, attempt, { abort });
    } catch (error) {
      abort.throwIfAborted();
      const failure = new ReactorFailedError(this.name, event, attempt, error);
      await deadLetters.replace(stored, deadLetters.format(event, failure), abort);
      throw failure;
    }
    await deadLetters.replace(stored, undefined, abort);
  }

  /**
   * Ends it: the event that is being handled is waited for, the checkpoint saved, and another process takes over at once.
   * Safe to call again.
   *
   * @param options.signal aborts the signal of the running `handle`, and the wait for it; where the handler goes on all the
   * same, the reactor ends, and another one takes over, when it is done
   */
  async close({ signal }: ReactorWaitOptions = {}): Promise<void> {
    this.#closing ??= this.#close();
    const onAbort = (): void => this.#abort.abort(signal?.reason);
    if (signal?.aborted === true) onAbort();
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      await abortable(this.#closing, signal);
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#stop.abort(this.#closedError());
    await this.ended.catch(() => {});
    await this.#parts.attempts.end();
  }

  /** Stands by, is the active one, stands by again … */
  async #live(): Promise<void> {
    const { lease, signals } = this.#parts;
    for (let attempt = 1; !signals.stopping.aborted; attempt++) {
      this.#progress.standby();
      const startedAt = performance.now();
      try {
        await lease.acquire(signals.stopping);
        await ReactorRun.run(this.#parts);
      } catch (error) {
        if (!this.#isEnd(error) && !isReturn(error)) throw error;
      } finally {
        await lease.release();
      }
      if (performance.now() - startedAt > SOUND_RUN_MS) attempt = 1;
      await sleep(backoffMs(RETURN, attempt), signals.stopping).catch(() => {});
    }
    await lease.close();
  }

  /** Whether it is what closing it leads to. */
  #isEnd(error: unknown): boolean {
    const { abort, stopping } = this.#parts.signals;
    return stopping.aborted && (error === stopping.reason || error === abort.reason);
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw this.#closedError();
  }

  #closedError(): ClosedError {
    return new ClosedError(`reactor ${this.name}`);
  }
}

/** Whether another process may have taken over, or the server may be there again later. */
function isReturn(error: unknown): boolean {
  return (
    error instanceof LeaseLostError || error instanceof ProjectorFencedError || isPassing(error)
  );
}

/**
 * Starts a reactor: it calls `handle` for the selected events of the stream, one after the other in their order, and for
 * each **at least once**. How far it is, it keeps in a NATS KV bucket.
 *
 * Start it in as many processes as there are: one is active, the others stand by and take over within seconds when it dies,
 * at once when it is closed. What was handled and not yet saved then is handled again, so `handle` must be able to take an
 * event twice: `event.id` is its idempotency key.
 *
 * Resolves when it runs or stands by. It ends by `close`, or by failing: see `ended`.
 *
 * @throws {InvalidArgumentError} naming the option; {StreamSettingsError} of the bucket; {JetStreamUnavailableError}; from
 * `ended`: {ReactorFailedError} naming the event; {StreamRolledBackError} another commit stands at the checkpoint
 * @example
 * await using mailer = await startReactor(store, {
 *   name: "mailer",
 *   events: { order: ["Placed"] },
 *   handle: (event, { signal }) => sendMail(event.data, { idempotencyKey: event.id, signal }),
 * });
 */
export async function startReactor<
  Events extends EventMap,
  const Selected extends EventSelection<Events>,
>(store: EventStore<Events>, options: ReactorOptions<Events, Selected>): Promise<Reactor> {
  const settings: ReactorSettings = reactorSettings(options);
  const { signal } = options;
  signal?.throwIfAborted();
  const internals = internalsOf(store);
  const { replicas, leaseMs: ttlMs } = settings;
  const { stream, limits } = internals.context;
  const timeoutMs = limits.readTimeoutMs;
  const bucket = await openBucket(internals, settings.bucket, { replicas, timeoutMs, signal });
  const prefix = `${stream}.${settings.name}`;
  const lease = new Lease(bucket, { key: `${prefix}.lease`, holder: uniqueIds()(), ttlMs });
  const deadLetters = new ReactorDeadLetters(internals, bucket, `${prefix}.dead`);
  const checkpointKey = `${prefix}.checkpoint`;
  return new Reactor({ internals, settings, bucket, checkpointKey, lease, deadLetters });
}
