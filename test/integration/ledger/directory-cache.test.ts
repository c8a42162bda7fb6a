import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LedgerNotFoundError } from "../../../src/ledger/errors.ts";
import type { LedgerInfo } from "../../../src/ledger/ledger-info.ts";
import { publishTo } from "../../support/wire.ts";
import { DirectoryStage, asked, outcomeOf } from "./directory-stage.ts";

let stage: DirectoryStage;
/** The requests of one load. */
const LOAD = ["ledger main", "bucket eu"];

beforeEach(async () => {
  stage = await DirectoryStage.open();
});

afterEach(() => stage[Symbol.asyncDispose]());

describe("opening a ledger", () => {
  it("O1 asks again after 60 s by default, or after the time that was set", async () => {
    const external = await stage.external();
    await external.create("main", { bucket: "eu" });
    const byDefault = await stage.ledgers({ follow: false });
    const clock = vi.spyOn(performance, "now");
    try {
      const startedAt = performance.now();
      await byDefault.describe("main");
      clock.mockReturnValue(startedAt + 59_999);
      expect(await stage.askedBy(() => byDefault.describe("main"))).toEqual([]);
      clock.mockReturnValue(startedAt + 90_000);
      expect(await stage.askedBy(() => byDefault.describe("main"))).toEqual(LOAD);
    } finally {
      clock.mockRestore();
    }
    const short = await stage.ledgers({ openCacheTtlMs: 0.000_001, follow: false });
    for (let time = 0; time < 3; time++) {
      expect(await stage.askedBy(() => short.describe("main"))).toEqual(LOAD);
    }
    const directory = await stage.directory({ ttlMs: 60_000 });
    await directory.describe("main");
    stage.nowMs = 59_999;
    expect(await stage.askedBy(() => directory.describe("main"))).toEqual([]);
    stage.nowMs = 60_000;
    expect(await stage.askedBy(() => directory.describe("main"))).toEqual(LOAD);
  });

  it.each([0, -5])("O2 loads each time with a time to live of %i ms", async (openCacheTtlMs) => {
    const ledgers = await stage.ledgers({ openCacheTtlMs, follow: false });
    await ledgers.create("main", { bucket: "eu" });
    for (let time = 0; time < 3; time++) {
      expect(await stage.askedBy(() => ledgers.describe("main"))).toEqual(LOAD);
      expect(await stage.askedBy(() => ledgers.list())).toContain("ledger main");
    }
  });

  it("O3 costs no request at all on a hit, and two on a miss, on a fresh connection", async () => {
    const external = await stage.external();
    await external.create("main", { bucket: "eu" });
    for (let n = 0; n < 5; n++) await external.setMetadata("main", { n });
    const directory = await stage.directory();
    expect(await stage.askedBy(() => directory.describe("main"))).toEqual(LOAD);
    const asked = await stage.askedBy(async () => {
      for (let time = 0; time < 100; time++) await directory.describe("main");
      await Promise.all(Array.from({ length: 100 }, () => directory.open("main")));
    });
    expect(asked).toEqual([]);
  });

  it("O4 shows what another process changed, once the time to live is over", async () => {
    const external = await stage.external();
    await external.create("main", { bucket: "eu", metadata: { owner: "ops" } });
    const directory = await stage.directory({ ttlMs: 1_000 });
    await directory.describe("main");
    await external.setMetadata("main", { owner: "finance" });
    stage.nowMs = 999;
    expect((await directory.describe("main")).metadata).toEqual({ owner: "ops" });
    stage.nowMs = 1_000;
    expect((await directory.describe("main")).metadata).toEqual({ owner: "finance" });
    await external.deleteBucket("eu");
    stage.nowMs = 2_000;
    await expect(directory.describe("main")).rejects.toThrow(LedgerNotFoundError);
  });

  it("O10 caches neither errors nor that a ledger is not there: create, then open succeeds", async () => {
    const external = await stage.external();
    const directory = await stage.directory();
    for (let time = 0; time < 2; time++) {
      const asked = await stage.askedBy(async () => {
        expect(await outcomeOf(directory.describe("main"))).toBe("LedgerNotFoundError");
      });
      expect(asked).toEqual(["ledger main"]);
    }
    await external.create("main", { bucket: "eu" });
    expect(await directory.describe("main")).toMatchObject({ name: "main", bucket: "eu" });

    expect(await outcomeOf(directory.describe("own"))).toBe("LedgerNotFoundError");
    await directory.create(asked("own"));
    expect(await directory.open("own")).toMatchObject({ info: { name: "own" } });
  });

  it("O10 an answer that does not come fails the callers, and the next call asks anew", async () => {
    const directory = await stage.directory({ loadTimeoutMs: 100 });
    await directory.create(asked("main"));
    const held = stage.wire.hold(publishTo(stage.request("ledger", "main")));
    const outcomes = await Promise.all([1, 2, 3].map(() => outcomeOf(directory.describe("main"))));
    expect(new Set(outcomes)).toEqual(new Set(["ReadTimeoutError"]));
    held.release();
    expect(await directory.describe("main")).toMatchObject({ name: "main" });
  });

  it("O11 50 at once of a cold name cost one load, and different names load in parallel", async () => {
    const external = await stage.external();
    await external.create("main", { bucket: "eu" });
    await external.create("other", { bucket: "us" });
    const directory = await stage.directory();
    const asked = await stage.askedBy(() =>
      Promise.all(Array.from({ length: 50 }, () => directory.describe("main"))),
    );
    expect(asked).toEqual(LOAD);

    const cold = await stage.directory();
    const held = stage.wire.hold(publishTo(/DIRECT\.GET/));
    const both = ["main", "other"].map((name) => cold.describe(name));
    await held.reached(2);
    held.release();
    expect((await Promise.all(both)).map(({ bucket }) => bucket)).toEqual(["eu", "us"]);
    expect(stage.asked().sort()).toEqual(["bucket eu", "bucket us", "ledger main", "ledger other"]);
  });

  it("O12 cancelling the first caller fails only that one, and the load still fills the cache", async () => {
    const directory = await stage.directory();
    await directory.create(asked("main"));
    stage.wire.reset();
    const held = stage.wire.hold(publishTo(/DIRECT\.GET/));
    const leaving = new AbortController();
    const first = outcomeOf(directory.describe("main", leaving.signal));
    const second = directory.describe("main");
    await held.reached();
    leaving.abort(new RangeError("left"));
    expect(await first).toBe("RangeError");
    held.release();
    expect(await second).toMatchObject({ name: "main" });
    expect(await directory.describe("main")).toMatchObject({ name: "main" });
    expect(stage.asked()).toEqual(LOAD);
  });

  it("O14 callers share nothing that one of them could change, on hits and on shared loads", async () => {
    const since = new Date(1_000);
    const external = await stage.external();
    const metadata = { since, key: Uint8Array.of(1, 2), tags: ["a"] };
    await external.create("main", { bucket: "eu", metadata });
    const directory = await stage.directory();
    const change = ({ metadata: found }: LedgerInfo): void => {
      (found["since"] as Date).setTime(0);
      (found["key"] as Uint8Array).fill(0);
      expect(() => (found["tags"] as string[]).push("b")).toThrow(TypeError);
    };
    const [mine, others] = await Promise.all([
      directory.describe("main"),
      directory.describe("main"),
    ]);
    change(mine);
    expect(others.metadata).toEqual(metadata);
    const hit = await directory.describe("main");
    expect(hit.metadata).toEqual(metadata);
    change(hit);
    change((await directory.open("main")).info);
    change((await directory.list({})).items[0] ?? mine);
    change(await directory.setMetadata("main", {}, {}));
    expect((await directory.describe("main")).metadata).toEqual(metadata);
  });

  it("O25 nothing is cached but what the directory says of the ledger to whoever asks", async () => {
    const directory = await stage.directory();
    await directory.create(asked("main", "eu", { owner: "ops" }));
    const info = await directory.describe("main");
    expect(Object.keys(info).sort()).toEqual([
      "bucket",
      "createdAtMs",
      "metadata",
      "name",
      "settings",
    ]);
    const external = await stage.external();
    for (let n = 0; n < 3; n++) {
      await external.create(`later${n}`, { bucket: "eu" });
      expect((await directory.list({ bucket: "eu" })).items).toHaveLength(n + 2);
    }
    await external.deleteBucket("eu");
    expect((await directory.list({})).items).toEqual([]);
    expect((await directory.listBuckets({})).items).toEqual([{ name: "eu", deleted: true }]);
    // What was found to be deleted is not shown from what was cached before.
    const fresh = await stage.directory();
    for (let time = 0; time < 2; time++) {
      expect(await outcomeOf(fresh.describe("main"))).toBe("LedgerNotFoundError");
      expect(await outcomeOf(directory.setMetadata("main", { a: 1 }, {}))).toBe(
        "LedgerNotFoundError",
      );
    }
  });
});
