import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { type Deferred, deferred } from "../../src/internal/deferred.ts";
import type { Sent } from "../integration/actor/actor-audit.ts";

/** What a host in another process is asked for. */
export interface Task {
  readonly accounts: number;
  readonly lanes: number;
  /** Not before this time (milliseconds since 1970), so that all start together. */
  readonly atMs: number;
  readonly durationMs: number;
}

/** What became of it; what was acknowledged it has told before. */
export interface Report {
  readonly failures: readonly string[];
  readonly conflicts: number;
}

const PROGRAM = fileURLToPath(new URL("./actor-process.ts", import.meta.url));

/** A host of accounts in a process of its own. */
export class ActorChild implements AsyncDisposable {
  /** What it has said so far of what was acknowledged. */
  readonly told: Sent[] = [];
  readonly #child: ChildProcess;
  #answer: Deferred<unknown> = deferred();

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on("message", (message: unknown) => {
      if (isTelling(message)) this.told.push(...message.told);
      else this.#answer.resolve(message);
    });
    child.once("exit", (code, signal) => {
      // nobody needs to be waiting when a process ends
      this.#answer.promise.catch(() => {});
      this.#answer.reject(new Error(`the host's process ended with ${code ?? signal}`));
    });
  }

  /** Starts a process with a host, and waits until it is open. */
  static async start(name: string, url: string, stream: string): Promise<ActorChild> {
    const execArgv = ["--import", "tsx"];
    const child = fork(PROGRAM, [name, url, stream], { execArgv, serialization: "advanced" });
    const started = new ActorChild(child);
    await started.#message();
    return started;
  }

  async run(task: Task): Promise<Report> {
    const answered = this.#message();
    this.#child.send(task);
    return (await answered) as Report;
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exited;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }

  /** Its next answer. */
  async #message(): Promise<unknown> {
    try {
      return await this.#answer.promise;
    } finally {
      this.#answer = deferred();
    }
  }
}

function isTelling(message: unknown): message is { readonly told: readonly Sent[] } {
  return typeof message === "object" && message !== null && "told" in message;
}
