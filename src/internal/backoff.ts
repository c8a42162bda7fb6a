import { onAbort } from "./abort.ts";

/** How waits between attempts grow: `firstMs`, doubled each time, never above `maxMs`; each drawn from its upper half. */
export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** The wait before attempt `attempt` (1 = the first retry), jittered so that rivals do not meet again. */
export function backoffMs(
  backoff: Backoff,
  attempt: number,
  random: () => number = Math.random,
): number {
  const full = Math.min(backoff.maxMs, backoff.firstMs * 2 ** Math.min(attempt - 1, 30));
  return full * (0.5 + random() / 2);
}

/** Resolves after `ms`; rejects with `signal.reason` when aborted before. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    let end: (() => void) | undefined;
    const timer = setTimeout(() => {
      end?.();
      resolve();
    }, ms);
    if (signal === undefined) return;
    end = onAbort(signal, () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
