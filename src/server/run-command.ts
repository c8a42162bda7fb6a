import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

const OUTPUT_LIMIT_CHARACTERS = 1_000_000;

/** How a command ended. */
export interface CommandResult {
  /** Exit code; undefined where the command does not exist or was ended by a signal. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly cwd?: string | undefined;
  readonly env?: NodeJS.ProcessEnv | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The command is killed after this time. @default 10_000 */
  readonly timeoutMs?: number | undefined;
  /** Receives each line that the command writes to file descriptor 3. */
  readonly onStatus?: ((line: string) => void) | undefined;
}

/**
 * Runs a command to its end. Failure is a result, not an error: the caller knows what it means.
 *
 * @throws the signal's reason
 */
export async function runCommand(
  command: string,
  parameters: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const { signal, onStatus } = options;
  signal?.throwIfAborted();
  const result = await new Promise<CommandResult>((resolve) => {
    const child = spawn(command, parameters, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ["ignore", "pipe", "pipe", onStatus === undefined ? "ignore" : "pipe"],
      timeout: options.timeoutMs ?? 10_000,
      killSignal: "SIGKILL",
      ...(signal === undefined ? {} : { signal }),
    });
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr);
    const status = child.stdio[3];
    if (onStatus !== undefined && status !== null && status !== undefined && "read" in status) {
      createInterface({ input: status }).on("line", onStatus);
    }
    child.on("error", (error) => {
      resolve({ code: undefined, stdout: stdout(), stderr: `${stderr()}${error.message}` });
    });
    child.on("close", (code) => {
      resolve({ code: code ?? undefined, stdout: stdout(), stderr: stderr() });
    });
  });
  signal?.throwIfAborted();
  return result;
}

function collect(stream: Readable | null): () => string {
  let text = "";
  stream?.setEncoding("utf8").on("data", (chunk: string) => {
    if (text.length < OUTPUT_LIMIT_CHARACTERS) text += chunk;
  });
  return () => text;
}
