import { describe, expect, it } from "vitest";
import { CorruptSnapshotError, SnapshotFormatError } from "../../../src/ledger/errors.ts";
import type { SnapshotStore } from "../../../src/ledger/snapshot-store.ts";
import { failureOf } from "../store/bank.ts";
import { openManager } from "../projection/snapshot-stage.ts";
import {
  at,
  entryAt,
  freshBucket,
  listen,
  openRaw,
  openSnapshots,
  rewrite,
  signal,
  stateAt,
} from "./snapshot-store-stage.ts";

const CHUNK_BYTES = 700 << 10;

/** A snapshot at version 9 of two chunks of two parts each, damaged; another process, which did not write it. */
async function damaged(
  ledger: string,
  how: (bucket: string) => Promise<void>,
): Promise<SnapshotStore> {
  const bucket = freshBucket();
  const before = await openSnapshots(bucket, { ledger });
  await before.write(at(8), stateAt(8, 2, CHUNK_BYTES), signal);
  await before.write(at(9), stateAt(9, 2, CHUNK_BYTES), signal);
  await how(bucket);
  return openSnapshots(bucket, { ledger });
}

/** That nothing of it is given, and why; then, that one that is not as far may replace it. */
async function expectIgnored(ledger: string, snapshots: SnapshotStore): Promise<string> {
  const heard = listen(ledger);
  expect(await snapshots.restore(signal)).toBeUndefined();
  expect(heard.messages).toMatchObject([{ ledger, what: "ignored", chunks: 0, bytes: 0 }]);
  const reason = heard.messages[0]?.reason ?? "";
  expect(reason).toContain(`ledger "${ledger}"`);
  const outcome = await snapshots.write(at(5), stateAt(5, 3), signal);
  expect(outcome).toMatchObject({ kind: "written" });
  expect(await snapshots.restore(signal)).toEqual({ checkpoint: at(5), chunks: stateAt(5, 3) });
  expect(heard.what()).toEqual(["ignored", "written", "restored"]);
  return reason;
}

const same = (data: Uint8Array): Uint8Array => data;

describe("a snapshot of which a chunk is damaged", () => {
  it("is refused as a whole where a byte of it is another one", async () => {
    const ledger = "flipped";
    const snapshots = await damaged(ledger, (bucket) =>
      rewrite(bucket, "flipped.b.1.0", (data) => {
        const changed = Uint8Array.from(data);
        changed[1_000] = 8;
        return changed;
      }),
    );
    expect(await expectIgnored(ledger, snapshots)).toContain("checksum");
  });

  it.each(["b.0.0", "b.0.1", "b.1.1"])("is refused where part %s is missing", async (part) => {
    const ledger = `gone-${part.replaceAll(".", "")}`;
    const snapshots = await damaged(ledger, async (bucket) => {
      const filter = `$KV.${bucket}.${ledger}.${part}`;
      await (await openManager()).streams.purge(`KV_${bucket}`, { filter });
    });
    expect(await expectIgnored(ledger, snapshots)).toContain("missing");
  });

  it("is refused where a part was deleted", async () => {
    const ledger = "deleted";
    const snapshots = await damaged(ledger, (bucket) =>
      rewrite(bucket, "deleted.b.1.0", () => undefined),
    );
    expect(await expectIgnored(ledger, snapshots)).toContain("missing");
  });

  it.each([0, 1])("is refused where part %i is another snapshot's", async (part) => {
    const ledger = `mixed-${part}`;
    const snapshots = await damaged(ledger, async (bucket) => {
      const { data, headers } = await entryAt(await openRaw(bucket), `${ledger}.a.0.${part}`);
      const nonce = headers.get("Annal-Snapshot") ?? "";
      const checksum = headers.get("Annal-Checksum") ?? "";
      await rewrite(bucket, `${ledger}.b.0.${part}`, () => data, {
        "Annal-Snapshot": nonce,
        "Annal-Checksum": checksum,
      });
    });
    expect(await expectIgnored(ledger, snapshots)).toContain("another snapshot");
  });

  it("is refused where a chunk has fewer parts than were written", async () => {
    const ledger = "shorter";
    const snapshots = await damaged(ledger, (bucket) =>
      rewrite(bucket, "shorter.b.1.0", same, { "Annal-Parts": "1" }),
    );
    expect(await expectIgnored(ledger, snapshots)).toContain("bytes instead of");
  });
});

describe("a snapshot of which the manifest is damaged", () => {
  it.each([
    ["text", "no JSON"],
    ["list", "[]"],
    ["empty", ""],
    ["unversioned", "{}"],
    ["null", "null"],
  ])("is refused where it is %s", async (ledger, manifest) => {
    const snapshots = await damaged(ledger, (bucket) =>
      rewrite(bucket, `${ledger}.manifest`, () => Buffer.from(manifest)),
    );
    expect(await failureOf(snapshots.standing(signal))).toBeInstanceOf(CorruptSnapshotError);
    expect(await expectIgnored(ledger, snapshots)).toContain(`${ledger}.manifest`);
  });

  it("is refused where it names another version", async () => {
    const ledger = "renamed";
    const snapshots = await damaged(ledger, (bucket) =>
      rewrite(bucket, "renamed.manifest", (data) =>
        Buffer.from(Buffer.from(data).toString().replace('"version":9', '"version":7')),
      ),
    );
    expect(await failureOf(snapshots.standing(signal))).toMatchObject({
      code: "corrupt_snapshot",
      ledger,
      key: "renamed.manifest",
    });
    expect(await expectIgnored(ledger, snapshots)).toContain("checksum");
  });

  it("stays where it was written by a newer release", async () => {
    const ledger = "newer";
    const manifest = Buffer.from('{"format":2,"pieces":[]}');
    let name = "";
    const snapshots = await damaged(ledger, (bucket) => {
      name = bucket;
      return rewrite(bucket, "newer.manifest", () => manifest);
    });
    const heard = listen(ledger);
    expect(await snapshots.restore(signal)).toBeUndefined();
    expect(heard.messages).toMatchObject([{ what: "ignored", version: undefined }]);
    expect(heard.messages[0]?.reason).toContain("newer release");
    const failure = await failureOf(snapshots.standing(signal));
    expect(failure).toBeInstanceOf(SnapshotFormatError);
    expect(failure).toMatchObject({ code: "snapshot_format", ledger, format: 2 });
    const raw = await openRaw(name);
    const { sequence } = await raw.state().then(({ lastSequence }) => ({ sequence: lastSequence }));
    expect(await snapshots.write(at(90), stateAt(90, 1), signal)).toMatchObject({
      kind: "needless",
      checkpoint: undefined,
    });
    expect(heard.messages[1]).toMatchObject({ what: "dropped", version: 90 });
    expect(heard.messages[1]?.reason).toContain("newer release");
    expect((await raw.state()).lastSequence).toBe(sequence);
    expect(Buffer.from((await entryAt(raw, "newer.manifest")).data)).toEqual(manifest);
  });

  it("leaves it to be said that the claim cannot be read", async () => {
    const ledger = "claimless";
    const snapshots = await damaged(ledger, (bucket) =>
      rewrite(bucket, "claimless.claim", () => Buffer.from("{}")),
    );
    const failure = await failureOf(snapshots.write(at(20), [], signal));
    expect(failure).toMatchObject({ code: "corrupt_snapshot", key: "claimless.claim" });
    expect((await snapshots.restore(signal))?.checkpoint).toEqual(at(9));
  });
});
