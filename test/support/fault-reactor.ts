import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const REACTOR = "counter";
export const LEASE_MS = 700;
export const SAVED_EVERY = 10;

const PROGRAM = fileURLToPath(new URL("../fault/reactor-process.ts", import.meta.url));

/** What a reactor wrote down. */
export interface Line {
  readonly pid: number;
  readonly what: "begin" | "end";
  readonly n: number;
}

/** The lines of all reactors in the order in which they were written. */
export function readLines(file: string): Line[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n");
  // The last one may be half written.
  return lines.slice(0, -1).map((line) => {
    const [pid, what, n] = line.split(" ");
    return { pid: Number(pid), what: what === "begin" ? "begin" : "end", n: Number(n) };
  });
}

/** Consecutive lines of one process. */
export interface Turn {
  readonly pid: number;
  readonly begun: readonly number[];
  readonly ended: readonly number[];
}

export function turnsOf(lines: readonly Line[]): Turn[] {
  const turns: { pid: number; begun: number[]; ended: number[] }[] = [];
  for (const { pid, what, n } of lines) {
    let turn = turns.at(-1);
    if (turn?.pid !== pid) turns.push((turn = { pid, begun: [], ended: [] }));
    (what === "begin" ? turn.begun : turn.ended).push(n);
  }
  return turns;
}

/** A reactor in a process of its own. */
export class ReactorProcess implements AsyncDisposable {
  /** What it said of its end, if it failed. */
  readonly failures: unknown[] = [];
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on("message", (message) => message !== "open" && this.failures.push(message));
  }

  static async start(url: string, stream: string, file: string): Promise<ReactorProcess> {
    const child = fork(PROGRAM, [url, stream, file], { execArgv: ["--import", "tsx"] });
    const opened = new ReactorProcess(child);
    await once(child, "message");
    return opened;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Has it stand still, whatever it waits for. */
  stop(): void {
    this.#child.send("stop");
  }

  continue(): void {
    this.#child.kill("SIGCONT");
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
}
