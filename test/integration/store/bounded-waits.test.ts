import { describe, expect, it } from "vitest";
import { EventStore, InvalidArgumentError, type WaitOptions } from "../../../src/index.ts";
import { natsUrl } from "../../support/server.ts";
import { startWire } from "../../support/wire.ts";
import { collect, failureOf, notes, openStore, untyped } from "./bank.ts";

const alice = { type: "account", id: "alice" } as const;

const calls = [
  ["head", (store, options) => store.head(options)],
  ["latestVersion", (store, options) => store.latestVersion(alice, options)],
  ["exists", (store, options) => store.exists(alice, options)],
  ["actors", (store, options) => collect(store.actors(options))],
  ["waitFor", (store, options) => store.waitFor(1, options)],
] as const satisfies readonly [
  string,
  (store: EventStore, options: WaitOptions) => Promise<unknown>,
][];

describe.each(calls)("%s", (_, call) => {
  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "100", null])(
    "refuses a timeoutMs of %s",
    async (timeoutMs) => {
      const store = await openStore();
      const error = await failureOf(call(store, untyped<WaitOptions>({ timeoutMs })));
      expect(error).toBeInstanceOf(InvalidArgumentError);
      expect(error).toMatchObject({ argument: "timeoutMs" });
    },
  );

  it("gives up after its time where the server does not answer", async () => {
    await using wire = await startWire(natsUrl());
    const { stream } = await openStore();
    const readTimeoutMs = 600_000;
    const store = await EventStore.connect({ servers: wire.url, stream, readTimeoutMs });
    const partition = wire.pause();
    const error = await failureOf(call(store, { timeoutMs: 30 }));
    expect(error).toMatchObject({
      code: expect.stringMatching(/^(read_timeout|jetstream_unavailable)$/),
    });
    partition.release();
    await store.close();
  });

  it("rejects with the signal's reason, before it has asked and while it waits", async () => {
    await using wire = await startWire(natsUrl());
    const { stream } = await openStore();
    const store = await EventStore.connect({ servers: wire.url, stream });
    const reason = new Error("enough");
    wire.reset();
    expect(await failureOf(call(store, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(wire.published).toEqual([]);
    const partition = wire.pause();
    const controller = new AbortController();
    const waiting = failureOf(call(store, { signal: controller.signal }));
    await partition.reached();
    controller.abort(reason);
    expect(await waiting).toBe(reason);
    partition.release();
    await store.close();
  });
});

describe("waitFor", () => {
  it("takes note of the actor whose commit it waited for, so that no replica can show less of it", async () => {
    const store = await openStore();
    const other = await openStore({ stream: store.stream });
    const waiting = other.waitFor(2);
    await store.append(alice, notes(1), { expectedVersion: 0 });
    await store.append(alice, notes(2, 3), { expectedVersion: 1 });
    await waiting;
    expect(other.cachedVersion(alice)).toBe(3);
  });
});
