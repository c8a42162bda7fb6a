import { InvalidArgumentError } from "../errors.ts";
import type { EncodedAppend } from "./append-input.ts";
import type { StoreContext } from "./context.ts";
import type { EventMap } from "./event.ts";
import type { EventStore } from "./event-store.ts";
import type { Heads } from "./heads.ts";
import type { HistoryReader } from "./history-reader.ts";
import type { Interpreter } from "./interpreter.ts";
import type { AppendResult } from "./writer.ts";

/** What the layers above the store share with it. */
export interface StoreInternals {
  readonly context: StoreContext;
  readonly interpreter: Interpreter<EventMap>;
  readonly history: HistoryReader;
  readonly heads: Heads;
  /** Appends what is packed already: see {@link EncodedAppend}. */
  readonly appendEncoded: (append: EncodedAppend, timeoutMs?: number) => Promise<AppendResult>;
  /** The same for several actors, all or nothing, each once; ids and headers are those of the first. */
  readonly appendAllEncoded: (
    appends: readonly [EncodedAppend, ...EncodedAppend[]],
    timeoutMs?: number,
  ) => Promise<readonly AppendResult[]>;
}

const internals = new WeakMap<object, StoreInternals>();

export function keepInternals(store: object, parts: StoreInternals): void {
  internals.set(store, parts);
}

/** The parts of an open store, for the layers above it; not for users, whose stores come from `connect` and `open`. */
export function internalsOf<Events extends EventMap>(store: EventStore<Events>): StoreInternals {
  const found = internals.get(store);
  if (found === undefined) throw new InvalidArgumentError("store", "an EventStore", store);
  return found;
}
