import { abortable } from "./abort.ts";

/**
 * The promise's value, or undefined where it takes longer than `ms`; rejects with `signal.reason` when aborted before.
 * The promise itself goes on.
 */
export async function within<T>(
  promise: Promise<T>,
  ms: number,
  signal?: AbortSignal,
): Promise<T | undefined> {
  promise.catch(() => {});
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await abortable(Promise.race([promise, over]), signal);
  } finally {
    clearTimeout(timer);
  }
}
