import { parseArgs } from "node:util";
import { wholeNumber } from "../multi-writer/log-options.ts";

export const HELP = `
Several instances of an HTTP service with accounts and transfers, on one server, under load. One instance is killed in the
middle, another is told to end; clients repeat what was not answered at another instance, under the same Idempotency-Key.
Then the stream is replayed: money is conserved, and each acknowledged request is there exactly once.

  npm run example -- microservice [options]

  --instances N          processes of the service; one is killed, one is told to end (3)
  --clients N            requests under way at once (12)
  --accounts N           accounts among which they transfer (60)
  --seconds N            how long the clients ask (5)
  --stream NAME          stream to write to, which must be new (a new one)
  --help

With NATS_URL it uses that server and leaves the stream there; else it starts a server and removes it at the end.
The service itself: examples/microservice.
`;

/** What to do. */
export interface ProofOptions {
  readonly instances: number;
  readonly clients: number;
  readonly accounts: number;
  readonly seconds: number;
  readonly stream: string | undefined;
}

const numbers = {
  instances: { fallback: 3, least: 3, most: 16 },
  clients: { fallback: 12, least: 1, most: 500 },
  accounts: { fallback: 60, least: 2, most: 10_000 },
  seconds: { fallback: 5, least: 1, most: 3_600 },
} as const;

/**
 * Reads the command line.
 *
 * @returns undefined where only help is wanted
 * @throws {Error} that says which option is wrong
 */
export function parseOptions(args: readonly string[]): ProofOptions | undefined {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      instances: text,
      clients: text,
      accounts: text,
      seconds: text,
      stream: text,
      help: { type: "boolean", default: false, short: "h" },
    },
  });
  if (values.help) return undefined;
  const number = (name: keyof typeof numbers): number =>
    wholeNumber(name, values[name], numbers[name]);
  return {
    instances: number("instances"),
    clients: number("clients"),
    accounts: number("accounts"),
    seconds: number("seconds"),
    stream: values.stream,
  };
}
