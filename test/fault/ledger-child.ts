import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { type Deferred, deferred } from "../../src/internal/deferred.ts";
import type { AcknowledgedKey } from "./ledger-audit.ts";

/** What a ledger in another process is asked for; not before a time (milliseconds since 1970), so that all start together. */
export type Task = {
  readonly lanes: number;
  readonly asset: string;
  readonly atMs: number;
} & (
  | { readonly do: "spend"; readonly from: string; readonly perLane: number }
  | { readonly do: "transfer"; readonly accounts: number; readonly durationMs: number }
);

/** What became of it. */
export interface Report {
  readonly done: readonly AcknowledgedKey[];
  /** How many were refused for lack of funds. */
  readonly refused: number;
  readonly failures: readonly string[];
}

const PROGRAM = fileURLToPath(new URL("./ledger-process.ts", import.meta.url));

/** A ledger in a process of its own. */
export class LedgerChild implements AsyncDisposable {
  /** What it has said so far of what was acknowledged: what is known of one that was killed. */
  readonly told: AcknowledgedKey[] = [];
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
      this.#answer.reject(new Error(`the ledger's process ended with ${code ?? signal}`));
    });
  }

  /** Starts a process with the ledger `main` of a stream, and waits until it is open. */
  static async start(name: string, url: string, stream: string): Promise<LedgerChild> {
    const child = fork(PROGRAM, [name, url, stream], { execArgv: ["--import", "tsx"] });
    const started = new LedgerChild(child);
    await started.#message();
    return started;
  }

  /** So many of them, started together. */
  static all(count: number, url: string, stream: string): Promise<LedgerChild[]> {
    const names = Array.from({ length: count }, (_, at) => `p${at}`);
    return Promise.all(names.map((name) => LedgerChild.start(name, url, stream)));
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

function isTelling(message: unknown): message is { readonly told: readonly AcknowledgedKey[] } {
  return typeof message === "object" && message !== null && "told" in message;
}
