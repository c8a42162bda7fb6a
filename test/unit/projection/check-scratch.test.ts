import { describe, expect, it } from "vitest";
import { HeaderBlock } from "../../../src/nats/header-block.ts";
import type { BucketEntry } from "../../../src/nats/bucket.ts";
import { DigestedPart } from "../../../src/projection/check-scratch.ts";

function entry(key: string, text: string, place = "1.0", deleted = false): BucketEntry {
  const headers = new HeaderBlock(`NATS/1.0\r\nAnnal-Position: ${place}\r\n\r\n`);
  return { key, sequence: 1, timestampMs: 0, deleted, data: Buffer.from(text), headers };
}

describe("a part of the expected entries", () => {
  it("shares the keys with the other parts, evenly, each in one of them", () => {
    const parts = Array.from({ length: 7 }, (_, number) => new DigestedPart(number, 7));
    const counts = parts.map(() => 0);
    for (let n = 0; n < 3_500; n++) {
      const holders = parts.flatMap((part, number) => (part.holds(`t.k${n}`) ? [number] : []));
      if (holders.length !== 1) throw new Error(`${holders.length} parts hold t.k${n}`);
      const [holder = 0] = holders;
      counts[holder] = (counts[holder] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 500)).toBeLessThan(120);
  });

  it("knows an entry by its value and its place, once", () => {
    const part = new DigestedPart(0, 1);
    for (const key of ["t.a", "t.b", "t.c", "t.d"]) part.add(entry(key, "value"));
    part.add(entry("t.gone", "value"));
    part.add(entry("t.gone", "", "2.0", true));
    expect(part.matches(entry("t.a", "value"))).toBe(true);
    expect(part.matches(entry("t.b", "other"))).toBe(false);
    expect(part.matches(entry("t.c", "value", "1.1"))).toBe(false);
    expect(part.matches(entry("t.e", "value"))).toBe(false);
    expect(part.matches(entry("t.gone", "value"))).toBe(false);
    expect(part.matches(entry("t.gone", "", "9.9", true))).toBe(true);
    expect([...part.unseen()]).toEqual(["t.d"]);
  });

  it("leaves out a projector's own entries, and the reasons of dead letters", () => {
    const part = new DigestedPart(0, 1);
    part.add(entry("_checkpoint", "{}"));
    part.add(entry("_dead.1.0", '{"type":"A","reason":"one"}'));
    part.add(entry("_dead.2.0", '{"type":"A","reason":"one"}'));
    expect([...part.unseen()]).toEqual(["_dead.1.0", "_dead.2.0"]);
    expect(part.matches(entry("_dead.1.0", '{"reason":"two","type":"A"}'))).toBe(true);
    expect(part.matches(entry("_dead.2.0", '{"type":"B","reason":"one"}'))).toBe(false);
  });
});
