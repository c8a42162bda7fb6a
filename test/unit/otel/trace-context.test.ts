import {
  createTraceState,
  defaultTextMapGetter,
  defaultTextMapSetter,
  ROOT_CONTEXT,
  type SpanContext,
  trace,
} from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { traceContextOnly } from "../../../src/otel/trace-context.ts";

const reference = new W3CTraceContextPropagator();

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";

function injected(propagator: typeof traceContextOnly, spanContext: SpanContext): object {
  const carrier: Record<string, string> = {};
  propagator.inject(trace.setSpanContext(ROOT_CONTEXT, spanContext), carrier, defaultTextMapSetter);
  return carrier;
}

function extracted(propagator: typeof traceContextOnly, carrier: object) {
  const found = propagator.extract(ROOT_CONTEXT, carrier, defaultTextMapGetter);
  const spanContext = trace.getSpanContext(found);
  if (spanContext === undefined) return undefined;
  const { traceId, spanId, traceFlags, isRemote, traceState } = spanContext;
  return { traceId, spanId, traceFlags, isRemote, state: traceState?.serialize() ?? "" };
}

const hex = (length: number) =>
  fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`), { size: "max" });

describe("trace context in headers", () => {
  it("is written as OpenTelemetry's own propagator writes it", () => {
    const state = fc.constantFrom("", "a=1", "b=2,a=1");
    fc.assert(
      fc.property(
        hex(32),
        hex(16),
        fc.constantFrom(0, 1),
        state,
        (traceId, spanId, flags, text) => {
          const traceState = text === "" ? {} : { traceState: createTraceState(text) };
          const spanContext = { traceId, spanId, traceFlags: flags, ...traceState };
          expect(injected(traceContextOnly, spanContext)).toEqual(injected(reference, spanContext));
        },
      ),
    );
  });

  it("is not written of what is no trace", () => {
    const none = { traceId: "0".repeat(32), spanId: SPAN, traceFlags: 1 };
    expect(injected(traceContextOnly, none)).toEqual({});
    const carrier = {};
    traceContextOnly.inject(ROOT_CONTEXT, carrier, defaultTextMapSetter);
    expect(carrier).toEqual({});
  });

  it.each([
    `00-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-00`,
    `00-${TRACE}-${SPAN}-01-more`,
    `01-${TRACE}-${SPAN}-01-more`,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${"0".repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE}-${SPAN}-1`,
    `00-${TRACE}-${SPAN}-zz`,
    "",
    "none",
    `00-${TRACE}-${SPAN}-01`.repeat(1_000),
  ])("is read as OpenTelemetry's own propagator reads it: %s", (traceparent) => {
    for (const tracestate of [undefined, "a=1", "b=2,a=1", "=", "x".repeat(9_999)]) {
      const carrier = tracestate === undefined ? { traceparent } : { traceparent, tracestate };
      expect(extracted(traceContextOnly, carrier)).toEqual(extracted(reference, carrier));
    }
  });
});
