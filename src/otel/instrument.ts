import {
  type Context,
  metrics,
  type MeterProvider,
  type TextMapPropagator,
  trace,
  type TracerProvider,
} from "@opentelemetry/api";
import { projectionChannels } from "../projection/diagnostics.ts";
import { channels } from "../store/diagnostics.ts";
import { Carrier } from "./carrier.ts";
import { Counts, subscribe } from "./counts.ts";
import { Durations } from "./durations.ts";
import { AlreadyInstrumentedError } from "./errors.ts";
import { Lag } from "./lag.ts";
import { Operations } from "./operations.ts";
import { traceContextOnly } from "./trace-context.ts";

/** Where traces and metrics go. */
export interface InstrumentOptions {
  /** @default the one registered with `@opentelemetry/api`, also where that is done later */
  readonly tracerProvider?: TracerProvider | undefined;
  /** @default the one registered with `@opentelemetry/api` by the time of the call */
  readonly meterProvider?: MeterProvider | undefined;
  /**
   * What writes trace context into the headers of commits and reads it there. They are kept as long as the stream: a
   * propagator with baggage stores it for good.
   * @default W3C trace context without baggage: `traceparent` and `tracestate`
   */
  readonly propagator?: TextMapPropagator | undefined;
}

/** Annal as it is observed. */
export interface Telemetry extends Disposable {
  /**
   * The context that the caller runs in: within an operation of annal, such as a reactor's `handle`, the one with its
   * span; elsewhere the active one. Make it the active one for spans and calls of your own that belong to the operation.
   *
   * @example
   * ```ts
   * handle: (event) => context.with(telemetry.context(), () => mail(event)),
   * ```
   */
  context(): Context;
  /** Ends all subscriptions. Operations under way leave no span. Idempotent. */
  disable(): void;
}

/** Name of the tracer and of the meter. */
const SCOPE = "annal";

let inForce: object | undefined;

/**
 * Makes OpenTelemetry spans and metrics of what the stores, projections, actors and ledgers of this process do, until it
 * is disabled. Metrics need their provider to be registered before, or given. An error of a provider never reaches an
 * operation: it goes to OpenTelemetry's `diag`.
 *
 * @example
 * ```ts
 * using telemetry = instrument();
 * ```
 *
 * @throws {AlreadyInstrumentedError} while an earlier one is in force
 */
export function instrument(options: InstrumentOptions = {}): Telemetry {
  if (inForce !== undefined) throw new AlreadyInstrumentedError();
  const { propagator = traceContextOnly } = options;
  const tracer = (options.tracerProvider ?? trace.getTracerProvider()).getTracer(SCOPE);
  const meter = (options.meterProvider ?? metrics.getMeterProvider()).getMeter(SCOPE);
  const durations = new Durations(meter);
  const counts = new Counts(meter);
  const lag = new Lag(meter);
  const operations = new Operations(tracer, new Carrier(propagator), durations);
  const stops = [
    ...operations.follow(),
    ...counts.follow(),
    ...lag.follow(),
    subscribe(channels.read, durations.read),
    subscribe(projectionChannels.unit, durations.unit),
    subscribe(projectionChannels.unit, (message) => counts.unit(message)),
    subscribe(projectionChannels.unit, (message) => operations.unit(message)),
  ];
  const own = {};
  inForce = own;
  const disable = (): void => {
    if (inForce !== own) return;
    inForce = undefined;
    for (const stop of stops) stop();
  };
  return { context: () => operations.context(), disable, [Symbol.dispose]: disable };
}
