import { jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, expect, it } from "vitest";
import { EventStore } from "../../src/index.ts";
import { Bucket, type BucketChange } from "../../src/nats/bucket.ts";
import { kvState, openTables, startProjector } from "../../src/projection/index.ts";
import { CHECKPOINT_KEY } from "../../src/projection/checkpoint-writer.ts";
import { KvReader } from "../../src/projection/kv-reader.ts";
import { encodeValue } from "../../src/projection/value-codec.ts";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { internalsOf } from "../../src/store/internals.ts";
import { appendSteps, type Script, sums } from "../support/projector-sums.ts";
import { eventually, freshStream } from "../support/server.ts";
import { answerTo, startWire } from "../support/wire.ts";

const TIMEOUT_MS = 20_000;

let cluster: NatsServer;

beforeAll(async () => {
  cluster = await startServer({ cluster: 3, sync: "default" });
});

afterAll(() => cluster.stop());

function nodeUrl(): string {
  const [node] = cluster.nodes;
  if (node === undefined) throw new Error("a cluster has nodes");
  return node.url;
}

function open(url: string, stream: string): Promise<EventStore<Script>> {
  const servers = url;
  return EventStore.connect<Script>({ servers, stream, replicas: 3, ignoreClusterUpdates: true });
}

function bucketOf(store: EventStore<Script>, name: string): Promise<Bucket> {
  const { connection } = internalsOf(store).context;
  return Bucket.open(connection, { name, replicas: 3, timeoutMs: TIMEOUT_MS });
}

/** Writes one value at some keys, as one batch with the checkpoint. @returns the checkpoint's sequence */
async function commit(
  bucket: Bucket,
  keys: readonly string[],
  value: unknown,
  expectedSequence: number,
): Promise<number> {
  const data = encodeValue(value, "msgpack");
  const changes = keys.map((key): BucketChange => ({ key, data }));
  const guard = { key: CHECKPOINT_KEY, data: Buffer.from("{}"), expectedSequence };
  const outcome = await bucket.commit(changes, guard, TIMEOUT_MS);
  if (outcome.kind !== "stored") throw new Error(`commit: ${outcome.kind}`);
  return outcome.sequence;
}

async function list(reader: KvReader, table: string): Promise<unknown[]> {
  const values: unknown[] = [];
  for await (const { value } of reader.entries(table, {})) values.push(value);
  return values;
}

it("K15 lists no entries that are older than what the reader has seen", async () => {
  await using wire = await startWire(nodeUrl());
  const stream = freshStream();
  await using store = await open(cluster.url, stream);
  await using far = await open(wire.url, stream);
  const own = await bucketOf(store, freshStream("state"));
  const bucket = await bucketOf(far, own.name);
  const first = await commit(own, ["sum.a", "sum.b", "sum.c"], 1, 0);
  const reader = new KvReader(bucket, "msgpack", TIMEOUT_MS);
  reader.seen(first);
  expect(await list(reader, "sum")).toEqual([1, 1, 1]);
  // The answer is on its way, and is overtaken, as that of a replica which lags.
  const held = wire.hold(answerTo(/DIRECT\.GET/));
  const listing = list(reader, "sum");
  await held.reached();
  reader.seen(await commit(own, ["sum.a", "sum.b", "sum.c"], 2, first));
  held.release();
  expect(await listing).toEqual([2, 2, 2]);
});

it("lists what the leader has where all answers are older than what the reader has seen", async () => {
  const stream = freshStream();
  await using store = await open(cluster.url, stream);
  const bucket = await bucketOf(store, freshStream("state"));
  const sequence = await commit(bucket, ["sum.a", "sum.b"], 1, 0);
  const reader = new KvReader(bucket, "msgpack", TIMEOUT_MS);
  reader.seen(sequence + 100);
  expect(await list(reader, "sum")).toEqual([1, 1]);
});

it("shows nothing that is older than the version was when it was opened for reading", async () => {
  await using wire = await startWire(nodeUrl());
  const stream = freshStream();
  await using store = await open(cluster.url, stream);
  await using far = await open(wire.url, stream);
  const name = freshStream("state");
  const state = kvState({ bucket: name, replicas: 3 });
  const position = await appendSteps(store, [{ type: "Added", data: { key: "a", n: 1 } }]);
  const projector = await startProjector(store, sums(), { state });
  await projector.waitFor(position);
  await projector.close();
  await using reader = await openTables(far, sums(), { state });
  // From now on each replica shows less than stood there when the reader was opened.
  const manager = await jetstreamManager(internalsOf(store).context.connection.nc);
  await manager.streams.purge(`KV_${name}_v1`, { filter: `$KV.${name}_v1._checkpoint` });
  wire.reset();
  await eventually(async () => {
    expect(await reader.tables.sum.get("a")).toBe(1);
    expect(wire.count(/STREAM\.MSG\.GET/)).toBeGreaterThan(0);
  });
});
