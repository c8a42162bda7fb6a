import { check as checkProjection } from "../projection/check.ts";
import type { CheckReport } from "../projection/check-report.ts";
import type { Projection } from "../projection/definition.ts";
import type { KvStateOptions } from "../projection/state-options.ts";
import type { EventMap } from "../store/event.ts";
import type { EventStore } from "../store/event-store.ts";
import { internalsOf } from "../store/internals.ts";
import { count } from "../store/options.ts";
import { type LedgerCheckReport, LedgerFindings } from "./check-report.ts";
import { type LedgerCheckPhase, LedgerCheckRun } from "./check-run.ts";
import type { LedgerEngine } from "./engine.ts";
import { Journal } from "./journal.ts";
import { checkName } from "./names.ts";

/** How far a check is. */
export interface LedgerCheckProgress {
  /** `reading` the journal, `comparing` a state with it, `locating` the causes of what was found. */
  readonly phase: LedgerCheckPhase;
  /** Share of the phase that is done, from 0 to 1. */
  readonly fraction: number;
}

/** A read model to be checked too: the projection, and where its state is. */
export interface CheckedReadModel {
  readonly projection: Projection;
  readonly state: KvStateOptions;
}

/** How to check a ledger. */
export interface LedgerCheckOptions {
  /** Read models in KV that are checked with it, by the check of projections. @default none */
  readonly readModels?: readonly CheckedReadModel[] | undefined;
  /** Findings that the report names; all are counted. @default 1000 */
  readonly maxFindings?: number | undefined;
  /** Told now and then how far it is. Must not throw. */
  readonly onProgress?: ((progress: LedgerCheckProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How to check a ledger that need not be open. */
export interface StoredLedgerCheckOptions extends LedgerCheckOptions {
  /** KV bucket of the snapshots; false for none. @default `<stream>_ledgers` */
  readonly snapshotBucket?: string | false | undefined;
}

/**
 * Checks what is stored of a ledger, which need not be open, and cannot be where its journal is broken. See
 * `Ledger.check` for what is checked; here there is no state of a process to compare.
 *
 * @returns a report; one that is `incomplete` says why, and names nothing of the state
 * @throws {InvalidArgumentError}; what keeps it from asking the server; the signal's reason
 * @example
 * const report = await checkLedger(store, "main");
 * if (report.outcome !== "clean") console.error(toJson(report, 2));
 */
export async function checkLedger<Events extends EventMap>(
  store: EventStore<Events>,
  ledger: string,
  options: StoredLedgerCheckOptions = {},
): Promise<LedgerCheckReport> {
  const { snapshotBucket = `${store.stream}_ledgers` } = options;
  const journal = new Journal(store, checkName("ledger", ledger));
  return report(journal, undefined, snapshotBucket === false ? undefined : snapshotBucket, options);
}

/** The same of an open ledger, with the state of this process. */
export async function checkOpenLedger(
  { journal, settings, state }: LedgerEngine,
  options: LedgerCheckOptions,
): Promise<LedgerCheckReport> {
  return report(journal, state, settings.snapshotBucket, options);
}

async function report(
  journal: Journal,
  state: LedgerEngine["state"] | undefined,
  snapshotBucket: string | undefined,
  options: LedgerCheckOptions,
): Promise<LedgerCheckReport> {
  const { onProgress, signal = new AbortController().signal, readModels = [] } = options;
  const findings = new LedgerFindings(count("maxFindings", options.maxFindings ?? 1_000, 0));
  signal.throwIfAborted();
  const startedAt = performance.now();
  const run = new LedgerCheckRun({
    journal,
    state,
    snapshotBucket,
    findings,
    timeoutMs: internalsOf(journal.store).context.limits.readTimeoutMs,
    onProgress: (phase, fraction) => onProgress?.({ phase, fraction }),
    signal,
  });
  await run.run();
  const models: CheckReport[] = [];
  for (const { projection, state: kept } of readModels)
    models.push(await checkProjection(journal.store, projection, { state: kept, signal }));
  const undecided = models.find(({ outcome }) => outcome === "incomplete");
  const incomplete = run.incomplete ?? undecided?.reason;
  const hasFindings = findings.count > 0 || models.some(({ outcome }) => outcome === "findings");
  const decided = hasFindings ? "findings" : incomplete === undefined ? "clean" : "incomplete";
  return {
    ledger: journal.ledger,
    stream: journal.store.stream,
    outcome: run.incomplete === undefined ? decided : "incomplete",
    reason: incomplete ?? run.note,
    chain: run.chain,
    version: run.version,
    memoryVersion: run.versionOf("memory"),
    snapshotVersion: run.versionOf("snapshot"),
    findings: findings.shown(),
    findingCount: findings.count,
    checkedKeys: run.checked,
    readModels: models,
    durationMs: Math.round(performance.now() - startedAt),
  };
}
