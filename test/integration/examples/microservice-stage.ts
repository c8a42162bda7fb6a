import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { natsUrl } from "../../support/server.ts";

const runner = fileURLToPath(new URL("../../../scripts/run.mjs", import.meta.url));

/** An answer, with its body: of JSON where its type says so, else the text. */
interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

/** A process of the service, started as a user starts it. */
export interface ServiceProcess extends AsyncDisposable {
  readonly url: string;
  /** What it has said so far: one line of JSON each. */
  readonly lines: readonly string[];
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  post(path: string, body: unknown, key?: string): Promise<Answer>;
  /** What it tells Prometheus. */
  metrics(): Promise<string>;
  /** Tells it to end, with SIGTERM or another signal, and does not wait. */
  terminate(signal?: NodeJS.Signals): void;
  /** Its exit code. */
  readonly ended: Promise<number | null>;
}

/** Starts the service with an environment. @throws {Error} with what it said, where it does not come up */
export async function startService(env: Readonly<Record<string, string>>): Promise<ServiceProcess> {
  const child = spawn(process.execPath, [runner, "examples", "microservice/serve"], {
    env: { ...process.env, NATS_URL: natsUrl(), PORT: "0", DRAIN_DELAY_MS: "0", ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: string[] = [];
  const ended = once(child, "close").then(() => child.exitCode);
  const port = await new Promise<number>((resolve, reject) => {
    createInterface(child.stdout).on("line", (line) => {
      lines.push(line);
      const said: { readonly event: string; readonly port?: number } = JSON.parse(line);
      if (said.event === "listening") resolve(said.port ?? 0);
    });
    void ended.then((code) => reject(new Error(`ended with ${code}: ${lines.join("\n")}`)));
  });
  const url = `http://127.0.0.1:${port}`;
  const terminate = (signal: NodeJS.Signals = "SIGTERM"): void => void child.kill(signal);
  return {
    url,
    lines,
    ended,
    terminate,
    get: async (path, headers = {}) => await answerOf(await fetch(url + path, { headers })),
    metrics: async () => await (await fetch(`${url}/metrics`)).text(),
    async post(path, body, key) {
      const headers: Record<string, string> = key === undefined ? {} : { "Idempotency-Key": key };
      const text = typeof body === "string" ? body : JSON.stringify(body);
      return await answerOf(await fetch(url + path, { method: "POST", body: text, headers }));
    },
    async [Symbol.asyncDispose]() {
      terminate();
      await ended;
    },
  };
}

async function answerOf(response: Response): Promise<Answer> {
  const { status, headers } = response;
  const text = await response.text();
  const isJson = headers.get("Content-Type")?.includes("json") === true;
  return { status, headers, body: isJson ? JSON.parse(text) : text };
}
