import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { LedgerDirectory } from "../../../src/ledger/directory.ts";
import type { Ledgers } from "../../../src/ledger/ledgers.ts";
import { eventually } from "../../support/server.ts";
import { deliveryOf, publishTo } from "../../support/wire.ts";
import { asked, DirectoryStage, firstOf, outcomeOf } from "./directory-stage.ts";

const PROGRAM = fileURLToPath(new URL("directory-process.ts", import.meta.url));
const TTL_MS = 60_000;

let stage: DirectoryStage;
/** Another process. */
let external: Ledgers;

beforeEach(async () => {
  stage = await DirectoryStage.open();
  external = await stage.external();
});

afterEach(() => stage[Symbol.asyncDispose]());

/** A directory that follows, and has read the ledgers. */
async function following(...names: string[]): Promise<LedgerDirectory> {
  const directory = await stage.directory({ follow: true });
  await eventually(() => directory.following);
  for (const name of names) await directory.describe(name);
  return directory;
}

/** Waits until everything that was changed so far has been heard of. */
async function untilHeard(directory: LedgerDirectory): Promise<void> {
  await external.create("told-last", { bucket: "other" });
  await directory.describe("told-last");
  await external.setMetadata("told-last", { told: true });
  await eventually(async () => (await directory.describe("told-last")).metadata["told"] === true);
}

/** What a child answers. */
async function told(child: ChildProcess, name: string): Promise<unknown> {
  const answered = once(child, "message");
  child.send(name);
  const [answer] = (await answered) as [{ readonly found: unknown }];
  return answer.found;
}

describe("O24 a change that another process made", () => {
  it("O24 reaches the cache of a process long before the time to live is over", async () => {
    await external.create("main", { bucket: "eu", metadata: { owner: "ops" } });
    const child = fork(PROGRAM, [stage.wire.url, stage.stream], { execArgv: ["--import", "tsx"] });
    await once(child, "message");
    expect(await told(child, "main")).toEqual({ owner: "ops" });
    stage.wire.reset();
    for (let time = 0; time < 10; time++)
      expect(await told(child, "main")).toEqual({ owner: "ops" });
    expect(stage.asked().filter((subject) => subject.startsWith("ledger"))).toEqual([]);

    const seenAfter = async (change: () => Promise<unknown>, shows: unknown): Promise<number> => {
      await change();
      const startedAt = performance.now();
      await eventually(async () => expect(await told(child, "main")).toEqual(shows), {
        timeoutMs: TTL_MS / 4,
      });
      return performance.now() - startedAt;
    };
    const changes = [
      [() => external.setMetadata("main", { owner: "finance" }), { owner: "finance" }],
      [() => external.deleteMetadata("main", "owner"), {}],
      [() => external.deleteBucket("eu"), "LedgerNotFoundError"],
      [() => external.restoreBucket("eu"), {}],
    ] as const;
    for (const [change, shows] of changes) {
      expect(await seenAfter(change, shows)).toBeLessThan(TTL_MS / 4);
    }
    const exited = once(child, "exit");
    child.send("close");
    expect(await exited).toEqual([0, null]);
  });

  it("O24 evicts the ledger that was changed, and nothing else", async () => {
    for (const name of ["a", "b"]) await external.create(name, { bucket: "eu" });
    await external.create("c", { bucket: "us" });
    const directory = await following("a", "b", "c");
    await external.setMetadata("a", { n: 1 });
    await untilHeard(directory);
    const asked = await stage.askedBy(async () => {
      await directory.describe("b");
      await directory.describe("c");
    });
    expect(asked).toEqual([]);
    expect((await directory.describe("a")).metadata).toEqual({ n: 1 });
    await external.create("d", { bucket: "us" });
    await external.deleteBucket("eu");
    await eventually(
      async () => (await outcomeOf(directory.describe("b"))) === "LedgerNotFoundError",
    );
    expect(await stage.askedBy(() => directory.describe("c"))).toEqual([]);
  });

  it("O24 and reverted before it was looked at makes the ledger be read anew all the same", async () => {
    await external.create("main", { bucket: "eu" });
    const directory = await following("main");
    await external.deleteBucket("eu");
    await external.restoreBucket("eu");
    await untilHeard(directory);
    const asked = await stage.askedBy(() => directory.describe("main"));
    expect(asked).toEqual(["ledger main", "bucket eu"]);
  });

  it("O24 of its own, a process hears of later without reading the ledger again", async () => {
    const directory = await following();
    const held = stage.wire.hold(deliveryOf(stage.subject("ledger", "main")));
    await directory.create(asked("main"));
    await directory.setMetadata("main", { n: 1 }, {});
    await directory.describe("main");
    await held.reached(2);
    held.release();
    await untilHeard(directory);
    expect(await stage.askedBy(() => directory.describe("main"))).toEqual([]);
  });

  it("O24 stops what was opened before its bucket was deleted, until it is restored", async () => {
    await external.create("main", { bucket: "eu" });
    const directory = await following();
    const { bucket } = await directory.open("main");
    await external.deleteBucket("eu");
    await eventually(() => bucket.deleted);
    await external.restoreBucket("eu");
    await eventually(() => !bucket.deleted);
  });
});

describe("O24 a gap in what is followed", () => {
  it("O24 empties the cache: the connection was lost", async () => {
    await external.create("main", { bucket: "eu" });
    const directory = await following("main");
    const { bucket } = await directory.open("main");
    expect(directory.cacheSize.names).toBe(1);
    stage.wire.refuse();
    stage.wire.cut();
    await eventually(() => directory.cacheSize.names === 0);
    expect(directory.following).toBe(false);
    await external.deleteBucket("eu");
    stage.wire.accept();
    await eventually(() => directory.following);
    expect(await outcomeOf(directory.describe("main"))).toBe("LedgerNotFoundError");
    await eventually(() => bucket.deleted);
  });

  it("O24 empties the cache: the server has dropped the consumer", async () => {
    await external.create("main", { bucket: "eu" });
    const directory = await following("main");
    await withAdmin(async (nc) => {
      const { consumers } = await jetstreamManager(nc, { checkAPI: false });
      for await (const { name } of consumers.list(stage.stream)) {
        await consumers.delete(stage.stream, name);
      }
    });
    await eventually(() => directory.cacheSize.names === 0);
    await eventually(() => directory.following);
    await directory.describe("main");
    await external.setMetadata("main", { n: 1 });
    await eventually(async () => (await directory.describe("main")).metadata["n"] === 1);
  });

  it("O24 before following began: what was read and opened until then is not believed", async () => {
    await external.create("main", { bucket: "eu" });
    await external.create("other", { bucket: "us" });
    const held = stage.wire.hold(firstOf(publishTo(/STREAM\.MSG\.GET/)));
    const directory = await stage.directory({ follow: true });
    await held.reached();
    const { bucket } = await directory.open("main");
    await directory.describe("other");
    await external.deleteBucket("eu");
    await external.setMetadata("other", { n: 1 });
    expect(directory.cacheSize.names).toBe(2);
    held.release();
    await eventually(() => directory.following);
    await eventually(() => bucket.deleted);
    expect((await directory.describe("other")).metadata).toEqual({ n: 1 });
    expect(await outcomeOf(directory.describe("main"))).toBe("LedgerNotFoundError");
  });

  it("O24 empties the cache: the stream is another one, and is followed from then on", async () => {
    await external.create("main", { bucket: "eu", metadata: { n: 1 } });
    const directory = await following("main");
    const { bucket } = await directory.open("main");
    await recreateStream();
    await eventually(
      async () => (await outcomeOf(directory.describe("main"))) === "LedgerNotFoundError",
    );
    const another = await stage.external();
    await another.create("main", { bucket: "eu", metadata: { n: 2 } });
    await eventually(async () => (await directory.describe("main")).metadata["n"] === 2);
    await another.deleteBucket("eu");
    await eventually(() => bucket.deleted, { timeoutMs: 20_000 });
  });

  it("O24 empties the cache: the stream is another one, also where nothing is followed", async () => {
    await external.create("main", { bucket: "eu", metadata: { n: 1 } });
    await external.deleteBucket("eu");
    await external.restoreBucket("eu");
    const directory = await stage.directory({ follow: false });
    const { bucket } = await directory.open("main");
    await recreateStream();
    await eventually(
      async () => (await outcomeOf(directory.describe("main"))) === "LedgerNotFoundError",
    );
    expect(bucket.deleted).toBe(false);
    const another = await stage.external();
    await another.create("main", { bucket: "eu" });
    await another.deleteBucket("eu");
    // Version 2 of this bucket is later than version 3 of the one before.
    await expect(directory.describe("main")).rejects.toThrow("was deleted");
    expect(bucket.deleted).toBe(true);
  });

  it("O24 a message that cannot be read empties the cache, and following goes on", async () => {
    for (const name of ["main", "other"]) await external.create(name, { bucket: "eu" });
    const directory = await following("main", "other");
    await withAdmin((nc) => nc.request(stage.subject("ledger", "main"), "no commit"));
    await eventually(() => directory.cacheSize.names === 0);
    expect(await outcomeOf(directory.describe("main"))).toBe("CorruptCommitError");
    await directory.describe("other");
    await external.setMetadata("other", { n: 1 });
    await eventually(async () => (await directory.describe("other")).metadata["n"] === 1);
  });
});

/** An administrator deletes the stream and creates it again, empty. */
async function recreateStream(): Promise<void> {
  await withAdmin(async (nc) => {
    const { streams } = await jetstreamManager(nc, { checkAPI: false });
    const { config } = await streams.info(stage.stream);
    await streams.delete(stage.stream);
    await streams.add(config);
  });
}

async function withAdmin(work: (nc: NatsConnection) => Promise<unknown>): Promise<void> {
  const nc = await connect({ servers: stage.url });
  try {
    await work(nc);
  } finally {
    await nc.close();
  }
}
