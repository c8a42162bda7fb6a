import { JetStreamUnavailableError, StreamNotFoundError } from "../errors.ts";
import { backoffMs, sleep } from "../internal/backoff.ts";
import type { Connection } from "../nats/connection.ts";
import type { DirectReader } from "../nats/direct.ts";
import type { JetStreamAccess } from "../nats/stream.ts";
import { observeStream } from "../nats/stream.ts";
import type { AskedSettings } from "../nats/stream-settings.ts";
import { Header } from "./commit.ts";
import { channels } from "./diagnostics.ts";
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

const RETRY = { firstMs: 20, maxMs: 1_000 };
/** What makes it another stream, or may. */
const REPLACED = /\.STREAM\.(CREATED|DELETED|RESTORE_CREATE|RESTORE_COMPLETE)\./;
const UPDATED = /\.STREAM\.UPDATED\./;

/**
 * Notices that the stream was recreated, restored or rolled back. It remembers the highest commit seen (position and
 * id) and compares it with the stream after each reconnect, when the server announces a change of the stream, and when
 * something known disagrees with it. While it looks, nothing is appended. With each look it learns how the stream's
 * settings are.
 */
export class StreamGuard {
  readonly #options: GuardOptions;
  readonly #unwatch: () => void;
  #created: string;
  #sequence = 0;
  #commitId = "";
  #epoch = 0;
  #rollback: Rollback | undefined;
  #checking: Promise<void> | undefined;
  #again = false;
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

  /** The last one that was noticed, where a commit had been seen before it. */
  get rollback(): Rollback | undefined {
    return this.#rollback;
  }

  /** Set while the stream is being compared: wait for it before anything is appended. Never rejects. */
  get checking(): Promise<void> | undefined {
    return this.#checking;
  }

  /** @param epoch as it was when the commit was asked for: an answer that comes after a rollback tells nothing */
  saw(sequence: number, commitId: string, epoch: number = this.#epoch): void {
    if (epoch !== this.#epoch || sequence <= this.#sequence) return;
    this.#sequence = sequence;
    this.#commitId = commitId;
  }

  /** Something disagrees, or may have changed: compare. */
  suspect(): void {
    if (this.#closed) return;
    this.#again = true;
    this.#checking ??= this.#compareUntilKnown().finally(() => {
      this.#checking = undefined;
    });
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#unwatch();
  }

  /** Compares without holding up appends: nothing is suspected. */
  #look(): void {
    if (this.#checking !== undefined || !this.#options.connection.connected) return;
    this.#compare().catch((error: unknown) => {
      // Whatever hinders a look must not pass for a changed stream; one that is gone is looked into thoroughly.
      if (error instanceof StreamNotFoundError) this.suspect();
    });
  }

  #watch(): () => void {
    const { connection, stream } = this.#options;
    const unlisten = connection.listen((event) => {
      if (event === "reconnect") this.suspect();
      if (!channels.reconnect.hasSubscribers || event === "close") return;
      const what = event === "reconnect" ? "reconnected" : "disconnected";
      channels.reconnect.publish({ stream, what, reason: undefined });
    });
    const advisories = connection.nc.subscribe(`$JS.EVENT.ADVISORY.STREAM.*.${stream}`, {
      callback: (error, message) => {
        if (error !== null) return;
        if (REPLACED.test(message.subject)) this.suspect();
        else if (UPDATED.test(message.subject)) this.#look();
      },
    });
    return () => {
      unlisten();
      if (!connection.nc.isClosed() && !advisories.isClosed()) advisories.unsubscribe();
    };
  }

  async #compareUntilKnown(): Promise<void> {
    for (let attempt = 1; !this.#closed && !this.#options.connection.closed; attempt++) {
      this.#again = false;
      try {
        await this.#options.connection.whenConnected(this.#options.access.timeoutMs);
        await this.#compare();
        if (!this.#again) return;
        attempt = 0;
      } catch (error) {
        if (error instanceof StreamNotFoundError) {
          this.#rolledBack("the stream was deleted");
          return;
        }
        const reason = error instanceof Error ? error.message : String(error);
        this.#tellRetry(attempt, reason);
        await sleep(backoffMs(RETRY, attempt));
      }
    }
  }

  async #compare(): Promise<void> {
    const { connection, direct, stream, access, asked, condition } = this.#options;
    const sequence = this.#sequence;
    const commitId = this.#commitId;
    const observed = await observeStream(connection.nc, stream, asked, access);
    condition.take(observed);
    if (observed.created !== this.#created) {
      this.#created = observed.created;
      this.#rolledBack("the stream was created anew");
      return;
    }
    if (sequence === 0) return;
    const message =
      observed.state.lastSequence < sequence
        ? undefined
        : await direct.leaderBySequence(sequence, { timeoutMs: access.timeoutMs });
    // Whatever stands there, and be it no commit at all, must only be told from the commit that was seen.
    const found = message?.headers.get(Header.commit);
    if (found === commitId) return;
    this.#rolledBack(
      `expected commit ${commitId} at position ${sequence}, found ${found ?? "nothing"}`,
      found,
    );
  }

  #rolledBack(reason: string, actualCommitId?: string): void {
    this.#epoch++;
    if (this.#sequence > 0) {
      this.#rollback = {
        position: this.#sequence,
        expectedCommitId: this.#commitId,
        actualCommitId,
      };
    }
    this.#sequence = 0;
    this.#commitId = "";
    this.#options.onRollback();
    this.#tell("rolled_back", reason);
  }

  #tellRetry(attempt: number, reason: string): void {
    if (!channels.retry.hasSubscribers) return;
    channels.retry.publish({ stream: this.#options.stream, what: "read", attempt, reason });
  }

  #tell(what: "rolled_back", reason: string): void {
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
