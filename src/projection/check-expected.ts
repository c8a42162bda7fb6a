import { sameValue } from "../internal/same-value.ts";
import type { BucketEntry } from "../nats/bucket.ts";
import { DEAD_PREFIX } from "./dead-letters.ts";
import { type Cell, Generations, TOMBSTONE } from "./generations.ts";
import { POSITION_HEADER } from "./kv-reader.ts";
import type { ValueFormat } from "./plain-value.ts";
import type { DeadLetter, StateBackend } from "./state-backend.ts";
import { bucketKeyOf, type StateKey } from "./state-key.ts";
import { decodeValue } from "./value-codec.ts";

/** What the stream says of a key. */
export interface Known {
  /** Its value, or that it was deleted. */
  readonly cell: Cell;
  /** Place of the event that changed it last. */
  readonly position: number;
  readonly index: number;
}

/** The expected entries of those keys that belong to one part of the key space. All keys are those of the bucket. */
export interface ExpectedPart {
  holds(key: string): boolean;
  /** Whether a stored entry of this part is as expected; from then on its key counts as seen. */
  matches(entry: BucketEntry): boolean;
  /** Keys that are to have a value, and were not seen. */
  unseen(): Iterable<string>;
}

/** The state as it is derived from the stream. */
export interface ExpectedState
  extends Pick<StateBackend, "format" | "limits" | "fetch" | "commit"> {
  /** Keeps the values that were touched last at hand. */
  readonly cache: Generations;
  /** Keys that one unit of work may fetch. */
  readonly maxFetchKeys: number;
  /** What is known of these keys of the bucket, where anything is. */
  lookup(keys: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, Known>>;
  /** The state as it is now, part by part. */
  parts(signal: AbortSignal): AsyncIterable<ExpectedPart>;
  /** How many parts there are, once the first is there. */
  readonly partCount: number;
  close(): Promise<void>;
}

/** A value as an entry holds it. @throws {Error} where its bytes are none */
export function entryValue({ key, data }: BucketEntry, format: ValueFormat): unknown {
  return isDeadLetter(key) ? readLetter(data) : decodeValue(data, format);
}

/** The place that an entry names as that of its last change: `<position>.<index>`. */
export function entryPlace({ key, headers }: BucketEntry): string | undefined {
  return isDeadLetter(key) ? key.slice(DEAD_PREFIX.length + 1) : headers.get(POSITION_HEADER);
}

/** Whether a key is that of an event which was set aside. */
export function isDeadLetter(key: string): boolean {
  return key.startsWith(`${DEAD_PREFIX}.`);
}

/** The reason is left out: JavaScript engines word it differently. */
function readLetter(data: Uint8Array): unknown {
  const letter: unknown = JSON.parse(Buffer.from(data).toString());
  if (typeof letter !== "object" || letter === null) throw new Error("it is no object");
  return Object.fromEntries(Object.entries(letter).filter(([name]) => name !== "reason"));
}

/** Key and value of an event that was set aside. */
function letterEntry(letter: DeadLetter): [key: string, value: unknown] {
  const { position, index, id, type, actor } = letter;
  return [`${DEAD_PREFIX}.${position}.${index}`, { position, index, id, type, actor }];
}

interface Remembered extends Known {
  seen: boolean;
}

/** Events whose keys are kept at hand; any number will do, what is behind them is in memory too. */
const GENERATION_EVENTS = 50_000;

/** The expected state in memory, with the place of each key's last change, of deleted keys too. */
export class ExpectedInMemory implements ExpectedState, ExpectedPart {
  readonly format: ValueFormat;
  readonly limits: StateBackend["limits"];
  readonly cache: Generations = new Generations(GENERATION_EVENTS);
  readonly maxFetchKeys: number = Number.MAX_SAFE_INTEGER;
  readonly partCount: number = 1;
  readonly #known = new Map<string, Remembered>();

  constructor({ format, limits }: Pick<StateBackend, "format" | "limits">) {
    this.format = format;
    this.limits = limits;
  }

  /** Keys that are remembered. */
  get size(): number {
    return this.#known.size;
  }

  fetch(keys: readonly StateKey[]): Promise<ReadonlyMap<StateKey, unknown>> {
    const values = new Map<StateKey, unknown>();
    for (const key of keys) {
      const cell = this.#known.get(bucketKeyOf(key))?.cell;
      if (cell !== undefined && cell !== TOMBSTONE) values.set(key, cell);
    }
    return Promise.resolve(values);
  }

  commit({ changes, deadLetters }: Parameters<StateBackend["commit"]>[0]): undefined {
    for (const { key, cell, position, index } of changes) {
      this.#remember(bucketKeyOf(key), cell, position, index);
    }
    for (const letter of deadLetters) {
      const [key, value] = letterEntry(letter);
      this.#remember(key, value, letter.position, letter.index);
    }
  }

  lookup(keys: readonly string[]): Promise<ReadonlyMap<string, Known>> {
    const found = new Map<string, Known>();
    for (const key of keys) {
      const known = this.#known.get(key);
      if (known !== undefined) found.set(key, known);
    }
    return Promise.resolve(found);
  }

  async *parts(): AsyncIterableIterator<ExpectedPart> {
    yield await Promise.resolve(this);
  }

  holds(): boolean {
    return true;
  }

  matches(entry: BucketEntry): boolean {
    const known = this.#known.get(entry.key);
    if (known !== undefined) known.seen = true;
    if (entry.deleted) return known === undefined || known.cell === TOMBSTONE;
    if (known === undefined || known.cell === TOMBSTONE) return false;
    if (entryPlace(entry) !== `${known.position}.${known.index}`) return false;
    try {
      return sameValue(known.cell, entryValue(entry, this.format));
    } catch {
      return false;
    }
  }

  *unseen(): IterableIterator<string> {
    for (const [key, { cell, seen }] of this.#known) {
      if (!seen && cell !== TOMBSTONE) yield key;
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #remember(key: string, cell: Cell, position: number, index: number): void {
    const seen = this.#known.get(key)?.seen ?? false;
    this.#known.set(key, { cell, position, index, seen });
  }
}
