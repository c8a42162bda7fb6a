import { parseArgs } from "node:util";

/** What every bench takes from its command line. */
export interface BenchOptions {
  /** A few seconds in all, to see that it works; the figures mean nothing. */
  readonly quick: boolean;
  /** Where to write the report as JSON. */
  readonly json: string | undefined;
  /** Events in the streams that are read. @default 1_000_000, quick 2_000 */
  readonly messages: number;
  /** Rounds that count. @default 5, quick 2 */
  readonly rounds: number;
  /** Whether to measure after the server has dropped its blocks, which takes 12 s a time. @default not when quick */
  readonly cold: boolean;
}

/** Reads `--quick --json FILE --messages N --rounds N --no-cold`. */
export function readOptions(args: readonly string[] = process.argv.slice(2)): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      json: { type: "string" },
      messages: { type: "string" },
      rounds: { type: "string" },
      "no-cold": { type: "boolean", default: false },
    },
  });
  const { quick, json } = values;
  return {
    quick,
    json,
    messages: wholeNumber("messages", values.messages, quick ? 2_000 : 1_000_000),
    rounds: wholeNumber("rounds", values.rounds, quick ? 2 : 5),
    cold: !quick && !values["no-cold"],
  };
}

function wholeNumber(name: string, given: string | undefined, preset: number): number {
  const value = given === undefined ? preset : Number(given.replaceAll("_", ""));
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new RangeError(`--${name} takes a whole number from 1, not ${given}`);
}
