import { ConnectionFailedError, JetStreamUnavailableError, ReadTimeoutError } from "../errors.ts";

/** Whether it may be otherwise in a moment: the server cannot be reached, or is busy with itself. */
export function isPassing(error: unknown): boolean {
  return (
    error instanceof ReadTimeoutError ||
    error instanceof ConnectionFailedError ||
    error instanceof JetStreamUnavailableError
  );
}
