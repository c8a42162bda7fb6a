import { InvalidArgumentError } from "../errors.ts";
import { checkLeaseMs } from "./lease.ts";
import type { StateOptions } from "./state-options.ts";

/**
 * Checks how projectors are to take turns, before anything is opened or deleted.
 *
 * @throws {InvalidArgumentError} naming the option
 */
export function checkStandby(options: {
  readonly state: StateOptions;
  readonly standby?: boolean | undefined;
  readonly leaseMs?: number | undefined;
}): void {
  const { state, standby = false, leaseMs } = options;
  if (typeof standby !== "boolean") throw new InvalidArgumentError("standby", "a boolean", standby);
  if (standby && state?.kind === "memory") {
    throw new InvalidArgumentError("standby", "false: state in memory is each process's own", true);
  }
  if (leaseMs === undefined) return;
  checkLeaseMs("leaseMs", leaseMs);
  if (standby) return;
  throw new InvalidArgumentError("leaseMs", "nothing without standby: true", leaseMs);
}
