import { describe, expect, it } from "vitest";
import { EventStore, type ReadOptions } from "../../../src/index.ts";
import { freshStream } from "../../support/server.ts";
import { collect, notes, openConnection, openStore } from "./bank.ts";

const alice = { type: "account", id: "alice" } as const;

/** Numbers from 0 to below `limit`, the same in each run. */
function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return Math.floor((state / 0x80000000) * limit);
  };
}

describe("a history of 700 commits", () => {
  it("gives every range in both directions as an array would", async () => {
    const store = await openStore();
    const next = numbers(7);
    const appends: Promise<unknown>[] = [];
    let expected = 0;
    for (let commit = 0; commit < 700; commit++) {
      const count = 1 + next(4);
      const events = Array.from({ length: count }, (_, at) => ({
        type: "Noted",
        data: expected + at + 1,
      }));
      appends.push(store.append(alice, events, { expectedVersion: expected }));
      if (commit % 3 === 0) {
        const id = `other-${next(20)}`;
        appends.push(store.append({ type: "account", id }, notes(1), { expectedVersion: "any" }));
      }
      expected += count;
    }
    await Promise.all(appends);
    const naive = Array.from({ length: expected }, (_, at) => at + 1);
    const fresh = await openStore({ stream: store.stream });
    const read = async (options: ReadOptions) => {
      const events = await collect(fresh.read(alice, options));
      expect(events.map(({ data }) => data)).toEqual(events.map(({ version }) => version));
      return events.map(({ version }) => version);
    };
    expect(await read({})).toEqual(naive);
    expect(await read({ direction: "backwards" })).toEqual(naive.toReversed());
    for (let round = 0; round < 120; round++) {
      const fromVersion = 1 + next(expected + 2);
      const toVersion = fromVersion + next(round % 2 === 0 ? 30 : expected);
      const limit = round % 3 === 0 ? next(50) : undefined;
      const backwards = round % 4 > 1;
      const slice = naive.slice(fromVersion - 1, toVersion);
      const ordered = backwards ? slice.toReversed() : slice;
      const direction = backwards ? "backwards" : "forwards";
      expect(await read({ fromVersion, toVersion, limit, direction })).toEqual(
        limit === undefined ? ordered : ordered.slice(0, limit),
      );
    }
  });

  it("needs few requests for its last events, and for one in the middle", async () => {
    const store = await openStore();
    await Promise.all(
      Array.from({ length: 700 }, (_, version) =>
        store.append(alice, notes(version), { expectedVersion: version }),
      ),
    );
    const nc = await openConnection();
    const reader = await EventStore.open(nc, { stream: store.stream });
    const requests = async (options: ReadOptions) => {
      await nc.flush();
      const before = nc.stats().outMsgs;
      await collect(reader.read(alice, options));
      await nc.flush();
      return nc.stats().outMsgs - before;
    };
    expect(await requests({ direction: "backwards", limit: 1 })).toBeLessThanOrEqual(2);
    // One for the head, at most one for each hop of the base-16 digits of 699.
    expect(await requests({ fromVersion: 5, toVersion: 5 })).toBeLessThanOrEqual(4);
    expect(await requests({ direction: "backwards", limit: 10 })).toBeLessThanOrEqual(20);
    await reader.close();
  });
});

describe("10 MB of history of one actor", () => {
  const commits = 160;
  const bytes = 64 * 1024;

  it.each(["forwards", "backwards"] as const)(
    "is read %s with bounded memory however slow the reader",
    async (direction) => {
      const stream = freshStream();
      const writer = await openStore({ stream });
      await Promise.all(
        Array.from({ length: commits }, (_, version) => {
          const data = new Uint8Array(bytes).fill(version);
          return writer.append(alice, [{ type: "Filled", data }], { expectedVersion: version });
        }),
      );
      const nc = await openConnection();
      const readWindowBytes = 1024 * 1024;
      const store = await EventStore.open(nc, { stream, readWindowBytes });
      const start = nc.stats().inBytes;
      let taken = 0;
      let most = 0;
      const firsts: (number | undefined)[] = [];
      for await (const { data } of store.read(alice, { direction })) {
        if (!(data instanceof Uint8Array)) throw new Error("no bytes came back");
        expect(data.byteLength).toBe(bytes);
        expect(data.buffer.byteLength).toBe(bytes);
        firsts.push(data[0]);
        taken += bytes;
        // Round trips in which all that was asked for ahead arrives.
        await nc.flush();
        await nc.flush();
        most = Math.max(most, nc.stats().inBytes - start - taken);
      }
      const order = Array.from({ length: commits }, (_, at) => at);
      expect(firsts).toEqual(direction === "forwards" ? order : order.toReversed());
      expect(most).toBeLessThan(2.5 * readWindowBytes);
      await store.close();
    },
  );
});
