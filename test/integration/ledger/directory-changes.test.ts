import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AppendOutcomeUnknownError, AppendTooLargeError } from "../../../src/errors.ts";
import type { LedgerDirectory } from "../../../src/ledger/directory.ts";
import {
  LedgerBucketNotFoundError,
  LedgerExistsError,
  LedgerNotFoundError,
} from "../../../src/ledger/errors.ts";
import { eventually } from "../../support/server.ts";
import { answerTo, publishTo } from "../../support/wire.ts";
import { DirectoryStage, asked, firstOf, outcomeOf } from "./directory-stage.ts";

let stage: DirectoryStage;
const LOAD = ["ledger main", "bucket eu"];

beforeEach(async () => {
  stage = await DirectoryStage.open();
});

afterEach(() => stage[Symbol.asyncDispose]());

/** A directory that has just read the ledger `main`. */
async function warm(metadata: Readonly<Record<string, unknown>> = {}): Promise<LedgerDirectory> {
  const directory = await stage.directory({}, { ackTimeoutMs: 100 });
  await directory.create(asked("main", "eu", metadata));
  await directory.describe("main");
  stage.wire.reset();
  return directory;
}

/** Whether the ledger is in the cache. */
async function isCached(directory: LedgerDirectory, name = "main"): Promise<boolean> {
  return (await stage.askedBy(() => directory.describe(name))).length === 0;
}

describe("a change of a ledger", () => {
  it("O16 is shown by the next open: metadata set, metadata deleted", async () => {
    const directory = await warm({ owner: "ops", tier: 1 });
    const set = await directory.setMetadata("main", { owner: "finance", since: 2026 }, {});
    expect(set.metadata).toEqual({ owner: "finance", tier: 1, since: 2026 });
    const asked = await stage.askedBy(async () => {
      expect(await directory.describe("main")).toEqual(set);
    });
    expect(asked).toEqual(LOAD);
    const left = await directory.deleteMetadata("main", ["tier", "since", "never there"], {});
    expect(left.metadata).toEqual({ owner: "finance" });
    expect((await directory.open("main")).info).toEqual(left);
    expect(await (await stage.external()).describe("main")).toEqual(left);
  });

  it("O16 many at once, by several processes, are all kept", async () => {
    const directory = await warm();
    const external = await stage.external();
    await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        n % 2 === 0
          ? directory.setMetadata("main", { [`k${n}`]: n }, {})
          : external.setMetadata("main", { [`k${n}`]: n }),
      ),
    );
    const { metadata } = await directory.describe("main");
    expect(Object.keys(metadata)).toHaveLength(20);
  });

  it("O17 a deleted bucket: none of its ledgers is found; other buckets are untouched", async () => {
    const directory = await warm();
    await directory.create(asked("second"));
    await directory.create(asked("other", "us"));
    for (const name of ["second", "other", "main"]) await directory.describe(name);
    const [main, other] = [await directory.open("main"), await directory.open("other")];
    await directory.deleteBucket("eu", {});
    for (const name of ["main", "second"]) {
      await expect(directory.open(name)).rejects.toThrow(LedgerNotFoundError);
      await expect(directory.describe(name)).rejects.toThrow('its bucket "eu" was deleted');
    }
    expect(await isCached(directory, "other")).toBe(true);
    expect([main.bucket.deleted, other.bucket.deleted]).toEqual([true, false]);
    expect((await directory.list({})).items.map(({ name }) => name)).toEqual(["other"]);
  });

  it("O17 a restored bucket is read anew, and what was opened before its deletion works again", async () => {
    const directory = await warm({ owner: "ops" });
    const before = await directory.open("main");
    await directory.deleteBucket("eu", {});
    expect(await outcomeOf(directory.describe("main"))).toBe("LedgerNotFoundError");
    await directory.restoreBucket("eu", {});
    expect(before.bucket.deleted).toBe(false);
    const asked = await stage.askedBy(async () => {
      expect(await directory.describe("main")).toEqual(before.info);
    });
    expect(asked).toEqual(LOAD);
    expect(await isCached(directory)).toBe(true);
  });

  it("O17 stops ledgers that were opened before, whoever deleted their bucket, until it is restored", async () => {
    const ledgers = await stage.ledgers();
    const external = await stage.external();
    await ledgers.create("main", { bucket: "eu" });
    const ledger = await ledgers.open("main");
    await eventually(() => ledgers.following);
    const amount = 5n;
    const grant = { to: "alice", asset: "CREDIT", amount };
    await ledger.grant(grant);
    for (const changer of [ledgers, external]) {
      await changer.deleteBucket("eu");
      await eventually(
        async () => (await outcomeOf(ledger.grant(grant))) === "LedgerNotFoundError",
      );
      await changer.restoreBucket("eu");
      await eventually(() => ledger.grant(grant));
    }
    await expect(ledgers.open("nobody")).rejects.toThrow(LedgerNotFoundError);
  });

  it("O18 evicts when it is acknowledged, never before", async () => {
    const directory = await warm({ owner: "ops" });
    const held = stage.wire.hold(answerTo(stage.subject("ledger", "main")));
    const setting = directory.setMetadata("main", { owner: "finance" }, { timeoutMs: 5_000 });
    await held.reached();
    expect(await isCached(directory)).toBe(true);
    expect((await directory.describe("main")).metadata).toEqual({ owner: "ops" });
    held.release();
    await setting;
    expect((await directory.describe("main")).metadata).toEqual({ owner: "finance" });
  });

  it("O18 that is refused evicts nothing, and its error reaches the caller", async () => {
    const directory = await warm();
    const refused: readonly (readonly [() => Promise<unknown>, new (...args: never) => Error])[] = [
      [() => directory.create(asked("main", "us")), LedgerExistsError],
      [() => directory.setMetadata("main", { text: "x".repeat(2 << 20) }, {}), AppendTooLargeError],
      [() => directory.deleteBucket("nowhere", {}), LedgerBucketNotFoundError],
      [() => directory.setMetadata("nobody", { a: 1 }, {}), LedgerNotFoundError],
    ];
    for (const [call, error] of refused) await expect(call()).rejects.toThrow(error);
    expect(await isCached(directory)).toBe(true);
    await directory.create(asked("other", "us"));
    await directory.describe("other");
    await directory.deleteBucket("eu", {});
    await expect(directory.deleteBucket("eu", {})).rejects.toThrow(LedgerBucketNotFoundError);
    expect(await isCached(directory, "other")).toBe(true);
  });

  it("O18 evicts where its outcome is unknown", async () => {
    const directory = await warm({ owner: "ops" });
    const acks = stage.wire.hold(answerTo(stage.subject("ledger", "main")));
    const setting = directory.setMetadata("main", { owner: "finance" }, { timeoutMs: 600 });
    await acks.reached();
    const looks = stage.wire.hold(answerTo(/DIRECT\.GET|MSG\.GET/));
    await expect(setting).rejects.toThrow(AppendOutcomeUnknownError);
    acks.release();
    looks.release();
    const asked = await stage.askedBy(async () => {
      expect((await directory.describe("main")).metadata).toEqual({ owner: "finance" });
    });
    expect(asked).toEqual(LOAD);
  });

  it("O18 whose caller leaves goes on, and evicts both then and when it is acknowledged", async () => {
    const directory = await warm({ owner: "ops" });
    // Sent, but not stored yet: what is read until then is from before the change.
    const held = stage.wire.hold(firstOf(publishTo(stage.subject("ledger", "main"))));
    const leaving = new AbortController();
    const signal = leaving.signal;
    const setting = directory.setMetadata("main", { owner: "finance" }, { signal });
    await held.reached();
    leaving.abort(new RangeError("left"));
    expect(await outcomeOf(setting)).toBe("RangeError");
    expect(await isCached(directory)).toBe(false);
    expect((await directory.describe("main")).metadata).toEqual({ owner: "ops" });
    held.release();
    await eventually(async () => {
      expect((await directory.describe("main")).metadata).toEqual({ owner: "finance" });
    });
  });

  it("O18 whose caller has left before it was sent changes nothing", async () => {
    const directory = await warm({ owner: "ops" });
    const held = stage.wire.hold(firstOf(answerTo(stage.request("ledger", "main"))));
    const leaving = new AbortController();
    const setting = directory.setMetadata("main", { owner: "x" }, { signal: leaving.signal });
    await held.reached();
    leaving.abort(new RangeError("left"));
    expect(await outcomeOf(setting)).toBe("RangeError");
    expect(await isCached(directory)).toBe(true);
    held.release();
    await directory.setMetadata("main", { tier: 1 }, {});
    expect((await directory.describe("main")).metadata).toEqual({ owner: "ops", tier: 1 });
  });
});

describe("a load that began before a change", () => {
  it("O19 O20 is neither stored nor joined by who asks after the change", async () => {
    const directory = await warm({ owner: "ops" });
    stage.nowMs = 60_000;
    const held = stage.wire.hold(firstOf(answerTo(stage.request("ledger", "main"))));
    const before = directory.describe("main");
    await held.reached();
    await directory.setMetadata("main", { owner: "finance" }, {});
    expect((await directory.describe("main")).metadata).toEqual({ owner: "finance" });
    held.release();
    expect((await before).metadata).toEqual({ owner: "ops" });
    const asked = await stage.askedBy(async () => {
      expect((await directory.describe("main")).metadata).toEqual({ owner: "finance" });
    });
    expect(asked).toEqual([]);
  });

  it("O19 is not stored where nobody has asked since", async () => {
    const directory = await warm({ owner: "ops" });
    stage.nowMs = 60_000;
    const held = stage.wire.hold(firstOf(answerTo(stage.request("bucket", "eu"))));
    const before = directory.describe("main");
    await held.reached();
    await directory.setMetadata("main", { owner: "finance" }, {});
    held.release();
    await before;
    expect(await isCached(directory)).toBe(false);
    expect((await directory.describe("main")).metadata).toEqual({ owner: "finance" });
  });

  it("O20 a creation detaches the load that has just found nothing", async () => {
    const directory = await stage.directory();
    const held = stage.wire.hold(firstOf(answerTo(stage.request("ledger", "main"))));
    const before = outcomeOf(directory.describe("main"));
    await held.reached();
    await directory.create(asked("main"));
    expect(await directory.describe("main")).toMatchObject({ name: "main" });
    held.release();
    expect(await before).toBe("LedgerNotFoundError");
  });

  it("O21 of a ledger never cached loses against the deletion of its bucket", async () => {
    const external = await stage.external();
    await external.create("main", { bucket: "eu" });
    const directory = await stage.directory();
    const held = stage.wire.hold(firstOf(answerTo(stage.request("bucket", "eu"))));
    const before = outcomeOf(directory.open("main"));
    await held.reached();
    await directory.deleteBucket("eu", {});
    expect(await outcomeOf(directory.describe("main"))).toBe("LedgerNotFoundError");
    held.release();
    // It was told that the bucket is there, and knows better by now.
    expect(await before).toBe("LedgerNotFoundError");
    expect(directory.cacheSize).toMatchObject({ names: 0, loads: 0 });
    expect(await outcomeOf(directory.describe("main"))).toBe("LedgerNotFoundError");
  });

  it("O21 of a ledger in another bucket is stored all the same", async () => {
    const external = await stage.external();
    await external.create("main", { bucket: "eu" });
    await external.create("other", { bucket: "us" });
    const directory = await stage.directory();
    const held = stage.wire.hold(firstOf(answerTo(stage.request("bucket", "us"))));
    const loading = directory.describe("other");
    await held.reached();
    await directory.deleteBucket("eu", {});
    held.release();
    await loading;
    expect(await isCached(directory, "other")).toBe(true);
  });

  it("O22 leaves nothing behind while the cache is off", async () => {
    const directory = await stage.directory({ ttlMs: 0 });
    await directory.create(asked("main"));
    await Promise.all([directory.describe("main"), directory.setMetadata("main", { a: 1 }, {})]);
    await directory.list({});
    await directory.deleteBucket("eu", {});
    await directory.restoreBucket("eu", {});
    expect((await directory.describe("main")).metadata).toEqual({ a: 1 });
    expect(directory.cacheSize).toEqual({ names: 0, loads: 0, evictions: 0 });
  });
});
