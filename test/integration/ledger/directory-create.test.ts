import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  AppendOutcomeUnknownError,
  ClosedError,
  InvalidArgumentError,
  UnserialisableValueError,
} from "../../../src/errors.ts";
import { DEFAULT_SETTINGS } from "../../../src/ledger/account.ts";
import { LedgerBucketNotFoundError, LedgerExistsError } from "../../../src/ledger/errors.ts";
import { Ledgers } from "../../../src/ledger/ledgers.ts";
import { answerTo } from "../../support/wire.ts";
import { DirectoryStage, asked, outcomeOf } from "./directory-stage.ts";

let stage: DirectoryStage;

beforeEach(async () => {
  stage = await DirectoryStage.open();
});

afterEach(() => stage[Symbol.asyncDispose]());

describe("creating a ledger", () => {
  it("is one commit on the ledger and on its bucket, each with a format number first", async () => {
    const ledgers = await stage.ledgers({ follow: false });
    const info = await ledgers.create("main", { bucket: "eu", metadata: { owner: "ops" } });
    expect(info).toMatchObject({ name: "main", bucket: "eu", settings: DEFAULT_SETTINGS });
    await ledgers.create("second", { bucket: "eu" });
    const store = await stage.store();
    const commits = [];
    for await (const commit of store.readCommits()) commits.push(commit);
    expect(commits.map(({ actor, version }) => `${actor.type}/${actor.id} ${version}`)).toEqual([
      "bucket/eu 1",
      "ledger/main 1",
      "bucket/eu 2",
      "ledger/second 1",
    ]);
    const events = commits.flatMap((commit) => commit.events);
    expect(events.map(({ type }) => type)).toEqual([
      "LedgerAdded",
      "LedgerCreated",
      "LedgerAdded",
      "LedgerCreated",
    ]);
    for (const { data } of events) {
      expect(Object.entries(data as object)[0]).toEqual(["format", 1]);
    }
  });

  it("gives what will be found, whatever the metadata hold", async () => {
    const ledgers = await stage.ledgers({ follow: false });
    const metadata = {
      big: 2n ** 80n,
      at: new Date(5),
      bytes: Uint8Array.of(1),
      list: [undefined],
    };
    const settings = {
      drainPolicy: "expiration-first@1",
      accounts: { lots: false, overdraft: "unlimited" },
      idempotencyKeys: 7,
    } as const;
    const info = await ledgers.create("main", { bucket: "eu", metadata, settings });
    expect(info.settings).toEqual(settings);
    expect(info.metadata).toEqual({ ...metadata, list: [null] });
    expect(await (await stage.external()).describe("main")).toEqual(info);
  });

  it("is refused where the name is taken, also in another bucket and in a deleted one", async () => {
    const ledgers = await stage.ledgers({ follow: false });
    await ledgers.create("main", { bucket: "eu" });
    await expect(ledgers.create("main", { bucket: "eu" })).rejects.toThrow(LedgerExistsError);
    await expect(ledgers.create("main", { bucket: "us" })).rejects.toThrow('in bucket "eu"');
    await ledgers.deleteBucket("eu");
    await expect(ledgers.create("main", { bucket: "us" })).rejects.toThrow(LedgerExistsError);
    await expect(ledgers.create("new", { bucket: "eu" })).rejects.toThrow(
      LedgerBucketNotFoundError,
    );
    expect((await ledgers.listBuckets()).items).toEqual([{ name: "eu", deleted: true }]);
  });

  it("is done by one of many at once, and none of many in one bucket gets lost", async () => {
    const all = await Promise.all([stage.external(), stage.external(), stage.external()]);
    const outcomes = await Promise.all(
      all.flatMap((ledgers) =>
        [1, 2, 3].map(() => outcomeOf(ledgers.create("main", { bucket: "eu" }))),
      ),
    );
    expect(outcomes.filter((outcome) => outcome === "LedgerExistsError")).toHaveLength(8);
    await Promise.all(
      all.flatMap((ledgers, process) =>
        Array.from({ length: 10 }, (_, n) => ledgers.create(`l${process}-${n}`, { bucket: "eu" })),
      ),
    );
    expect((await all[0]?.list({ bucket: "eu" }))?.items).toHaveLength(31);
  });

  it("whose ack is lost succeeds, and is not told that the ledger exists", async () => {
    const directory = await stage.directory({}, { ackTimeoutMs: 100 });
    const lost = stage.wire.drop(answerTo(stage.subject("ledger", "main")));
    await directory.create(asked("main"));
    expect(lost.frames).toHaveLength(1);
    expect(await directory.describe("main")).toMatchObject({ name: "main" });
  });

  it("whose outcome was unknown is repeated with its commit id, and gives its first result", async () => {
    const directory = await stage.directory({}, { ackTimeoutMs: 100 });
    const ledger = asked("main", "eu", { owner: "ops" });
    const acks = stage.wire.hold(answerTo(stage.subject("ledger", "main")));
    const creating = directory.create(ledger, "creation-1", { timeoutMs: 600 });
    await acks.reached();
    const looks = stage.wire.hold(answerTo(/DIRECT\.GET|MSG\.GET/));
    await expect(creating).rejects.toThrow(AppendOutcomeUnknownError);
    acks.release();
    looks.release();
    const info = await directory.create(ledger, "creation-1");
    await directory.setMetadata("main", { owner: "finance" }, {});
    expect(await directory.create(ledger, "creation-1")).toEqual(info);
    expect(info.metadata).toEqual({ owner: "ops" });
    await expect(directory.create(ledger, "creation-2")).rejects.toThrow(LedgerExistsError);
    const other = directory.create(asked("main", "eu", { owner: "me" }), "creation-1");
    await expect(other).rejects.toThrow(LedgerExistsError);
    const store = await stage.store();
    expect(await store.latestVersion({ type: "bucket", id: "eu" })).toBe(1);
  });

  it("is refused with the place of what is wrong, before anything is sent", async () => {
    const ledgers = await stage.ledgers({ follow: false });
    const asked = await stage.askedBy(async () => {
      const wrong = [
        ledgers.create("a b", { bucket: "eu" }),
        ledgers.create("*", { bucket: "eu" }),
        ledgers.create("main", { bucket: ">" }),
        ledgers.create("main", { bucket: "eu", settings: { idempotencyKeys: 0 } }),
        ledgers.create("main", { bucket: "eu", timeoutMs: 0 }),
        ledgers.describe("ledger.*"),
        ledgers.open(""),
        ledgers.deleteBucket("a.b"),
        ledgers.restoreBucket("x".repeat(64)),
        ledgers.deleteMetadata("main", [1 as unknown as string]),
        ledgers.list({ bucket: "*" }),
        ledgers.list({ limit: 0 }),
        ledgers.listBuckets({ after: "*" }),
      ];
      for (const outcome of await Promise.allSettled(wrong)) {
        expect(outcome).toMatchObject({ reason: expect.any(InvalidArgumentError) });
      }
      const metadata = { run: () => 1 };
      const unserialisable = ledgers.create("main", { bucket: "eu", metadata });
      await expect(unserialisable).rejects.toThrow(UnserialisableValueError);
    });
    expect(asked).toEqual([]);
    const store = await stage.store();
    for (const options of [{ openCacheTtlMs: Number.NaN }, { loadTimeoutMs: 0 }]) {
      await expect(Ledgers.open(store, options)).rejects.toThrow(InvalidArgumentError);
    }
  });

  it("and all else is refused once the ledgers are closed", async () => {
    const ledgers = await stage.ledgers();
    await ledgers.create("main", { bucket: "eu" });
    const ledger = await ledgers.open("main");
    expect(ledger).toBeDefined();
    await Promise.all([ledgers.close(), ledgers[Symbol.asyncDispose]()]);
    for (const call of [
      ledgers.describe("main"),
      ledgers.open("main"),
      ledgers.create("other", { bucket: "eu" }),
      ledgers.list(),
    ]) {
      await expect(call).rejects.toThrow(ClosedError);
    }
  });
});

describe("lists of ledgers", () => {
  it("come in pages by name, of all buckets or of one, without those of deleted buckets", async () => {
    const ledgers = await stage.ledgers({ follow: false });
    const names = ["B", "a", "a-", "a0", "aa", "b", "c", "d", "e_", "f"];
    for (const [at, name] of [...names].reverse().entries()) {
      await ledgers.create(name, { bucket: at % 3 === 0 ? "us" : "eu", metadata: { at } });
    }
    const pages = async (options: { bucket?: string; limit: number }): Promise<string[][]> => {
      const found: string[][] = [];
      let after: string | undefined;
      do {
        const { items, cursor } = await ledgers.list({ ...options, after });
        found.push(items.map(({ name }) => name));
        after = cursor;
      } while (after !== undefined);
      return found;
    };
    const sorted = [...names].sort();
    expect(await pages({ limit: 100 })).toEqual([sorted]);
    expect(await pages({ limit: 10 })).toEqual([sorted]);
    expect(await pages({ limit: 4 })).toEqual([
      sorted.slice(0, 4),
      sorted.slice(4, 8),
      sorted.slice(8),
    ]);
    const inUs = sorted.filter((name) => (names.length - 1 - names.indexOf(name)) % 3 === 0);
    expect(await pages({ bucket: "us", limit: 2 })).toEqual([inUs.slice(0, 2), inUs.slice(2)]);
    expect(await pages({ bucket: "nowhere", limit: 2 })).toEqual([[]]);
    await ledgers.deleteBucket("us");
    const inEu = sorted.filter((name) => !inUs.includes(name));
    expect((await pages({ limit: 1 })).flat()).toEqual(inEu);
    expect(await pages({ bucket: "us", limit: 2 })).toEqual([[]]);
    expect((await ledgers.listBuckets({ limit: 1 })).cursor).toBe("eu");
    expect((await ledgers.listBuckets({ after: "eu" })).items).toEqual([
      { name: "us", deleted: true },
    ]);
  });

  it("O13 fill the cache, so that what was listed opens without a request", async () => {
    const external = await stage.external();
    for (const name of ["a", "b"]) await external.create(name, { bucket: "eu" });
    const directory = await stage.directory();
    await directory.list({});
    const asked = await stage.askedBy(() =>
      Promise.all([directory.describe("a"), directory.open("b")]),
    );
    expect(asked).toEqual([]);
  });
});
