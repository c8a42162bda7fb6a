import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StreamRolledBackError } from "../../../src/index.ts";
import { type NatsServer, startServer } from "../../../src/server/index.ts";
import { eventually } from "../../support/server.ts";
import {
  account,
  type BankStore,
  deposits,
  outcomeOf,
  rejection,
  Stage,
  write,
} from "./version-cache-stage.ts";

/*
 * A disk put back to an earlier state keeps everything of the stream, the time of its creation included: only the
 * commits themselves tell that it was rolled back.
 */

let folder: string;
let server: NatsServer;
let stage: Stage;
const alice = account("alice");
const bob = account("bob");

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "annal-disk-"));
  server = await startServer({ storeDir: join(folder, "store") });
  stage = await Stage.open(server.url);
  await write(stage.external, bob, 1);
  await write(stage.external, alice, 2);
});

afterEach(async () => {
  await stage[Symbol.asyncDispose]();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

async function copyDisk(from: string, to: string): Promise<void> {
  await rm(join(folder, to), { recursive: true, force: true });
  await cp(join(folder, from), join(folder, to), { recursive: true });
}

async function whenAllConnected(...stores: readonly BankStore[]): Promise<void> {
  await eventually(() => stores.every((store) => store.health().connected), {
    timeoutMs: 20_000,
  });
}

async function backUpDisk(store: BankStore): Promise<void> {
  await server.kill();
  await copyDisk("store/jetstream", "backup");
  await server.restart();
  await whenAllConnected(store, stage.external);
}

/** Puts the disk back while `store` is away, lets another process write `count` commits, and lets `store` return. */
async function restoreDisk(store: BankStore, count: number): Promise<void> {
  stage.wire.refuse();
  await server.kill();
  await copyDisk("backup", "store/jetstream");
  await server.restart();
  await using writer = await stage.unwatchedStore();
  await write(writer, alice, count);
  await eventually(() => !store.health().connected);
  stage.wire.accept();
  await whenAllConnected(store);
}

/** Appends behind version 4 of the lost history; tells how that ended, and how long the new history is then. */
async function appendAtFour(store: BankStore): Promise<{ outcome: string; stored: number }> {
  const outcome = await outcomeOf(store.append(alice, deposits(), { expectedVersion: 4 }));
  await using reader = await stage.unwatchedStore();
  return { outcome, stored: await reader.latestVersion(alice) };
}

const refused = { outcome: "StreamRolledBackError", stored: 4 } as const;

describe("V9 a stream whose disk was put back, and on which others have written as much again", () => {
  it("V9 is noticed by a store that wrote the lost commits", async () => {
    const store = await stage.store();
    await backUpDisk(store);
    await write(store, alice, 2);
    await restoreDisk(store, 2);
    expect(await appendAtFour(store)).toEqual(refused);
  });

  it("V9 is noticed by a store that fetched the lost commits", async () => {
    const store = await stage.store();
    await backUpDisk(store);
    await write(stage.external, alice, 2);
    await store.latestVersion(alice);
    await restoreDisk(store, 2);
    expect(await appendAtFour(store)).toEqual(refused);
  });

  it("V9 is noticed by a store that knew the lost commits from a subscription alone", async () => {
    const store = await stage.store();
    await backUpDisk(store);
    const live = store.subscribe({ after: "now" });
    const reading = (async () => {
      for await (const event of live) if (event.version === 4) break;
    })();
    await live.caughtUp;
    await write(stage.external, alice, 2);
    await reading;
    expect(store.cachedVersion(alice)).toBe(4);
    await restoreDisk(store, 2);
    expect(await appendAtFour(store)).toEqual(refused);
  });

  it("V9 is noticed by a store that knew the lost commits from following others alone", async () => {
    const store = await stage.store({ follow: true });
    await backUpDisk(store);
    await store.latestVersion(alice);
    await write(stage.external, alice, 2);
    await eventually(() => store.cachedVersion(alice) === 4);
    await restoreDisk(store, 2);
    expect(await appendAtFour(store)).toEqual(refused);
  });

  it("V9 is noticed when it is shorter than what was seen, and goes on from there", async () => {
    const store = await stage.store();
    await backUpDisk(store);
    await write(store, alice, 2);
    await restoreDisk(store, 0);
    const error = await rejection(store.append(alice, deposits(), { expectedVersion: 4 }));
    expect(error).toBeInstanceOf(StreamRolledBackError);
    expect(await store.latestVersion(alice)).toBe(2);
    expect((await store.append(alice, deposits(), { expectedVersion: 2 })).version).toBe(3);
    expect((await store.append(bob, deposits(), { expectedVersion: 1 })).version).toBe(2);
  });
});
