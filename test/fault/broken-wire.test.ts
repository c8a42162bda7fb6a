import { connect } from "@nats-io/transport-node";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { AppendOutcomeUnknownError, EventStore } from "../../src/index.ts";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { auditStream } from "../support/fault-audit.ts";
import {
  type Acknowledged,
  acknowledged,
  appendOne,
  codeOf,
  counted,
  counter,
  type Counting,
  type CountingStore,
  failureOf,
  openStore,
} from "../support/fault-store.ts";
import { freshStream } from "../support/server.ts";
import { answerTo, publishTo, startWire } from "../support/wire.ts";

const ids = ["one", "two", "three"];

let server: NatsServer;
let stream: string;
let commits: RegExp;

beforeAll(async () => {
  server = await startServer({ sync: "default" });
});

afterAll(() => server.stop());

beforeEach(() => {
  stream = freshStream();
  commits = new RegExp(`^${stream.toLowerCase()}\\.counter\\.`);
});

function appendToAll(store: CountingStore, expectedVersion: number | "any"): Promise<unknown> {
  return store.appendAll(
    ids.map((id) => ({ actor: counter(id), events: [counted("batch", 1)], expectedVersion })),
  );
}

describe("acks that come later than the store waits for them", () => {
  it("neither fail nor double appends, whatever they expect", async () => {
    await using wire = await startWire(server.url);
    await using store = await openStore(wire.url, stream, { ackTimeoutMs: 60 });
    await using other = await openStore(server.url, stream);
    const done: Acknowledged[] = [];
    wire.delay(60);
    const lanes = ids.map(async (id) => {
      for (let n = 0; n < 6; n++) {
        const expected = n % 2 === 0 ? n : "any";
        done.push(acknowledged(id, await appendOne(store, id, expected)));
      }
    });
    const racing = (async () => {
      for (let n = 0; n < 60; n++) {
        done.push(acknowledged("raced", await appendOne(other, "raced", "any")));
      }
    })();
    for (let n = 0; n < 6; n++) {
      done.push(acknowledged("raced", await appendOne(store, "raced", "any")));
    }
    await Promise.all([...lanes, racing]);
    wire.delay(0);
    expect(await auditStream(other, done)).toHaveLength(84);
  });
});

describe("an appendAll of which", () => {
  it.each(ids.map((_, at) => at))(
    "message %i gets lost is sent again and stored once",
    async (lost) => {
      await using wire = await startWire(server.url);
      await using store = await openStore(wire.url, stream, { ackTimeoutMs: 300 });
      await appendToAll(store, 0);
      let at = 0;
      const dropped = wire.drop((frame) => publishTo(commits)(frame) && at++ === lost);
      await appendToAll(store, 1);
      expect(dropped.frames).toHaveLength(1);
      expect(await auditStream(store, [])).toHaveLength(6);
    },
  );

  it("two attempts arrive late, one behind the other, is stored once", async () => {
    await using wire = await startWire(server.url);
    await using store = await openStore(wire.url, stream, { ackTimeoutMs: 100 });
    await appendToAll(store, 0);
    const held = wire.hold(publishTo(commits));
    const appending = appendToAll(store, 1);
    await held.reached(ids.length * 2);
    held.release();
    await appending;
    await appendToAll(store, 2);
    expect(await auditStream(store, [])).toHaveLength(9);
  });

  it("the ack gets lost is stored once also where it expects nothing", async () => {
    await using wire = await startWire(server.url);
    await using store = await openStore(wire.url, stream, { ackTimeoutMs: 200 });
    const dropped = wire.drop(answerTo(commits));
    await appendToAll(store, "any");
    expect(dropped.frames).toHaveLength(1);
    expect(await auditStream(store, [])).toHaveLength(3);
  });
});

describe("an append whose connection ends for good", () => {
  it("is of unknown outcome, not failed, where reconnecting was given up", async () => {
    await using wire = await startWire(server.url);
    const store = await openStore(wire.url, stream, { maxReconnectAttempts: 1 });
    await appendOne(store, "one", 0);
    const held = wire.hold(answerTo(commits));
    const appending = failureOf(appendOne(store, "one", 1));
    const appendingAll = failureOf(appendToAllOthers(store));
    await held.reached(2);
    wire.refuse();
    wire.cut();
    const errors = await Promise.all([appending, appendingAll]);
    expect(errors.map(codeOf)).toEqual(["append_outcome_unknown", "append_outcome_unknown"]);
    await store.close();
  });

  it("that begins after the service has closed the connection is refused as closed", async () => {
    const nc = await connect({ servers: server.url });
    const store = await EventStore.open<Counting>(nc, { stream });
    await appendOne(store, "one", 0);
    const closing = nc.close();
    const meanwhile = await failureOf(appendOne(store, "one", 1));
    expect(["closed", "append_outcome_unknown"]).toContain(codeOf(meanwhile));
    await closing;
    expect(codeOf(await failureOf(appendOne(store, "one", 1)))).toBe("closed");
    expect(codeOf(await failureOf(appendToAll(store, "any")))).toBe("closed");
    await store.close();
  });

  it("is of unknown outcome, not failed, where the service closes the borrowed connection", async () => {
    await using wire = await startWire(server.url);
    const nc = await connect({ servers: wire.url });
    const store = await EventStore.open<Counting>(nc, { stream });
    await appendOne(store, "one", 0);
    const held = wire.hold(answerTo(commits));
    const appending = failureOf(appendOne(store, "one", 1));
    await held.reached();
    await nc.close();
    const error = await appending;
    expect(codeOf(error)).toBe("append_outcome_unknown");
    await store.close();

    // another store of the process can settle it
    await using other = await openStore(server.url, stream);
    if (!(error instanceof AppendOutcomeUnknownError)) throw error;
    expect(await other.resolve(error)).toMatchObject([{ version: 2 }]);
    expect(await auditStream(other, [])).toHaveLength(2);
  });
});

function appendToAllOthers(store: CountingStore): Promise<unknown> {
  return store.appendAll(
    ["two", "three"].map((id) => ({
      actor: counter(id),
      events: [counted("batch", 1)],
      expectedVersion: 0,
    })),
  );
}
