import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ClosedError, StreamNotFoundError } from "../../../src/errors.ts";
import { deferred } from "../../../src/internal/deferred.ts";
import { Feed } from "../../../src/nats/feed.ts";
import { eventually, natsUrl } from "../../support/server.ts";
import { type FeedStage, openStage, range, readUntil } from "./feed-stage.ts";

let stage: FeedStage;

beforeEach(async () => {
  stage = await openStage(natsUrl());
});
afterEach(() => stage.close());

describe("Feed", () => {
  it("reads all messages in stream order with what was stored", async () => {
    await stage.store(1, 12_000);
    const feed = new Feed(stage.connection, { stream: stage.stream, maxMessages: 1_000 });
    const numbers = new Set<string>();
    let last = 0;
    while (last < 12_000) {
      for (const message of (await feed.next()) ?? []) {
        expect(message.sequence).toBe(last + 1);
        last = message.sequence;
        const number = new TextDecoder().decode(message.data);
        expect(message.subject).toBe(`${stage.stream}.a.${number}`);
        expect(Math.abs(Date.now() - message.timestampMs)).toBeLessThan(60_000);
        numbers.add(number);
      }
    }
    expect(numbers.size).toBe(12_000);
    expect(feed.caughtUp).toBe(true);
    await feed.close();
  });

  it("goes on with what is stored later", async () => {
    await stage.store(1, 3);
    const feed = new Feed(stage.connection, { stream: stage.stream });
    expect(await readUntil(feed, 3)).toEqual([1, 2, 3]);
    const later = readUntil(feed, 1_000);
    await stage.store(4, 1_000);
    expect(await later).toEqual(range(4, 1_000));
    await feed.close();
  });

  it("reads one subject, or several, and counts only those as pending", async () => {
    await stage.store(1, 10, "a");
    await stage.store(11, 20, "b");
    await stage.store(21, 30, "c");
    const { stream } = stage;
    const one = new Feed(stage.connection, { stream, filterSubjects: [`${stream}.b.>`] });
    expect(await readUntil(one, 20)).toEqual(range(11, 20));
    expect(one.pending).toBe(0);
    await one.close();
    const filterSubjects = [`${stream}.a.*`, `${stream}.c.>`];
    const two = new Feed(stage.connection, { stream, filterSubjects, maxMessages: 4 });
    expect(await readUntil(two, 30)).toEqual([...range(1, 10), ...range(21, 30)]);
    await two.close();
  });

  it("starts at a sequence, at a time, or with what is new", async () => {
    await stage.store(1, 10);
    const { stream, connection } = stage;
    const bySequence = new Feed(connection, { stream, start: { sequence: 7 } });
    const [seventh] = (await bySequence.next()) ?? [];
    expect(seventh?.sequence).toBe(7);
    await bySequence.close();
    // The clock's next millisecond, so that no message of before lies in it.
    await eventually(() => Date.now() > (seventh?.timestampMs ?? 0) + 50);
    const time = new Date();
    const caughtUp = deferred();
    const onCaughtUp = (): void => caughtUp.resolve();
    const live = new Feed(connection, { stream, start: "new", onCaughtUp });
    const fromLive = readUntil(live, 15);
    await caughtUp.promise;
    await stage.store(11, 15);
    expect(await fromLive).toEqual(range(11, 15));
    await live.close();
    const byTime = new Feed(connection, { stream, start: { time } });
    expect(await readUntil(byTime, 15)).toEqual(range(11, 15));
    await byTime.close();
  });

  it("leaves payloads on the server where only headers are asked for", async () => {
    await stage.store(100, 100);
    const feed = new Feed(stage.connection, { stream: stage.stream, headersOnly: true });
    const [message] = (await feed.next()) ?? [];
    expect(message?.data).toHaveLength(0);
    expect(message?.headers.get("Nats-Msg-Size")).toBe("3");
    await feed.close();
  });

  it("is caught up at once where nothing matches, and again after each time something did", async () => {
    await stage.store(1, 10);
    let times = 0;
    const feed = new Feed(stage.connection, {
      stream: stage.stream,
      filterSubjects: [`${stage.stream}.b.>`],
      onCaughtUp: () => {
        times += 1;
      },
    });
    const first = feed.next();
    await eventually(() => times === 1);
    expect(feed.caughtUp).toBe(true);
    await stage.store(11, 11, "b");
    expect((await first)?.map(({ sequence }) => sequence)).toEqual([11]);
    expect(times).toBe(1);
    const second = feed.next();
    await eventually(() => times === 2);
    await feed.close();
    expect(await second).toBeUndefined();
  });

  it("asks for no more than its window while the reader is busy", async () => {
    await stage.store(1, 2_000);
    const feed = new Feed(stage.connection, { stream: stage.stream, maxMessages: 100 });
    const first = (await feed.next()) ?? [];
    const delivered = async (): Promise<number> => (await stage.consumers())[0]?.delivered ?? 0;
    await eventually(async () => (await delivered()) === 100);
    const [beforeWindow] = await Promise.all([delivered(), stage.nc.flush()]);
    expect(beforeWindow).toBe(100);
    const rest = await readUntil(feed, 2_000);
    expect([...first.map(({ sequence }) => sequence), ...rest]).toEqual(range(1, 2_000));
    await feed.close();
  });

  it("bounds what it holds in bytes, and still takes a message that is larger than that", async () => {
    const big = new Uint8Array(200_000);
    for (let count = 0; count < 20; count += 1) {
      await stage.nc.request(`${stage.stream}.big.${count}`, big);
    }
    const feed = new Feed(stage.connection, { stream: stage.stream, maxBytes: 1_000_000 });
    const first = (await feed.next()) ?? [];
    // Half of the window is held, then what was asked for before may still come: at most as much again.
    await stage.nc.flush();
    const held = (await stage.consumers())[0]?.delivered ?? 0;
    expect(held).toBeLessThanOrEqual(8);
    const rest = await readUntil(feed, 20);
    expect([...first.map(({ sequence }) => sequence), ...rest]).toEqual(range(1, 20));
    await feed.close();
    const tiny = new Feed(stage.connection, { stream: stage.stream, maxBytes: 1_000 });
    expect(await readUntil(tiny, 20)).toEqual(range(1, 20));
    await tiny.close();
  });

  it("deletes its consumer when closed, in whatever state it is", async () => {
    await stage.store(1, 100);
    const reading = new Feed(stage.connection, { stream: stage.stream });
    await reading.next();
    const waiting = new Feed(stage.connection, { stream: stage.stream, start: "new" });
    const nothing = waiting.next();
    await eventually(async () => (await stage.consumers()).length === 2);
    const creating = new Feed(stage.connection, { stream: stage.stream });
    await Promise.all([reading.close(), reading.close(), creating.close(), waiting.close()]);
    expect(await nothing).toBeUndefined();
    expect(await stage.consumers()).toEqual([]);
    expect(await reading.next()).toBeUndefined();
  });

  it("ends by its signal: the reader gets the reason, the consumer goes", async () => {
    await stage.store(1, 10);
    const control = new AbortController();
    const feed = new Feed(stage.connection, { stream: stage.stream, signal: control.signal });
    await readUntil(feed, 10);
    const waiting = feed.next();
    const reason = new Error("enough");
    control.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    await expect(feed.next()).rejects.toBe(reason);
    await eventually(async () => (await stage.consumers()).length === 0);
    const late = new Feed(stage.connection, { stream: stage.stream, signal: control.signal });
    await expect(late.next()).rejects.toBe(reason);
  });

  it("fails where trying again is useless", async () => {
    const { connection, stream } = stage;
    const missing = new Feed(connection, { stream: `${stream}_NOT` });
    await expect(missing.next()).rejects.toThrow(StreamNotFoundError);
    const overlapping = new Feed(connection, { stream, filterSubjects: ["x.>", "x.a"] });
    await expect(overlapping.next()).rejects.toMatchObject({ code: "server_refused" });
    const reading = new Feed(connection, { stream });
    const waiting = reading.next();
    waiting.catch(() => {});
    await stage.nc.close();
    await expect(waiting).rejects.toThrow(ClosedError);
  });

  it("refuses a second call while one waits, and windows of nothing", async () => {
    const { connection, stream } = stage;
    const feed = new Feed(connection, { stream });
    const waiting = feed.next();
    await expect(feed.next()).rejects.toMatchObject({ code: "invalid_argument" });
    await feed.close();
    expect(await waiting).toBeUndefined();
    expect(() => new Feed(connection, { stream, maxMessages: 0 })).toThrow(/maxMessages/);
  });
});
