import { InvalidArgumentError } from "../errors.ts";
import { BEGINNING, type SharedCheckpoint } from "./checkpoint.ts";
import { Generations } from "./generations.ts";
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

/** The state of a projection in this process alone: built anew from the stream at each start. */
export class MemoryState implements StateBackend {
  readonly format = "msgpack";
  readonly limits: UnitLimits = UNLIMITED;
  readonly #cache = new Generations(Number.POSITIVE_INFINITY);
  readonly #deadLetters: DeadLetter[] = [];

  claim(): Promise<ClaimedState> {
    return Promise.resolve({ checkpoint: BEGINNING, cache: this.#cache });
  }

  stored(): Promise<SharedCheckpoint> {
    return Promise.resolve(BEGINNING);
  }

  async *followStored(): AsyncIterable<SharedCheckpoint> {}

  fetch(): Promise<never> {
    throw new InvalidArgumentError("keys", "none: the cache is the whole state", "some");
  }

  commit({ deadLetters }: UnitResult): undefined {
    for (const letter of deadLetters) this.#deadLetters.push(letter);
  }

  read(key: StateKey): Promise<unknown> {
    return Promise.resolve(this.#cache.get(key));
  }

  async *entries(table: string, options: EntriesOptions): AsyncIterableIterator<StateEntry> {
    const { prefix = "", after, limit = Number.POSITIVE_INFINITY } = options;
    const ids: string[] = [];
    for (const [key] of this.#cache.entries()) {
      const { table: of, id } = splitStateKey(key);
      if (of === table && id.startsWith(prefix) && (after === undefined || id > after))
        ids.push(id);
    }
    ids.sort();
    let left = limit;
    for (const id of ids) {
      const value = this.#cache.get(`${table}.${id}`);
      if (left-- <= 0) return;
      if (value !== undefined) yield { id, value, position: undefined };
    }
  }

  watch(): AsyncIterableIterator<WatchedEntry> {
    throw new InvalidArgumentError("watch", "state in a bucket", "state in memory");
  }

  deadLetters(): Promise<readonly DeadLetter[]> {
    return Promise.resolve([...this.#deadLetters]);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
