import type { ReadBounds } from "../nats/direct.ts";
import { listActors } from "../store/actor-list.ts";
import type { StoredCommit } from "../store/commit.ts";
import type { StoreInternals } from "../store/internals.ts";
import { type Actor, actorSubject } from "../store/subject.ts";
import {
  BUCKET,
  bucketActor,
  isDeletedAfter,
  LEDGER,
  ledgerActor,
  ledgerAfter,
  ledgersAdded,
} from "./directory-events.ts";
import type { LedgerInfo } from "./ledger-info.ts";
import { checkName } from "./names.ts";

/** A ledger as the leader has it. */
export interface LedgerRecord {
  readonly info: LedgerInfo;
  /** Of the ledger's actor. */
  readonly version: number;
  readonly commit: StoredCommit;
}

/** A bucket as the leader has it; version 0 and not deleted where nobody has created it. */
export interface BucketRecord {
  readonly version: number;
  readonly deleted: boolean;
}

/** What is cached of a ledger: nothing that depends on who asks. */
export interface DirectoryEntry {
  readonly info: LedgerInfo;
  /** Of the ledger's actor. */
  readonly version: number;
  /** Of the bucket's actor; the bucket was not deleted then. */
  readonly bucketVersion: number;
}

/** Reads what stands in the directory: one request a ledger or bucket, to the leader where the stream is replicated. */
export class DirectoryLog {
  readonly #internals: StoreInternals;

  constructor(internals: StoreInternals) {
    this.#internals = internals;
  }

  async ledger(name: string, bounds: ReadBounds): Promise<LedgerRecord | undefined> {
    const commit = await this.#last(ledgerActor(name), bounds);
    if (commit === undefined) return undefined;
    return { info: ledgerAfter(commit), version: commit.version, commit };
  }

  async bucket(name: string, bounds: ReadBounds): Promise<BucketRecord> {
    const commit = await this.#last(bucketActor(name), bounds);
    if (commit === undefined) return { version: 0, deleted: false };
    return { version: commit.version, deleted: isDeletedAfter(commit) };
  }

  /** The commit that created a ledger, given its last one. */
  async creation({ commit }: LedgerRecord, bounds: ReadBounds): Promise<StoredCommit | undefined> {
    const { history } = this.#internals;
    return commit.version === 1
      ? commit
      : history.commitAt(commit.message.subject, 1, commit, bounds);
  }

  /** Names of ledgers behind `after`, in order; those of deleted buckets too. The server lists them all for this. */
  ledgerNames(after: string | undefined, signal?: AbortSignal): AsyncIterable<string> {
    return this.#names(LEDGER, after, signal);
  }

  bucketNames(after: string | undefined, signal?: AbortSignal): AsyncIterable<string> {
    return this.#names(BUCKET, after, signal);
  }

  /** Names of the ledgers of a bucket, in order; none where it is deleted. Reads the history of the bucket. */
  async ledgerNamesIn(bucket: string, bounds: ReadBounds): Promise<string[]> {
    const head = await this.#last(bucketActor(bucket), bounds);
    if (head === undefined || isDeletedAfter(head)) return [];
    const names: string[] = [];
    const { history } = this.#internals;
    for await (const commit of history.commits(head.message.subject, {}, bounds, head)) {
      names.push(...ledgersAdded(commit));
    }
    return names.sort();
  }

  async *#names(
    type: string,
    after: string | undefined,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<string, void, undefined> {
    const behind = after === undefined ? undefined : { type, id: after };
    for await (const { id } of listActors(this.#internals.context, {
      type,
      after: behind,
      signal,
    })) {
      if (isName(id)) yield id;
    }
  }

  async #last(actor: Actor, bounds: ReadBounds): Promise<StoredCommit | undefined> {
    const { context, heads } = this.#internals;
    const { epoch } = context.guard;
    const commit = await heads.fetch(actorSubject(context.prefix, actor), bounds);
    if (commit !== undefined) context.guard.saw(commit.message.sequence, commit.commitId, epoch);
    return commit;
  }
}

/** Whether it is a name that the directory gives: others of its actors' types are not its own. */
function isName(id: string): boolean {
  try {
    checkName("name", id);
    return true;
  } catch {
    return false;
  }
}
