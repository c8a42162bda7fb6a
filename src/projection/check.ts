import { InvalidArgumentError } from "../errors.ts";
import type { EventMap } from "../store/event.ts";
import type { EventStore } from "../store/event-store.ts";
import { internalsOf } from "../store/internals.ts";
import { count } from "../store/options.ts";
import { incompleteReason } from "./check-history.ts";
import { type CheckReport, Findings } from "./check-report.ts";
import { type CheckPhase, CheckRun } from "./check-run.ts";
import type { Projection, TableMap } from "./definition.ts";
import { bucketOfVersion } from "./live-version.ts";
import type { KvStateOptions } from "./state-options.ts";

/** How far a check is. */
export interface CheckProgress {
  /**
   * `deriving` the state from the stream, `comparing` the entries of the bucket, `settling` those that had changed since.
   */
  readonly phase: CheckPhase;
  /** Share of the phase that is done, from 0 to 1. */
  readonly fraction: number;
}

/** What to check, and how. */
export interface CheckOptions {
  /** Where the state is, as it was given to `startProjector`. */
  readonly state: KvStateOptions;
  /** How often the entries are looked at, those that change meanwhile. @default 5 */
  readonly maxPasses?: number | undefined;
  /**
   * Keys of derived state that are held in memory; more are kept in a bucket `<bucket>_v<n>_check_<id>`, which is removed
   * at the end, and compared part by part. @default 1000000
   */
  readonly maxKeysInMemory?: number | undefined;
  /** Findings that the report names; all are counted. @default 1000 */
  readonly maxFindings?: number | undefined;
  /** Told now and then how far it is. Must not throw. */
  readonly onProgress?: ((progress: CheckProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Checks the stored state of a projection: derives it anew from the stream alone, and compares it with the bucket, entry
 * by entry and in both directions. Writers, projectors and readers go on meanwhile: what changes while it is compared is
 * looked at again, together with the checkpoint that it belongs to.
 *
 * It reads the whole stream, and takes about as long as a rebuild. State that a projector began with `startAt` cannot be
 * checked: the stream's beginning is missing from it.
 *
 * @returns a report; one that is `incomplete` says why, and finds nothing
 * @throws {InvalidArgumentError}; what keeps it from asking the server; the signal's reason
 * @example
 * const report = await check(store, balances, { state: kvState({ bucket: "balances" }) });
 * if (report.outcome !== "clean") console.error(toJson(report, 2));
 */
export async function check<Events extends EventMap, Tables extends TableMap>(
  store: EventStore<Events>,
  projection: Projection<Events, Tables>,
  options: CheckOptions,
): Promise<CheckReport> {
  const { state, onProgress, signal = new AbortController().signal } = options;
  if (state?.kind !== "kv") throw new InvalidArgumentError("state", "kvState({ bucket })", state);
  const maxPasses = count("maxPasses", options.maxPasses ?? 5, 1);
  const maxKeysInMemory = count("maxKeysInMemory", options.maxKeysInMemory ?? 1_000_000, 1);
  const findings = new Findings(count("maxFindings", options.maxFindings ?? 1_000, 0));
  signal.throwIfAborted();
  const startedAt = performance.now();
  const bucket = bucketOfVersion(state.bucket, projection.version);
  const run = new CheckRun({
    internals: internalsOf(store),
    projection,
    state,
    bucket,
    findings,
    maxPasses,
    maxKeysInMemory,
    onProgress: (phase, fraction) => onProgress?.({ phase, fraction }),
    signal,
  });
  let incomplete: string | undefined;
  let note: string | undefined;
  try {
    note = await run.run();
  } catch (error) {
    incomplete = incompleteReason(error);
    if (incomplete === undefined) throw error;
    // What was compared with a state that does not hold is no finding.
    findings.clear();
  }
  const { checked = 0, passes = 0, unsettled = 0 } = run.comparison ?? {};
  if (unsettled > 0) note = `${unsettled} keys changed with each of ${passes} looks at them`;
  const isUndecided = incomplete !== undefined || unsettled > 0;
  const undecided = isUndecided ? "incomplete" : "clean";
  return {
    projection: projection.name,
    version: projection.version,
    bucket,
    position: run.position,
    outcome: findings.count > 0 ? "findings" : undecided,
    reason: incomplete ?? note,
    findings: findings.kept,
    findingCount: findings.count,
    checkedKeys: checked,
    passes,
    unsettled,
    durationMs: Math.round(performance.now() - startedAt),
  };
}
