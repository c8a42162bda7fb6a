import { readFile } from "node:fs/promises";

const TAIL_LINES = 20;
const TAIL_CHARACTERS = 4_000;

/** The last lines of a log file, for an error's message. */
export async function readLogTail(path: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch {
    return "(there is no log)";
  }
  const tail = text.trimEnd().split("\n").slice(-TAIL_LINES).join("\n").slice(-TAIL_CHARACTERS);
  return tail === "" ? "(the log is empty)" : tail;
}
