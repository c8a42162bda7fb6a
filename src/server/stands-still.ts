import { readdir, readFile } from "node:fs/promises";

/**
 * Whether all threads of a process are stopped, as `proc(5)` tells it: a signal stops them one by one, a moment after it was
 * sent. True where there is no such process, or no `/proc`.
 */
export async function standsStill(pid: number): Promise<boolean> {
  const tasks = `/proc/${pid}/task`;
  const ids = await readdir(tasks).catch(() => []);
  const states = await Promise.all(ids.map((id) => stateOf(`${tasks}/${id}/stat`)));
  return states.every((state) => state === undefined || "TtZX".includes(state));
}

/** The letter of a thread's state; undefined where it has ended. */
async function stateOf(file: string): Promise<string | undefined> {
  const stat = await readFile(file, "utf8").catch(() => "");
  // behind the name, which stands in parentheses and may hold anything
  return stat.slice(stat.lastIndexOf(")") + 2)[0];
}
