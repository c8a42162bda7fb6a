import type { Msg } from "@nats-io/nats-core";
import { MsgImpl } from "@nats-io/nats-core/internal";
import { describe, expect, it } from "vitest";
import { FeedBuffer } from "../../../src/nats/feed-buffer.ts";
import { type ConsumerMessage, fromConsumerMessage } from "../../../src/nats/stored-message.ts";

function message(sequence: number): ConsumerMessage {
  const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
  const reply = encode(`$JS.ACK.S.c.1.${sequence}.${sequence}.1795230347963628992.0`);
  const raw = new MsgImpl({ subject: encode("s"), reply, sid: 1, hdr: -1, size: 0 }, encode(""), {
    publish: () => {},
  });
  const parsed = fromConsumerMessage(raw as unknown as Msg);
  if (parsed === undefined) throw new Error("no delivery");
  return parsed;
}

function filled(count: number): FeedBuffer {
  const buffer = new FeedBuffer(4);
  for (let sequence = 1; sequence <= count; sequence += 1) buffer.push(message(sequence), 10);
  return buffer;
}

describe("FeedBuffer", () => {
  it("hands messages out in their order, a chunk at a time", () => {
    const buffer = filled(10);
    const chunks: number[][] = [];
    for (let chunk = buffer.take(); chunk !== undefined; chunk = buffer.take()) {
      chunks.push(chunk.map(({ sequence }) => sequence));
      buffer.release();
    }
    expect(chunks).toEqual([
      [1, 2, 3, 4],
      [5, 6, 7, 8],
      [9, 10],
    ]);
  });

  it("counts what the reader holds until it is released", () => {
    const buffer = filled(6);
    buffer.take();
    expect([buffer.messages, buffer.bytes, buffer.waiting]).toEqual([6, 60, 2]);
    buffer.release();
    expect([buffer.messages, buffer.bytes, buffer.waiting]).toEqual([2, 20, 2]);
    buffer.release();
    expect(buffer.messages).toBe(2);
  });

  it("does not add to a chunk that the reader holds", () => {
    const buffer = filled(2);
    const inHand = buffer.take();
    buffer.push(message(3), 10);
    expect(inHand).toHaveLength(2);
    buffer.release();
    expect(buffer.take()?.map(({ sequence }) => sequence)).toEqual([3]);
  });

  it("is empty after it was cleared", () => {
    const buffer = filled(9);
    buffer.take();
    buffer.clear();
    expect([buffer.messages, buffer.bytes, buffer.waiting]).toEqual([0, 0, 0]);
    expect(buffer.take()).toBeUndefined();
  });

  it("keeps nothing but what the reader holds when it drops what waits", () => {
    const buffer = filled(9);
    buffer.take();
    buffer.dropWaiting();
    expect([buffer.messages, buffer.bytes, buffer.waiting]).toEqual([4, 40, 0]);
    buffer.push(message(20), 10);
    buffer.release();
    expect(buffer.take()?.map(({ sequence }) => sequence)).toEqual([20]);
  });
});
