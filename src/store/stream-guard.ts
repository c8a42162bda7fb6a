import { JetStreamUnavailableError, StreamNotFoundError } from "../errors.ts";
import { backoffMs, sleep } from "../internal/backoff.ts";
import { type Deferred, deferred } from "../internal/deferred.ts";
import type { Connection } from "../nats/connection.ts";
import type { DirectReader } from "../nats/direct.ts";
import type { JetStreamAccess } from "../nats/stream.ts";
import { type ObservedStream, observeStream } from "../nats/stream.ts";
import type { AskedSettings } from "../nats/stream-settings.ts";
import { Header } from "./commit.ts";
import { channels, type ReconnectMessage } from "./diagnostics.ts";
import type { StreamCondition } from "./stream-condition.ts";

/** What the guard watches and whom it tells. */
export interface GuardOptions {
  readonly connection: Connection;
  readonly direct: DirectReader;
  readonly stream: string;
  readonly access: JetStreamAccess;
  /** How often the stream is looked at, lest the server's notice of a change got lost. */
  readonly checkMs: number;
  /** When the stream was created, as the server says it. */
  readonly created: string;
  /** What the store asked of the stream's settings when it was opened. */
  readonly asked: AskedSettings;
  /** Told what each look shows of the settings. */
  readonly condition: StreamCondition;
  /** The stream is not the one that was known; nothing may be decided on what was remembered of it. */
  readonly onRollback: () => void;
}

/** What no longer stands where it stood when a rollback was noticed. */
export interface Rollback {
  readonly position: number;
  readonly expectedCommitId: string;
  readonly actualCommitId: string | undefined;
}

/** A commit that was seen. */
interface Known {
  readonly position: number;
  readonly commitId: string;
}

/** What one look at the stream showed. */
interface Finding {
  /** `purged`: the same stream, from which somebody has removed the commit that was known. */
  readonly verdict: "same" | "purged" | "other";
  /** Whether it is believed at once: what is not there may not be there yet, or not be there to be seen. */
  readonly certain: boolean;
  readonly reason: string;
  /** When the stream was created; undefined where there is none. */
  readonly created: string | undefined;
  /** What was compared. */
  readonly known: Known | undefined;
  /** Commit id of what stands there now. */
  readonly found?: string | undefined;
}

const RETRY = { firstMs: 20, maxMs: 1_000 };
/**
 * So many looks in a row must miss something before that is believed, two to four seconds with their pauses. A replica
 * may show a commit before the leader has it, and while a cluster starts, a stream may not be found though it is there.
 */
const LOOKS_UNTIL_BELIEVED = 10;
const DELETED = /\.STREAM\.DELETED\./;
/** What else makes it another stream, or may. */
const REPLACED = /\.STREAM\.(CREATED|RESTORE_CREATE|RESTORE_COMPLETE)\./;
const UPDATED = /\.STREAM\.UPDATED\./;

/**
 * Notices that the stream was recreated, restored or rolled back. It remembers the highest commit seen (position and
 * id) and compares it with the stream after each reconnect, when the server announces a change of the stream, and when
 * something known disagrees with it. While it compares, nothing is appended. Besides, it looks now and then: that brings
 * the stream's settings, and a reason to compare where anything is not as it was. Only a comparison decides, one at a
 * time.
 */
export class StreamGuard {
  readonly #options: GuardOptions;
  readonly #unwatch: () => void;
  /** Undefined since the stream was found to be gone: the next one to be found is no surprise. */
  #created: string | undefined;
  #known: Known | undefined;
  #epoch = 0;
  #rollback: Rollback | undefined;
  #checking: Deferred<void> | undefined;
  #again = false;
  /** The server said so since the last comparison ended. */
  #deletionHeard = false;
  #closed = false;
  readonly #timer: NodeJS.Timeout;

  constructor(options: GuardOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#look(), options.checkMs);
    this.#timer.unref();
    this.#created = options.created;
    this.#unwatch = this.#watch();
  }

  /** Counts the rollbacks that were noticed. */
  get epoch(): number {
    return this.#epoch;
  }

  /** The last one that was noticed; undefined where no commit had been seen before it. */
  get rollback(): Rollback | undefined {
    return this.#rollback;
  }

  /** Set while the stream is being compared: wait for it before anything is appended. Never rejects. */
  get checking(): Promise<void> | undefined {
    return this.#checking?.promise;
  }

  /** @param epoch as it was when the commit was asked for: an answer that comes after a rollback tells nothing */
  saw(sequence: number, commitId: string, epoch: number = this.#epoch): void {
    if (epoch !== this.#epoch || sequence <= (this.#known?.position ?? 0)) return;
    this.#known = { position: sequence, commitId };
  }

  /** Something disagrees, or may have changed: compare. */
  suspect(): void {
    if (this.#closed) return;
    this.#again = true;
    if (this.#checking !== undefined) return;
    this.#checking = deferred();
    void this.#compare();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#unwatch();
  }

  /** Looks without holding up appends: nothing is suspected. */
  #look(): void {
    if (this.#checking !== undefined || !this.#options.connection.connected) return;
    this.#find(this.#known).then(
      ({ verdict, created }) => {
        if (verdict !== "same" || created !== this.#created) this.suspect();
      },
      () => {
        // Whatever hinders a look must not pass for a changed stream.
      },
    );
  }

  #watch(): () => void {
    const { connection, stream } = this.#options;
    const unlisten = connection.listen((event) => {
      if (event === "reconnect") this.suspect();
      if (event !== "close") this.#tell(`${event}ed`, undefined);
    });
    const advisories = connection.nc.subscribe(`$JS.EVENT.ADVISORY.STREAM.*.${stream}`, {
      callback: (error, { subject }) => {
        if (error !== null) return;
        if (DELETED.test(subject)) this.#deletionHeard = true;
        if (this.#deletionHeard || REPLACED.test(subject)) this.suspect();
        else if (UPDATED.test(subject)) this.#look();
      },
    });
    return () => {
      unlisten();
      if (!connection.nc.isClosed() && !advisories.isClosed()) advisories.unsubscribe();
    };
  }

  /** Compares until it is known what the stream is, for all who had suspected it by then. */
  async #compare(): Promise<void> {
    const { connection, access } = this.#options;
    // Stays the same until it is decided on: what is seen meanwhile may belong to another history already.
    let known = this.#known;
    let looks = 0;
    for (let attempt = 1; this.#again && !this.#closed && !connection.closed; attempt++) {
      this.#again = false;
      let reason: string;
      try {
        await connection.whenConnected(access.timeoutMs);
        const finding = await this.#find(known);
        if (finding.certain || ++looks >= LOOKS_UNTIL_BELIEVED) {
          await this.#take(finding);
          known = this.#known;
          looks = 0;
          attempt = 0;
          continue;
        }
        reason = finding.reason;
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error);
      }
      this.#again = true;
      this.#tellRetry(attempt, reason);
      await sleep(backoffMs(RETRY, attempt));
    }
    this.#deletionHeard = false;
    const checking = this.#checking;
    this.#checking = undefined;
    checking?.resolve();
  }

  /** Looks at the stream's identity and settings, and at what stands where the highest commit was seen. */
  async #find(known: Known | undefined): Promise<Finding> {
    const { connection, stream, access, asked, condition } = this.#options;
    let observed: ObservedStream;
    try {
      observed = await observeStream(connection.nc, stream, asked, access);
    } catch (error) {
      if (!(error instanceof StreamNotFoundError)) throw error;
      const certain = this.#deletionHeard || this.#created === undefined;
      const reason = "the stream was deleted";
      return { verdict: "other", certain, reason, created: undefined, known };
    }
    condition.take(observed);
    const { created } = observed;
    if (this.#created !== undefined && created !== this.#created) {
      const reason = "the stream was created anew";
      return { verdict: "other", certain: true, reason, created, known };
    }
    if (known === undefined) return { verdict: "same", certain: true, reason: "", created, known };
    return { created, known, ...(await this.#findKnown(known, observed)) };
  }

  /** Only the leader's message counts: of how far the stream is, members of a group without a leader tell their own. */
  async #findKnown(
    { position, commitId }: Known,
    { state, replicas }: ObservedStream,
  ): Promise<Pick<Finding, "verdict" | "certain" | "reason" | "found">> {
    const { direct, access } = this.#options;
    const message = await direct.leaderBySequence(position, { timeoutMs: access.timeoutMs });
    // Whatever stands there, and be it no commit at all, must only be told from the commit that was seen.
    const found = message?.headers.get(Header.commit);
    const reason = `expected commit ${commitId} at position ${position}, found ${found ?? "nothing"}`;
    if (found === commitId) return { verdict: "same", certain: true, reason, found };
    if (message !== undefined) return { verdict: "other", certain: true, reason, found };
    // The stream had come so far before nothing was found there: it was taken out again.
    if (state.lastSequence >= position) return { verdict: "purged", certain: true, reason };
    return { verdict: "other", certain: replicas === 1, reason };
  }

  /** The only place that decides what is remembered. */
  async #take(finding: Finding): Promise<void> {
    const { verdict, created, known, reason } = finding;
    if (verdict === "purged") await this.#forget(known, reason);
    // A stream that is still gone was counted when it went.
    const isNews = this.#created !== undefined || this.#known !== undefined;
    if (verdict === "other" && isNews) this.#rolledBack(finding);
    this.#created = created;
  }

  /** What was purged tells nothing more; the stream's last commit does. */
  async #forget(known: Known | undefined, reason: string): Promise<void> {
    const { direct, access, asked } = this.#options;
    const bounds = { timeoutMs: access.timeoutMs };
    const last = await direct.leaderLastBySubject(`${asked.prefix}.>`, bounds);
    const commitId = last?.headers.get(Header.commit);
    if (this.#known === known) this.#known = undefined;
    if (last !== undefined && commitId !== undefined) this.saw(last.sequence, commitId);
    this.#tell("purged", reason);
  }

  #rolledBack({ known, found, reason }: Finding): void {
    this.#epoch++;
    this.#rollback =
      known === undefined
        ? undefined
        : {
            position: known.position,
            expectedCommitId: known.commitId,
            actualCommitId: found,
          };
    this.#known = undefined;
    this.#options.onRollback();
    this.#tell("rolled_back", reason);
  }

  #tellRetry(attempt: number, reason: string): void {
    if (!channels.retry.hasSubscribers) return;
    channels.retry.publish({ stream: this.#options.stream, what: "read", attempt, reason });
  }

  #tell(what: ReconnectMessage["what"], reason: string | undefined): void {
    if (!channels.reconnect.hasSubscribers) return;
    channels.reconnect.publish({ stream: this.#options.stream, what, reason });
  }
}

/** Waits for `checking` at most `timeoutMs`. */
export async function settled(
  checking: Promise<void>,
  stream: string,
  timeoutMs: number,
): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const message = `stream ${stream} could not be compared with what is known of it within ${timeoutMs} ms`;
    timer = setTimeout(() => reject(new JetStreamUnavailableError(message)), timeoutMs);
  });
  try {
    await Promise.race([checking, late]);
  } finally {
    clearTimeout(timer);
  }
}
