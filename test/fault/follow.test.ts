import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { connect, headers } from "@nats-io/transport-node";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { assemblePayload, encodeBody } from "../../src/store/payload.ts";
import { auditStream } from "../support/fault-audit.ts";
import { dueIndexes, writtenIndexes } from "../support/fault-pointers.ts";
import { appendOne, counter, type CountingStore, openStore } from "../support/fault-store.ts";
import { eventually, freshStream } from "../support/server.ts";
import { answerTo, deliveryOf, publishTo, startWire, type Wire } from "../support/wire.ts";

const alice = counter("alice");

let server: NatsServer;
let stream: string;
let subject: string;
/** In front of the store that follows. */
let wire: Wire;
let follower: CountingStore;
let other: CountingStore;
let conflicts = 0;

function countConflict(): void {
  conflicts++;
}

beforeAll(async () => {
  server = await startServer({ sync: "default" });
  subscribe("annal:conflict", countConflict);
});

afterAll(async () => {
  unsubscribe("annal:conflict", countConflict);
  await server.stop();
});

beforeEach(async () => {
  stream = freshStream();
  subject = `${stream.toLowerCase()}.counter.alice`;
  wire = await startWire(server.url);
  other = await openStore(server.url, stream);
  follower = await openStore(wire.url, stream, { follow: true });
  conflicts = 0;
});

afterEach(async () => {
  await Promise.all([follower.close(), other.close()]);
  await wire.close();
});

/** The pointers of the actor's commits are those of a writer that saw every one of them. */
async function expectWholeIndexes(): Promise<void> {
  const written = await writtenIndexes(server.url, stream);
  expect(written).toEqual(dueIndexes(written));
}

/** A commit without an index, as another client library may write it, behind the actor's commit at `sequence`. */
async function publishUnindexed(sequence: number): Promise<void> {
  const nc = await connect({ servers: server.url });
  const header = headers();
  header.set("Nats-Expected-Last-Subject-Sequence", String(sequence));
  header.set("Annal-Commit", "foreign");
  header.set("Annal-Version", String(sequence + 1));
  const event = { type: "Counted", data: { writer: "foreign", n: 1 } };
  const payload = assemblePayload(undefined, encodeBody([event], undefined));
  await nc.request(subject, payload, { headers: header, timeout: 5_000 });
  await nc.close();
}

async function pointersOfLast(): Promise<readonly number[]> {
  const written = await writtenIndexes(server.url, stream);
  return written.at(-1)?.index?.pointers ?? [];
}

describe("V20 a store that follows", () => {
  it("has a fresh head after external writes, so that the next append is one round trip", async () => {
    await appendOne(other, "alice", 0);
    await follower.latestVersion(alice);
    await using deaf = await openStore(server.url, stream);
    await deaf.latestVersion(alice);
    for (let version = 1; version < 40; version++) await appendOne(other, "alice", version);
    await eventually(() => follower.cachedVersion(alice) === 40);
    expect(deaf.cachedVersion(alice)).toBe(1);
    wire.reset();
    await appendOne(follower, "alice", 40);
    expect(wire.count(subject)).toBe(1);
    expect(wire.count(/\$JS\.API\.(DIRECT|STREAM)/)).toBe(0);
    expect(conflicts).toBe(0);
    await expectWholeIndexes();
  });

  it("keeps its head fresh while others append several actors at once", async () => {
    const actors = ["alice", "bob"];
    for (const id of actors) await appendOne(follower, id, 0);
    for (let version = 1; version < 20; version++) {
      await other.appendAll(
        actors.map((id) => ({
          actor: counter(id),
          events: [{ type: "Counted", data: { writer: "batch", n: version } }],
          expectedVersion: version,
        })),
      );
    }
    for (const id of actors) await eventually(() => follower.cachedVersion(counter(id)) === 20);
    for (const id of actors) await appendOne(follower, id, "exists");
    expect(conflicts).toBe(0);
    await expectWholeIndexes();
  });

  it("creates no entries of actors that it has not met", async () => {
    await appendOne(follower, "met", 0);
    await appendOne(other, "unmet", 0);
    await appendOne(other, "met", 1);
    await eventually(() => follower.cachedVersion(counter("met")) === 2);
    expect(follower.cachedVersion(counter("unmet"))).toBeUndefined();
  });

  it("after a reconnect holds no head that it cannot trust", async () => {
    await appendOne(follower, "alice", 0);
    wire.refuse();
    wire.cut();
    for (let version = 1; version < 5; version++) await appendOne(other, "alice", version);
    wire.accept();
    await eventually(() => [undefined, 5].includes(follower.cachedVersion(alice)), {
      timeoutMs: 10_000,
    });
    await appendOne(follower, "alice", "any");
    expect(conflicts).toBe(0);
    expect(wire.count(subject)).toBe(2);
    await expectWholeIndexes();
  });

  it("after a reconnect never appends behind the head from before it without asking", async () => {
    await appendOne(follower, "alice", 0);
    wire.refuse();
    wire.cut();
    for (let version = 1; version < 5; version++) await appendOne(other, "alice", version);
    const appending = appendOne(follower, "alice", "any");
    wire.accept();
    expect(await appending).toMatchObject({ version: 6 });
    expect(conflicts).toBe(0);
    await expectWholeIndexes();
  });

  it("after a reconnect drops what it cannot trust before it has heard what it missed", async () => {
    await appendOne(follower, "alice", 0);
    wire.refuse();
    wire.cut();
    for (let version = 1; version < 5; version++) await appendOne(other, "alice", version);
    const late = wire.hold(deliveryOf(subject));
    wire.accept();
    await late.reached(4);
    expect([undefined, 5]).toContain(follower.cachedVersion(alice));
    await appendOne(follower, "alice", "any");
    expect(conflicts).toBe(0);
    late.release();
    await expectWholeIndexes();
  });

  it("after a gap drops what it cannot trust before it has heard what it missed", async () => {
    await appendOne(follower, "alice", 0);
    const lost = wire.drop(deliveryOf(subject), 1);
    await appendOne(other, "alice", 1);
    await lost.reached();
    // the next message shows the gap; what was missed then comes late
    let passed = 0;
    const late = wire.hold((frame) => deliveryOf(subject)(frame) && ++passed > 1);
    await appendOne(other, "alice", 2);
    await late.reached(2);
    expect([undefined, 3]).toContain(follower.cachedVersion(alice));
    await appendOne(follower, "alice", "any");
    expect(conflicts).toBe(0);
    late.release();
    await expectWholeIndexes();
  });

  it("after a gap in what it hears goes on with fresh heads", async () => {
    await appendOne(follower, "alice", 0);
    const lost = wire.drop(deliveryOf(subject), 1);
    await appendOne(other, "alice", 1);
    await lost.reached();
    await appendOne(other, "alice", 2);
    await eventually(() => [undefined, 3].includes(follower.cachedVersion(alice)), {
      timeoutMs: 10_000,
    });
    await appendOne(follower, "alice", "any");
    expect(conflicts).toBe(0);
    expect((await pointersOfLast()).filter((_, at) => at % 2 === 0)).toEqual([3, 2, 1]);
  });
});

describe("V20 the tear: a follower that missed s2", () => {
  it("never writes a commit whose pointers lack s2, where its look was older than what it heard", async () => {
    await appendOne(other, "alice", 0);
    const look = wire.hold(answerTo(new RegExp(`DIRECT\\.GET\\.${stream}`)));
    const looking = follower.latestVersion(alice);
    await look.reached();
    // s2 passes by while nothing is known of the actor; then the old answer arrives
    const heard = wire.hold(deliveryOf(subject));
    await appendOne(other, "alice", 1);
    await heard.reached();
    heard.release();
    await appendOne(other, "bob", 0);
    look.release();
    expect(await looking).toBe(1);
    expect(follower.cachedVersion(alice)).toBe(1);
    await appendOne(other, "alice", 2);
    await eventually(() => follower.cachedVersion(alice) === 3);
    await appendOne(follower, "alice", 3);
    expect((await pointersOfLast()).filter((_, at) => at % 2 === 0)).toEqual([4, 2, 1]);
    expect(conflicts).toBe(0);
    await expectWholeIndexes();
  });

  it("is not deceived by an ordinal that would fit, where commits without index began a new epoch", async () => {
    await appendOne(other, "alice", 0);
    const look = wire.hold(answerTo(new RegExp(`DIRECT\\.GET\\.${stream}`)));
    const looking = follower.latestVersion(alice);
    await look.reached();
    const heard = wire.hold(deliveryOf(subject));
    // s2 has no index, so s3 has ordinal 0 and s4 ordinal 1, as s2 would have had behind s1
    await publishUnindexed(1);
    await appendOne(other, "alice", 2);
    await heard.reached(2);
    heard.release();
    look.release();
    expect(await looking).toBe(1);
    await appendOne(other, "alice", 3);
    await eventually(() => follower.cachedVersion(alice) === 4);
    await appendOne(follower, "alice", 4);
    const last = (await writtenIndexes(server.url, stream)).at(-1)?.index;
    expect(last).toMatchObject({ ordinal: 2, unindexedBelow: 2 });
    expect(last?.pointers.filter((_, at) => at % 2 === 0)).toEqual([4, 3]);
  });

  it("never writes a commit whose pointers lack s2, where it appends while s2 is late", async () => {
    await appendOne(follower, "alice", 0);
    const late = wire.hold(deliveryOf(subject));
    await appendOne(other, "alice", 1);
    await appendOne(other, "alice", 2);
    await late.reached(2);
    await appendOne(follower, "alice", 3);
    late.release();
    await appendOne(follower, "alice", 4);
    expect((await pointersOfLast()).filter((_, at) => at % 2 === 0)).toEqual([4, 3, 2, 1]);
    await expectWholeIndexes();
  });

  it("writes whole indexes whatever is lost, cut and delayed among many writers", async () => {
    await using another = await openStore(server.url, stream, { follow: true });
    const stores = [follower, another, other];
    const ids = ["alice", "bob"];
    let written = 0;
    const writing = stores.map(async (store, at) => {
      for (let n = 0; n < 120; n++) {
        await appendOne(store, ids[(n + at) % 2] ?? "", "any", { n });
        written++;
      }
    });
    const disturbing = (async () => {
      for (let fault = 1; fault <= 8; fault++) {
        await eventually(() => written >= fault * 35, { timeoutMs: 20_000 });
        if (fault % 2 === 0) wire.cut();
        else wire.drop(deliveryOf(new RegExp(`^${stream.toLowerCase()}\\.`)), 2);
      }
    })();
    await Promise.all([...writing, disturbing]);
    expect(await auditStream(other, [])).toHaveLength(360);
    await expectWholeIndexes();
  });

  it("does not lose its ears: it hears external writes after many losses", async () => {
    await appendOne(follower, "alice", 0);
    for (let round = 1; round <= 3; round++) {
      wire.cut();
      await appendOne(other, "alice", round);
      await eventually(() => [undefined, round + 1].includes(follower.cachedVersion(alice)), {
        timeoutMs: 10_000,
      });
      await follower.latestVersion(alice);
    }
    const sent = wire.hold(publishTo(subject));
    await appendOne(other, "alice", 4);
    await eventually(() => follower.cachedVersion(alice) === 5, { timeoutMs: 10_000 });
    expect(sent.frames).toEqual([]);
    sent.release();
  });
});
