import { backoffMs, sleep } from "../internal/backoff.ts";
import { Slots } from "../internal/slots.ts";
import type { HeaderBlock } from "../nats/header-block.ts";
import type { RecordedEvent } from "../store/event.ts";
import { projectionChannels } from "./diagnostics.ts";
import { ReactorFailedError } from "./errors.ts";
import type { HandleContext, ReactorSettings } from "./reactor-options.ts";
import { ownHeaders } from "./unit-headers.ts";

/** What may end the work on an event. */
export interface AttemptSignals {
  /** Ends attempts that run: their signal aborts. */
  readonly abort: AbortSignal;
  /** Lets the attempt that runs come to its end, and makes no further one. */
  readonly stopping: AbortSignal;
}

/** What the attempts on an event depend on. */
export interface AttemptTerms extends AttemptSignals {
  /**
   * Throws where none may begin, or count: asked right before and after each, because a process may have stood still while it
   * waited.
   */
  readonly assertMayWork: () => void;
}

/** Calls `handle`, one event at a time and each as often as it must be. */
export class Attempts {
  readonly #stream: string;
  readonly #settings: ReactorSettings;
  readonly #turn = new Slots(1);

  constructor(stream: string, settings: ReactorSettings) {
    this.#stream = stream;
    this.#settings = settings;
  }

  /**
   * Handles an event, with waits between attempts that grow.
   *
   * @param onRetry told of each failure that is followed by another attempt
   * @param headers of the event's commit, where somebody listens
   * @throws {ReactorFailedError} when all attempts failed; the reason of one of the signals; what `assertMayWork` throws
   */
  async handle(
    event: RecordedEvent,
    terms: AttemptTerms,
    onRetry: (error: unknown) => void,
    headers?: HeaderBlock,
  ): Promise<void> {
    const { name, maxAttempts, retry } = this.#settings;
    const { abort, stopping, assertMayWork } = terms;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.once(event, attempt, terms, headers);
      } catch (error) {
        // The handler gave up because it was told to, or was about to be: that says nothing of the event.
        abort.throwIfAborted();
        assertHeld(assertMayWork, () => onRetry(error));
        if (attempt >= maxAttempts) throw new ReactorFailedError(name, event, attempt, error);
        onRetry(error);
      }
      await sleep(backoffMs(retry, attempt), stopping);
      abort.throwIfAborted();
    }
  }

  /** One attempt. */
  async once(
    event: RecordedEvent,
    attempt: number,
    { abort, assertMayWork }: Pick<AttemptTerms, "abort"> & Partial<AttemptTerms>,
    headers?: HeaderBlock,
  ): Promise<void> {
    await this.#turn.take(abort);
    // One signal an attempt, so that what a handler leaves on it goes with it.
    const own = new AbortController();
    const onAbort = (): void => own.abort(abort.reason);
    let timer: NodeJS.Timeout | undefined;
    try {
      abort.throwIfAborted();
      abort.addEventListener("abort", onAbort, { once: true });
      timer = this.#startTimer(own);
      assertMayWork?.();
      await this.#handle(event, { attempt, signal: own.signal }, headers);
    } finally {
      clearTimeout(timer);
      abort.removeEventListener("abort", onAbort);
      this.#turn.release();
    }
  }

  /** Waits until nothing is being handled, and handles nothing more. */
  async end(): Promise<void> {
    await this.#turn.take();
  }

  async #handle(
    event: RecordedEvent,
    context: HandleContext,
    headers: HeaderBlock | undefined,
  ): Promise<void> {
    const { name, handle } = this.#settings;
    const { handle: channel } = projectionChannels;
    if (!channel.hasSubscribers) return await handle(event, context);
    await channel.promise(async () => await handle(event, context), {
      stream: this.#stream,
      reactor: name,
      event,
      attempt: context.attempt,
      headers: headers === undefined ? {} : ownHeaders(headers),
    });
  }

  #startTimer(own: AbortController): NodeJS.Timeout | undefined {
    const { handleTimeoutMs } = this.#settings;
    if (handleTimeoutMs === undefined) return undefined;
    const reason = `handle took longer than ${handleTimeoutMs} ms`;
    const onTimeout = (): void => own.abort(new DOMException(reason, "TimeoutError"));
    return setTimeout(onTimeout, handleTimeoutMs);
  }
}

/** @param onOver told where another one may be active by now: the event is tried again all the same */
function assertHeld(assertMayWork: () => void, onOver: () => void): void {
  try {
    assertMayWork();
  } catch (error) {
    onOver();
    throw error;
  }
}
