import { parseArgs } from "node:util";
import { wholeNumber } from "../multi-writer/log-options.ts";

export const HELP = `
Several processes hammer one ledger with transfers, holds, captures and reverts; some of them are killed in the middle. A
fresh process proves from the journal that nothing was lost, doubled or overdrawn, and shows each process's share.

  npm run example -- multi-writer-ledger [options]

  --writers N            processes that write (4)
  --kill N               so many of them are killed with SIGKILL when half of the time is over (1)
  --seconds N            how long they write (10)
  --accounts N           accounts among which they transfer (100)
  --callers N            commands that each process has under way at once (64)
  --stream NAME          stream to write to (a new one)
  --help

With NATS_URL it uses that server and leaves the stream there; else it starts a server and removes it at the end.
`;

/** What to do. */
export interface HammerOptions {
  readonly writers: number;
  readonly kill: number;
  readonly seconds: number;
  readonly accounts: number;
  readonly callers: number;
  readonly stream: string | undefined;
}

const numbers = {
  writers: { fallback: 4, least: 1, most: 32 },
  kill: { fallback: 1, least: 0, most: 32 },
  seconds: { fallback: 10, least: 1, most: 3_600 },
  accounts: { fallback: 100, least: 2, most: 10_000 },
  callers: { fallback: 64, least: 1, most: 10_000 },
} as const;

/**
 * Reads the command line.
 *
 * @returns undefined where only help is wanted
 * @throws {Error} that says which option is wrong
 */
export function parseOptions(args: readonly string[]): HammerOptions | undefined {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      writers: text,
      kill: text,
      seconds: text,
      accounts: text,
      callers: text,
      stream: text,
      help: { type: "boolean", default: false, short: "h" },
    },
  });
  if (values.help) return undefined;
  const number = (name: keyof typeof numbers): number =>
    wholeNumber(name, values[name], numbers[name]);
  const writers = number("writers");
  const kill = number("kill");
  if (kill >= writers) throw new Error(`--kill ${kill}: one of ${writers} writers must be left`);
  return {
    writers,
    kill,
    seconds: number("seconds"),
    accounts: number("accounts"),
    callers: number("callers"),
    stream: values.stream,
  };
}
