import { CorruptCommitError, StreamRolledBackError, UnsupportedFormatError } from "../errors.ts";
import { callStreamApi } from "../nats/stream.ts";
import type { StoredMessage } from "../nats/stored-message.ts";
import { type CommitHeaders, readCommit, readCommitHeaders } from "../store/commit.ts";
import { CommitStream } from "../store/commit-stream.ts";
import type { StoreContext } from "../store/context.ts";
import { internalsOf } from "../store/internals.ts";
import { CHAIN_HEADER, chainHash } from "./chain.ts";
import type { ChainReport, LedgerFindings } from "./check-report.ts";
import { InconsistentStateError, JournalBrokenError } from "./errors.ts";
import type { JournalCommit, Journal } from "./journal.ts";
import { decodeEntry } from "./journal-codec.ts";
import { JOURNAL_START, type JournalPoint } from "./state.ts";

/** A commit of the journal whose hash is right. */
export interface ChainedCommit {
  readonly point: JournalPoint;
  /** Position of the last commit that the journal had when the reading began. */
  readonly target: number;
  /** What it holds. @throws what makes it unreadable, see {@link unreadableReason} */
  readonly decoded: () => JournalCommit;
}

/** Why an error means that no state can be derived from a journal; undefined for one that the caller must see. */
export function unreadableReason(error: unknown): string | undefined {
  const tells =
    error instanceof CorruptCommitError ||
    error instanceof UnsupportedFormatError ||
    error instanceof StreamRolledBackError ||
    error instanceof InconsistentStateError ||
    error instanceof JournalBrokenError;
  return tells ? error.message : undefined;
}

/** Reads a journal from its first commit on, and follows its hash chain over the bytes as they are stored. */
export class JournalCheck {
  readonly #journal: Journal;
  readonly #context: StoreContext;
  readonly #findings: LedgerFindings;
  readonly #signal: AbortSignal;
  #point: JournalPoint = JOURNAL_START;
  #broken: { readonly at: number; readonly reason: string } | undefined;
  #cut: { readonly before?: number; readonly reason: string } | undefined;

  constructor(journal: Journal, findings: LedgerFindings, signal: AbortSignal) {
    this.#journal = journal;
    this.#context = internalsOf(journal.store).context;
    this.#findings = findings;
    this.#signal = signal;
  }

  /** Why the journal cannot say what the state should be; undefined where it can. */
  get reason(): string | undefined {
    return this.#broken?.reason ?? this.#cut?.reason;
  }

  get report(): ChainReport {
    const { version, position, chain: hash } = this.#point;
    const intact = this.reason === undefined;
    const brokenAt = this.#broken?.at;
    const cutBefore = this.#cut?.before;
    return { intact, version, position, hash, brokenAt, cutBefore, reason: this.reason };
  }

  /** The commits up to the head seen at the start; ends at the first one whose hash is another than it should be. */
  async *commits(): AsyncGenerator<ChainedCommit, void, undefined> {
    const { subject } = this.#journal;
    const stream = new CommitStream(this.#context, { filters: [subject], signal: this.#signal });
    try {
      await stream.open(() => {});
      for (;;) {
        const messages = await stream.nextUntilCaughtUp();
        if (messages === undefined) return;
        for (const message of messages) {
          // what arrived behind the target belongs to the next reader
          if (message.sequence > stream.target) return;
          const point = this.#follow(message);
          if (point === undefined) return;
          yield { point, target: stream.target, decoded: () => this.#decode(message, point) };
        }
      }
    } finally {
      await stream.close();
    }
  }

  /**
   * Compares a point that is known to have stood in the journal with what stands there, as soon as the reading has come
   * to it.
   */
  witness(known: JournalPoint, who: string): void {
    const { version, position, chain } = this.#point;
    if (known.version === version && known.chain === chain) return;
    const reason = `another history than ${who} knows: its commit of version ${known.version} has another hash`;
    this.#break(position, reason, known.chain, chain);
  }

  /** The journal has ended, and is known to have gone on. */
  ended(known: JournalPoint, who: string): void {
    const { version, position, chain } = this.#point;
    const reason = `the journal ends at version ${version}, but ${who} knows its version ${known.version}, at position ${known.position}: its tail was cut`;
    this.#cut = { before: known.version, reason };
    this.#findings.add({
      where: "journal",
      kind: "missing",
      key: `commit ${known.position}`,
      expected: { version: known.version, chain: known.chain },
      found: { version, position, chain },
      position: known.position,
      reason,
    });
  }

  /** Looks for messages that were deleted behind the last commit: nothing says that they were none of the journal. */
  async lookBehind(): Promise<void> {
    const { connection, stream: name, apiPrefix, limits } = this.#context;
    const access = { name, apiPrefix, timeoutMs: limits.readTimeoutMs, signal: this.#signal };
    const { state } = await callStreamApi(connection.nc, { ...access, create: false }, (manager) =>
      manager.streams.info(name, { deleted_details: true }),
    );
    const { position } = this.#point;
    const gone = (state.deleted ?? []).filter((sequence) => sequence > position);
    // what was purged from the beginning is not among the deleted ones
    const purged = state.first_seq > position + 1 ? state.first_seq - 1 : undefined;
    const first = purged ?? gone[0];
    if (first === undefined || first > state.last_seq) return;
    const reason = `position ${first} of the stream, behind the last commit of the journal, was deleted: it may have been the journal's`;
    this.#cut = { reason };
  }

  #follow(message: StoredMessage): JournalPoint | undefined {
    const behind = this.#point;
    const { sequence: position } = message;
    let headers: CommitHeaders;
    try {
      headers = readCommitHeaders(message);
    } catch (error) {
      const reason = unreadableReason(error);
      if (reason === undefined) throw error;
      return this.#break(position, reason);
    }
    const { commitId, version, expectedSequence } = headers;
    const chain = chainHash(behind.chain, version, commitId, message.data);
    const found = message.headers.get(CHAIN_HEADER);
    if (found !== chain) {
      const isGap = expectedSequence !== undefined && expectedSequence !== behind.position;
      const reason = isGap
        ? `commit ${commitId} follows the one at position ${expectedSequence}, the one before it is at ${behind.position}`
        : `commit ${commitId} or the one before it is not as it was: its hash is another one than its header says`;
      return this.#break(position, reason, chain, found);
    }
    if (version <= behind.version)
      return this.#break(position, `version ${version} follows version ${behind.version}`);
    this.#point = { version, position, commitId, chain };
    return this.#point;
  }

  #decode(message: StoredMessage, point: JournalPoint): JournalCommit {
    const commit = readCommit(message, this.#context.prefix);
    const { sequence: position, timestampMs: recordedAtMs } = message;
    const entries = commit.payload.events.map((event) => decodeEntry(event, position));
    return { entries, firstVersion: commit.firstVersion, point, recordedAtMs };
  }

  #break(position: number, why: string, expected?: string, found?: string): undefined {
    if (this.#broken !== undefined) return;
    const reason = `the journal is broken at position ${position}: ${why}`;
    this.#broken = { at: position, reason };
    const key = `commit ${position}`;
    const about = { where: "journal", kind: "different", key, position, reason: why } as const;
    this.#findings.add({ ...about, expected, found });
  }
}
