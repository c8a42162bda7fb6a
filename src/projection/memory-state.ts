import { InvalidArgumentError } from "../errors.ts";
import { BEGINNING, type SharedCheckpoint } from "./checkpoint.ts";
import { Generations, TOMBSTONE } from "./generations.ts";
import type { Snapshots } from "./snapshots.ts";
import type {
  ClaimedState,
  DeadLetter,
  EntriesOptions,
  StateBackend,
  StateEntry,
  UnitResult,
  WatchedEntry,
} from "./state-backend.ts";
import { splitStateKey, type StateKey } from "./state-key.ts";
import type { UnitLimits } from "./work-unit.ts";

const UNLIMITED: UnitLimits = {
  maxKeys: Number.POSITIVE_INFINITY,
  maxBytes: Number.POSITIVE_INFINITY,
  maxValueBytes: Number.POSITIVE_INFINITY,
};

/** The state of a projection in this process alone: at each start restored from a snapshot, or built from the stream. */
export class MemoryState implements StateBackend {
  readonly format = "msgpack";
  readonly limits: UnitLimits = UNLIMITED;
  readonly #snapshots: Snapshots | undefined;
  readonly #deadLetters: DeadLetter[] = [];
  #cache = new Generations(Number.POSITIVE_INFINITY);
  /** How far the cache is, at the end of a unit. */
  #checkpoint = BEGINNING;

  /** @param snapshots undefined = none are restored or written */
  constructor(snapshots: Snapshots | undefined) {
    this.#snapshots = snapshots;
  }

  async claim(signal: AbortSignal): Promise<ClaimedState> {
    const restored = await this.#snapshots?.restore(signal);
    if (restored !== undefined) {
      this.#cache = restored.cache;
      this.#checkpoint = restored.checkpoint;
      for (const letter of restored.deadLetters) this.#deadLetters.push(letter);
    }
    return { checkpoint: this.#checkpoint, cache: this.#cache };
  }

  stored(): Promise<SharedCheckpoint> {
    return Promise.resolve(this.#checkpoint);
  }

  async *followStored(): AsyncIterable<SharedCheckpoint> {}

  fetch(): Promise<never> {
    throw new InvalidArgumentError("keys", "none: the cache is the whole state", "some");
  }

  /** Called when a unit was applied and nothing behind it: here the cache is what the checkpoint says. */
  commit({ deadLetters, checkpoint }: UnitResult, signal: AbortSignal): undefined {
    for (const letter of deadLetters) this.#deadLetters.push(letter);
    this.#checkpoint = checkpoint;
    this.#snapshots?.passed(this.#state(), signal);
  }

  read(key: StateKey): Promise<unknown> {
    return Promise.resolve(this.#value(key));
  }

  async *entries(table: string, options: EntriesOptions): AsyncIterableIterator<StateEntry> {
    const { prefix = "", after, limit = Number.POSITIVE_INFINITY } = options;
    const ids: string[] = [];
    for (const [key, cell] of this.#cache.entries()) {
      if (cell === TOMBSTONE) continue;
      const { table: of, id } = splitStateKey(key);
      if (of === table && id.startsWith(prefix) && (after === undefined || id > after))
        ids.push(id);
    }
    ids.sort();
    let left = limit;
    for (const id of ids) {
      if (left <= 0) return;
      const value = this.#value(`${table}.${id}`);
      if (value === undefined) continue;
      left--;
      yield { id, value, position: undefined };
    }
  }

  watch(): AsyncIterableIterator<WatchedEntry> {
    throw new InvalidArgumentError("watch", "state in a bucket", "state in memory");
  }

  deadLetters(): Promise<readonly DeadLetter[]> {
    return Promise.resolve([...this.#deadLetters]);
  }

  async close(signal: AbortSignal): Promise<void> {
    await this.#snapshots?.close(this.#state(), signal);
  }

  #state(): Parameters<Snapshots["passed"]>[0] {
    const [cache, checkpoint, deadLetters] = [this.#cache, this.#checkpoint, this.#deadLetters];
    return { cache, checkpoint, deadLetters };
  }

  #value(key: string): unknown {
    const cell = this.#cache.get(key);
    return cell === TOMBSTONE ? undefined : cell;
  }
}
