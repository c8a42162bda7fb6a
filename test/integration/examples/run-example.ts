import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { natsUrl } from "../../support/server.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** What an example printed, both streams together, and how it ended. */
export interface ExampleRun {
  readonly code: number | null;
  readonly output: string;
}

/** Runs an example as a user does, on the server that the tests share unless `natsUrl` says otherwise. */
export async function runExample(
  name: string,
  args: readonly string[],
  url: string = natsUrl(),
): Promise<ExampleRun> {
  const runner = fileURLToPath(new URL("../../../scripts/run.mjs", import.meta.url));
  const child = spawn(process.execPath, [runner, "examples", name, ...args], {
    cwd: root,
    env: { ...process.env, NATS_URL: url },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const keep = (text: string): void => {
    output += text;
  };
  child.stdout.setEncoding("utf8").on("data", keep);
  child.stderr.setEncoding("utf8").on("data", keep);
  await once(child, "close");
  return { code: child.exitCode, output };
}
