import { diag } from "@opentelemetry/api";

/**
 * Runs what must not disturb the operation that is observed: an error goes to OpenTelemetry's own diagnostics, and
 * `instead` is returned.
 */
export function quietly<T>(work: () => T, instead: T): T {
  try {
    return work();
  } catch (error) {
    complain(error);
    return instead;
  }
}

/** A listener that never throws. */
export function quiet<Message>(listener: (message: Message) => void): (message: Message) => void {
  return (message) => quietly(() => listener(message), undefined);
}

/** A logger may throw too. */
function complain(error: unknown): void {
  try {
    diag.error("annal/otel: an observation failed", error);
  } catch {
    // There is nobody left to tell.
  }
}
