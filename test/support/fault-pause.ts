import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import type { NatsServer } from "../../src/server/index.ts";
import { eventually } from "./server.ts";

/**
 * Pauses a server and, where the system lets one look (`/proc`), waits until all its threads stand still: the signal is
 * taken up only when one of them next runs, and until then the others may go on to take messages.
 */
export async function pauseServer(server: NatsServer): Promise<void> {
  await server.pause();
  const tasks = `/proc/${server.pid ?? "none"}/task`;
  if (!existsSync(tasks)) return;
  await eventually(async () => {
    const threads = await readdir(tasks);
    const states = await Promise.all(threads.map((thread) => stateOf(`${tasks}/${thread}/stat`)));
    return states.every((state) => state === "T");
  });
}

/** The state stands behind the command, which is in parentheses. */
async function stateOf(path: string): Promise<string> {
  const stat = await readFile(path, "utf8").catch(() => ") T");
  return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3);
}
