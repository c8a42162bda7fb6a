import { expect, it } from "vitest";
import { openTables } from "../../../src/projection/index.ts";
import { eventually, natsUrl } from "../../support/server.ts";
import { publishTo, startWire } from "../../support/wire.ts";
import { added, append, openKv } from "./kv-client.ts";
import { freshBucket, kvState, openScripts, start, sums } from "./stage.ts";

const liveEntry = (bucket: string, version: number): string =>
  JSON.stringify({ format: 1, version, bucket: `${bucket}_v${version}` });

it("goes over to a version also where the first tries to open it are not answered", async () => {
  await using wire = await startWire(natsUrl());
  const store = await openScripts();
  const far = await openScripts({ url: wire.url, stream: store.stream });
  const bucket = freshBucket();
  await append(store, added("a", 1));
  const old = await start(store, sums(1), { state: kvState({ bucket }) });
  await old.caughtUp();
  const state = kvState({ bucket, requestTimeoutMs: 200 });
  await using reader = await openTables(far, sums(1), { state });
  const unanswered = wire.drop(publishTo(`$JS.API.STREAM.INFO.KV_${bucket}_v2`), 2);
  await (await start(store, sums(2), { state: kvState({ bucket }) })).caughtUp();
  await unanswered.reached(2);
  await eventually(() => expect(reader.version).toBe(2));
  expect(await reader.tables.sum.get("a")).toBe(1);
});

it("says from reads that the live version cannot be read, until one can be read again", async () => {
  const store = await openScripts();
  const bucket = freshBucket();
  const state = kvState({ bucket });
  await append(store, added("a", 1));
  await (await start(store, sums(1), { state })).caughtUp();
  await using reader = await openTables(store, sums(1), { state });
  const directory = await openKv(bucket);
  await directory.put("live", liveEntry(bucket, 9));
  await eventually(() =>
    expect(reader.tables.sum.get("a")).rejects.toMatchObject({ code: "stream_not_found" }),
  );
  expect(reader.version).toBe(1);
  await directory.put("live", "no JSON");
  await eventually(() =>
    expect(reader.tables.sum.get("a")).rejects.toMatchObject({ code: "corrupt_state" }),
  );
  await directory.put("live", liveEntry(bucket, 1));
  await eventually(async () => expect(await reader.tables.sum.get("a")).toBe(1));
});

it("follows no more when the store is closed", async () => {
  const store = await openScripts();
  const state = kvState({ bucket: freshBucket() });
  await (await start(store, sums(1), { state })).close();
  const reader = await openTables(store, sums(1), { state });
  await store.close();
  await eventually(() =>
    expect(reader.tables.sum.get("a")).rejects.toMatchObject({ code: "closed" }),
  );
  await reader.close();
});
