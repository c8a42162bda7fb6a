/** How the service is run. */
export interface Config {
  /** Addresses of NATS servers. */
  readonly servers: readonly string[];
  readonly stream: string;
  /** Copies of the stream, where the service creates it. */
  readonly replicas: number;
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** Requests that may wait for one account; more are answered with 503. */
  readonly maxWaiting: number;
  /** Accounts in memory; those that were used longest ago are read again when they are asked. */
  readonly maxActors: number;
  /** How long a request may take, waiting for its turn included. */
  readonly commandTimeoutMs: number;
  /** How long the service goes on taking requests after it has said that it is not ready, so that balancers notice. */
  readonly drainDelayMs: number;
  /** How long requests under way may take after that. */
  readonly drainTimeoutMs: number;
}

/**
 * Reads the environment: `NATS_URL` (addresses with commas between), `STREAM`, `REPLICAS`, `HOST`, `PORT`,
 * `MAX_WAITING`, `MAX_ACTORS`, `COMMAND_TIMEOUT_MS`, `DRAIN_DELAY_MS`, `DRAIN_TIMEOUT_MS`.
 *
 * @throws {Error} that names every variable that is wrong
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const problems: string[] = [];
  const text = (name: string, fallback: string, pattern: RegExp, expected: string): string => {
    // compose files set what is not given to an empty text
    const value = env[name] || fallback;
    if (!pattern.test(value)) problems.push(`${name}: expected ${expected}, found "${value}"`);
    return value;
  };
  const number = (name: string, fallback: number, least: number, most: number): number => {
    const value = Number(text(name, String(fallback), /^\d+$/, `a whole number from ${least}`));
    if (value < least || value > most) {
      problems.push(`${name}: expected ${least} to ${most}, found ${value}`);
    }
    return value;
  };
  const config: Config = {
    servers: text("NATS_URL", "nats://127.0.0.1:4222", /^[^\s,]+(,[^\s,]+)*$/, "addresses").split(
      ",",
    ),
    stream: text("STREAM", "ACCOUNTS", /^[A-Za-z0-9_-]{1,200}$/, "letters, digits, _ and -"),
    replicas: number("REPLICAS", 1, 1, 5),
    host: text("HOST", "127.0.0.1", /^\S+$/, "an address to listen on"),
    port: number("PORT", 8080, 0, 65_535),
    maxWaiting: number("MAX_WAITING", 100, 1, 100_000),
    // 256 remembered commands of 12 bytes each are 60 MB, beside the accounts themselves
    maxActors: number("MAX_ACTORS", 20_000, 1, 1_000_000),
    commandTimeoutMs: number("COMMAND_TIMEOUT_MS", 5_000, 1, 60_000),
    drainDelayMs: number("DRAIN_DELAY_MS", 1_000, 0, 60_000),
    drainTimeoutMs: number("DRAIN_TIMEOUT_MS", 10_000, 1, 300_000),
  };
  if (problems.length > 0)
    throw new Error(`the configuration is wrong\n  ${problems.join("\n  ")}`);
  return config;
}
