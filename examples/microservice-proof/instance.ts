import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const module = fileURLToPath(new URL("../microservice/serve.ts", import.meta.url));
const STOP_TIMEOUT_MS = 30_000;
const PROBE_TIMEOUT_MS = 2_000;

/** What clients have met at an instance. */
export interface InstanceCounts {
  /** Requests sent, repetitions included. */
  sent: number;
  acknowledged: number;
  refused: number;
  /** Requests that it answered with 503 or 504. */
  unavailable: number;
  /** Requests whose connection ended before the answer. */
  cut: number;
  /** Requests that found nobody listening. */
  unheard: number;
  /** Requests whose answer was thrown away, as if it had been lost on its way. */
  lost: number;
  readonly latenciesMs: number[];
}

/** A process of the service, as a load balancer and a scraper of metrics see it. */
export class Instance {
  readonly name: string;
  readonly url: string;
  readonly counts: InstanceCounts = {
    sent: 0,
    acknowledged: 0,
    refused: 0,
    unavailable: 0,
    cut: 0,
    unheard: 0,
    lost: 0,
    latenciesMs: [],
  };
  /** Whether it gets requests. */
  isReady = true;
  /** Decisions that were taken again, by its metrics when they were last read. */
  conflicts = 0;
  /** How it ended. */
  fate = "";
  readonly #end: (signal: NodeJS.Signals) => void;
  readonly #ended: Promise<number | undefined>;

  private constructor(
    name: string,
    port: number,
    end: (signal: NodeJS.Signals) => void,
    ended: Promise<number | undefined>,
  ) {
    this.name = name;
    this.url = `http://127.0.0.1:${port}`;
    this.#end = end;
    this.#ended = ended;
  }

  /** Starts a process of the service; it never outlives this one. @throws {Error} where it does not come up */
  static async start(name: string, env: Readonly<Record<string, string>>): Promise<Instance> {
    const child = spawn(process.execPath, [...process.execArgv, module], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exited = once(child, "exit");
    const ended = exited.then(() => child.exitCode ?? undefined);
    const end = (signal: NodeJS.Signals): void => void child.kill(signal);
    const abandon = (): void => end("SIGKILL");
    process.once("exit", abandon);
    void ended.then(() => process.off("exit", abandon));
    const port = new Promise<number>((resolve, reject) => {
      const said: string[] = [];
      createInterface(child.stdout).on("line", (line) => {
        const { event, port, error } = readLog(line);
        if (event === "listening") resolve(Number(port));
        // what it says of errors is worth seeing
        if (error !== undefined) process.stderr.write(`  ${name}: ${line}\n`);
        said.push(line);
      });
      void ended.then(() => reject(new Error(`${name} did not start: ${said.join("\n")}`)));
    });
    return new Instance(name, await port, end, ended);
  }

  get isKilled(): boolean {
    return this.fate.startsWith("killed");
  }

  /** Ends it as `kill -9` does. */
  async kill(): Promise<void> {
    this.fate = "killed (SIGKILL)";
    this.#end("SIGKILL");
    await this.#ended;
    this.isReady = false;
  }

  /** Tells it to end. @returns its exit code, undefined where it had to be killed */
  async stop(): Promise<number | undefined> {
    this.fate = "stopped (SIGTERM)";
    this.#end("SIGTERM");
    const tooLong = setTimeout(() => this.#end("SIGKILL"), STOP_TIMEOUT_MS);
    const code = await this.#ended;
    clearTimeout(tooLong);
    return code;
  }

  /** Asks whether it takes requests. */
  async probe(): Promise<void> {
    try {
      const response = await this.get("/readyz");
      await response.text();
      // what it said may arrive when it is gone
      this.isReady = response.ok && !this.isKilled;
    } catch {
      this.isReady = false;
    }
  }

  /** Reads its metrics; what cannot be read stays as it was. */
  async scrape(): Promise<void> {
    try {
      const response = await this.get("/metrics");
      this.conflicts = sumOf(await response.text(), "annal_actor_send_conflicts_sum");
    } catch {
      // it has ended
    }
  }

  get(path: string): Promise<Response> {
    return fetch(`${this.url}${path}`, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
  }
}

/** The sum of a metric's samples in the text that Prometheus reads. */
export function sumOf(text: string, metric: string): number {
  return text
    .split("\n")
    .filter((line) => line.startsWith(`${metric}{`) || line.startsWith(`${metric} `))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

function readLog(line: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
