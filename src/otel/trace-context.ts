import {
  type Context,
  createTraceState,
  isSpanContextValid,
  type TextMapGetter,
  type TextMapPropagator,
  type TextMapSetter,
  trace,
} from "@opentelemetry/api";

const PARENT = "traceparent";
const STATE = "tracestate";
/** Version, trace id, span id, flags; a later version may go on behind a dash. */
const FORMAT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/**
 * W3C trace context (https://www.w3.org/TR/trace-context/) and nothing else: the headers of a commit are kept as long as
 * its stream is, so that baggage, which may say anything of a user, has no place in them unless it is asked for.
 */
export const traceContextOnly: TextMapPropagator = {
  inject(context: Context, carrier: unknown, setter: TextMapSetter): void {
    const spanContext = trace.getSpanContext(context);
    if (spanContext === undefined || !isSpanContextValid(spanContext)) return;
    const { traceId, spanId, traceFlags, traceState } = spanContext;
    const flags = (traceFlags & 0xff).toString(16).padStart(2, "0");
    setter.set(carrier, PARENT, `00-${traceId}-${spanId}-${flags}`);
    const state = traceState?.serialize();
    if (state !== undefined && state !== "") setter.set(carrier, STATE, state);
  },

  extract(context: Context, carrier: unknown, getter: TextMapGetter): Context {
    const given = getter.get(carrier, PARENT);
    const found = FORMAT.exec(typeof given === "string" ? given.trim() : "");
    if (found === null) return context;
    const [, version = "ff", traceId = "", spanId = "", flags = "00", more] = found;
    if (version === "ff" || (version === "00" && more !== undefined)) return context;
    const state = getter.get(carrier, STATE);
    const spanContext = {
      traceId,
      spanId,
      traceFlags: Number.parseInt(flags, 16),
      isRemote: true,
      ...(typeof state === "string" ? { traceState: createTraceState(state) } : {}),
    };
    return isSpanContextValid(spanContext) ? trace.setSpanContext(context, spanContext) : context;
  },

  fields(): string[] {
    return [PARENT, STATE];
  },
};
