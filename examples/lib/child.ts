import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** A process of an example. */
export interface Child {
  /** Resolves when it has ended well, rejects when it ended otherwise. */
  readonly ended: Promise<void>;
  /** Sends it a message; see {@link onMessage}. */
  tell(message: object): void;
  /** Ends it as `kill -9` does: it has no chance to tidy up. Resolves when it is gone. */
  kill(): Promise<void>;
}

/**
 * Runs a module as a process of its own, with a job.
 *
 * @param job what {@link readJob} gives there
 * @param onReport what it tells with {@link tell}
 */
export function startChild<Report>(
  module: URL,
  job: object,
  onReport: (report: Report) => void,
): Child {
  const child = fork(fileURLToPath(module), [JSON.stringify(job)], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  child.on("message", onReport);
  const gone = once(child, "exit");
  const ended = endOf(child);
  ended.catch(() => {});
  return {
    ended,
    tell: (message) => void child.send(message),
    kill: async () => {
      child.kill("SIGKILL");
      await gone;
    },
  };
}

function endOf(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, ended) => {
      if (code === 0) resolve();
      else reject(new Error(`process ${child.pid} ended with ${code ?? ended}`));
    });
  });
}

/** The job that this process was started with. It ends with the process that started it. */
export function readJob<Job>(): Job {
  process.on("disconnect", () => process.exit(1));
  const job: Job = JSON.parse(process.argv[2] ?? "");
  return job;
}

/** Tells the process that started this one; resolves when that is on its way. */
export function tell(report: object): Promise<void> {
  return new Promise((resolve, reject) => {
    if (process.send === undefined) throw new Error("this module is started by an example only");
    process.send(report, undefined, undefined, (error) =>
      error === null ? resolve() : reject(error),
    );
  });
}

/** Listens to the process that started this one. */
export function onMessage<Message>(listener: (message: Message) => void): void {
  process.on("message", listener);
}
