import {
  type Context,
  defaultTextMapGetter,
  ROOT_CONTEXT,
  type SpanContext,
  type TextMapPropagator,
  trace,
} from "@opentelemetry/api";
import { headerLines } from "../store/outgoing.ts";

/** The headers of a commit, as they are given to the store. */
export type Headers = Record<string, string>;

/** Characters that one header may bring: what is added counts against the limits of a message. */
const MAX_VALUE = 1_024;

/** Takes trace context out of the headers of commits, and puts it in. */
export class Carrier {
  readonly #propagator: TextMapPropagator;

  constructor(propagator: TextMapPropagator) {
    this.#propagator = propagator;
  }

  /** What the headers say of their trace, as text to compare; empty where they say nothing. */
  keyOf(headers: Readonly<Headers>): string {
    const names = this.#propagator.fields();
    const found = names.filter((name) => headers[name] !== undefined);
    return found.map((name) => `${name}: ${headers[name]}`).join("\n");
  }

  /**
   * Adds the context to headers that say nothing of their trace; what a caller has said, however it is spelled, stays as
   * it is.
   *
   * @returns whether anything was added
   */
  add(context: Context, headers: Headers): boolean {
    const fields = new Set(this.#propagator.fields().map((name) => name.toLowerCase()));
    if (Object.keys(headers).some((name) => fields.has(name.toLowerCase()))) return false;
    let added = false;
    this.#propagator.inject(context, headers, {
      set: (carrier, name, value) => {
        if (Object.hasOwn(carrier, name) || !isHeader(name, value)) return;
        carrier[name] = value;
        added = true;
      },
    });
    return added;
  }

  /** Takes what was added out again. */
  clear(headers: Headers): void {
    for (const name of this.#propagator.fields()) delete headers[name];
  }

  /** `context` with the trace that the headers are of, if they are of one. */
  extend(context: Context, headers: Readonly<Headers>): Context {
    return this.#propagator.extract(context, headers, defaultTextMapGetter);
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
