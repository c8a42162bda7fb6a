import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Acknowledged } from "./fault-store.ts";

/** What a store in another process is asked for. */
export type Command =
  | {
      readonly do: "append";
      readonly actor: string;
      readonly expectedVersion: number | "any" | "none" | "exists";
      readonly commitId?: string | undefined;
      /** Not before this time (milliseconds since 1970), so that two processes start together. */
      readonly atMs?: number | undefined;
    }
  | { readonly do: "look"; readonly actor: string }
  | { readonly do: "fill"; readonly actors: readonly string[]; readonly appends: number }
  | {
      readonly do: "mix";
      readonly actors: readonly string[];
      readonly operations: number;
      readonly seed: number;
    };

/** What it answers. */
export interface Answer {
  readonly acknowledged: readonly Acknowledged[];
  /** Commit ids of appends that were refused. */
  readonly refused: readonly string[];
  /** Code of the error that ended the command. */
  readonly code?: string | undefined;
  readonly message?: string | undefined;
  /** What the cache held of the actor before the command. */
  readonly cachedVersion?: number | undefined;
  readonly version?: number | undefined;
}

const PROGRAM = fileURLToPath(new URL("../fault/store-process.ts", import.meta.url));

/** A store in a process of its own. */
export class StoreProcess implements AsyncDisposable {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Starts a process with a store on `stream`, and waits until it is open. */
  static async start(name: string, url: string, stream: string): Promise<StoreProcess> {
    const child = fork(PROGRAM, [name, url, stream], {
      execArgv: ["--import", "tsx"],
      serialization: "advanced",
    });
    const opened = new StoreProcess(child);
    await opened.#message();
    return opened;
  }

  /** Sends a command and waits for its answer; one at a time. */
  async run(command: Command): Promise<Answer> {
    const answered = this.#message();
    this.#child.send(command);
    const answer = await answered;
    if (!isAnswer(answer)) throw new Error(`unexpected answer ${JSON.stringify(answer)}`);
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exited;
  }

  async #message(): Promise<unknown> {
    const ended = new AbortController();
    try {
      const exited = once(this.#child, "exit", { signal: ended.signal }).then(([code]) => {
        throw new Error(`the store's process ended with ${code}`);
      });
      exited.catch(() => {});
      const [message]: unknown[] = await Promise.race([
        once(this.#child, "message", { signal: ended.signal }),
        exited,
      ]);
      return message;
    } finally {
      ended.abort();
    }
  }
}

function isAnswer(value: unknown): value is Answer {
  return typeof value === "object" && value !== null && "acknowledged" in value;
}
