import {
  type Attributes,
  context,
  propagation,
  ROOT_CONTEXT,
  SpanStatusCode,
  type Tracer,
} from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  AggregationTemporality,
  type DataPoint,
  type Histogram,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  type SpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { onTestFinished } from "vitest";
import { instrument, type InstrumentOptions, type Telemetry } from "../../src/otel/index.ts";

/** What a test sees of what is said to OpenTelemetry. */
export interface Observed {
  readonly telemetry: Telemetry;
  /** Of the service that uses annal. */
  readonly tracer: Tracer;
  /** The spans that have ended, by the beginning of their names. */
  readonly spans: (name: string) => ReadableSpan[];
  /** The only one of that name. */
  readonly span: (name: string) => ReadableSpan;
  /** The points of a metric, those of the stream where the metric knows streams. */
  readonly points: (name: string) => Promise<DataPoint<number | Histogram>[]>;
}

/** Instruments annal with SDKs that keep everything in memory, until the test is over. */
export function observe(options: InstrumentOptions = {}, processor?: SpanProcessor): Observed {
  const exporter = new InMemorySpanExporter();
  const spanProcessors = [processor ?? new SimpleSpanProcessor(exporter)];
  const tracerProvider = new BasicTracerProvider({ spanProcessors });
  const reader = new PeriodicExportingMetricReader({
    exporter: new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE),
    exportIntervalMillis: 1_000_000_000,
  });
  const meterProvider = new MeterProvider({ readers: [reader] });
  const contexts = new AsyncLocalStorageContextManager().enable();
  context.setGlobalContextManager(contexts);
  const telemetry = instrument({ tracerProvider, meterProvider, ...options });
  onTestFinished(async () => {
    telemetry.disable();
    context.disable();
    propagation.disable();
    await meterProvider.shutdown();
    await tracerProvider.shutdown();
  });
  const spans = (name: string): ReadableSpan[] =>
    exporter.getFinishedSpans().filter((span) => span.name.startsWith(name));
  return {
    telemetry,
    tracer: tracerProvider.getTracer("service"),
    spans,
    span: (name) => {
      const [found, ...more] = spans(name);
      if (found === undefined || more.length > 0) {
        const names = exporter.getFinishedSpans().map((span) => span.name);
        throw new Error(`expected one span ${name}, found ${names.join(", ")}`);
      }
      return found;
    },
    points: async (name) => {
      const { resourceMetrics } = await reader.collect();
      const all = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics);
      const metric = all.find(({ descriptor }) => descriptor.name === name);
      return (metric?.dataPoints ?? []) as DataPoint<number | Histogram>[];
    },
  };
}

/** Runs work in a span of the service, as an HTTP server does with a request. */
export async function inRequest<T>(tracer: Tracer, work: () => Promise<T>): Promise<T> {
  return await tracer.startActiveSpan("request", {}, ROOT_CONTEXT, async (span) => {
    try {
      return await work();
    } finally {
      span.end();
    }
  });
}

/** How the header of a commit names a span. */
export function traceparentOf(span: ReadableSpan): string {
  const { traceId, spanId } = span.spanContext();
  return `00-${traceId}-${spanId}-01`;
}

export function parentOf(span: ReadableSpan): string | undefined {
  return span.parentSpanContext?.spanId;
}

export function idOf(span: ReadableSpan): string {
  return span.spanContext().spanId;
}

/** Values by the attributes that a test is about. */
export function sumsBy(
  points: readonly DataPoint<number | Histogram>[],
  ...names: readonly string[]
): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { attributes, value } of points) {
    const key = names.map((name) => String(attributes[name] ?? "")).join(" ");
    sums[key] = (sums[key] ?? 0) + (typeof value === "number" ? value : value.count);
  }
  return sums;
}

export function attributesOf(points: readonly DataPoint<number | Histogram>[]): Attributes[] {
  return points.map(({ attributes }) => attributes);
}

export { SpanStatusCode };
