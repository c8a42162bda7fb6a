import { expect, describe, it } from "vitest";
import { StreamRolledBackError } from "../../../src/index.ts";
import { ProjectionMismatchError } from "../../../src/projection/index.ts";
import { append, added, openKv } from "./kv-client.ts";
import { freshBucket, kvState, openScripts, start, sums } from "./stage.ts";

describe("a bucket", () => {
  it("K26 refuses a bucket of another projection, another format, or other policies", async () => {
    const store = await openScripts();
    const bucket = freshBucket();
    await (await start(store, sums(), { state: kvState({ bucket }) })).close();
    const refused = async (what: string, starting: Promise<unknown>): Promise<void> => {
      const failure = await starting.catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(ProjectionMismatchError);
      expect(failure).toMatchObject({ what, bucket: `${bucket}_v1` });
    };
    await refused("name", start(store, sums(1, "others"), { state: kvState({ bucket }) }));
    await refused("values", start(store, sums(), { state: kvState({ bucket, values: "json" }) }));
    const ruled = { ...sums(), policies: { rounding: 2 } };
    await refused("policies", start(store, ruled, { state: kvState({ bucket }) }));
    const elsewhere = await openScripts();
    await refused("stream", start(elsewhere, sums(), { state: kvState({ bucket }) }));
  });

  it("K26 refuses a version that is older than the live one, and says what to do", async () => {
    const store = await openScripts();
    const bucket = freshBucket();
    const newer = await start(store, sums(2), { state: kvState({ bucket }) });
    await newer.close();
    const failure = await start(store, sums(1), { state: kvState({ bucket }) }).catch(
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(ProjectionMismatchError);
    expect(failure).toMatchObject({ what: "version", expected: 1, found: 2 });
    expect(String(failure)).toContain("version 2 is live");
  });

  it.each([
    { age: "newer than this release knows", schemaVersion: 2 },
    { age: "older than this release makes", schemaVersion: 0 },
    { age: "of before shapes had a number", schemaVersion: undefined },
  ])("K26 refuses a bucket whose shape is $age, and says what to do", async ({ schemaVersion }) => {
    const store = await openScripts();
    const bucket = freshBucket();
    await append(store, added("a", 1));
    const projector = await start(store, sums(), { state: kvState({ bucket }) });
    await projector.caughtUp();
    await projector.close();
    const kv = await openKv(`${bucket}_v1`);
    const identity = (await kv.get("_projection"))?.json<Record<string, unknown>>();
    await kv.put("_projection", JSON.stringify({ ...identity, schemaVersion }));
    const failure = await start(store, sums(), { state: kvState({ bucket }) }).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({
      code: "projection_mismatch",
      what: "schemaVersion",
      expected: 1,
      found: schemaVersion ?? null,
    });
    expect(String(failure)).toContain("give the projection another version");
    // What the other release has written stays as it was.
    const checkpoint = (await kv.get("_checkpoint"))?.json<Record<string, unknown>>();
    expect(checkpoint).toMatchObject({ epoch: 1, applied: 1 });
    const rebuilt = await start(store, sums(2), { state: kvState({ bucket }) });
    await rebuilt.caughtUp();
    expect(await rebuilt.tables.sum.get("a")).toBe(1);
  });

  it("K27 refuses a checkpoint at which another commit stands", async () => {
    const store = await openScripts();
    const bucket = freshBucket();
    const position = await append(store, added("a", 1));
    const projector = await start(store, sums(), { state: kvState({ bucket }) });
    await projector.waitFor(position);
    await projector.close();
    const kv = await openKv(`${bucket}_v1`);
    const checkpoint = (await kv.get("_checkpoint"))?.json<Record<string, unknown>>();
    await kv.put("_checkpoint", JSON.stringify({ ...checkpoint, commitId: "another" }));
    const again = await start(store, sums(), { state: kvState({ bucket }) });
    const failure = await again.ended.catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(StreamRolledBackError);
    expect(await again.tables.sum.get("a")).toBe(1);
  });
});
