import { setTimeout as delay } from "node:timers/promises";
import type { EventStore } from "../../src/index.ts";
import { Bucket, type BucketEntry } from "../../src/nats/bucket.ts";
import { CHECKPOINT_KEY } from "../../src/projection/checkpoint-writer.ts";
import { decodeCheckpoint, type StoredCheckpoint } from "../../src/projection/checkpoint.ts";
import { parseBucketKey, bucketKeyOf, splitStateKey } from "../../src/projection/state-key.ts";
import { decodeValue } from "../../src/projection/value-codec.ts";
import { internalsOf } from "../../src/store/internals.ts";
import { randomKeys, type Script, type Step, SumsFold } from "./projector-sums.ts";
import { eventually } from "./server.ts";

/** The whole state of `sums` as it stood with a checkpoint. */
export interface Snapshot {
  readonly checkpoint: StoredCheckpoint;
  /** Values by id, by table. */
  readonly state: Record<string, unknown>;
}

/** An event of the stream, as a step with its place. */
export interface PlacedStep {
  readonly position: number;
  readonly index: number;
  readonly step: Step;
}

const LOOK_EVERY_MS = 5;
const BOUNDS = { timeoutMs: 20_000 };

/** Looks at the bucket of `sums`: at all keys and the checkpoint in one answer, which is of one moment. */
export class Witness {
  /** One for each checkpoint that was seen, oldest first. */
  readonly snapshots: Snapshot[] = [];
  readonly #bucket: Bucket;
  readonly #keys: readonly string[];
  #sequence = 0;
  #watching: Promise<void> | undefined;
  #stopped = false;

  private constructor(bucket: Bucket) {
    const ids = randomKeys();
    this.#bucket = bucket;
    const keys = ["sum", "moves"].flatMap((table) => ids.map((id) => `${table}.${id}` as const));
    this.#keys = [...keys.map(bucketKeyOf), CHECKPOINT_KEY];
  }

  /** @param name of the bucket of the projection's version; created where it does not exist */
  static async open(store: EventStore<Script>, name: string): Promise<Witness> {
    const { connection } = internalsOf(store).context;
    return new Witness(await Bucket.open(connection, { name, timeoutMs: 20_000 }));
  }

  /** Events applied, by the last checkpoint that was seen. */
  get applied(): number {
    return this.snapshots.at(-1)?.checkpoint.applied ?? 0;
  }

  /** What stands there now; undefined while there is no checkpoint. */
  async look(): Promise<Snapshot | undefined> {
    const found = await this.#fetch();
    const checkpoint = found.get(CHECKPOINT_KEY);
    if (checkpoint === undefined) return undefined;
    const snapshot = {
      checkpoint: decodeCheckpoint(this.#bucket.name, CHECKPOINT_KEY, checkpoint.data),
      state: stateOf(found),
    };
    if (checkpoint.sequence > this.#sequence) this.snapshots.push(snapshot);
    this.#sequence = checkpoint.sequence;
    return snapshot;
  }

  /** Keeps looking until {@link stop}. */
  watch(): void {
    this.#watching ??= this.#watch();
  }

  /** @throws what a look threw */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#watching;
  }

  /** Any replica answers, and one may lag: only what shows at least the checkpoint that the leader has is of now. */
  async #fetch(): Promise<ReadonlyMap<string, BucketEntry>> {
    const bucket = this.#bucket;
    if (!bucket.replicated) return bucket.fetch(this.#keys, BOUNDS);
    const standing = (await bucket.leaderGet(CHECKPOINT_KEY, BOUNDS))?.sequence ?? 0;
    return eventually(async () => {
      const found = await bucket.fetch(this.#keys, BOUNDS);
      if ((found.get(CHECKPOINT_KEY)?.sequence ?? 0) >= standing) return found;
      throw new Error("the replica that answered lags");
    }, BOUNDS);
  }

  async #watch(): Promise<void> {
    while (!this.#stopped) {
      await this.look();
      await delay(LOOK_EVERY_MS);
    }
  }
}

function stateOf(found: ReadonlyMap<string, BucketEntry>): Record<string, unknown> {
  const tables: Record<string, Record<string, unknown>> = { sum: {}, moves: {} };
  for (const entry of found.values()) {
    const key = parseBucketKey(entry.key);
    if (key === undefined || entry.deleted) continue;
    const { table, id } = splitStateKey(key);
    const values = tables[table];
    if (values !== undefined) values[id] = decodeValue(entry.data, "msgpack");
  }
  return tables;
}

/** All that `sums` is made of, in stream order. */
export async function readSteps(store: EventStore<Script>): Promise<PlacedStep[]> {
  const steps: PlacedStep[] = [];
  for await (const event of store.readAll({ actorType: "script" })) {
    const { position, index } = event;
    steps.push({ position, index, step: event });
  }
  return steps;
}

/** What a fold of the stream up to exactly the checkpoints gives; the snapshots oldest first. */
export function* foldsAt(
  snapshots: readonly Snapshot[],
  steps: readonly PlacedStep[],
): Generator<Snapshot> {
  const folded = new SumsFold();
  let at = 0;
  for (const { checkpoint } of snapshots) {
    const { position, taken } = checkpoint;
    for (; at < steps.length; at++) {
      const next = steps[at];
      if (next === undefined || next.position > position) break;
      if (next.position === position && next.index >= taken) break;
      folded.apply(next.step);
    }
    yield { checkpoint: { ...checkpoint, applied: at }, state: folded.state };
  }
}
