import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type ReconnectMessage,
  type RetryMessage,
  StreamRolledBackError,
} from "../../../src/index.ts";
import { type NatsServer, startServer } from "../../../src/server/index.ts";
import { internalsOf } from "../../../src/store/internals.ts";
import { eventually } from "../../support/server.ts";
import { listenTo } from "./listening.ts";
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
const carol = account("carol");

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

/** Another process appends to alice. */
async function writeAnew(count: number): Promise<void> {
  await using writer = await stage.unwatchedStore();
  await write(writer, alice, count);
}

/** An administrator does, who was not there when the server was restarted. */
async function purgeCarol(): Promise<void> {
  const nc = await connect({ servers: server.url });
  const admin = await jetstreamManager(nc, { checkAPI: false });
  await admin.streams.purge(stage.stream, { filter: stage.subject(carol) });
  await nc.close();
}

/** Puts the disk back while `store` is away, lets something happen on it, and lets `store` return. */
async function restoreDisk(store: BankStore, meanwhile: () => Promise<unknown>): Promise<void> {
  stage.wire.refuse();
  await server.kill();
  await copyDisk("backup", "store/jetstream");
  await server.restart();
  await whenAllConnected(stage.external);
  await meanwhile();
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
    await restoreDisk(store, () => writeAnew(2));
    expect(await appendAtFour(store)).toEqual(refused);
  });

  it("V9 is noticed by a store that fetched the lost commits", async () => {
    const store = await stage.store();
    await backUpDisk(store);
    await write(stage.external, alice, 2);
    await store.latestVersion(alice);
    await restoreDisk(store, () => writeAnew(2));
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
    await restoreDisk(store, () => writeAnew(2));
    expect(await appendAtFour(store)).toEqual(refused);
  });

  it("V9 is noticed by a store that knew the lost commits from following others alone", async () => {
    const store = await stage.store({ follow: true });
    await backUpDisk(store);
    await store.latestVersion(alice);
    await write(stage.external, alice, 2);
    await eventually(() => store.cachedVersion(alice) === 4);
    await restoreDisk(store, () => writeAnew(2));
    expect(await appendAtFour(store)).toEqual(refused);
  });

  it("V9 is noticed by a store that saw the last of the lost commits purged before", async () => {
    const told = listenTo<ReconnectMessage>("annal:reconnect", stage.stream);
    const store = await stage.store({ identityCheckMs: 50 });
    await backUpDisk(store);
    await write(store, alice, 2);
    await write(store, carol, 1);
    await purgeCarol();
    await eventually(() => told.some(({ what }) => what === "purged"));
    await restoreDisk(store, () => writeAnew(2));
    expect(await appendAtFour(store)).toEqual(refused);
  });

  it("V9 is noticed when it is shorter than what was seen, and goes on from there", async () => {
    const store = await stage.store();
    await backUpDisk(store);
    await write(store, alice, 2);
    await restoreDisk(store, async () => {});
    const error = await rejection(store.append(alice, deposits(), { expectedVersion: 4 }));
    expect(error).toBeInstanceOf(StreamRolledBackError);
    expect(await store.latestVersion(alice)).toBe(2);
    expect((await store.append(alice, deposits(), { expectedVersion: 2 })).version).toBe(3);
    expect((await store.append(bob, deposits(), { expectedVersion: 1 })).version).toBe(2);
  });
});

describe("V9 a stream whose disk was put back, and in which something that is no commit stands at the place", () => {
  async function publishForeign(): Promise<void> {
    const nc = await connect({ servers: server.url });
    await nc.request(stage.subject(alice), "no commit");
    await nc.close();
  }

  it("V9 is noticed as a rollback of the actor that was known there", async () => {
    const store = await stage.store();
    await backUpDisk(store);
    await write(store, alice, 1);
    await restoreDisk(store, publishForeign);
    const error = await rejection(store.append(alice, deposits(), { expectedVersion: 3 }));
    expect(error).toBeInstanceOf(StreamRolledBackError);
    expect(error).toMatchObject({ position: 4, actualCommitId: undefined });
  });

  it("V9 is noticed without keeping other actors from being appended to", async () => {
    const store = await stage.store({ appendTimeoutMs: 3_000 });
    await backUpDisk(store);
    await write(store, alice, 1);
    await restoreDisk(store, publishForeign);
    expect((await store.append(bob, deposits(), { expectedVersion: 1 })).version).toBe(2);
  });
});

describe("a stream that its server does not find for a while", () => {
  it("is not taken for deleted", async () => {
    const store = await stage.store();
    await stage.external.close();
    const retries = listenTo<RetryMessage>("annal:retry", stage.stream);
    await write(store, alice, 1);
    await server.kill();
    await copyDisk("store/jetstream", "backup");
    await rm(join(folder, "store/jetstream"), { recursive: true });
    await server.restart();
    await eventually(
      () => expect(retries.map(({ reason }) => reason)).toContain("the stream was deleted"),
      { timeoutMs: 20_000 },
    );
    await server.kill();
    await copyDisk("backup", "store/jetstream");
    await server.restart();
    await whenAllConnected(store);
    expect((await store.append(alice, deposits(), { expectedVersion: 3 })).version).toBe(4);
    expect(internalsOf(store).context.guard.epoch).toBe(0);
  }, 40_000);
});
