import { InvalidArgumentError } from "../errors.ts";
import { count } from "../store/options.ts";

/** How a host works; each bound is an option. */
export interface ActorHostOptions {
  /** How long an actor that nobody asks stays in memory. @default 60_000 */
  readonly idleMs?: number | undefined;
  /** Actors in memory; beyond that, those leave that were used longest ago. @default 100_000 */
  readonly maxActors?: number | undefined;
  /** Commands that wait in the mailbox of one actor; more are refused with `OverloadedError`. @default 1_000 */
  readonly maxMailbox?: number | undefined;
  /** Commands that run or wait in the host; more are refused with `OverloadedError`. @default 100_000 */
  readonly maxCommands?: number | undefined;
  /** How long a command may take, waiting for its turn and deciding again included. @default 10_000 */
  readonly commandTimeoutMs?: number | undefined;
  /** How often a command is decided again because another writer was faster. @default 20 */
  readonly maxConflicts?: number | undefined;
  /**
   * Look at the actor's head before an error of `decide`, or a decision without events, goes to the caller, so that it was
   * decided on current state; one request, saved where the state is known to be as young as the command. @default true
   */
  readonly verifyRejections?: boolean | undefined;
  /**
   * KV bucket of the snapshots, made where it is not there; false for none. Hosts that share it must mean the same by an
   * actor type and its snapshot version. @default `<stream>_actors`
   */
  readonly snapshotBucket?: string | false | undefined;
  /** The clock of `context.receivedAt`: milliseconds since 1970. @default Date.now */
  readonly now?: (() => number) | undefined;
  /** Gives up starting. */
  readonly signal?: AbortSignal | undefined;
}

/** The same with its defaults. */
export interface HostSettings {
  readonly idleMs: number;
  readonly maxActors: number;
  readonly maxMailbox: number;
  readonly maxCommands: number;
  readonly commandTimeoutMs: number;
  readonly maxConflicts: number;
  readonly verifyRejections: boolean;
  readonly snapshotBucket: string | undefined;
  readonly now: () => number;
}

/** @throws {InvalidArgumentError} naming the option */
export function resolveHostOptions(given: ActorHostOptions, stream: string): HostSettings {
  if (typeof given !== "object" || given === null) {
    throw new InvalidArgumentError("options", "{ idleMs, maxActors, … }", given);
  }
  const { snapshotBucket, verifyRejections = true, now = Date.now } = given;
  if (typeof now !== "function") throw new InvalidArgumentError("now", "a function", now);
  if (typeof verifyRejections !== "boolean") {
    throw new InvalidArgumentError("verifyRejections", "true or false", verifyRejections);
  }
  const of = (name: keyof ActorHostOptions, byDefault: number, least: number): number => {
    const value = given[name];
    return value === undefined ? byDefault : count(name, value, least);
  };
  return {
    idleMs: of("idleMs", 60_000, 1),
    maxActors: of("maxActors", 100_000, 1),
    maxMailbox: of("maxMailbox", 1_000, 1),
    maxCommands: of("maxCommands", 100_000, 1),
    commandTimeoutMs: of("commandTimeoutMs", 10_000, 1),
    maxConflicts: of("maxConflicts", 20, 0),
    verifyRejections,
    snapshotBucket: snapshotBucket === false ? undefined : (snapshotBucket ?? `${stream}_actors`),
    now,
  };
}
