import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
import type { StoredCommit } from "../store/commit.ts";
import { CHAIN_HEADER } from "./chain.ts";
import { ledgerChannels } from "./diagnostics.ts";
import type { EngineSettings } from "./engine-options.ts";
import { JournalBrokenError } from "./errors.ts";
import type { Journal } from "./journal.ts";
import { type LedgerCheckpoint, SnapshotStore } from "./snapshot-store.ts";
import { decodeState, encodeState } from "./state-image.ts";
import type { LedgerState } from "./state.ts";

/** How long the event loop is held up at once while a state is encoded. */
const SLICE_MS = 4;
/** Entries behind the last snapshot that are worth one when a ledger is closed. */
const WORTH_AT_CLOSE = 1_000;
/** Between two snapshots, so many times as long as the first one took: where they are slow, they are rare. */
const REST_FACTOR = 4;
/** A leader that was elected a moment ago may not have all of the journal yet. */
const LOOKS = { attempts: 3, pauseMs: 200 } as const;

/**
 * When a ledger's state is written to its bucket, and how it is restored. It only saves time: what fails is told on a
 * channel. But what it was made of must stand in the journal: otherwise acknowledged entries are gone.
 */
export class EngineSnapshots {
  readonly #store: SnapshotStore;
  readonly #everyEntries: number;
  readonly #acceptRollback: boolean;
  readonly #end = new AbortController();
  /** Version of the last snapshot that is known to stand. */
  #storedAt = 0;
  #dueAt: number;
  #restUntil = 0;
  #writing: Promise<void> | undefined;

  private constructor(store: SnapshotStore, settings: EngineSettings) {
    this.#store = store;
    this.#acceptRollback = settings.acceptRollback;
    this.#everyEntries = settings.snapshotEveryEntries;
    this.#dueAt = settings.snapshotEveryEntries;
  }

  /** undefined where none are wanted, or their bucket cannot be opened. */
  static async open(
    { store, ledger }: Journal,
    settings: EngineSettings,
  ): Promise<EngineSnapshots | undefined> {
    const { snapshotBucket: bucket, snapshotEveryEntries, commandTimeoutMs } = settings;
    if (bucket === undefined) return undefined;
    const options = {
      bucket,
      ledger,
      everyEntries: snapshotEveryEntries,
      requestTimeoutMs: commandTimeoutMs,
    };
    try {
      return new EngineSnapshots(await SnapshotStore.open(store, options), settings);
    } catch (error) {
      tellIgnored(ledger, undefined, error);
      return undefined;
    }
  }

  /**
   * The state of the last snapshot; undefined where there is none that can be used.
   *
   * @throws {JournalBrokenError} what it was made of does not stand in the journal, and that is not accepted
   */
  async restore(journal: Journal, timeoutMs: number): Promise<LedgerState | undefined> {
    const snapshot = await this.#store.restore(this.#end.signal);
    if (snapshot === undefined) return undefined;
    const { checkpoint, chunks } = snapshot;
    const commit = await journal.commitAt(checkpoint.position, timeoutMs);
    if (!isOf(checkpoint, commit)) {
      const reason = await cutOf(journal, checkpoint, timeoutMs);
      if (reason !== undefined) this.#accept(journal, checkpoint, reason);
      else this.#ignore(journal, checkpoint, "its commit stands at another position");
      return undefined;
    }
    try {
      const state = await decodeState(chunks);
      if (state.version !== checkpoint.version) throw new Error("it is of another version");
      this.#stored(checkpoint.version);
      return state;
    } catch (error) {
      this.#ignore(journal, checkpoint, error);
      return undefined;
    }
  }

  /** Goes on without what was cut off, if that is meant: the next commit is worth a snapshot then, and so is closing. */
  #accept(journal: Journal, checkpoint: LedgerCheckpoint, reason: string): void {
    if (!this.#acceptRollback) throw new JournalBrokenError(journal.ledger, undefined, reason);
    this.#ignore(journal, checkpoint, reason);
    this.#storedAt = Number.NEGATIVE_INFINITY;
    this.#dueAt = 0;
  }

  #ignore({ ledger }: Journal, checkpoint: LedgerCheckpoint, reason: unknown): void {
    this.#store.refuse(checkpoint);
    tellIgnored(ledger, checkpoint.version, reason);
  }

  /** A commit was acknowledged: begins to write a snapshot where one is due. */
  passed(state: LedgerState): void {
    if (state.point.version < this.#dueAt || this.#writing !== undefined) return;
    if (performance.now() < this.#restUntil) return;
    this.#writing = this.#write(state).finally(() => {
      this.#writing = undefined;
    });
  }

  /** Writes a last one, if it is worth it. */
  async close(state: LedgerState): Promise<void> {
    await this.#writing;
    const worth = Math.min(WORTH_AT_CLOSE, this.#everyEntries);
    if (state.point.version - this.#storedAt >= worth) await this.#write(state, worth);
    this.#end.abort();
  }

  async #write(state: LedgerState, everyEntries = this.#everyEntries): Promise<void> {
    const startedAt = performance.now();
    const { point } = state;
    this.#dueAt = point.version + this.#everyEntries;
    try {
      const { signal } = this.#end;
      const chunks = slices(encodeState(state));
      const outcome = await this.#store.write(point, chunks, signal, { everyEntries });
      if (outcome.kind === "written") this.#stored(point.version);
      else if (outcome.checkpoint !== undefined) this.#stored(outcome.checkpoint.version);
    } catch {
      // told on the channel by the store; the next one is due after as many entries
    }
    const endedAt = performance.now();
    this.#restUntil = endedAt + REST_FACTOR * (endedAt - startedAt);
  }

  #stored(version: number): void {
    this.#storedAt = version;
    this.#dueAt = version + this.#everyEntries;
  }
}

/** Between two slices of a few milliseconds, others have a turn. */
async function* slices(chunks: Iterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  let sliceEnd = performance.now() + SLICE_MS;
  for (const chunk of chunks) {
    yield chunk;
    if (performance.now() < sliceEnd) continue;
    await turn();
    sliceEnd = performance.now() + SLICE_MS;
  }
}

function tellIgnored(ledger: string, version: number | undefined, error: unknown): void {
  if (!ledgerChannels.snapshot.hasSubscribers) return;
  const reason = error instanceof Error ? error.message : String(error);
  const nothing = { chunks: 0, bytes: 0, durationMs: 0 };
  ledgerChannels.snapshot.publish({ ledger, what: "ignored", version, ...nothing, reason });
}

function isOf(checkpoint: LedgerCheckpoint, commit: StoredCommit | undefined): boolean {
  return (
    commit?.commitId === checkpoint.commitId &&
    commit.version === checkpoint.version &&
    commit.message.headers.get(CHAIN_HEADER) === checkpoint.chain
  );
}

/** Says what the journal lacks of a snapshot that does not stand at its position; undefined where it lacks nothing. */
async function cutOf(
  journal: Journal,
  checkpoint: LedgerCheckpoint,
  timeoutMs: number,
): Promise<string | undefined> {
  const { version, commitId } = checkpoint;
  let end = await journal.store.latestVersion(journal.actor, { timeoutMs });
  for (let look = 1; end < version && look < LOOKS.attempts; look++) {
    await sleep(LOOKS.pauseMs);
    end = await journal.store.latestVersion(journal.actor, { timeoutMs });
  }
  const known = `its tail was cut: a snapshot was made of it at entry ${version}, commit ${commitId}`;
  if (end < version) return `${known}, and it ends at entry ${end}`;
  for await (const commit of journal.commitsFrom(version, 1, timeoutMs)) {
    if (isOf(checkpoint, commit)) return undefined;
    return `${known}; commit ${commit.commitId} stands there, and it ends at entry ${end}`;
  }
  return `${known}, which is not there`;
}
