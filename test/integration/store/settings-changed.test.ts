import { jetstreamManager, type StreamConfig } from "@nats-io/jetstream";
import { describe, expect, it } from "vitest";
import { AppendTooLargeError, EventStore, type SettingsMessage } from "../../../src/index.ts";
import { eventually, natsUrl } from "../../support/server.ts";
import { deliveryOf, startWire } from "../../support/wire.ts";
import { failureOf, notes, openConnection, openStore } from "./bank.ts";
import { listenTo } from "./listening.ts";

const alice = { type: "account", id: "alice" } as const;

/** An administrator changes settings of the stream that a store has open. */
async function change({ stream }: EventStore, settings: Partial<StreamConfig>): Promise<void> {
  const manager = await jetstreamManager(await openConnection(), { checkAPI: false });
  await manager.streams.update(stream, settings);
}

function settingsOf(store: EventStore): string[] {
  return store.health().settingsProblems.map(({ setting }) => setting);
}

describe("settings that change while a store is open", () => {
  it("are told on annal:settings and by health where they could lose events, until they are mended", async () => {
    const store = await openStore();
    const told = listenTo<SettingsMessage>("annal:settings", store.stream);
    expect(settingsOf(store)).toEqual([]);
    await change(store, { discard: "old", max_msgs: 10 });
    await eventually(() => expect(settingsOf(store).sort()).toEqual(["discard", "max_msgs"]));
    expect(store.health().settingsProblems).toContainEqual({
      setting: "discard",
      expected: '"new"',
      found: '"old"',
    });
    await change(store, { discard: "new", max_msgs: -1 });
    await eventually(() => expect(settingsOf(store)).toEqual([]));
    expect(
      told.map(({ stream, replicas, problems }) => [stream, replicas, problems.length]),
    ).toEqual([
      [store.stream, 1, 2],
      [store.stream, 1, 0],
    ]);
  });

  it("are found by the store's own look where the server's notice gets lost, and not told again", async () => {
    await using wire = await startWire(natsUrl());
    const { stream } = await openStore();
    const store = await EventStore.connect({ servers: wire.url, stream, identityCheckMs: 20 });
    wire.hold(deliveryOf(/^\$JS\.EVENT\.ADVISORY\./));
    await change(store, { allow_direct: false });
    await eventually(() => expect(settingsOf(store)).toEqual(["allow_direct"]));
    const told = listenTo<SettingsMessage>("annal:settings", store.stream);
    wire.reset();
    await eventually(() => wire.count(/\.STREAM\.INFO\./) > 2);
    expect(told).toEqual([]);
    await store.close();
  });

  it("bound what is appended from then on", async () => {
    const store = await openStore();
    await store.append(alice, notes(1), { expectedVersion: 0 });
    await change(store, { max_msg_size: 400 });
    const large = [{ type: "Noted", data: { text: "x".repeat(1_000) } }];
    await eventually(async () => {
      const error = await failureOf(store.append(alice, large, { expectedVersion: 1 }));
      expect(error).toBeInstanceOf(AppendTooLargeError);
    });
    expect(await store.append(alice, notes(2), { expectedVersion: 1 })).toMatchObject({
      version: 2,
    });
  });
});
