import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HeaderBlock, noHeaders } from "../../../src/nats/header-block.ts";
import { projectionChannels } from "../../../src/projection/diagnostics.ts";
import { headersOf } from "../../../src/projection/unit-headers.ts";
import type { PlannedEvent } from "../../../src/projection/unit-planner.ts";
import type { RecordedEvent } from "../../../src/index.ts";

const listener = (): void => {};

beforeEach(() => projectionChannels.unit.subscribe(listener));
afterEach(() => void projectionChannels.unit.unsubscribe(listener));

function block(...lines: readonly string[]): HeaderBlock {
  return new HeaderBlock(["NATS/1.0", ...lines, "", ""].join("\r\n"));
}

/** Events of commits with these headers, `each` of a commit; the first one applied is number 1. */
function planned(blocks: readonly (HeaderBlock | undefined)[], each = 1): PlannedEvent[] {
  return blocks.flatMap((headers, at) =>
    Array.from({ length: each }, (_, index) => {
      const applied = at * each + index + 1;
      const end = { position: at + 1, taken: index + 1, commitId: `c${at}`, applied };
      return { event: {} as RecordedEvent, keys: [], failure: undefined, end, headers };
    }),
  );
}

const a = block("Annal-Commit: a", "traceparent: A", "Nats-Sequence: 1", "nats-rollup: x");
const b = block("traceparent: B", "Other: b");

describe("the headers of a unit", () => {
  it("are the writers' own, once for each commit", () => {
    expect(headersOf(planned([a, b], 3), 6)).toEqual([
      { traceparent: "A" },
      { traceparent: "B", Other: "b" },
    ]);
  });

  it("leave out commits without any", () => {
    expect(headersOf(planned([noHeaders, undefined, b]), 3)).toEqual([
      { traceparent: "B", Other: "b" },
    ]);
  });

  it("leave out what was planned and not applied", () => {
    expect(headersOf(planned([a, b], 2), 2)).toEqual([{ traceparent: "A" }]);
    expect(headersOf(planned([a, b], 2), 0)).toEqual([]);
  });

  it("keep a header that is called __proto__", () => {
    const [headers] = headersOf(planned([block("__proto__: x")]), 1);
    expect(Object.entries(headers ?? {})).toEqual([["__proto__", "x"]]);
  });

  it("are at most 128, and none while nobody listens", () => {
    const many = planned(Array.from({ length: 200 }, (_, at) => block(`n: ${at}`)));
    const found = headersOf(many, 200);
    expect(found).toHaveLength(128);
    expect(found.at(-1)).toEqual({ n: "127" });
    projectionChannels.unit.unsubscribe(listener);
    expect(headersOf(many, 200)).toEqual([]);
  });
});
