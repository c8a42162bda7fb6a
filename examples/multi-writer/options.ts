import { parseArgs } from "node:util";
import type { LogSource } from "./event-log.ts";
import { logOptions, logSourceOf, wholeNumber } from "./log-options.ts";

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
      ...logOptions,
      stream: text,
      "verify-only": flag,
      help: { ...flag, short: "h" },
    },
  });
  if (values.help) return undefined;
  const number = (name: keyof typeof numbers): number =>
    wholeNumber(name, values[name], numbers[name]);
  const writers = number("writers");
  const foreign = number("foreign");
  if (foreign > writers) throw new Error(`--foreign ${foreign}: there are only ${writers} writers`);
  return {
    source: logSourceOf(values, 20_000),
    writers,
    foreign,
    redelivered: number("redelivered"),
    stream: values.stream,
    verifyOnly: values["verify-only"],
  };
}
