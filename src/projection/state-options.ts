/** State in this process alone, built anew from the stream at each start. Made by {@link memoryState}. */
export interface MemoryStateOptions {
  readonly kind: "memory";
}

/** Keeps the state in memory: the fastest, for state that fits and a stream that is quick to replay. */
export function memoryState(): MemoryStateOptions {
  return { kind: "memory" };
}

/** Where a projector keeps its state. */
export type StateOptions = MemoryStateOptions;
