import { createTraceState, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { describe, expect, it } from "vitest";
import { Carrier } from "../../../src/otel/carrier.ts";
import { traceContextOnly } from "../../../src/otel/trace-context.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const spanId = "b7ad6b7169203331";
const traceparent = `00-${traceId}-${spanId}-01`;
const carrier = new Carrier(traceContextOnly);
const active = trace.setSpanContext(ROOT_CONTEXT, {
  traceId,
  spanId: "c".repeat(16),
  traceFlags: 1,
  traceState: createTraceState("a=1"),
});

describe.each(["traceparent", "Traceparent", "TRACEPARENT"])("a header %s", (name) => {
  const headers = { [name]: traceparent, Other: "x" };

  it("has nothing added to it, not even the state of another trace", () => {
    const given = { ...headers };
    expect(carrier.add(active, given)).toBe(false);
    expect(given).toEqual(headers);
  });

  it("is told by the same text, and found", () => {
    expect(carrier.keyOf(headers)).toBe(`traceparent: ${traceparent}`);
    expect(carrier.spansOf([headers, { traceparent }])).toMatchObject([{ traceId, spanId }]);
  });

  it("is taken out", () => {
    const given = { ...headers };
    carrier.clear(given);
    expect(given).toEqual({ Other: "x" });
  });
});

it("adds what is missing to headers that say nothing of a trace", () => {
  const headers = { Other: "x" };
  expect(carrier.add(active, headers)).toBe(true);
  expect(headers).toEqual({
    Other: "x",
    traceparent: `00-${traceId}-${"c".repeat(16)}-01`,
    tracestate: "a=1",
  });
});
