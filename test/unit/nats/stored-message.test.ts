import { describe, expect, it } from "vitest";
import type { Msg } from "@nats-io/nats-core";
import { MsgImpl } from "@nats-io/nats-core/internal";
import {
  fromConsumerMessage,
  fromDirectGet,
  fromLeaderGet,
  parseTimestamp,
} from "../../../src/nats/stored-message.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function received(subject: string, reply: string, headers: string, data: string): Msg {
  const hdr = headers === "" ? -1 : headers.length;
  const publisher = { publish: () => {} };
  const message = new MsgImpl(
    {
      subject: bytes(subject),
      reply: bytes(reply),
      sid: 1,
      hdr,
      size: headers.length + data.length,
    },
    bytes(headers + data),
    publisher,
  );
  // nats-core is not written for exactOptionalPropertyTypes.
  return message as unknown as Msg;
}

const numbers = "2.1000007.42.1795230347963628992.9";
const known = {
  delivered: 2,
  sequence: 1_000_007,
  deliverySequence: 42,
  timestampMs: 1_795_230_347_963,
  pending: 9,
};

describe("fromConsumerMessage", () => {
  it.each([
    ["9 tokens", `$JS.ACK.BANK.consumer.${numbers}`],
    ["11 tokens", `$JS.ACK.hub.AXHASH.BANK.consumer.${numbers}`],
    ["12 tokens", `$JS.ACK._.AXHASH.BANK.consumer.${numbers}.random`],
  ])("reads a reply subject of %s", (_, reply) => {
    expect(fromConsumerMessage(received("bank.a.1", reply, "", "x"))).toMatchObject(known);
  });

  it("decodes subject, headers and data when they are asked for", () => {
    const block = "NATS/1.0\r\nAnnal-Commit: c1\r\n\r\n";
    const message = fromConsumerMessage(
      received("bank.a.ü", `$JS.ACK.BANK.c.${numbers}`, block, "body"),
    );
    expect(message?.subject).toBe("bank.a.ü");
    expect(message?.headers.get("Annal-Commit")).toBe("c1");
    expect(new TextDecoder().decode(message?.data)).toBe("body");
  });

  it.each(["", "_INBOX.abc.1", "$JS.ACK.too.few.1.2.3", "$JS.ACKX.BANK.c.1.2.3.4.5"])(
    "does not take the reply subject %j for a delivery",
    (reply) => {
      expect(fromConsumerMessage(received("s", reply, "", ""))).toBeUndefined();
    },
  );
});

describe("fromDirectGet", () => {
  it("believes the server's own headers, not those that a writer forged", () => {
    const block =
      "NATS/1.0\r\nNats-Sequence: 1\r\nNats-Subject: forged\r\nNats-Stream: BANK\r\nNats-Subject: bank.a.1\r\n" +
      "Nats-Sequence: 77\r\nNats-Time-Stamp: 2026-11-21T03:01:09.156064844Z\r\n\r\n";
    expect(fromDirectGet(received("_INBOX.x", "", block, "body"))).toMatchObject({
      subject: "bank.a.1",
      sequence: 77,
      timestampMs: Date.UTC(2026, 10, 21, 3, 1, 9, 156),
    });
  });

  it("does not take a status for a message", () => {
    const block = "NATS/1.0 404 Message Not Found\r\n\r\n";
    expect(fromDirectGet(received("_INBOX.x", "", block, ""))).toBeUndefined();
  });
});

describe("fromLeaderGet", () => {
  it("decodes headers and data", () => {
    const message = fromLeaderGet({
      subject: "bank.a.1",
      seq: 5,
      time: "2026-11-21T03:01:09Z",
      hdrs: btoa("NATS/1.0\r\nX: y\r\n\r\n"),
      data: btoa("body"),
    });
    expect(message.headers.get("X")).toBe("y");
    expect(new TextDecoder().decode(message.data)).toBe("body");
  });

  it("reads a message without headers and data", () => {
    const message = fromLeaderGet({ subject: "s", seq: 5, time: "2026-11-21T03:01:09Z" });
    expect(message.headers.entries()).toEqual([]);
    expect(message.data).toHaveLength(0);
  });
});

describe("parseTimestamp", () => {
  const second = Date.UTC(2026, 0, 2, 3, 4, 5);
  it.each([
    ["2026-01-02T03:04:05Z", second],
    ["2026-01-02T03:04:05.1Z", second + 100],
    ["2026-01-02T03:04:05.0009Z", second],
    ["2026-01-02T03:04:05.999999999Z", second + 999],
  ])("rounds %s down to whole milliseconds", (time, expected) => {
    expect(parseTimestamp(time)).toBe(expected);
  });
});
