import { type Backoff, backoffMs, sleep } from "../internal/backoff.ts";
import { sameValue } from "../internal/same-value.ts";
import type { Bucket, BucketEntry } from "../nats/bucket.ts";
import { IDENTITY_KEY } from "./bucket-identity.ts";
import { BEGINNING, type Checkpoint, decodeCheckpoint } from "./checkpoint.ts";
import { CHECKPOINT_KEY } from "./checkpoint-writer.ts";
import {
  entryPlace,
  entryValue,
  type ExpectedPart,
  type ExpectedState,
  isDeadLetter,
  type Known,
} from "./check-expected.ts";
import type { Findings, RawFinding } from "./check-report.ts";
import { DEAD_PREFIX } from "./dead-letters.ts";
import { TOMBSTONE } from "./generations.ts";
import { parseBucketKey, splitStateKey } from "./state-key.ts";
import { keyChunks } from "./key-chunks.ts";

/** What is compared, and how. */
export interface ComparisonParts {
  readonly bucket: Bucket;
  readonly tables: ReadonlySet<string>;
  readonly expected: ExpectedState;
  readonly findings: Findings;
  /** Derives the expected state up to a checkpoint; false where it is beyond that already. */
  readonly advanceTo: (checkpoint: Checkpoint) => Promise<boolean>;
  readonly maxPasses: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly onProgress: (phase: "comparing" | "settling", fraction: number) => void;
}

/** Keys looked at again at once: few, because their values are held together. */
const KEYS_AT_ONCE = 256;
/** Keys to be looked at again that are held at most. */
const MAX_SUSPECTS = 10_000;
/** The projector's own; all else that begins with `_`, but for events that were set aside, a stranger wrote. */
const OWN_KEYS: ReadonlySet<string> = new Set([CHECKPOINT_KEY, IDENTITY_KEY]);
/** Waits for a replica that lags. */
const LAGGING: Backoff = { firstMs: 20, maxMs: 500 };
const PROGRESS_EVERY_ENTRIES = 10_000;

/**
 * Compares the entries of a bucket with the expected state, in both directions. A listing of the bucket clears what
 * stands there as it should; whatever else, changed since or wrong, is fetched again together with the checkpoint, and
 * compared with the state derived up to exactly that checkpoint. So nothing is found that was only on its way, and no
 * entry escapes by what it says of itself.
 */
export class Comparison {
  readonly #parts: ComparisonParts;
  #suspects = new Set<string>();
  #listed = 0;
  #checked = 0;
  #passes = 1;
  #unsettled = 0;

  constructor(parts: ComparisonParts) {
    this.#parts = parts;
  }

  /** Keys that were compared. */
  get checked(): number {
    return this.#checked;
  }

  /** Looks at an entry, the first included. */
  get passes(): number {
    return this.#passes;
  }

  /** Keys of which nothing can be said. */
  get unsettled(): number {
    return this.#unsettled;
  }

  async run(): Promise<void> {
    const { bucket, expected, signal } = this.#parts;
    const { messages } = await bucket.state();
    for await (const part of expected.parts(signal)) {
      await this.#list(part, Math.max(1, messages) * expected.partCount);
      for (const key of part.unseen()) {
        this.#suspects.add(key);
        if (this.#suspects.size >= MAX_SUSPECTS) await this.#settle();
      }
      await this.#settle();
    }
  }

  /** Clears the entries that are as they should be. */
  async #list(part: ExpectedPart, total: number): Promise<void> {
    const { bucket, signal, onProgress } = this.#parts;
    for await (const batch of bucket.entries({ until: "head", signal })) {
      for (const entry of batch) {
        if (++this.#listed % PROGRESS_EVERY_ENTRIES === 0) {
          onProgress("comparing", Math.min(1, this.#listed / total));
        }
        if (part.holds(entry.key)) this.#look(part, entry);
      }
      if (this.#suspects.size >= MAX_SUSPECTS) await this.#settle();
    }
    onProgress("comparing", Math.min(1, this.#listed / total));
  }

  #look(part: ExpectedPart, entry: BucketEntry): void {
    const { key, deleted } = entry;
    const kind = this.#kindOf(key);
    if (kind === "own") return;
    if (kind === "foreign") {
      if (!deleted) this.#addInjected(entry, undefined, "the projection makes no such key");
    } else if (!part.matches(entry)) this.#suspects.add(key);
    else if (!deleted) this.#checked++;
  }

  /** Whether an entry is one of the state, one of the projector's own, or nobody's. */
  #kindOf(key: string): "state" | "own" | "foreign" {
    if (isDeadLetter(key)) return letterKey.test(key) ? "state" : "foreign";
    if (OWN_KEYS.has(key)) return "own";
    const stateKey = parseBucketKey(key);
    if (stateKey === undefined) return "foreign";
    return this.#parts.tables.has(splitStateKey(stateKey).table) ? "state" : "foreign";
  }

  /** Looks at the suspects again until something can be said of each, a bounded number of times. */
  async #settle(): Promise<void> {
    const { maxPasses, signal, onProgress } = this.#parts;
    if (this.#suspects.size === 0) return;
    const total = this.#suspects.size;
    let waiting = [...this.#suspects];
    this.#suspects = new Set();
    for (let pass = 2; pass <= maxPasses && waiting.length > 0; pass++) {
      this.#passes = Math.max(this.#passes, pass);
      if (pass > 2) await sleep(backoffMs(LAGGING, pass - 2), signal);
      const behind: string[] = [];
      let done = total - waiting.length;
      for (const keys of keyChunks(this.#parts.bucket, waiting, KEYS_AT_ONCE)) {
        onProgress("settling", done / total);
        if (await this.#settleAll(keys)) done += keys.length;
        else behind.push(...keys);
      }
      waiting = behind;
    }
    this.#unsettled += waiting.length;
    onProgress("settling", 1);
  }

  /** Compares keys at the checkpoint that is read with them; false where that is of the past. */
  async #settleAll(keys: readonly string[]): Promise<boolean> {
    const { bucket, expected, advanceTo, timeoutMs, signal } = this.#parts;
    const found = await bucket.fetch([...keys, CHECKPOINT_KEY], { timeoutMs, signal });
    if (!(await advanceTo(this.#checkpointOf(found.get(CHECKPOINT_KEY))))) return false;
    const known = await expected.lookup(keys, signal);
    for (const key of keys) this.#compare(key, found.get(key), known.get(key));
    this.#checked += keys.length;
    return true;
  }

  #checkpointOf(entry: BucketEntry | undefined): Checkpoint {
    if (entry === undefined || entry.deleted) return BEGINNING;
    return decodeCheckpoint(this.#parts.bucket.name, CHECKPOINT_KEY, entry.data);
  }

  #compare(key: string, stored: BucketEntry | undefined, known: Known | undefined): void {
    const { findings } = this.#parts;
    const entry = stored === undefined || stored.deleted ? undefined : stored;
    if (known === undefined || known.cell === TOMBSTONE) {
      if (entry !== undefined) this.#addInjected(entry, known?.position, undefined);
      return;
    }
    const { cell, position, index } = known;
    const about = { ...nameOf(key), expected: cell, position };
    if (entry === undefined) {
      findings.add({ ...about, kind: "missing" });
      return;
    }
    const { value: found, reason: unreadable } = this.#valueOf(entry);
    const place = `${position}.${index}`;
    const named = entryPlace(entry);
    const reason =
      named === place
        ? undefined
        : `its last change is at ${place}, it names ${named ?? "no place"}`;
    if (unreadable === undefined && reason === undefined && sameValue(cell, found)) return;
    findings.add({ ...about, kind: "different", found, reason: unreadable ?? reason });
  }

  #addInjected(entry: BucketEntry, position: number | undefined, note: string | undefined): void {
    const { value: found, reason } = this.#valueOf(entry);
    const why = note ?? reason;
    this.#parts.findings.add({
      ...nameOf(entry.key),
      kind: "injected",
      found,
      position,
      reason: why,
    });
  }

  #valueOf(entry: BucketEntry): { readonly value?: unknown; readonly reason?: string } {
    try {
      return { value: entryValue(entry, this.#parts.expected.format) };
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      return { reason: `its ${entry.data.length} bytes cannot be read: ${cause}` };
    }
  }
}

const letterKey = new RegExp(`^${DEAD_PREFIX}\\.\\d{1,16}\\.\\d{1,9}$`);

/** An entry as a report names it. */
function nameOf(entry: string): Pick<RawFinding, "entry" | "table" | "key"> {
  const stateKey = isDeadLetter(entry) ? undefined : parseBucketKey(entry);
  if (stateKey === undefined) return { entry, key: entry };
  const { table, id } = splitStateKey(stateKey);
  return { entry, table, key: id };
}
