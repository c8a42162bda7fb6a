import { expect, onTestFinished } from "vitest";
import type { EventStore } from "../../../src/index.ts";
import { Bucket } from "../../../src/nats/bucket.ts";
import { internalsOf } from "../../../src/store/internals.ts";
import type { Projection } from "../../../src/projection/index.ts";
import { KvState } from "../../../src/projection/kv-state.ts";
import { Progress } from "../../../src/projection/progress.ts";
import { ProjectorRun } from "../../../src/projection/projector-run.ts";
import type {
  ClaimedState,
  StateBackend,
  UnitResult,
} from "../../../src/projection/state-backend.ts";
import type { Script, ScriptTables } from "./stage.ts";

/** What a test may do to the state between the steps of a projector. */
export interface Interference {
  /** While the keys of a unit are being fetched. */
  duringFetch?(claimed: ClaimedState): void;
  /** Before a unit is stored. */
  beforeCommit?(unit: UnitResult): Promise<void>;
  /** After a unit was stored. */
  afterCommit?(unit: UnitResult): Promise<void>;
}

/** A projector's run on a bucket, with the mirror verified after every batch. */
export class StagedRun {
  readonly progress: Progress;
  readonly run: ProjectorRun<Script, ScriptTables>;
  readonly claimed: ClaimedState;
  readonly state: KvState;

  private constructor(
    progress: Progress,
    run: ProjectorRun<Script, ScriptTables>,
    claimed: ClaimedState,
    state: KvState,
  ) {
    this.progress = progress;
    this.run = run;
    this.claimed = claimed;
    this.state = state;
  }

  static async start(
    store: EventStore<Script>,
    projection: Projection<Script, ScriptTables>,
    options: {
      readonly bucket: string;
      readonly generationEvents?: number;
      readonly maxEvents?: number;
      readonly maxKeys?: number;
      readonly interference?: Interference;
      readonly via?: EventStore<Script>;
    },
  ): Promise<StagedRun> {
    const internals = internalsOf(store);
    const { bucket: name, generationEvents = 5, maxEvents = 3, maxKeys = 900 } = options;
    const { connection } = internalsOf(options.via ?? store).context;
    const bucket = await Bucket.open(connection, { name, timeoutMs: 5_000 });
    const owner = { projection, values: "msgpack", stream: store.stream } as const;
    const state = new KvState({
      bucket,
      owner,
      generationEvents,
      maxBatchBytes: 1 << 20,
      requestTimeoutMs: 5_000,
    });
    const stopping = new AbortController();
    const { signal } = stopping;
    const claimed = await state.claim(signal);
    const progress = new Progress(projection);
    progress.begin(claimed.checkpoint, 0);
    const backend = mirrored(state, claimed, options.interference ?? {});
    const limits = { maxEvents, maxKeys };
    const parts = { internals, projection, backend, progress, limits, batchMs: 0, park: false };
    const run = new ProjectorRun({ ...parts, startAt: undefined, signal }, claimed);
    onTestFinished(async () => {
      stopping.abort(new Error("the test is over"));
      await run.stop();
    });
    return new StagedRun(progress, run, claimed, state);
  }
}

/** The state, whose every batch is followed by a look whether the bucket holds what the cache holds. */
function mirrored(state: KvState, claimed: ClaimedState, interference: Interference): StateBackend {
  const { cache } = claimed;
  return {
    format: state.format,
    limits: state.limits,
    claim: (signal) => state.claim(signal),
    stored: (signal) => state.stored(signal),
    followStored: (signal) => state.followStored(signal),
    fetch: async (keys, signal) => {
      const values = await state.fetch(keys, signal);
      interference.duringFetch?.(claimed);
      return values;
    },
    commit: async (unit, signal) => {
      const cells = [...cache.entries()];
      await interference.beforeCommit?.(unit);
      await state.commit(unit, signal);
      await interference.afterCommit?.(unit);
      expect(await state.verifyMirror(cells, signal)).toEqual([]);
    },
    read: (key, signal) => state.read(key, signal),
    entries: (table, options) => state.entries(table, options),
    watch: (key, signal) => state.watch(key, signal),
    deadLetters: () => state.deadLetters(),
    close: () => state.close(),
  };
}
