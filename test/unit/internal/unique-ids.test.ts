import { describe, expect, it } from "vitest";
import { uniqueIds } from "../../../src/internal/unique-ids.ts";

describe("uniqueIds", () => {
  it("gives ids that differ within a source and between sources", () => {
    const sources = [uniqueIds(), uniqueIds(), uniqueIds()];
    const ids = sources.flatMap((next) => Array.from({ length: 2_000 }, () => next()));
    expect(new Set(ids).size).toBe(6_000);
  });

  it("gives ids that may stand in a header and in a subject", () => {
    const next = uniqueIds();
    const ids = Array.from({ length: 100 }, () => next());
    for (const id of ids) expect(id).toMatch(/^[0-9A-Za-z]{18,40}$/);
  });

  it("draws its prefix from over 100 bits, so that no position is the same everywhere", () => {
    const prefixes = Array.from({ length: 200 }, () => uniqueIds()().slice(0, 17));
    for (let at = 0; at < 17; at++) {
      expect(new Set(prefixes.map((prefix) => prefix[at])).size).toBeGreaterThan(30);
    }
  });
});
