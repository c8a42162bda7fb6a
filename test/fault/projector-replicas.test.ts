import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EventStore } from "../../src/index.ts";
import { Bucket } from "../../src/nats/bucket.ts";
import { kvState, startProjector } from "../../src/projection/index.ts";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { internalsOf } from "../../src/store/internals.ts";
import { StagedRun } from "../integration/projection/kv-stage.ts";
import { pauseServer } from "../support/fault-pause.ts";
import { gatherLeaders } from "../support/projector-cluster.ts";
import {
  appendSteps,
  fold,
  randomKeys,
  randomSteps,
  type Script,
  type Step,
  sums,
} from "../support/projector-sums.ts";
import { Witness } from "../support/projector-witness.ts";
import { freshStream } from "../support/server.ts";

const SEED = Number(process.env["ANNAL_FAULT_SEED"] ?? Date.now() % 1_000_000);
const MAX_ROUNDS = 12;
const ENOUGH_REFUSED = 3;
/** Events that the follower misses, and those that are applied while it catches up. */
const MISSED = 150;
const LATER = 20;
/** What the follower has to take before those, so that it lags for a while. */
const BALLAST = { entries: 60, bytes: 512 * 1024 };
/** Five keys: what the follower missed changed all of them. */
const KEYS = 1;

let cluster: NatsServer;

beforeAll(async () => {
  cluster = await startServer({ cluster: 3, sync: "default" });
});

afterAll(() => cluster.stop());

function openAt(node: NatsServer, stream: string): Promise<EventStore<Script>> {
  const servers = node.url;
  return EventStore.connect<Script>({ servers, stream, replicas: 3, ignoreClusterUpdates: true });
}

/** A stream and a bucket, both led by a node that can be relied on. */
async function openStage() {
  const stream = freshStream();
  const bucket = freshStream("state");
  const name = `${bucket}_v1`;
  const [first] = cluster.nodes;
  if (first === undefined) throw new Error("a cluster has nodes");
  await using founder = await openAt(first, stream);
  const { connection } = internalsOf(founder).context;
  await Bucket.open(connection, { name, replicas: 3, timeoutMs: 20_000 });
  const { leader, follower } = await gatherLeaders(cluster, [stream, `KV_${name}`]);
  const store = await openAt(leader, stream);
  const steps: Step[] = [];
  const append = (more: readonly Step[]): Promise<number> => {
    steps.push(...more);
    return appendSteps(store, more);
  };
  const appendRandom = (count: number): Promise<number> =>
    append(randomSteps(count, SEED + steps.length, KEYS));
  const own = await Bucket.open(internalsOf(store).context.connection, { name, timeoutMs: 20_000 });
  const data = new Uint8Array(BALLAST.bytes);
  const ballast = async (): Promise<void> => {
    for (let n = 0; n < BALLAST.entries; n++) {
      const outcome = await own.put({ key: "ballast", data }, undefined, 20_000);
      expect(outcome.kind).toBe("stored");
    }
  };
  return { ballast, stream, bucket, name, follower, store, steps, append, appendRandom };
}

describe("a projector whose reads a lagging replica answers", () => {
  it(`K15 takes no old value from it (seed ${SEED})`, async () => {
    const { stream, bucket, name, follower, store, steps, append, appendRandom, ballast } =
      await openStage();
    await using near = await openAt(follower, stream);
    await append(randomKeys(KEYS).map((key) => ({ type: "Added", data: { key, n: 1 } })));
    let refused = 0;
    for (let round = 0; refused < ENOUGH_REFUSED && round < MAX_ROUNDS; round++) {
      // This one has all in its cache, so that it needs no answer of the paused follower.
      const state = kvState({ bucket, replicas: 3 });
      const projector = await startProjector(store, sums(), { state, maxBatchEvents: 2 });
      await projector.waitFor(await appendRandom(20));
      await pauseServer(follower);
      await ballast();
      await projector.waitFor(await appendRandom(MISSED));
      await projector.close();
      const position = await appendRandom(LATER);
      await follower.resume();
      const limits = { generationEvents: 2, maxEvents: 2 };
      const staged = await StagedRun.start(near, sums(), { bucket: name, ...limits });
      const running = staged.run.run();
      await Promise.race([staged.progress.reached(position, undefined), running]);
      await staged.run.stop();
      await running;
      refused += staged.state.laggingAnswers;
    }
    const witness = await Witness.open(store, name);
    expect((await witness.look())?.state, `seed ${SEED}`).toEqual(fold(steps));
    expect(refused).toBeGreaterThan(0);
    await store.close();
  }, 120_000);

  it("does not keep those waiting who read a bucket that was deleted and made anew", async () => {
    const { bucket, name, store, append } = await openStage();
    const state = kvState({ bucket, replicas: 3 });
    const projector = await startProjector(store, sums(), { state });
    await projector.waitFor(await append([{ type: "Added", data: { key: "a", n: 1 } }]));
    expect(await projector.tables.sum.get("a")).toBe(1);
    const { connection } = internalsOf(store).context;
    const options = { name, replicas: 3, timeoutMs: 20_000 };
    await (await Bucket.open(connection, options)).destroy();
    await Bucket.open(connection, options);
    expect(await projector.tables.sum.get("a")).toBeUndefined();
    await projector.close();
    await store.close();
  });
});
