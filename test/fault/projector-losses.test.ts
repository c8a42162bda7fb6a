import { jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type EventStore, StreamRolledBackError } from "../../src/index.ts";
import { CorruptStateError } from "../../src/projection/index.ts";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { backUp } from "../integration/store/stream-backup.ts";
import { added, append, endOf, openPatient, startSums } from "../support/projector-stage.ts";
import { appendSteps, fold, randomSteps, type Script } from "../support/projector-sums.ts";
import { foldsAt, readSteps, Witness } from "../support/projector-witness.ts";
import { freshStream } from "../support/server.ts";

let server: NatsServer;
let nc: NatsConnection;
let store: EventStore<Script>;
let stream: string;
let bucket: string;
/** The stream of the bucket. */
let kvStream: string;

beforeEach(async () => {
  server = await startServer();
  nc = await connect({ servers: server.url });
  stream = freshStream();
  store = await openPatient(server.url, stream);
  bucket = freshStream("state");
  kvStream = `KV_${bucket}_v1`;
});

afterEach(async () => {
  await store.close();
  await nc.close();
  await server.stop();
});

async function deleteStream(name: string): Promise<void> {
  const manager = await jetstreamManager(nc);
  await manager.streams.delete(name);
}

/** Writes into the stream by way of a process that knows nothing of what was there before. */
async function writeAnew(count: number): Promise<void> {
  await using other = await openPatient(server.url, stream);
  await appendSteps(other, randomSteps(count, 7));
}

/** The state is the fold of what was applied before, not of anything that came later. */
async function expectUntouched(before: Awaited<ReturnType<Witness["look"]>>): Promise<void> {
  const after = await (await Witness.open(store, `${bucket}_v1`)).look();
  expect(after?.state).toEqual(before?.state);
  expect(after?.checkpoint).toMatchObject({
    position: before?.checkpoint.position,
    commitId: before?.checkpoint.commitId,
    applied: before?.checkpoint.applied,
  });
}

describe("a stream that becomes another one under a running projector", () => {
  it.each([5, 60, 200])(
    "K27 ends it with a rollback where it was deleted and recreated with %i events",
    async (count) => {
      await appendSteps(store, randomSteps(60, 1));
      const projector = await startSums(store, bucket);
      await projector.caughtUp();
      const before = await (await Witness.open(store, `${bucket}_v1`)).look();
      await deleteStream(stream);
      await writeAnew(count);
      const end = await endOf(projector);
      expect(end).toBeInstanceOf(StreamRolledBackError);
      expect(projector.status()).toMatchObject({ phase: "failed", error: end });
      await expectUntouched(before);
      await projector.close();
      await using later = await openPatient(server.url, stream);
      await using again = await startSums(later, bucket);
      expect(await endOf(again)).toBeInstanceOf(StreamRolledBackError);
      await expectUntouched(before);
    },
  );

  it.each([0, 30, 200])(
    "K27 ends it with a rollback where a backup was restored and %i other events followed",
    async (count) => {
      await appendSteps(store, randomSteps(60, 1));
      const backup = await backUp(nc, stream);
      const projector = await startSums(store, bucket);
      await projector.waitFor(await appendSteps(store, randomSteps(40, 2)));
      const before = await (await Witness.open(store, `${bucket}_v1`)).look();
      await deleteStream(stream);
      await backup.restore();
      if (count > 0) await writeAnew(count);
      const end = await endOf(projector);
      expect(end).toBeInstanceOf(StreamRolledBackError);
      await expectUntouched(before);
      await projector.close();
      await using later = await openPatient(server.url, stream);
      await using again = await startSums(later, bucket);
      expect(await endOf(again)).toBeInstanceOf(StreamRolledBackError);
      await expectUntouched(before);
    },
  );

  it("K27 ends it where it catches up, with nothing skipped", async () => {
    await appendSteps(store, randomSteps(600, 1));
    const steps = await readSteps(store);
    const backup = await backUp(nc, stream);
    const projector = await startSums(store, bucket);
    const witness = await Witness.open(store, `${bucket}_v1`);
    await appendSteps(store, randomSteps(3, 2));
    await projector.waitFor(100);
    await deleteStream(stream);
    await backup.restore();
    const end = await endOf(projector);
    await witness.look();
    const [expected] = [...foldsAt(witness.snapshots, steps)];
    expect(witness.snapshots[0]).toEqual(expected);
    expect(end).toBeInstanceOf(StreamRolledBackError);
    await projector.close();
  });
});

describe("a bucket that is lost under a running projector", () => {
  it.each(["before it fetches", "before it writes"] as const)(
    "ends it with a clear error where it is deleted, %s",
    async (when) => {
      const projector = await startSums(store, bucket);
      await projector.waitFor(await append(store, added("a", 1)));
      await deleteStream(kvStream);
      // A key that is cached is not fetched.
      await append(store, added(when === "before it fetches" ? "b" : "a", 1));
      const end = await endOf(projector);
      expect(String(end)).toContain(kvStream);
      expect(end).toMatchObject({ code: "stream_not_found" });
      await projector.close();
    },
  );

  it.each(["before it fetches", "before it writes"] as const)(
    "ends it with a clear error where it is deleted and made anew, %s",
    async (when) => {
      const projector = await startSums(store, bucket);
      await projector.waitFor(await append(store, added("a", 1)));
      await deleteStream(kvStream);
      await Witness.open(store, `${bucket}_v1`);
      // A key that is cached is not fetched.
      await append(store, added(when === "before it fetches" ? "b" : "a", 1));
      const end = await endOf(projector);
      expect(end).toBeInstanceOf(CorruptStateError);
      expect(end).toMatchObject({ bucket: `${bucket}_v1`, key: "_checkpoint" });
      expect(String(end)).toContain("deleted or restored");
      await projector.close();
    },
  );

  it("ends it with a clear error where it is put back to an earlier state", async () => {
    const projector = await startSums(store, bucket);
    await projector.waitFor(await append(store, added("a", 1), added("b", 1), added("c", 1)));
    const backup = await backUp(nc, kvStream);
    await projector.waitFor(await append(store, added("a", 1), added("b", 1), added("c", 1)));
    await deleteStream(kvStream);
    await backup.restore();
    await append(store, added("d", 1));
    expect(await endOf(projector)).toBeInstanceOf(CorruptStateError);
    await projector.close();
  });
});

describe("a bucket that is full", () => {
  it("ends the projector with an error that names it, and holds whole batches only", async () => {
    const steps = randomSteps(600, 3);
    await appendSteps(store, steps.slice(0, 60));
    const projector = await startSums(store, bucket, { maxBatchEvents: 20 });
    await projector.caughtUp();
    const manager = await jetstreamManager(nc);
    const info = await manager.streams.info(kvStream);
    const limit = info.state.bytes + 700;
    await manager.streams.update(kvStream, { ...info.config, max_bytes: limit });
    const witness = await Witness.open(store, `${bucket}_v1`);
    await appendSteps(store, steps.slice(60));
    const end = await endOf(projector);
    expect(String(end)).toContain(`bucket ${bucket}_v1`);
    expect(String(end)).toContain("maximum bytes");
    await projector.close();
    await witness.look();
    const [expected] = [...foldsAt(witness.snapshots, await readSteps(store))];
    expect(witness.snapshots[0]).toEqual(expected);

    await manager.streams.update(kvStream, { ...info.config, max_bytes: -1 });
    const again = await startSums(store, bucket);
    await again.caughtUp();
    expect((await witness.look())?.state).toEqual(fold(steps));
    await again.close();
  });
});
