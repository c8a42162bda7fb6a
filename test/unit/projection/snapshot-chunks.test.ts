import { describe, expect, it } from "vitest";
import { decodeChunk, encodeChunks } from "../../../src/projection/snapshot-chunks.ts";
import { decodeManifest, encodeManifest } from "../../../src/projection/snapshot-manifest.ts";
import { pack } from "../../../src/store/packing.ts";

async function chunksOf(
  entries: Iterable<[string, unknown]>,
  maxBytes = 100,
): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of encodeChunks(entries, maxBytes)) chunks.push(chunk);
  return chunks;
}

describe("the chunks of a snapshot", () => {
  it("hold every entry once, in order, each chunk within its bound", async () => {
    const entries = Array.from({ length: 500 }, (_, n): [string, unknown] => [`t.k${n}`, { n }]);
    const chunks = await chunksOf(entries);
    expect(chunks.length).toBeGreaterThan(10);
    for (const chunk of chunks) expect(chunk.length).toBeLessThanOrEqual(100);
    expect(chunks.flatMap(decodeChunk)).toEqual(entries);
  });

  it("bring every kind of value back as it was", async () => {
    const values: unknown[] = [null, "", 0, 2 ** 60, 5n, 10n ** 30n, new Date(7), [], { a: [1n] }];
    const entries = values.map((value, n): [string, unknown] => [`t.é ${n}`, value]);
    entries.push(["t.bytes", new Uint8Array([1, 2])]);
    const [chunk] = await chunksOf(entries, 10_000);
    expect(decodeChunk(chunk ?? new Uint8Array())).toEqual(entries);
  });

  it("are as deep as a value may be", async () => {
    let value: unknown = 1;
    for (let depth = 0; depth < 100; depth++) value = [value];
    const [chunk] = await chunksOf([["t.deep", value]], 10_000);
    expect(decodeChunk(chunk ?? new Uint8Array())).toEqual([["t.deep", value]]);
  });

  it("hold an entry alone that is larger than a chunk", async () => {
    const entries: [string, unknown][] = [
      ["t.a", 1],
      ["t.b", "x".repeat(300)],
      ["t.c", 3],
    ];
    expect((await chunksOf(entries)).map((chunk) => decodeChunk(chunk).length)).toEqual([1, 1, 1]);
  });

  it("of nothing are none", async () => {
    expect(await chunksOf([])).toEqual([]);
  });

  it.each([
    ["no list", pack({})],
    ["no pairs", pack([1])],
    ["triples", pack([["t.a", 1, 2]])],
    ["keys that are no texts", pack([[1, 1]])],
    ["cut off", pack([["t.a", "long enough"]]).subarray(0, 8)],
    ["with something behind", Buffer.concat([pack([]), pack(1)])],
    ["empty", new Uint8Array()],
  ])("are refused where they are %s", (_, data) => {
    expect(() => decodeChunk(data)).toThrow();
  });
});

describe("the manifest of a snapshot", () => {
  const manifest = {
    position: 7,
    taken: 1,
    commitId: "c",
    applied: 9,
    complete: 7,
    nonce: "n",
    slot: "b" as const,
    chunks: 2,
    entries: 3,
    deadLetters: 0,
  };

  it("comes back as it was written", () => {
    expect(decodeManifest("bucket", encodeManifest(manifest))).toEqual(manifest);
  });

  it.each([
    ["a format", { format: 2 }],
    ["a slot", { slot: "c" }],
    ["a count", { chunks: -1 }],
    ["a nonce", { nonce: undefined }],
  ])("is refused where it has %s that this version does not know", (_, change) => {
    const data = Buffer.from(JSON.stringify({ format: 1, ...manifest, ...change }));
    expect(() => decodeManifest("bucket", data)).toThrow(
      expect.objectContaining({ code: "corrupt_state", key: "_snapshot" }),
    );
  });
});
