import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { createInterface } from "node:readline";
import { ServerStartError } from "../errors.ts";

/**
 * Runs the server, and ends it when the pipe on standard input closes, which the operating system does when the
 * process at the other end dies, by SIGKILL too. A shell does this in 1 MB, the same on Linux and macOS. The server is
 * the shell's child from the start, so there is no moment at which it has no guard.
 *
 * `$1` is a folder to remove when the parent has died (empty: none), the rest is the command.
 *
 * The watcher ignores SIGTERM from the moment it acts: the shell ends it by that signal when the server has ended
 * by itself, so that a later end of the pipe neither kills a stranger that got the same process id nor removes the store.
 */
const SUPERVISOR = `
remove=$1
shift
exec 3<&0 </dev/null
"$@" 3<&- >&2 &
server=$!
echo "$server"
exec >&-
(
  cat <&3 >/dev/null
  trap '' TERM
  kill -9 "$server"
  while kill -0 "$server" 2>/dev/null; do sleep 1; done
  if [ -n "$remove" ]; then rm -rf -- "$remove"; fi
) 2>/dev/null &
watcher=$!
exec 3<&-
wait "$server"
code=$?
kill "$watcher" 2>/dev/null
exit "$code"
`;

/** A process that ends when this one does. */
export interface SupervisedProcess {
  readonly pid: number;
  /** Whether it still runs. */
  readonly running: boolean;
  /** Settles when it has ended: its exit code, 128 + n where signal n ended it. */
  readonly ended: Promise<number>;
  /** Sends a signal; nothing happens where the process has ended. */
  signal(name: NodeJS.Signals): void;
}

/** How to start a supervised process. */
export interface SupervisedCommand {
  readonly command: readonly string[];
  /** Standard output and error are appended here. */
  readonly logFile: string;
  /** Folder to remove when this process dies before the server is stopped. */
  readonly removeWhenOrphaned?: string | undefined;
}

/** Starts a process that cannot outlive this one. */
export async function startSupervised(options: SupervisedCommand): Promise<SupervisedProcess> {
  const log = openSync(options.logFile, "a");
  let shell: ChildProcess;
  try {
    // Detached: an interrupt from the terminal reaches this process alone, which then stops the server in good order.
    const parameters = ["-c", SUPERVISOR, "annal", options.removeWhenOrphaned ?? ""];
    shell = spawn("/bin/sh", [...parameters, ...options.command], {
      detached: true,
      stdio: ["pipe", "pipe", log],
    });
  } finally {
    closeSync(log);
  }
  const ended = once(shell, "exit").then(([code]) => (typeof code === "number" ? code : 137));
  let running = true;
  const settled = ended.then(
    (code) => {
      running = false;
      shell.stdin?.destroy();
      return code;
    },
    () => {
      running = false;
      return 127;
    },
  );
  const pid = await readPid(shell, settled);
  return {
    pid,
    get running() {
      return running;
    },
    ended: settled,
    signal(name) {
      if (running) trySignal(pid, name);
    },
  };
}

async function readPid(shell: ChildProcess, ended: Promise<number>): Promise<number> {
  const { stdin, stdout } = shell;
  if (stdin === null || stdout === null) throw new ServerStartError("/bin/sh could not be started");
  // The pipe breaks when the shell ends first; that is reported by its exit.
  stdin.on("error", () => {});
  const lines = createInterface({ input: stdout });
  const line = await Promise.race([
    once(lines, "line").then(([text]) => String(text)),
    ended.then((code) => `exit code ${code}`),
  ]);
  lines.close();
  if (!/^\d+$/.test(line)) {
    throw new ServerStartError(`/bin/sh did not start the server: ${line}`);
  }
  return Number(line);
}

function trySignal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    // ESRCH: it ended a moment ago, and the shell's exit is on its way.
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}
