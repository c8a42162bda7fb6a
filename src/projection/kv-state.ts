import { type Backoff, backoffMs, sleep } from "../internal/backoff.ts";
import { sameValue } from "../internal/same-value.ts";
import type { Bucket, BucketChange, BucketEntry } from "../nats/bucket.ts";
import { MAX_COMMIT_MESSAGES, MAX_FETCH_KEYS } from "../nats/bucket.ts";
import type { Owner } from "./bucket-identity.ts";
import { CHECKPOINT_KEY, CheckpointWriter, type StandingCheckpoint } from "./checkpoint-writer.ts";
import { BEGINNING, decodeCheckpoint, type SharedCheckpoint } from "./checkpoint.ts";
import { formatDeadLetter, parseDeadLetters } from "./dead-letters.ts";
import { CorruptStateError, ProjectorFencedError } from "./errors.ts";
import { type Cell, Generations, TOMBSTONE } from "./generations.ts";
import { keyChunks } from "./key-chunks.ts";
import { KvReader, POSITION_HEADER, readEntry } from "./kv-reader.ts";
import { isPassing } from "../nats/passing.ts";
import type { ValueFormat } from "./plain-value.ts";
import type {
  CellChange,
  ClaimedState,
  DeadLetter,
  EntriesOptions,
  StateBackend,
  StateEntry,
  UnitResult,
  WatchedEntry,
} from "./state-backend.ts";
import { bucketKeyOf, type StateKey } from "./state-key.ts";
import { encodeValue } from "./value-codec.ts";
import type { UnitLimits } from "./work-unit.ts";

/** How the state is kept. */
export interface KvStateParts {
  readonly bucket: Bucket;
  readonly owner: Owner;
  /** Events of a generation of the cache. */
  readonly generationEvents: number;
  /** Bytes of a batch at most. */
  readonly maxBatchBytes: number;
  /** Wait for one answer. */
  readonly requestTimeoutMs: number;
}

const LAGGING: Backoff = { firstMs: 2, maxMs: 100 };
/** The first wait for an answer to a fetch; each further one is twice as long. */
const FETCH_MS = 1_000;
/** Fetches in vain after which the leader is asked whether the state is still there. */
const ATTEMPTS_BEFORE_DOUBT = 4;
/** The checkpoint comes along with each. */
const KEYS_AT_ONCE = MAX_FETCH_KEYS - 1;
/** Messages of a batch beside the changed keys: the checkpoint, and one dead letter. */
const OTHER_MESSAGES = 2;

/** The state of a projection in a NATS KV bucket: an entry a key, and the checkpoint, written as atomic batches. */
export class KvState implements StateBackend {
  readonly format: ValueFormat;
  readonly limits: UnitLimits;
  readonly #parts: KvStateParts;
  readonly #writer: CheckpointWriter;
  readonly #reader: KvReader;
  #laggingAnswers = 0;

  constructor(parts: KvStateParts) {
    const { bucket, owner, maxBatchBytes, requestTimeoutMs } = parts;
    this.#parts = parts;
    this.format = owner.values;
    this.limits = {
      maxKeys: MAX_COMMIT_MESSAGES - OTHER_MESSAGES,
      maxBytes: maxBatchBytes,
      maxValueBytes: bucket.maxEntryBytes,
    };
    const projection = owner.projection.name;
    this.#writer = new CheckpointWriter({ bucket, projection, attemptMs: requestTimeoutMs });
    this.#reader = new KvReader(bucket, owner.values, requestTimeoutMs);
  }

  /** Answers that were refused because the replica that gave them lagged. For tests. */
  get laggingAnswers(): number {
    return this.#laggingAnswers;
  }

  async claim(signal: AbortSignal): Promise<ClaimedState> {
    const { generationEvents } = this.#parts;
    await this.#assertCheckpoint(signal);
    const checkpoint = await this.#writer.claim(signal);
    this.#reader.seen(this.#writer.sequence);
    return { checkpoint, cache: new Generations(generationEvents, checkpoint.applied === 0) };
  }

  /** Entries without a checkpoint would be taken for those of no event, and everything be applied again on top. */
  async #assertCheckpoint(signal: AbortSignal): Promise<void> {
    const { bucket } = this.#parts;
    const standing = await this.#writer.read(signal);
    if (isWritten(standing)) return;
    const { messages } = await bucket.state();
    // The identity stands there already, and perhaps the mark of the deletion.
    if (messages <= (standing === undefined ? 1 : 2)) return;
    if (isWritten(await this.#writer.read(signal))) return;
    throw new CorruptStateError(
      bucket.name,
      CHECKPOINT_KEY,
      "it is missing, and there are entries",
    );
  }

  async stored(signal: AbortSignal): Promise<SharedCheckpoint> {
    const standing = await this.#writer.read(signal);
    if (standing === undefined) return BEGINNING;
    this.#reader.seen(standing.sequence);
    return standing.checkpoint;
  }

  async *followStored(signal: AbortSignal): AsyncIterable<SharedCheckpoint> {
    const { bucket } = this.#parts;
    for await (const batch of bucket.entries({ filter: CHECKPOINT_KEY, until: "never", signal })) {
      const entry = batch.at(-1);
      if (entry === undefined || entry.deleted) continue;
      this.#reader.seen(entry.sequence);
      yield decodeCheckpoint(bucket.name, CHECKPOINT_KEY, entry.data);
    }
  }

  async fetch(
    keys: readonly StateKey[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<StateKey, unknown>> {
    const { bucket } = this.#parts;
    const chunks = keyChunks(bucket, keys, KEYS_AT_ONCE, (key) => bucketKeyOf(key).length);
    const fetches = [...chunks].map((chunk) => this.#fetchChunk(chunk, signal));
    const [first, ...others] = await Promise.all(fetches);
    if (first === undefined || others.length === 0) return first ?? new Map();
    return new Map([first, ...others].flatMap((chunk) => [...chunk]));
  }

  commit(unit: UnitResult, signal: AbortSignal): Promise<void> {
    const changes = unit.changes.map((change) => this.#entryOf(change));
    for (const letter of unit.deadLetters) changes.push(formatDeadLetter(letter));
    return this.#writer
      .write(changes, unit.checkpoint, signal)
      .then(() => this.#reader.seen(this.#writer.sequence));
  }

  read(key: StateKey, signal: AbortSignal | undefined): Promise<unknown> {
    return this.#reader.read(key, signal);
  }

  entries(table: string, options: EntriesOptions): AsyncIterableIterator<StateEntry> {
    return this.#reader.entries(table, options);
  }

  watch(key: StateKey, signal: AbortSignal | undefined): AsyncIterableIterator<WatchedEntry> {
    return this.#reader.watch(key, signal);
  }

  deadLetters(): Promise<readonly DeadLetter[]> {
    return parseDeadLetters(this.#parts.bucket);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #entryOf({ key, cell, position, index }: CellChange): BucketChange {
    const data = cell === TOMBSTONE ? undefined : encodeValue(cell, this.format);
    return { key: bucketKeyOf(key), data, headers: [[POSITION_HEADER, `${position}.${index}`]] };
  }

  async #fetchChunk(
    keys: readonly StateKey[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<StateKey, unknown>> {
    const { bucket, requestTimeoutMs } = this.#parts;
    const bucketKeys = keys.map(bucketKeyOf);
    const asked = [...bucketKeys, CHECKPOINT_KEY];
    for (let attempt = 1; ; attempt++) {
      // Read before asking: what is stored while the answer is on its way may be missing from it.
      const { sequence } = this.#writer;
      // Short at first: another replica may answer where this one does not.
      const timeoutMs = Math.min(requestTimeoutMs, FETCH_MS * 2 ** (attempt - 1));
      const found = await bucket.fetch(asked, { timeoutMs, signal }).catch(unlessPassing);
      if (found !== undefined) {
        if (this.#isCurrent(found.get(CHECKPOINT_KEY), sequence)) {
          return this.#valuesOf(keys, bucketKeys, found);
        }
        this.#laggingAnswers++;
      }
      if (attempt % ATTEMPTS_BEFORE_DOUBT === 0) await this.#writer.assertStanding(signal);
      await sleep(backoffMs(LAGGING, attempt), signal);
    }
  }

  /** Whether an answer shows all that this projector has stored; a replica may lag. */
  #isCurrent(entry: BucketEntry | undefined, sequence: number): boolean {
    if (entry === undefined || entry.sequence < sequence) return false;
    if (entry.sequence === sequence) return true;
    const { bucket, owner } = this.#parts;
    const { writer } = decodeCheckpoint(bucket.name, CHECKPOINT_KEY, entry.data);
    if (writer === this.#writer.writer) return true;
    throw new ProjectorFencedError(owner.projection.name, writer);
  }

  /** All are decoded before the first is used. */
  #valuesOf(
    keys: readonly StateKey[],
    bucketKeys: readonly string[],
    found: ReadonlyMap<string, BucketEntry>,
  ): ReadonlyMap<StateKey, unknown> {
    const values = new Map<StateKey, unknown>();
    for (const [at, key] of keys.entries()) {
      const entry = found.get(bucketKeys[at] ?? "");
      if (entry === undefined || entry.deleted) continue;
      values.set(key, readEntry(this.#parts.bucket.name, entry, this.format));
    }
    return values;
  }

  /** The keys of those cached cells that differ from what is stored. For tests. */
  async verifyMirror(
    cells: Iterable<readonly [key: string, cell: Cell]>,
    signal: AbortSignal,
  ): Promise<readonly StateKey[]> {
    const cached = new Map<StateKey, Cell>();
    for (const [key, cell] of cells) cached.set(key as StateKey, cell);
    const stored = await this.fetch([...cached.keys()], signal);
    return [...cached.keys()].filter((key) => {
      const cell = cached.get(key);
      return !sameValue(cell === TOMBSTONE ? undefined : cell, stored.get(key));
    });
  }
}

function unlessPassing(error: unknown): undefined {
  if (!isPassing(error)) throw error;
}

function isWritten(standing: StandingCheckpoint | undefined): boolean {
  return standing !== undefined && standing.checkpoint.epoch > 0;
}
