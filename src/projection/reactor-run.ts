import { within } from "../internal/within.ts";
import type { Bucket } from "../nats/bucket.ts";
import { leaderLast } from "../store/commit-stream.ts";
import type { RecordedEvent } from "../store/event.ts";
import type { StoreInternals } from "../store/internals.ts";
import type { StreamSubscription } from "../store/subscription.ts";
import type { SharedCheckpoint } from "./checkpoint.ts";
import { CheckpointWriter } from "./checkpoint-writer.ts";
import { ProjectorFencedError, ReactorFailedError } from "./errors.ts";
import { openSource, type SourceCommit, subjectsOf } from "./event-source.ts";
import type { Lease } from "./lease.ts";
import type { Attempts, AttemptSignals, AttemptTerms } from "./reactor-attempts.ts";
import { beginNow, ReactorCheckpoint } from "./reactor-checkpoint.ts";
import type { ReactorDeadLetters } from "./reactor-dead-letters.ts";
import type { ReactorSettings } from "./reactor-options.ts";
import type { ReactorProgress } from "./reactor-progress.ts";

/** What a run of a reactor works with. */
export interface ReactorParts {
  readonly internals: StoreInternals;
  readonly settings: ReactorSettings;
  readonly bucket: Bucket;
  readonly checkpointKey: string;
  readonly lease: Lease;
  readonly attempts: Attempts;
  readonly deadLetters: ReactorDeadLetters;
  readonly progress: ReactorProgress;
  /** As those of an attempt, for the reactor as a whole. */
  readonly signals: AttemptSignals;
}

/** Nothing came for so long: what is handled may be saved while there is time. */
const IDLE_MS = 20;
/** How long the last save of a run may take. */
const LAST_SAVE_MS = 2_000;

/** One time as the active reactor, from the claim of the checkpoint to the end or the loss of the lease. */
export class ReactorRun {
  readonly #parts: ReactorParts;
  readonly #terms: AttemptTerms;
  readonly #checkpoint: ReactorCheckpoint;
  readonly #source: StreamSubscription<SourceCommit>;
  /** Ends all that the run has begun. */
  readonly #over = new AbortController();

  private constructor(parts: ReactorParts, writer: CheckpointWriter, claimed: SharedCheckpoint) {
    const { internals, settings, signals, lease, progress } = parts;
    const abort = AbortSignal.any([this.#over.signal, lease.lost, signals.abort]);
    this.#parts = parts;
    const stopping = AbortSignal.any([abort, signals.stopping]);
    this.#terms = { abort, stopping, assertMayWork: () => lease.assertHeld() };
    this.#checkpoint = new ReactorCheckpoint(writer, claimed, settings, abort, (error) =>
      this.#over.abort(error),
    );
    this.#source = openSource(internals, settings.selection, { checkpoint: claimed }, abort);
    this.#source.caughtUp.then(
      () => progress.live(),
      () => {},
    );
  }

  /**
   * Claims the checkpoint and goes on behind it, until it is stopped or may not go on.
   *
   * @throws {ReactorFailedError}, {LeaseLostError}, {ProjectorFencedError}, {StreamRolledBackError}
   */
  static async run(parts: ReactorParts): Promise<void> {
    const { internals, settings, bucket, checkpointKey: key, lease, progress } = parts;
    const { context } = internals;
    const attemptMs = context.limits.readTimeoutMs;
    const signal = AbortSignal.any([lease.lost, parts.signals.abort, parts.signals.stopping]);
    if (settings.startAtNow) await beginNow(context, bucket, key, signal);
    const writer = new CheckpointWriter({ bucket, projection: settings.name, attemptMs, key });
    const claimed = await writer.claim(signal);
    const filters = subjectsOf(settings.selection, context.prefix);
    const head = await leaderLast(context, filters, { timeoutMs: attemptMs, signal });
    progress.active(claimed, head?.sequence ?? 0);
    await new ReactorRun(parts, writer, claimed).#run();
  }

  async #run(): Promise<void> {
    const { stopping } = this.#terms;
    const onStop = (): void => void this.#source.close();
    stopping.addEventListener("abort", onStop, { once: true });
    let failure: unknown;
    try {
      await this.#handleAll();
    } catch (error) {
      failure = error;
      if (this.#terms.abort.aborted || error !== stopping.reason) throw error;
    } finally {
      stopping.removeEventListener("abort", onStop);
      await this.#source.close();
      await this.#saveLast(failure);
      this.#over.abort();
    }
  }

  async #handleAll(): Promise<void> {
    for (;;) {
      const commits = await this.#receive();
      if (commits === undefined) return this.#terms.abort.throwIfAborted();
      let behind = this.#source.pending ?? 0;
      this.#parts.progress.delivered(commits, behind);
      behind += commits.length;
      for (const commit of commits) {
        for (const event of commit.events) await this.#take(event, commit);
        await this.#pass(commit, --behind);
      }
    }
  }

  /** The next commits. While there are none, what is handled is saved. */
  async #receive(): Promise<readonly SourceCommit[] | undefined> {
    const arriving = this.#source.nextBatch();
    if (!this.#checkpoint.unsaved) return arriving;
    const came = arriving.then(() => true);
    if ((await within(came, IDLE_MS)) === undefined) await this.#checkpoint.save();
    return arriving;
  }

  async #take(event: RecordedEvent, commit: SourceCommit): Promise<void> {
    const { attempts, deadLetters, progress, settings } = this.#parts;
    this.#terms.stopping.throwIfAborted();
    const isLast = event === commit.events.at(-1);
    const { position, commitId, total } = commit;
    const applied = this.#checkpoint.latest.applied + 1;
    const taken = isLast ? total : event.index + 1;
    const complete = isLast ? position : position - 1;
    const end = { position, taken, commitId, applied, complete };
    try {
      const onRetry = (error: unknown): void => progress.failedOnce(error);
      await attempts.handle(event, this.#terms, onRetry, commit.headers);
    } catch (error) {
      if (!settings.park || !(error instanceof ReactorFailedError)) throw error;
      await this.#checkpoint.saveWith(deadLetters.format(event, error), end);
      progress.parked(error.cause);
      return;
    }
    progress.handled();
    await this.#checkpoint.advance(end);
  }

  /** All events of the commit are dealt with; it may have none of interest. */
  async #pass(commit: SourceCommit, behind: number): Promise<void> {
    const { position, commitId, total, events } = commit;
    const { applied } = this.#checkpoint.latest;
    if (events.length === 0) {
      const complete = position;
      await this.#checkpoint.advance({ position, taken: total, commitId, applied, complete });
    }
    this.#parts.progress.passed(commit, applied, behind);
  }

  /** Also of a run that failed: what it has handled need not be repeated. What cannot be saved will be. */
  async #saveLast(failure: unknown): Promise<void> {
    this.#checkpoint.stop();
    if (failure instanceof ProjectorFencedError) return;
    await this.#checkpoint.save(AbortSignal.timeout(LAST_SAVE_MS)).catch(() => {});
  }
}
