import { connect, headers, type NatsConnection } from "@nats-io/transport-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually, freshStream, natsUrl } from "../../support/server.ts";
import { answerTo, deliveryOf, publishTo, startWire, type Wire } from "../../support/wire.ts";

let wire: Wire;
let client: NatsConnection;
let subject: string;

beforeEach(async () => {
  subject = freshStream("WIRE");
  wire = await startWire(natsUrl());
  client = await connect({ servers: wire.url, maxReconnectAttempts: -1, reconnectTimeWait: 20 });
});

afterEach(async () => {
  await client.close();
  await wire.close();
});

/** Answers each message with its own payload. */
function echo(): void {
  client.subscribe(subject, { callback: (_, message) => void message.respond(message.data) });
}

describe("startWire", () => {
  it("shows what clients publish, with headers and payload, however the bytes are cut", async () => {
    const marked = headers();
    marked.set("Colour", "blau");
    const large = "ä".repeat(300_000);
    client.publish(subject, "one\r\nPUB two 3\r\n", { headers: marked });
    client.publish(`${subject}.large`, large, { reply: "somewhere" });
    await client.flush();
    expect(wire.published.map((frame) => frame.subject)).toEqual([subject, `${subject}.large`]);
    expect(wire.published[0]?.headers.get("Colour")).toBe("blau");
    expect(wire.published[0]?.text).toBe("one\r\nPUB two 3\r\n");
    expect(wire.published[1]?.text).toBe(large);
    expect(wire.published[1]?.reply).toBe("somewhere");
    expect(wire.count(subject)).toBe(1);
    expect(wire.count(/^WIRE_/)).toBe(2);
    wire.reset();
    expect(wire.count(/./)).toBe(0);
  });

  it("holds the answer to one request while others are answered", async () => {
    echo();
    const held = wire.hold((frame) => answerTo(subject)(frame) && frame.text === "first");
    const answers: string[] = [];
    const ask = async (text: string): Promise<void> => {
      answers.push((await client.request(subject, text)).string());
    };
    const first = ask("first");
    await held.reached();
    await ask("second");
    held.release();
    await first;
    expect(answers).toEqual(["second", "first"]);
    expect(held.frames.map(({ text }) => text)).toEqual(["first"]);
    await ask("third");
    expect(answers.at(-1)).toBe("third");
  });

  it("holds a publish before the server sees it, and delivers held messages in order", async () => {
    const seen: string[] = [];
    client.subscribe(subject, { callback: (_, message) => void seen.push(message.string()) });
    const held = wire.hold(publishTo(subject));
    for (const text of ["1", "2", "3"]) client.publish(subject, text);
    await held.reached(3);
    await client.flush();
    expect(seen).toEqual([]);
    held.release();
    await eventually(() => expect(seen).toEqual(["1", "2", "3"]));
  });

  it("loses as many messages as it is told", async () => {
    echo();
    const lost = wire.drop(answerTo(subject), 2);
    await expect(client.request(subject, "a", { timeout: 100 })).rejects.toThrow("timeout");
    await expect(client.request(subject, "b", { timeout: 100 })).rejects.toThrow("timeout");
    expect((await client.request(subject, "c")).string()).toBe("c");
    expect(lost.frames.map(({ text }) => text)).toEqual(["a", "b"]);
  });

  it("lets nothing through while paused", async () => {
    echo();
    await client.flush();
    const paused = wire.pause();
    const answer = client.request(subject, "late", { timeout: 5_000 });
    await paused.reached();
    const settled = await Promise.race([answer, client.flush(), isPending()]);
    expect(settled).toBe("pending");
    paused.release();
    expect((await answer).string()).toBe("late");
  });

  it("cuts connections, refuses new ones, and lets the client come back", async () => {
    echo();
    wire.refuse();
    wire.cut();
    expect(wire.connections).toBe(0);
    await expect(client.flush()).rejects.toThrow("disconnected");
    wire.accept();
    await eventually(() => wire.connections === 1);
    await client.flush();
    expect((await client.request(subject, "again")).string()).toBe("again");
  });

  it("delays in order", async () => {
    const seen: string[] = [];
    client.subscribe(subject, { callback: (_, message) => void seen.push(message.string()) });
    await client.flush();
    wire.delay(40);
    const startedAt = performance.now();
    client.publish(subject, "1");
    wire.delay(20);
    client.publish(subject, "2");
    await eventually(() => expect(seen).toEqual(["1", "2"]));
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(39);
  });

  it("sees deliveries of subscriptions", async () => {
    client.subscribe(subject, { callback: () => {} });
    const held = wire.hold(deliveryOf(subject));
    client.publish(subject, "x");
    await held.reached();
    expect(held.frames[0]?.text).toBe("x");
    held.release();
  });

  it("names no other server to its clients", () => {
    expect(client.info?.connect_urls).toBeUndefined();
    expect(client.getServer()).toBe(new URL(wire.url).host);
  });
});

/** A round trip over another connection takes longer than one over the wire would. */
async function isPending(): Promise<string> {
  const other = await connect({ servers: natsUrl() });
  await other.flush();
  await other.close();
  return "pending";
}
