import { setTimeout as delay } from "node:timers/promises";

const POLL_INTERVAL_MS = 15;

/**
 * Asks `condition` again and again until it holds.
 *
 * @returns whether it came to hold before the deadline (milliseconds of `performance.now()`)
 * @throws the signal's reason
 */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  deadline: number,
  signal?: AbortSignal,
): Promise<boolean> {
  for (;;) {
    signal?.throwIfAborted();
    if (await condition()) return true;
    if (performance.now() >= deadline) return false;
    await delay(POLL_INTERVAL_MS);
  }
}
