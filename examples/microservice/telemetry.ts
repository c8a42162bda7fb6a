import { type Histogram, ValueType } from "@opentelemetry/api";
import { PrometheusExporter, PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import type { ActorHostStatus } from "annal/actor";
import { instrument } from "annal/otel";

/** Metrics of the service, and of the store and the host in it. */
export interface ServiceTelemetry extends AsyncDisposable {
  /** Requests, in seconds, as OpenTelemetry's conventions for HTTP servers name them. */
  readonly requests: Histogram;
  /** Tells, at each scrape, how the host is. */
  observe(status: () => ActorHostStatus): void;
  /** All metrics as Prometheus reads them. */
  render(): Promise<string>;
}

/** Starts measuring; once a process. */
export function startTelemetry(): ServiceTelemetry {
  // the service answers scrapes itself: the exporter's own server would be a second port
  const exporter = new PrometheusExporter({ preventServerStart: true });
  const serializer = new PrometheusSerializer();
  const meterProvider = new MeterProvider({ readers: [exporter] });
  const store = instrument({ meterProvider });
  const meter = meterProvider.getMeter("microservice");
  const requests = meter.createHistogram("http.server.request.duration", {
    description: "Requests, from their headers to their answer",
    unit: "s",
    advice: {
      explicitBucketBoundaries: [
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
      ],
    },
  });
  return {
    requests,
    observe(status) {
      const gauge = (name: keyof ActorHostStatus, metric: string, description: string): void =>
        meter
          .createObservableGauge(metric, { description, valueType: ValueType.INT })
          .addCallback((result) => result.observe(status()[name]));
      gauge("actorsInMemory", "microservice.actors.in_memory", "Accounts in memory");
      gauge("commandsWaiting", "microservice.commands.waiting", "Commands in mailboxes");
    },
    async render() {
      const { resourceMetrics, errors } = await exporter.collect();
      if (errors.length > 0) throw new AggregateError(errors, "metrics could not be collected");
      return serializer.serialize(resourceMetrics);
    },
    async [Symbol.asyncDispose]() {
      store.disable();
      await meterProvider.shutdown();
    },
  };
}
