import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "../../support/server.ts";
import { backUp } from "./stream-backup.ts";
import {
  account,
  type BankStore,
  deposits,
  outcomeOf,
  Stage,
  write,
} from "./version-cache-stage.ts";

let stage: Stage;
let store: BankStore;
const alice = account("alice");
const bob = account("bob");

beforeEach(async () => {
  stage = await Stage.open();
  store = await stage.store();
  await write(store, bob, 1);
  await write(store, alice, 2);
});

afterEach(() => stage[Symbol.asyncDispose]());

/** An administrator puts the stream back to a backup; meanwhile the store may be away. */
async function restore(
  backup: { restore(): Promise<void> },
  connection: "connected" | "disconnected",
  afterwards: () => Promise<void> = async () => {},
): Promise<void> {
  if (connection === "disconnected") {
    stage.wire.refuse();
    stage.wire.cut();
    await eventually(() => !store.health().connected);
  }
  await stage.admin.streams.delete(stage.stream);
  await backup.restore();
  await afterwards();
  stage.wire.accept();
  await eventually(() => store.health().connected);
}

/** Another process writes on the restored stream. */
async function writeAnew(count: number): Promise<void> {
  await using writer = await stage.unwatchedStore();
  await write(writer, alice, count);
}

async function storedVersion(): Promise<number> {
  await using reader = await stage.unwatchedStore();
  return await reader.latestVersion(alice);
}

/** Appends at a version of the lost history; tells how that ended, and how much it stored. */
async function appendAt(version: number): Promise<{ outcome: string; stored: number }> {
  const before = await storedVersion();
  const outcome = await outcomeOf(store.append(alice, deposits(), { expectedVersion: version }));
  return { outcome, stored: (await storedVersion()) - before };
}

const refused = { outcome: "StreamRolledBackError", stored: 0 } as const;

describe.each(["connected", "disconnected"] as const)(
  "V9 a stream that was restored to an earlier state while the store is %s",
  (connection) => {
    it("V9 is noticed when it is shorter now", async () => {
      const backup = await backUp(stage.nc, stage.stream);
      await write(store, alice, 2);
      await restore(backup, connection);
      expect(await appendAt(4)).toEqual(refused);
      expect(await store.latestVersion(alice)).toBe(2);
      expect((await store.append(alice, deposits(), { expectedVersion: 2 })).version).toBe(3);
    });

    it("V9 is noticed when others have written the same number of commits since", async () => {
      const backup = await backUp(stage.nc, stage.stream);
      await write(store, alice, 2);
      await restore(backup, connection, () => writeAnew(2));
      expect(await appendAt(4)).toEqual(refused);
      expect(await store.latestVersion(alice)).toBe(4);
    });

    it("V9 is noticed when the store knew the lost commits from a subscription alone", async () => {
      const backup = await backUp(stage.nc, stage.stream);
      const live = store.subscribe({ after: "now" });
      const reading = (async () => {
        for await (const event of live) if (event.version === 4) break;
      })();
      await live.caughtUp;
      await write(stage.external, alice, 2);
      await reading;
      expect(store.cachedVersion(alice)).toBe(4);
      await restore(backup, connection, () => writeAnew(2));
      expect(await appendAt(4)).toEqual(refused);
    });

    it("V9 is noticed when the store knew the lost commits from following others alone", async () => {
      const follower = await stage.store({ follow: true });
      store = follower;
      await follower.latestVersion(alice);
      const backup = await backUp(stage.nc, stage.stream);
      await write(stage.external, alice, 2);
      await eventually(() => follower.cachedVersion(alice) === 4);
      await restore(backup, connection, () => writeAnew(2));
      expect(await appendAt(4)).toEqual(refused);
    });

    it("V9 keeps what the backup held: an actor that lost nothing is appended to", async () => {
      const backup = await backUp(stage.nc, stage.stream);
      await write(store, alice, 1);
      await restore(backup, connection);
      expect(await appendAt(3)).toEqual(refused);
      const { version } = await store.append(bob, deposits(), { expectedVersion: 1 });
      expect(version).toBe(2);
    });
  },
);
