import { readJob as read, startChild, tell as report } from "../lib/child.ts";
import type { Job, Report } from "./messages.ts";

/**
 * Runs a module as a process of its own, with a job.
 *
 * @param onReport what the process tells
 * @returns when it has ended well
 * @throws {Error} when it has not; then, or when `signal` is aborted, the process is gone
 */
export async function runChild(
  module: URL,
  job: Job,
  onReport: (report: Report) => void,
  signal?: AbortSignal,
): Promise<void> {
  const child = startChild(module, job, onReport);
  const stop = (): void => void child.kill();
  signal?.addEventListener("abort", stop, { once: true });
  if (signal?.aborted === true) stop();
  try {
    await child.ended;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/** The job that this process was started with. It ends with the process that started it. */
export function readJob(): Job {
  return read<Job>();
}

/** Tells the process that started this one; resolves when that is on its way. */
export function tell(said: Report): Promise<void> {
  return report(said);
}
