/** `annal/otel`: OpenTelemetry spans and metrics of what is said on the diagnostics channels. */
export { Attribute, Metric } from "./attributes.ts";
export { AlreadyInstrumentedError } from "./errors.ts";
export { instrument } from "./instrument.ts";

export type { InstrumentOptions, Telemetry } from "./instrument.ts";
