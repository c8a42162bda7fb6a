import { expect, it } from "vitest";
import { Bucket } from "../../../src/nats/bucket.ts";
import { CorruptStateError, ProjectorFencedError } from "../../../src/projection/index.ts";
import { readSnapshot } from "../../../src/projection/snapshot-reader.ts";
import { SnapshotWriter } from "../../../src/projection/snapshot-writer.ts";
import { internalsOf } from "../../../src/store/internals.ts";
import { natsUrl } from "../../support/server.ts";
import { publishTo, startWire } from "../../support/wire.ts";
import { makeNarrowBucket } from "./snapshot-stage.ts";
import { freshBucket, openScripts } from "./stage.ts";

/** So many that they take several batches of chunks. */
const KEYS = 1_000;
const { signal } = new AbortController();

/** Another process's access to the snapshots. */
async function openWriter(
  name: string,
  url = natsUrl(),
): Promise<{ bucket: Bucket; writer: SnapshotWriter }> {
  const { connection } = internalsOf(await openScripts({ url })).context;
  const bucket = await Bucket.open(connection, { name, timeoutMs: 5_000 });
  const holds = (): Promise<boolean> => Promise.resolve(true);
  const place = { bucket, projection: name, everyEvents: 1, requestTimeoutMs: 5_000, holds };
  return { bucket, writer: new SnapshotWriter(place) };
}

/** A state that says at each key how far it is. */
function offerAt(position: number, isLast: boolean) {
  const cells = new Map(Array.from({ length: KEYS }, (_, n) => [`t.key${n}`, position]));
  const checkpoint = { position, taken: 1, commitId: "c", applied: position };
  return { cells, checkpoint, deadLetters: [], isLast };
}

/** Values of what stands there: one, if it is whole. */
async function readValues({ bucket, writer }: Awaited<ReturnType<typeof openWriter>>) {
  const standing = await writer.standing(signal);
  if (standing?.manifest === undefined) return undefined;
  const { cache } = await readSnapshot(bucket, standing.manifest, { timeoutMs: 5_000, signal });
  const values = [...new Set([...cache.entries()].map(([, value]) => value))];
  return { position: standing.manifest.position, values };
}

it("writes whole snapshots, each further than the one before, where several processes write at once", async () => {
  const name = freshBucket();
  await makeNarrowBucket(name);
  const processes = await Promise.all([0, 1, 2, 3].map(() => openWriter(name)));
  let position = 0;
  const over = new AbortController();
  const written: number[] = [];
  let fenced = 0;
  const writeAll = async ({ writer }: (typeof processes)[number], isLast: boolean) => {
    for (let n = 0; n < 15; n++) {
      const at = ++position;
      try {
        const { kind } = await writer.write(offerAt(at, isLast), signal);
        if (kind === "written") written.push(at);
      } catch (error) {
        expect(error).toBeInstanceOf(ProjectorFencedError);
        fenced++;
      }
    }
  };
  const seen: number[] = [];
  const readAll = async (): Promise<void> => {
    const reader = await openWriter(name);
    while (!over.signal.aborted) {
      // What is written over while it is read is refused, never mixed.
      const found = await readValues(reader).catch((error: unknown) => {
        expect(error).toBeInstanceOf(CorruptStateError);
        return undefined;
      });
      if (found === undefined) continue;
      expect(found.values).toEqual([found.position]);
      seen.push(found.position);
    }
  };
  const reading = readAll();
  await Promise.all(processes.map((one, n) => writeAll(one, n % 2 === 0)));
  over.abort();
  await reading;
  expect(fenced).toBeGreaterThan(0);
  const last = Math.max(...written);
  const [first] = processes;
  expect(first && (await readValues(first))).toEqual({ position: last, values: [last] });
  expect(seen).toEqual(seen.toSorted((a, b) => a - b));
});

it("writes over nothing of a writer that has overtaken it", async () => {
  await using wire = await startWire(natsUrl());
  const name = freshBucket();
  await makeNarrowBucket(name);
  const slow = await openWriter(name, wire.url);
  const fast = await openWriter(name);
  const held = wire.hold(publishTo(`$KV.${name}.snapshot-a.0`));
  const late = slow.writer.write(offerAt(1, true), signal).catch((error: unknown) => error);
  await held.reached();
  expect(await fast.writer.write(offerAt(2, true), signal)).toMatchObject({ kind: "written" });
  held.release();
  expect(await late).toBeInstanceOf(ProjectorFencedError);
  expect(await readValues(fast)).toEqual({ position: 2, values: [2] });
});

it("leaves a snapshot alone that is as far, unless that one cannot be used", async () => {
  const name = freshBucket();
  const { writer } = await openWriter(name);
  expect(await writer.write(offerAt(5, true), signal)).toMatchObject({ kind: "written" });
  for (const at of [4, 5]) {
    const outcome = await writer.write(offerAt(at, true), signal);
    expect(outcome).toEqual({ kind: "needless", applied: 5, stored: true });
  }
  writer.giveUp((await writer.standing(signal))?.sequence ?? 0);
  expect(await writer.write(offerAt(4, false), signal)).toMatchObject({ kind: "written" });
  expect((await writer.standing(signal))?.manifest).toMatchObject({ position: 4, slot: "b" });
});
