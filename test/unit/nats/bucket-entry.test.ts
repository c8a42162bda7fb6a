import { describe, expect, it } from "vitest";
import { InvalidArgumentError } from "../../../src/errors.ts";
import { assertKey, entryOf } from "../../../src/nats/bucket-entry.ts";
import { HeaderBlock } from "../../../src/nats/header-block.ts";

function entryWith(headers: string, data = "") {
  const message = {
    subject: "$KV.b.balance.alice",
    sequence: 3,
    timestampMs: 5,
    headers: new HeaderBlock(`NATS/1.0\r\n${headers}\r\n`),
    data: Buffer.from(data),
  };
  return entryOf(message, "$KV.b.".length);
}

describe("entryOf", () => {
  it("takes the key from the subject", () => {
    expect(entryWith("")).toMatchObject({ key: "balance.alice", sequence: 3, timestampMs: 5 });
  });

  it.each([
    "KV-Operation: DEL",
    "KV-Operation: PURGE\r\nNats-Rollup: sub",
    "Nats-Marker-Reason: MaxAge",
  ])("takes an entry with %j for a deletion", (header) => {
    expect(entryWith(`${header}\r\n`).deleted).toBe(true);
  });

  it.each(["", "KV-Operation: PUT\r\n", "Kv-Operation: DEL\r\n", "Note: KV-Operation: DEL\r\n"])(
    "takes an empty entry with %j for a value",
    (headers) => {
      expect(entryWith(headers).deleted).toBe(false);
    },
  );
});

describe("assertKey", () => {
  it.each(["a", "balance.alice", "a=2E.B_-9", "="])("accepts %s", (key) => {
    expect(() => assertKey(key)).not.toThrow();
  });

  it.each(["", ".", "a.", ".a", "a..b", "a b", "a.*", ">", "a/b", "ä", "a\n", "a\r\nb"])(
    "refuses %j",
    (key) => {
      expect(() => assertKey(key)).toThrow(InvalidArgumentError);
    },
  );
});
