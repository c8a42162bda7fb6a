import { isAbsolute, resolve } from "node:path";
import type { LogSource } from "./event-log.ts";

const text = { type: "string" } as const;

/** The options of the command line that say where the log comes from, for `parseArgs`. */
export const logOptions = {
  events: text,
  seed: text,
  input: text,
  "actor-column": { ...text, default: "case:concept:name" },
  "type-column": { ...text, default: "concept:name" },
  "writer-column": { ...text, default: "org:resource" },
  "time-column": { ...text, default: "time:timestamp" },
} as const;

/** What `parseArgs` makes of {@link logOptions}. */
export interface LogValues {
  readonly events?: string | undefined;
  readonly seed?: string | undefined;
  readonly input?: string | undefined;
  readonly "actor-column": string;
  readonly "type-column": string;
  readonly "writer-column": string;
  readonly "time-column": string;
}

/**
 * Where the log comes from.
 *
 * @param events of a generated log, where nothing else is said
 * @throws {Error} that says which option is wrong
 */
export function logSourceOf(values: LogValues, events: number): LogSource {
  if (values.input === undefined) {
    return {
      kind: "generated",
      seed: wholeNumber("seed", values.seed, { fallback: 1, least: 0, most: 2 ** 32 - 1 }),
      events: wholeNumber("events", values.events, {
        fallback: events,
        least: 1,
        most: 10_000_000,
      }),
    };
  }
  const columns = {
    actor: values["actor-column"],
    type: values["type-column"],
    writer: values["writer-column"],
    time: values["time-column"],
  };
  return { kind: "csv", path: fromStartFolder(values.input), columns };
}

/** Reads a number. @throws {Error} that says which option is wrong */
export function wholeNumber(
  name: string,
  given: string | undefined,
  { fallback, least, most }: { fallback: number; least: number; most: number },
): number {
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
