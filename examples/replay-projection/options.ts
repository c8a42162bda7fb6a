import { parseArgs } from "node:util";
import type { LogSource } from "../multi-writer/event-log.ts";
import { logOptions, logSourceOf } from "../multi-writer/log-options.ts";

export const HELP = `
An event log becomes three read models in KV buckets, while its end is still being written, by a projector that is
killed in the middle and started again: cases by state, activities by resource, durations of cases.

  npm run example -- replay-projection [options]

  --events N             events of the generated log (8000)
  --seed N               seed of the generated log (1)
  --input FILE.csv       a real log instead; its columns:
    --actor-column NAME    whose history (case:concept:name)
    --type-column NAME     what happened (concept:name)
    --writer-column NAME   who did it (org:resource)
    --time-column NAME     when (time:timestamp)
  --stream NAME          stream to write to; what it holds of the log already is not written again (a new one)
  --help

With NATS_URL it uses that server and leaves stream and buckets there; else it starts a server and removes it at the
end.
`;

/** What to do. */
export interface ReplayOptions {
  readonly source: LogSource;
  readonly stream: string | undefined;
}

/**
 * Reads the command line.
 *
 * @returns undefined where only help is wanted
 * @throws {Error} that says which option is wrong
 */
export function parseOptions(args: readonly string[]): ReplayOptions | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...logOptions,
      stream: { type: "string" },
      help: { type: "boolean", default: false, short: "h" },
    },
  });
  if (values.help) return undefined;
  return { source: logSourceOf(values, 8_000), stream: values.stream };
}
