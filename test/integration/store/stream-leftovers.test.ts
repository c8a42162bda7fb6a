import { jetstreamManager } from "@nats-io/jetstream";
import { describe, expect, it } from "vitest";
import {
  ClosedError,
  EventStore,
  type ReconnectMessage,
  StreamRolledBackError,
} from "../../../src/index.ts";
import { eventually, natsUrl } from "../../support/server.ts";
import { publishTo, startWire } from "../../support/wire.ts";
import { failureOf, notes, openConnection, openStore } from "./bank.ts";
import { listenTo } from "./listening.ts";

const alice = { type: "account", id: "alice" } as const;

/** A store with twenty events, which a read of the stream fetches in one go. */
async function twentyEvents(): Promise<EventStore> {
  const writer = await openStore();
  for (let n = 0; n < 20; n++) await writer.append(alice, notes(n), { expectedVersion: n });
  await writer.close();
  return await EventStore.open(await openConnection(), { stream: writer.stream });
}

async function consumersOf({ stream }: EventStore): Promise<number> {
  const manager = await jetstreamManager(await openConnection(), { checkAPI: false });
  return (await manager.streams.info(stream)).state.consumer_count;
}

const opened = [
  ["a subscription", (store, signal) => store.subscribe({ signal })],
  ["a subscription of commits", (store, signal) => store.subscribeCommits({ signal })],
  ["readAll", (store, signal) => store.readAll({ signal })],
  ["readCommits", (store, signal) => store.readCommits({ signal })],
] as const satisfies readonly [
  string,
  (store: EventStore, signal?: AbortSignal) => AsyncIterable<unknown>,
][];

describe.each(opened)("what %s has fetched and not handed out", (name, open) => {
  it("is dropped when its signal aborts, and the iteration rejects with the reason", async () => {
    const store = await twentyEvents();
    const controller = new AbortController();
    const values = open(store, controller.signal)[Symbol.asyncIterator]();
    await values.next();
    const reason = new Error("enough");
    controller.abort(reason);
    expect(await failureOf(values.next())).toBe(reason);
    expect(await values.next()).toEqual({ done: true, value: undefined });
    expect(await consumersOf(store)).toBe(0);
    await store.close();
  });

  it("is dropped when the stream was rolled back", async () => {
    const store = await twentyEvents();
    const told = listenTo<ReconnectMessage>("annal:reconnect", store.stream);
    const values = open(store, undefined)[Symbol.asyncIterator]();
    await values.next();
    const manager = await jetstreamManager(await openConnection(), { checkAPI: false });
    await manager.streams.delete(store.stream);
    await eventually(() => expect(told.map(({ what }) => what)).toContain("rolled_back"));
    expect(await failureOf(values.next())).toBeInstanceOf(StreamRolledBackError);
    await store.close();
  });

  it("is dropped when the store closes, which leaves no consumer behind", async () => {
    const store = await twentyEvents();
    const values = open(store, undefined)[Symbol.asyncIterator]();
    await values.next();
    await store.close();
    expect(await consumersOf(store)).toBe(0);
    // A subscription has no end that its reader could miss; a read has.
    if (name.startsWith("a subscription")) {
      expect(await values.next()).toEqual({ done: true, value: undefined });
    } else {
      expect(await failureOf(values.next())).toBeInstanceOf(ClosedError);
    }
  });
});

describe("a subscription that is closed", () => {
  it("hands out nothing any more of what it has fetched", async () => {
    const store = await twentyEvents();
    const live = store.subscribe();
    const values = live[Symbol.asyncIterator]();
    await values.next();
    const closing = live.close();
    expect(await values.next()).toEqual({ done: true, value: undefined });
    await closing;
    await store.close();
  });

  it("is closed for no caller before its consumer is gone", async () => {
    const { stream } = await twentyEvents();
    await using wire = await startWire(natsUrl());
    const store = await EventStore.connect({ servers: wire.url, stream });
    const live = store.subscribe();
    await live[Symbol.asyncIterator]().next();
    const deletion = wire.hold(publishTo(/\.CONSUMER\.DELETE\./));
    const closed: string[] = [];
    const first = live.close().then(() => closed.push("first"));
    const second = live.close().then(() => closed.push("second"));
    await deletion.reached();
    await store.head();
    expect(closed).toEqual([]);
    deletion.release();
    await Promise.all([first, second]);
    expect(await consumersOf(store)).toBe(0);
    await store.close();
  });
});

describe("a read that waits for the server when its store closes", () => {
  it("fails with ClosedError at once", async () => {
    const store = await twentyEvents();
    const values = store.readAll({ maxBufferedCommits: 1 });
    await values.next();
    const pending = failureOf(values.next().then(() => values.next()));
    await store.close();
    expect(await pending).toBeInstanceOf(ClosedError);
  });
});
