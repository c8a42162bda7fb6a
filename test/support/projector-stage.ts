import { EventStore } from "../../src/index.ts";
import {
  kvState,
  type KvStateSettings,
  type Projector,
  startProjector,
} from "../../src/projection/index.ts";
import { type Script, type ScriptTables, type Step, sums } from "./projector-sums.ts";

export type SumsProjector = Projector<Script, ScriptTables>;

/** A store that finds its server again at once, and waits for it. */
export function openPatient(
  url: string,
  stream: string,
  readTimeoutMs = 30_000,
): Promise<EventStore<Script>> {
  return EventStore.connect<Script>({
    servers: url,
    stream,
    reconnectTimeWait: 20,
    reconnectJitter: 10,
    appendTimeoutMs: 30_000,
    ackTimeoutMs: 500,
    readTimeoutMs,
    identityCheckMs: 200,
  });
}

/** A projector of `sums` that has to fetch most of what it needs, in small batches. */
export function startSums(
  store: EventStore<Script>,
  bucket: string,
  settings: Partial<KvStateSettings> & { readonly maxBatchEvents?: number } = {},
): Promise<SumsProjector> {
  const { maxBatchEvents = 2, ...others } = settings;
  const state = kvState({ bucket, generationEvents: 2, requestTimeoutMs: 300, ...others });
  return startProjector(store, sums(), { state, maxBatchEvents });
}

/** Appends to one actor; gives the position. */
export async function append(store: EventStore<Script>, ...steps: Step[]): Promise<number> {
  const { position } = await store.append({ type: "script", id: "one" }, steps, {
    expectedVersion: "any",
  });
  return position;
}

export const added = (key: string, n: number): Step => ({ type: "Added", data: { key, n } });

/** Why a projector ended; `"closed"` where it was closed. */
export function endOf({ ended }: SumsProjector): Promise<unknown> {
  return ended.then(
    () => "closed",
    (error: unknown) => error,
  );
}
