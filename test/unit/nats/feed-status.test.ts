import type { Msg } from "@nats-io/nats-core";
import { MsgImpl } from "@nats-io/nats-core/internal";
import { describe, expect, it } from "vitest";
import { parsePullStatus } from "../../../src/nats/feed-status.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A status on the reply subject of a pull of 2500 messages. */
function status(firstLine: string, ...headers: string[]): Msg {
  const block = [`NATS/1.0 ${firstLine}`, ...headers, "", ""].join("\r\n");
  const subject = encode("_INBOX.abc.2500");
  const message = new MsgImpl(
    { subject, sid: 1, hdr: block.length, size: block.length },
    encode(block),
    { publish: () => {} },
  );
  // nats-core is not written for exactOptionalPropertyTypes.
  return message as unknown as Msg;
}

// The first lines and headers are those of nats-server 2.15.1.
describe("parsePullStatus", () => {
  it("reads a heartbeat with the delivery before it", () => {
    const heartbeat = status(
      "100 Idle Heartbeat",
      "Nats-Last-Consumer: 10",
      "Nats-Last-Stream: 12",
    );
    expect(parsePullStatus(heartbeat)).toEqual({ kind: "heartbeat", lastDelivered: 10 });
  });

  it("reads how much of a pull was left when its time was over", () => {
    const left = ["Nats-Pending-Messages: 95", "Nats-Pending-Bytes: 4213"];
    expect(parsePullStatus(status("408 Request Timeout", ...left))).toEqual({
      kind: "ended",
      unused: 95,
    });
  });

  it("takes the whole pull for unused where the server does not say", () => {
    expect(parsePullStatus(status("404 No Messages"))).toEqual({ kind: "ended", unused: 2_500 });
  });

  it.each([
    [2_500, true],
    [95, false],
  ])("tells by %i messages left whether a pull was too small for even one", (unused, untouched) => {
    const left = `Nats-Pending-Messages: ${unused}`;
    expect(parsePullStatus(status("409 Message Size Exceeds MaxBytes", left))).toEqual({
      kind: "too_large",
      unused,
      untouched,
    });
  });

  it("reads the server's limit of a pull", () => {
    expect(parsePullStatus(status("409 Exceeded MaxRequestBatch of 100"))).toEqual({
      kind: "batch_limit",
      limit: 100,
      unused: 2_500,
    });
  });

  it.each([
    "409 Consumer Deleted",
    "409 Leadership Change",
    "409 Server Shutdown",
    "409 Something of a newer server",
    "409 Exceeded MaxWaiting",
    "503",
    "423 Nats-Pin-Id mismatch",
  ])("gives the consumer up at %s", (line) => {
    expect(parsePullStatus(status(line)).kind).toBe("lost");
  });

  it.each(["400 Bad Request - heartbeat value too large", "409 Exceeded MaxRequestExpires of 1s"])(
    "does not ask again after %s",
    (line) => {
      expect(parsePullStatus(status(line)).kind).toBe("refused");
    },
  );
});
