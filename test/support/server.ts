import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { inject } from "vitest";

/** URL of the server that the integration tests share. */
export function natsUrl(): string {
  return inject("natsUrl");
}

/** A stream name that no other test uses, so that no test needs to clean up. */
export function freshStream(prefix = "TEST"): string {
  return `${prefix}_${randomBytes(6).toString("hex").toUpperCase()}`;
}

/** How long `eventually` tries. */
export interface EventuallyOptions {
  /** @default 5_000 */
  readonly timeoutMs?: number;
}

/**
 * Repeats a check until it passes: it neither throws nor returns false. After the time is up the check's own
 * error is thrown, so that a failing test says what was not so.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  { timeoutMs = 5_000 }: EventuallyOptions = {},
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    let failure: unknown;
    try {
      const result = await check();
      if (result !== false) return result;
      failure = new Error(`still false after ${timeoutMs} ms`);
    } catch (error) {
      failure = error;
    }
    if (performance.now() >= deadline) throw failure;
    await delay(10);
  }
}
