import { describe, expect, it } from "vitest";
import {
  type CheckReport,
  check,
  defineProjection,
  kvState,
  memoryState,
  startProjector,
  table,
} from "../../../src/projection/index.ts";
import { encodeValue } from "../../../src/projection/value-codec.ts";
import { type Shop, ShopStage, stock } from "./check-stage.ts";

const ARTICLES = 12;
/** Articles, and their number. */
const KEYS = ARTICLES + 1;

function pack(value: unknown): Uint8Array {
  return encodeValue(value, "msgpack");
}

async function healthy(): Promise<ShopStage> {
  const stage = await ShopStage.open();
  await stage.fill(ARTICLES);
  await stage.project();
  return stage;
}

/** The findings without what they show, by key. */
function kindsOf({ findings }: CheckReport): Record<string, string> {
  return Object.fromEntries(findings.map(({ kind, key }) => [key, kind]));
}

describe.each([
  { where: "in memory", maxKeysInMemory: 1_000 },
  { where: "in a bucket, in several parts", maxKeysInMemory: 4 },
])("a check of a projection, derived $where,", ({ maxKeysInMemory }) => {
  const options = { maxKeysInMemory };

  it("C5 finds nothing in a healthy state", async () => {
    const stage = await healthy();
    const report = await stage.check(options);
    expect(report).toMatchObject({
      projection: "stock",
      version: 1,
      bucket: `${stage.bucket}_v1`,
      outcome: "clean",
      findings: [],
      findingCount: 0,
      checkedKeys: KEYS,
      passes: 1,
      unsettled: 0,
    });
    expect(report.reason).toBeUndefined();
    expect(report.position).toBe(await stage.store.head());
  });

  it("C1 names missing, injected and different entries, each with what caused it", async () => {
    const stage = await healthy();
    const gone = await stage.stockUp("gone", 1n, "x");
    const changed = await stage.stockUp("changed", 2n, "y");
    const dropped = await stage.drop("gone twice").then(() => stage.stockUp("gone twice", 3n));
    const last = await stage.drop("gone twice");
    expect(last).toBeGreaterThan(dropped);
    await stage.project();
    const kv = await stage.kv();
    await kv.delete("article.gone");
    await kv.put("article.changed", pack({ count: 7n }));
    await kv.put("article.gone=20twice", pack(1));
    await kv.put("article.never", pack("there"));

    const { outcome, findings, findingCount } = await stage.check(options);
    expect({ outcome, findingCount }).toEqual({ outcome: "findings", findingCount: 4 });
    const byKey = Object.fromEntries(findings.map((finding) => [finding.key, finding]));
    const expected = { count: "1", tags: ["x"], since: expect.any(String), digest: "AQE=" };
    expect(byKey["gone"]).toMatchObject({
      kind: "missing",
      table: "article",
      expected,
      position: gone,
    });
    expect(byKey["gone"]?.found).toBeUndefined();
    expect(byKey["changed"]).toMatchObject({
      kind: "different",
      table: "article",
      found: { count: "7" },
      position: changed,
      expected: { count: "2", tags: ["y"] },
    });
    expect(byKey["gone twice"]).toMatchObject({ kind: "injected", found: 1, position: last });
    expect(byKey["never"]).toMatchObject({ kind: "injected", found: "there" });
    expect(byKey["never"]?.position).toBeUndefined();
  });

  it("C2 finds a whole state that was changed alike, with nothing in the bucket to tell", async () => {
    const stage = await healthy();
    const kv = await stage.kv();
    const keys: string[] = [];
    for await (const key of await kv.keys("article.>")) keys.push(key);
    for (const key of keys) {
      const { data, place } = await stage.entry(key);
      await stage.forge(key, Buffer.concat([data.subarray(0, -1), Buffer.of(99)]), place);
    }
    const { findings, findingCount } = await stage.check(options);
    expect(findingCount).toBe(ARTICLES);
    expect(new Set(findings.map(({ kind }) => kind))).toEqual(new Set(["different"]));
  });

  it("C3 compares whole values", async () => {
    const stage = await healthy();
    await stage.stockUp("whole", 1n, "ab");
    await stage.project();
    const { data, place } = await stage.entry("article.whole");
    const flipped = Buffer.from(data);
    const at = flipped.indexOf("ab");
    flipped[at + 1] = "c".charCodeAt(0);
    await stage.forge("article.whole", flipped, place);
    const { findings } = await stage.check(options);
    expect(findings).toMatchObject([
      { key: "whole", expected: { tags: ["ab"] }, found: { tags: ["ac"] } },
    ]);
  });

  it("C6 finds any one entry that is flipped, deleted, purged or gone without a trace", async () => {
    const stage = await healthy();
    const kv = await stage.kv();
    const keys: string[] = [];
    for await (const key of await kv.keys()) keys.push(key);
    for (const [n, key] of keys.filter((key) => !key.startsWith("_")).entries()) {
      const { data, place } = await stage.entry(key);
      const damages = [
        () => stage.forge(key, pack({ flipped: true }), place),
        () => kv.delete(key),
        () => kv.purge(key),
        () => stage.remove(key),
      ];
      await damages[n % damages.length]?.();
      const { findings, findingCount } = await stage.check(options);
      expect(findingCount).toBe(1);
      expect(findings[0]?.kind).toBe(n % damages.length === 0 ? "different" : "missing");
      await stage.forge(key, data, place);
    }
    expect((await stage.check(options)).outcome).toBe("clean");
  });

  it("C6 finds an added entry, whatever its key", async () => {
    const stage = await healthy();
    const kv = await stage.kv();
    const keys = [
      "article.new",
      "article",
      "article.a.b",
      "article.=41",
      "article./x",
      "nothing.k",
      "_dead.7.0",
      "_dead.x",
      "_dead",
      "_dead.7.0.1",
      "_checkpoint.x",
      "_projections",
      "_snapshot",
      "_.k",
    ];
    for (const key of keys) await kv.put(key, pack(1));
    const report = await stage.check(options);
    expect(report.findingCount).toBe(keys.length);
    expect(new Set(Object.values(kindsOf(report)))).toEqual(new Set(["injected"]));
    for (const key of keys) await kv.delete(key);
    expect((await stage.check(options)).outcome).toBe("clean");
  });

  it("C6 finds bytes that are no value, and a place that is not that of the last change", async () => {
    const stage = await healthy();
    const { data } = await stage.entry("article.k0");
    const total = await stage.entry("total.articles");
    await stage.forge("article.k0", data, "1.0");
    await stage.forge("total.articles", Buffer.of(0xc1), total.place);
    const { findings } = await stage.check(options);
    expect(Object.fromEntries(findings.map(({ key, reason }) => [key, reason]))).toEqual({
      articles: expect.stringMatching(/^its 1 bytes cannot be read/),
      k0: "its last change is at 1.1, it names 1.0",
    });
  });

  it("C6 is not misled by a tombstone that is gone", async () => {
    const stage = await healthy();
    await stage.remove("article.given=20up");
    expect((await stage.check(options)).outcome).toBe("clean");
  });

  it("C7 tells what it does, and leaves no bucket behind", async () => {
    const stage = await healthy();
    await stage.forge("article.k0", pack(1), "1.0");
    const seen: { phase: string; fraction: number }[] = [];
    await stage.check({ ...options, onProgress: (progress) => seen.push(progress) });
    const phases = seen.map(({ phase }) => phase).filter((phase, at, all) => phase !== all[at - 1]);
    expect(phases.slice(0, 3)).toEqual(["deriving", "comparing", "settling"]);
    for (const { fraction } of seen) expect(fraction >= 0 && fraction <= 1).toBe(true);
    expect(await stage.scratchBuckets()).toEqual([]);
  });
});

describe("a check of a projection", () => {
  it("C6 finds a changed, a broken and a deleted checkpoint and identity", async () => {
    const stage = await healthy();
    const kv = await stage.kv();
    const write = async (key: string, change: (text: string) => string | undefined) => {
      const text = Buffer.from((await stage.entry(key)).data).toString();
      const changed = change(text);
      if (changed === undefined) await kv.delete(key);
      else await kv.put(key, changed);
      const report = await stage.check();
      await kv.put(key, text);
      return report;
    };
    const counted = await write("_checkpoint", (text) =>
      text.replace(/"applied":\d+/, '"applied":1'),
    );
    expect(counted.findings).toMatchObject([
      { kind: "different", key: "_checkpoint", found: { applied: 1 } },
    ]);
    expect(kindsOf(await write("_checkpoint", () => "{"))).toEqual({ _checkpoint: "different" });
    expect(kindsOf(await write("_checkpoint", () => undefined))).toEqual({
      _checkpoint: "missing",
    });
    expect(kindsOf(await write("_projection", (text) => text.replace("stock", "stuck")))).toEqual({
      _projection: "different",
    });
    expect(kindsOf(await write("_projection", () => undefined))).toEqual({
      _projection: "missing",
    });
    // The identity is not written anew in its old form by the writes above only where they failed.
    expect((await stage.check()).outcome).toBe("clean");
  });

  it("C6 finds every entry wrong where the checkpoint was moved", async () => {
    const stage = await healthy();
    const kv = await stage.kv();
    const text = Buffer.from((await stage.entry("_checkpoint")).data).toString();
    const { commitId } = await stage.store
      .readCommits()
      .next()
      .then(({ value }) => value ?? never());
    const moved = { ...JSON.parse(text), position: 1, taken: 1, commitId, applied: 1 };
    await kv.put("_checkpoint", JSON.stringify(moved));
    const { outcome, findingCount } = await stage.check();
    expect({ outcome, findingCount }).toEqual({ outcome: "findings", findingCount: KEYS });
  });

  it("keeps as many findings as it is asked to, and counts the others", async () => {
    const stage = await healthy();
    const kv = await stage.kv();
    for (let n = 0; n < 20; n++) await kv.put(`article.new${n}`, pack("x".repeat(5_000)));
    const { findings, findingCount } = await stage.check({ maxFindings: 3 });
    expect(findings).toHaveLength(3);
    expect(findingCount).toBe(20);
    expect(String(findings[0]?.found)).toHaveLength(4_097);
    expect(() => JSON.stringify(findings)).not.toThrow();
  });

  it("C5 C6 reads state that is kept as JSON", async () => {
    const stage = await ShopStage.open();
    await stage.fill(ARTICLES);
    const counts = defineProjection<Shop>()({
      name: "counts",
      version: 1,
      events: { article: "all" },
      tables: { events: table<{ readonly n: number; readonly last: string | null }>() },
      keys: ({ actor }, t) => [t.events.key(actor.id)],
      apply: ({ actor, data }, t) => {
        const n = (t.events.get(actor.id)?.n ?? 0) + 1;
        t.events.put(actor.id, { n, last: data === null ? null : data.tag });
      },
    });
    const state = kvState({ bucket: stage.bucket, values: "json" });
    await using projector = await startProjector(stage.store, counts, { state });
    await projector.caughtUp();
    expect(await check(stage.store, counts, { state })).toMatchObject({ outcome: "clean" });
    const { place } = await stage.entry("events.k0");
    await stage.forge("events.k0", Buffer.from('{"last":"t0","n":3}'), place);
    await stage.forge("events.k4", Buffer.from('{ "last": "t4", "n": 2 }'), "16.1");
    const { findings } = await check(stage.store, counts, { state });
    expect(findings.map(({ key }) => key)).toEqual(["k0", "k4"]);
    const [k0, k4] = findings;
    expect([k0?.expected, k0?.found]).toEqual([
      { n: 2, last: "t0" },
      { n: 3, last: "t0" },
    ]);
    expect(k4?.reason).toBe("its last change is at 9.1, it names 16.1");
  });

  it("ends with the signal's reason, and takes its bucket along", async () => {
    const stage = await healthy();
    const stopping = new AbortController();
    const reason = new Error("enough");
    const stopped = stage.check({
      maxKeysInMemory: 4,
      signal: stopping.signal,
      onProgress: ({ phase }) => {
        if (phase === "comparing") stopping.abort(reason);
      },
    });
    await expect(stopped).rejects.toBe(reason);
    expect(await stage.scratchBuckets()).toEqual([]);
  });

  it("C8 gives a report that is plain JSON", async () => {
    const stage = await healthy();
    await (await stage.kv()).put("article.k0", pack({ count: 2n ** 70n, when: new Date(0) }));
    const report = await stage.check();
    expect(JSON.parse(JSON.stringify(report))).toMatchObject({
      outcome: "findings",
      findings: [{ found: { count: String(2n ** 70n), when: "1970-01-01T00:00:00.000Z" } }],
    });
  });

  it("refuses state in memory and options that are none", async () => {
    const stage = await ShopStage.open();
    const wrong = { state: memoryState() as never };
    await expect(check(stage.store, stock(), wrong)).rejects.toThrow("kvState");
    await expect(stage.check({ maxPasses: 0 })).rejects.toThrow("maxPasses");
    await expect(stage.check({ maxKeysInMemory: 0.5 })).rejects.toThrow("maxKeysInMemory");
    const reason = new Error("enough");
    await expect(stage.check({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

function never(): never {
  throw new Error("the stream is empty");
}
