import {
  type Context,
  ROOT_CONTEXT,
  type SpanContext,
  type TextMapGetter,
  type TextMapPropagator,
  trace,
} from "@opentelemetry/api";
import { headerLines } from "../store/outgoing.ts";

/** The headers of a commit, as they are given to the store. */
export type Headers = Record<string, string>;

/** Characters that one header may bring: what is added counts against the limits of a message. */
const MAX_VALUE = 1_024;

const anyCase: TextMapGetter<Readonly<Headers>> = {
  get: valueIn,
  keys: (headers) => Object.keys(headers),
};

/** Takes trace context out of the headers of commits, and puts it in. */
export class Carrier {
  readonly #propagator: TextMapPropagator;

  constructor(propagator: TextMapPropagator) {
    this.#propagator = propagator;
  }

  /** What the headers say of their trace, as text to compare; empty where they say nothing. */
  keyOf(headers: Readonly<Headers>): string {
    const names = this.#propagator.fields();
    const said = names.filter((name) => valueIn(headers, name) !== undefined);
    return said.map((name) => `${name}: ${valueIn(headers, name)}`).join("\n");
  }

  /**
   * Adds the context to headers that say nothing of their trace; what a caller has said, however it is spelled, stays as
   * it is.
   *
   * @returns whether anything was added
   */
  add(context: Context, headers: Headers): boolean {
    if (this.#ofTrace(headers).length > 0) return false;
    let added = false;
    this.#propagator.inject(context, headers, {
      set: (carrier, name, value) => {
        if (valueIn(carrier, name) !== undefined || !isHeader(name, value)) return;
        carrier[name] = value;
        added = true;
      },
    });
    return added;
  }

  /** Takes what was added out again. */
  clear(headers: Headers): void {
    for (const name of this.#ofTrace(headers)) delete headers[name];
  }

  /** `context` with the trace that the headers are of, if they are of one. */
  extend(context: Context, headers: Readonly<Headers>): Context {
    return this.#propagator.extract(context, headers, anyCase);
  }

  /** The spans that the headers of commits name, each once. */
  spansOf(all: readonly Readonly<Headers>[]): SpanContext[] {
    const found = new Map<string, SpanContext>();
    for (const headers of all) {
      const spanContext = trace.getSpanContext(this.extend(ROOT_CONTEXT, headers));
      if (spanContext !== undefined) {
        found.set(`${spanContext.traceId} ${spanContext.spanId}`, spanContext);
      }
    }
    return [...found.values()];
  }

  /** The headers that speak of a trace, as they are spelled. */
  #ofTrace(headers: Readonly<Headers>): string[] {
    const fields = new Set(this.#propagator.fields().map((name) => name.toLowerCase()));
    return Object.keys(headers).filter((name) => fields.has(name.toLowerCase()));
  }
}

/** The value of a header however its name is spelled: callers and other languages may write `Traceparent`. */
function valueIn(headers: Readonly<Headers>, name: string): string | undefined {
  const exact = headers[name];
  if (exact !== undefined) return exact;
  const wanted = name.toLowerCase();
  const found = Object.keys(headers).find((given) => given.toLowerCase() === wanted);
  return found === undefined ? undefined : headers[found];
}

/** Whether the store takes it: a propagator may say anything, and an append must not fail for it. */
function isHeader(name: string, value: string): boolean {
  if (typeof value !== "string" || value.length > MAX_VALUE) return false;
  try {
    headerLines({ [name]: value });
    return true;
  } catch {
    return false;
  }
}
