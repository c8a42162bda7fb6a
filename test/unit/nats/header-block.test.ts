import { describe, expect, it } from "vitest";
import { HeaderBlock, noHeaders } from "../../../src/nats/header-block.ts";

describe("HeaderBlock", () => {
  const block = new HeaderBlock(
    "NATS/1.0\r\nAnnal-Commit: c1\r\nX:  padded \r\nAnnal-Version:5.2\r\nX: again\r\n\r\n",
  );

  it("finds a header by its exact name and trims its value", () => {
    expect(block.get("Annal-Commit")).toBe("c1");
    expect(block.get("X")).toBe("padded");
    expect(block.get("Annal-Version")).toBe("5.2");
  });

  it("does not take a name for another that it begins, ends or is spelt like", () => {
    expect(block.get("Annal")).toBeUndefined();
    expect(block.get("Version")).toBeUndefined();
    expect(block.get("annal-commit")).toBeUndefined();
  });

  it("tells the last of several headers of one name", () => {
    expect(block.getLast("X")).toBe("again");
    expect(block.getLast("Y")).toBeUndefined();
  });

  it("lists all headers in their order", () => {
    expect(block.entries()).toEqual([
      ["Annal-Commit", "c1"],
      ["X", "padded"],
      ["Annal-Version", "5.2"],
      ["X", "again"],
    ]);
  });

  it("reads status and description of the first line", () => {
    const status = new HeaderBlock("NATS/1.0 404 Message Not Found\r\n\r\n");
    expect([status.status, status.description]).toEqual([404, "Message Not Found"]);
    const bare = new HeaderBlock("NATS/1.0 503\r\n\r\n");
    expect([bare.status, bare.description]).toEqual([503, ""]);
    expect([block.status, block.description]).toEqual([undefined, ""]);
  });

  it("is empty where a message has no headers", () => {
    expect(noHeaders.entries()).toEqual([]);
    expect(noHeaders.get("X")).toBeUndefined();
  });
});
