import { jetstreamManager } from "@nats-io/jetstream";
import { expect, it } from "vitest";
import type { EventStore } from "../../../src/index.ts";
import { Bucket } from "../../../src/nats/bucket.ts";
import { check } from "../../../src/projection/index.ts";
import { internalsOf } from "../../../src/store/internals.ts";
import { added, append, removed } from "./kv-client.ts";
import { freshBucket, kvState, openScripts, type Script, start, stateOf, sums } from "./stage.ts";

/** Removes the marks of deleted keys, as `purgeDeletes` of NATS clients. @returns the keys */
async function purgeMarks(store: EventStore<Script>, name: string): Promise<string[]> {
  const { connection } = internalsOf(store).context;
  const bucket = await Bucket.open(connection, { name, timeoutMs: 5_000 });
  const { streams } = await jetstreamManager(connection.nc);
  const keys: string[] = [];
  for await (const batch of bucket.entries({ until: "head" })) {
    for (const { key, deleted } of batch) if (deleted) keys.push(key);
  }
  for (const key of keys) await streams.purge(`KV_${name}`, { filter: `$KV.${name}.${key}` });
  return keys;
}

it("does without the marks of deleted keys, which others may purge while no projector runs", async () => {
  const store = await openScripts();
  const bucket = freshBucket();
  const state = kvState({ bucket });
  await append(store, added("kept", 1), added("gone", 2));
  await append(store, removed("gone"));
  const first = await start(store, sums(), { state });
  await first.caughtUp();
  const before = await stateOf(first);
  await first.close();
  expect(await purgeMarks(store, `${bucket}_v1`)).toContain("sum.gone");

  const second = await start(store, sums(), { state });
  await second.caughtUp();
  expect(await stateOf(second)).toEqual(before);
  expect(await check(store, sums(), { state })).toMatchObject({ outcome: "clean" });
  await append(store, added("gone", 3));
  await second.caughtUp();
  expect(await second.tables.sum.get("gone")).toBe(3);
  expect(await check(store, sums(), { state })).toMatchObject({ outcome: "clean" });
});
