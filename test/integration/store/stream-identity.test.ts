import { jetstreamManager } from "@nats-io/jetstream";
import { describe, expect, it } from "vitest";
import {
  type EventStore,
  type ReconnectMessage,
  StreamRolledBackError,
} from "../../../src/index.ts";
import { eventually } from "../../support/server.ts";
import { collect, failureOf, notes, openConnection, openStore } from "./bank.ts";
import { listenTo } from "./listening.ts";

const alice = { type: "account", id: "alice" } as const;
const bob = { type: "account", id: "bob" } as const;

/** Deletes the stream and creates it anew with the same settings. */
async function recreate({ stream }: EventStore): Promise<void> {
  const manager = await jetstreamManager(await openConnection(), { checkAPI: false });
  const { config } = await manager.streams.info(stream);
  await manager.streams.delete(stream);
  await manager.streams.add(config);
}

describe("a stream that was recreated", () => {
  it("is noticed by a cursor at whose position another commit stands, or nothing", async () => {
    const store = await openStore();
    const first = await store.append(alice, notes(1, 2), { expectedVersion: 0 });
    const second = await store.append(alice, notes(3), { expectedVersion: 2 });
    await recreate(store);
    const fresh = await openStore({ stream: store.stream });
    const { commitId } = await fresh.append(bob, notes(1), { expectedVersion: 0 });
    for (const [cursor, position, expected, found] of [
      [first.cursor, 1, first.commitId, commitId],
      [second.cursor, 2, second.commitId, undefined],
    ] as const) {
      const attempts = [
        () => collect(fresh.readAll({ after: cursor })),
        () => collect(fresh.readCommits({ after: cursor, actorType: "account" })),
        () => collect(fresh.subscribe({ after: cursor })),
        () => fresh.subscribe({ after: cursor }).caughtUp,
      ];
      for (const attempt of attempts) {
        const error = await failureOf(attempt);
        expect(error).toBeInstanceOf(StreamRolledBackError);
        expect(error).toMatchObject({
          code: "stream_rolled_back",
          stream: store.stream,
          position,
          expectedCommitId: expected,
          actualCommitId: found,
        });
      }
    }
  });

  it("ends subscriptions that are live with an error, and tells annal:reconnect", async () => {
    const store = await openStore();
    await store.append(alice, notes(1), { expectedVersion: 0 });
    const told = listenTo<ReconnectMessage>("annal:reconnect", store.stream);
    const live = store.subscribe();
    const running = collect(live);
    running.catch(() => {});
    await live.caughtUp;
    await recreate(store);
    const error = await failureOf(running);
    expect(error).toBeInstanceOf(StreamRolledBackError);
    await eventually(() => expect(told.map(({ what }) => what)).toContain("rolled_back"));
  });

  it("ends a subscription that nobody has iterated yet, without waiting for new events", async () => {
    const store = await openStore();
    await store.append(alice, notes(1), { expectedVersion: 0 });
    const told = listenTo<ReconnectMessage>("annal:reconnect", store.stream);
    const live = store.subscribe({ after: "now" });
    await live.caughtUp;
    await recreate(store);
    await eventually(() => expect(told.map(({ what }) => what)).toContain("rolled_back"));
    const reason = new Error("nothing came within 2 s");
    const late = new Promise<never>((_, reject) => {
      setTimeout(() => reject(reason), 2_000).unref();
    });
    const error = await failureOf(Promise.race([collect(live), late]));
    expect(error).toBeInstanceOf(StreamRolledBackError);
  });

  it("never lets an append go on from what was known of the old one", async () => {
    const store = await openStore();
    await store.append(alice, notes(1, 2), { expectedVersion: 0 });
    const told = listenTo<ReconnectMessage>("annal:reconnect", store.stream);
    await recreate(store);
    await eventually(() => expect(told.map(({ what }) => what)).toContain("rolled_back"));
    const error = await failureOf(store.append(alice, notes(3), { expectedVersion: 2 }));
    expect(error).toBeInstanceOf(StreamRolledBackError);
    expect(await store.latestVersion(alice)).toBe(0);
    expect(await store.append(alice, notes(1), { expectedVersion: 0 })).toMatchObject({
      version: 1,
      position: 1,
    });
  });
});
