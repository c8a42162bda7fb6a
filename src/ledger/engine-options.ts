import { InvalidArgumentError } from "../errors.ts";
import { count } from "../store/options.ts";

/** How a process works on ledgers; each bound is an option. */
export interface LedgerEngineOptions {
  /** How long a command waits for its outcome. @default 10_000 */
  readonly commandTimeoutMs?: number | undefined;
  /** Commands that wait for their decision; more are refused with {@link OverloadedError}. @default 100_000 */
  readonly maxQueuedCommands?: number | undefined;
  /** Commands decided into one commit at most. @default 2_000 */
  readonly maxGroupCommands?: number | undefined;
  /** Bytes of one commit at most, within what the server takes. @default 524_288 */
  readonly maxGroupBytes?: number | undefined;
  /**
   * How often the head of the journal is looked at while nothing is written; 0 for never. A store that follows other writers
   * is told of them, and asks only while it is not. @default 1_000
   */
  readonly refreshMs?: number | undefined;
  /** How far this process's clock may be off the server's. @default 5_000 */
  readonly maxClockSkewMs?: number | undefined;
  /** Entries of the journal between two snapshots of the state. @default 100_000 */
  readonly snapshotEveryEntries?: number | undefined;
  /** KV bucket of the snapshots; false for none. @default `<stream>_ledgers` */
  readonly snapshotBucket?: string | false | undefined;
  /**
   * Open a ledger although its journal was put back behind what a snapshot was made of, as by restoring an older backup:
   * go on from what is left, and let the next snapshot replace that one. Without it such a ledger is not opened
   * ({@link JournalBrokenError}), because the snapshot is the last thing that tells what was lost. @default false
   */
  readonly acceptRollback?: boolean | undefined;
  /** The clock: milliseconds since 1970. @default Date.now */
  readonly now?: (() => number) | undefined;
}

/** The same with its defaults. */
export interface EngineSettings {
  readonly commandTimeoutMs: number;
  readonly maxQueuedCommands: number;
  readonly maxGroupCommands: number;
  readonly maxGroupBytes: number;
  readonly refreshMs: number;
  readonly maxClockSkewMs: number;
  readonly snapshotEveryEntries: number;
  readonly snapshotBucket: string | undefined;
  readonly acceptRollback: boolean;
  readonly now: () => number;
}

/** @throws {InvalidArgumentError} */
export function resolveEngineOptions(given: LedgerEngineOptions, stream: string): EngineSettings {
  const { snapshotBucket, acceptRollback = false, now = Date.now } = given;
  if (typeof now !== "function") throw new InvalidArgumentError("now", "a function", now);
  if (typeof acceptRollback !== "boolean")
    throw new InvalidArgumentError("acceptRollback", "true or false", acceptRollback);
  const of = (name: keyof LedgerEngineOptions, byDefault: number, least: number): number => {
    const value = given[name];
    return value === undefined ? byDefault : count(name, value, least);
  };
  return {
    commandTimeoutMs: of("commandTimeoutMs", 10_000, 1),
    maxQueuedCommands: of("maxQueuedCommands", 100_000, 1),
    maxGroupCommands: of("maxGroupCommands", 2_000, 1),
    maxGroupBytes: of("maxGroupBytes", 512 << 10, 1_024),
    refreshMs: of("refreshMs", 1_000, 0),
    maxClockSkewMs: of("maxClockSkewMs", 5_000, 1),
    snapshotEveryEntries: of("snapshotEveryEntries", 100_000, 1),
    snapshotBucket: snapshotBucket === false ? undefined : (snapshotBucket ?? `${stream}_ledgers`),
    acceptRollback,
    now,
  };
}
