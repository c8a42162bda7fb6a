import { ledgerChannels } from "./diagnostics.ts";
import type { Group } from "./group.ts";

/** Says on the channel what a group came to; without a version, another process was faster. */
export function tellCommit(
  ledger: string,
  { commands, entries, bytes }: Group,
  durationMs?: number,
  version?: number,
): void {
  if (!ledgerChannels.commit.hasSubscribers) return;
  const counts = { commands: commands.length, entries, bytes };
  ledgerChannels.commit.publish({ ledger, ...counts, durationMs, version });
}
