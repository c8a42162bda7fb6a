import { describe, expect, it } from "vitest";
import { BatchHeaders, formatHeaders, headerBlock } from "../../../src/nats/batch-headers.ts";
import { HeaderBlock } from "../../../src/nats/header-block.ts";

describe("BatchHeaders", () => {
  it("numbers the messages of a batch from 1 and commits with the last", () => {
    const headers = new BatchHeaders("b7");
    const blocks = [headers.next(""), headers.next("A: 1\r\n"), headers.commit("B: 2\r\n")];
    expect(blocks.map(String)).toEqual([
      "NATS/1.0\r\nNats-Batch-Id: b7\r\nNats-Batch-Sequence: 1\r\n\r\n",
      "NATS/1.0\r\nNats-Batch-Id: b7\r\nNats-Batch-Sequence: 2\r\nA: 1\r\n\r\n",
      "NATS/1.0\r\nNats-Batch-Id: b7\r\nNats-Batch-Sequence: 3\r\nNats-Batch-Commit: 1\r\nB: 2\r\n\r\n",
    ]);
  });
});

describe("headerBlock", () => {
  it("writes headers that are read back as they were", () => {
    const headers: [string, string][] = [
      ["Annal-Position", "17"],
      ["Näme", "wert ü"],
    ];
    expect(new HeaderBlock(headerBlock(formatHeaders(headers)).toString()).entries()).toEqual(
      headers,
    );
    expect(headerBlock(formatHeaders(undefined)).toString()).toBe("NATS/1.0\r\n\r\n");
  });
});
