import { isAbsolute, resolve } from "node:path";
import { parseArgs } from "node:util";
import type { LogSource } from "./event-log.ts";

export const HELP = `
Several processes write the same actors at once; a fresh process proves what was stored.

  npm run demo -- [options]

  --writers N            writer processes (4)
  --foreign N            so many of them know the wire format only: plain nats 2.x clients (0)
  --redelivered PERCENT  rows that are handed to two processes, which then race (10)
  --events N             events of the generated log (20000)
  --seed N               seed of the generated log (1)
  --input FILE.csv       a real log instead; its columns:
    --actor-column NAME    whose history (case:concept:name)
    --type-column NAME     what happened (concept:name)
    --writer-column NAME   who did it (org:resource)
    --time-column NAME     when (time:timestamp)
  --stream NAME          stream to write to (a new one; ANNAL_DEMO on a server of its own)
  --verify-only          write nothing, compare what the stream holds with the log
  --help

With NATS_URL it uses that server and leaves the stream there; else it starts a server and removes it at the end.
`;

/** What to do. */
export interface DemoOptions {
  readonly source: LogSource;
  readonly writers: number;
  readonly foreign: number;
  readonly redelivered: number;
  readonly stream: string | undefined;
  readonly verifyOnly: boolean;
}

const numbers = {
  writers: { fallback: 4, least: 1, most: 64 },
  foreign: { fallback: 0, least: 0, most: 64 },
  redelivered: { fallback: 10, least: 0, most: 100 },
  events: { fallback: 20_000, least: 1, most: 10_000_000 },
  seed: { fallback: 1, least: 0, most: 2 ** 32 - 1 },
} as const;

/**
 * Reads the command line.
 *
 * @returns undefined where only help is wanted
 * @throws {Error} that says which option is wrong
 */
export function parseOptions(args: readonly string[]): DemoOptions | undefined {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      writers: text,
      foreign: text,
      redelivered: text,
      events: text,
      seed: text,
      input: text,
      "actor-column": { ...text, default: "case:concept:name" },
      "type-column": { ...text, default: "concept:name" },
      "writer-column": { ...text, default: "org:resource" },
      "time-column": { ...text, default: "time:timestamp" },
      stream: text,
      "verify-only": flag,
      help: { ...flag, short: "h" },
    },
  });
  if (values.help) return undefined;
  const number = (name: keyof typeof numbers): number => wholeNumber(name, values[name]);
  const columns = {
    actor: values["actor-column"],
    type: values["type-column"],
    writer: values["writer-column"],
    time: values["time-column"],
  };
  const writers = number("writers");
  const foreign = number("foreign");
  if (foreign > writers) throw new Error(`--foreign ${foreign}: there are only ${writers} writers`);
  return {
    source:
      values.input === undefined
        ? { kind: "generated", seed: number("seed"), events: number("events") }
        : { kind: "csv", path: fromStartFolder(values.input), columns },
    writers,
    foreign,
    redelivered: number("redelivered"),
    stream: values.stream,
    verifyOnly: values["verify-only"],
  };
}

function wholeNumber(name: keyof typeof numbers, given: string | undefined): number {
  const { fallback, least, most } = numbers[name];
  if (given === undefined) return fallback;
  const value = Number(given);
  if (/^\d+$/.test(given) && value >= least && value <= most) return value;
  throw new Error(
    `--${name}: expected a whole number from ${least} to ${most}, received "${given}"`,
  );
}

/** npm runs scripts in the project's folder; a file is meant from where the user stands. */
function fromStartFolder(path: string): string {
  return isAbsolute(path) ? path : resolve(process.env["INIT_CWD"] ?? "", path);
}
