import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
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
  const path = fileURLToPath(module);
  const child = fork(path, [JSON.stringify(job)], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  child.on("message", onReport);
  const stop = (): void => void child.kill("SIGKILL");
  signal?.addEventListener("abort", stop, { once: true });
  if (signal?.aborted === true) stop();
  try {
    await new Promise<void>((resolve, reject) => {
      child.on("error", reject);
      child.on("exit", (code, ended) => {
        if (code === 0) resolve();
        else reject(new Error(`process ${child.pid} ended with ${code ?? ended}`));
      });
    });
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/** The job that this process was started with. It ends with the process that started it. */
export function readJob(): Job {
  process.on("disconnect", () => process.exit(1));
  const job: Job = JSON.parse(process.argv[2] ?? "");
  return job;
}

/** Tells the process that started this one; resolves when that is on its way. */
export function tell(report: Report): Promise<void> {
  return new Promise((resolve, reject) => {
    if (process.send === undefined) throw new Error("this module is started by the demo only");
    process.send(report, undefined, undefined, (error) =>
      error === null ? resolve() : reject(error),
    );
  });
}
