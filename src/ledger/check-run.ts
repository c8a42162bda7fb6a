import { setImmediate as turn } from "node:timers/promises";
import { Causes, type DifferingTable, type Limits } from "./check-causes.ts";
import { compareStates } from "./check-comparison.ts";
import { checkInvariants, RepeatedReferences } from "./check-invariants.ts";
import { JournalCheck, unreadableReason } from "./check-journal.ts";
import type { ChainReport, LedgerCheckPlace, LedgerFindings } from "./check-report.ts";
import { decodeSnapshot, isImageOf, standingSnapshot } from "./check-snapshot.ts";
import { countValues, frozenViewOf, type StateView, viewOf } from "./check-view.ts";
import type { Journal } from "./journal.ts";
import { applyCommit } from "./journal-state.ts";
import { type JournalPoint, LedgerState } from "./state.ts";

/** What a check of a ledger is doing: reading its journal, comparing states with it, looking for the causes of findings. */
export type LedgerCheckPhase = "reading" | "comparing" | "locating";

/** What a check works with. */
export interface LedgerCheckParts {
  readonly journal: Journal;
  /** State of this process, if it has one. */
  readonly state: LedgerState | undefined;
  readonly snapshotBucket: string | undefined;
  readonly findings: LedgerFindings;
  readonly timeoutMs: number;
  readonly onProgress: (phase: LedgerCheckPhase, fraction: number) => void;
  readonly signal: AbortSignal;
}

/** A state that says what the journal was at a point. */
interface Witness {
  readonly where: LedgerCheckPlace;
  readonly who: string;
  readonly point: JournalPoint;
  /** Compares the state that was derived up to the point with it; false where it cannot be read. */
  readonly compare: () => Promise<boolean>;
}

const PROGRESS_EVERY_COMMITS = 1_000;

/** One check, from its beginning to its end. */
export class LedgerCheckRun {
  readonly #parts: LedgerCheckParts;
  readonly #history: JournalCheck;
  readonly #state = new LedgerState();
  readonly #tables: DifferingTable[] = [];
  readonly #compared = new Map<LedgerCheckPlace, number>();
  readonly #repeated = new RepeatedReferences();
  #checked = 0;
  #underivable: string | undefined;
  #note: string | undefined;

  constructor(parts: LedgerCheckParts) {
    this.#parts = parts;
    this.#history = new JournalCheck(parts.journal, parts.findings, parts.signal);
  }

  get chain(): ChainReport {
    return this.#history.report;
  }

  /** Version up to which the state was derived. */
  get version(): number {
    return this.#state.version;
  }

  get checked(): number {
    return this.#checked;
  }

  /** Version of a state that was compared; undefined where it was not. */
  versionOf(where: LedgerCheckPlace): number | undefined {
    return this.#compared.get(where);
  }

  /** Why nothing can be said of the state. */
  get incomplete(): string | undefined {
    return this.#history.reason ?? this.#underivable;
  }

  /** Why not all was compared. */
  get note(): string | undefined {
    return this.#note;
  }

  /** Fills the findings. */
  async run(): Promise<void> {
    const { findings } = this.#parts;
    const witnesses = await this.#witnesses();
    try {
      await this.#read(witnesses);
    } catch (error) {
      this.#underivable = unreadableReason(error);
      if (this.#underivable === undefined) throw error;
    }
    if (this.incomplete !== undefined) {
      // what was compared with a journal that does not hold is no finding
      findings.keepJournal();
      return;
    }
    this.#checked += await this.#finish(checkInvariants(this.#state, findings));
    await this.#repeated.check(this.#parts.journal, this.#parts.timeoutMs, findings);
    await this.#locate();
  }

  /** What is known of the journal beside itself, by version. */
  async #witnesses(): Promise<Witness[]> {
    const { journal, state, snapshotBucket, findings, timeoutMs, signal } = this.#parts;
    const witnesses: Witness[] = [];
    if (state !== undefined) {
      const view = frozenViewOf(state);
      const { point } = view;
      const compare = (): Promise<boolean> => this.#compareWith("memory", view);
      witnesses.push({ where: "memory", who: "this process", point, compare });
    }
    if (snapshotBucket !== undefined) {
      const bounds = { timeoutMs, signal };
      const snapshot = await standingSnapshot(journal, snapshotBucket, findings, bounds);
      this.#note = snapshot?.note;
      if (snapshot !== undefined && snapshot.checkpoint.version > 0) {
        const { checkpoint: point, chunks } = snapshot;
        const compare = (): Promise<boolean> => this.#compareSnapshot(chunks);
        witnesses.push({ where: "snapshot", who: "the snapshot", point, compare });
      }
    }
    return witnesses.sort((a, b) => a.point.version - b.point.version);
  }

  async #read(witnesses: readonly Witness[]): Promise<void> {
    const { onProgress, journal } = this.#parts;
    const waiting = [...witnesses];
    let commits = 0;
    for await (const { point, target, decoded } of this.#history.commits()) {
      if (++commits % PROGRESS_EVERY_COMMITS === 0)
        onProgress("reading", point.position / Math.max(1, target));
      this.#apply(decoded);
      for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
        if (next.point.version > point.version) break;
        waiting.shift();
        this.#history.witness(next.point, next.who);
        if (this.incomplete !== undefined) continue;
        if (await next.compare()) this.#compared.set(next.where, next.point.version);
      }
      if (this.#history.reason !== undefined) return;
    }
    onProgress("reading", 1);
    if (this.#history.reason !== undefined) return;
    const last = waiting.at(-1);
    if (last !== undefined) this.#history.ended(last.point, last.who);
    else if (commits === 0)
      this.#underivable = `the journal of ledger "${journal.ledger}" is empty`;
    if (last === undefined) await this.#history.lookBehind();
  }

  #apply(decoded: () => Parameters<typeof applyCommit>[1]): void {
    if (this.#underivable !== undefined) return;
    try {
      const commit = decoded();
      applyCommit(this.#state, commit);
      this.#repeated.take(commit, this.#state);
      if (this.#state.version === commit.point.version) return;
      const { version, position } = commit.point;
      this.#underivable = `position ${position}: version ${this.#state.version} expected, found ${version}`;
    } catch (error) {
      this.#underivable = unreadableReason(error);
      if (this.#underivable === undefined) throw error;
    }
  }

  async #compareSnapshot(chunks: readonly Uint8Array[] | undefined): Promise<boolean> {
    const { journal, findings } = this.#parts;
    if (chunks === undefined) return false;
    if (await this.#finish(isImageOf(this.#state, chunks))) {
      this.#checked += countValues(viewOf(this.#state));
      return true;
    }
    const found = await decodeSnapshot(journal.ledger, chunks, findings);
    return found !== undefined && this.#compareWith("snapshot", found);
  }

  async #compareWith(where: LedgerCheckPlace, found: StateView): Promise<boolean> {
    const { findings, onProgress } = this.#parts;
    const expected = viewOf(this.#state);
    const total = Math.max(1, this.#state.books.accounts.size);
    const before = this.#checked;
    const comparison = compareStates(expected, found, where, findings);
    const tables = await this.#finish(comparison, (checked) => {
      this.#checked = before + checked;
      onProgress("comparing", Math.min(1, checked / total));
    });
    // what is expected goes on with the journal: only what is frozen of it is looked at later
    for (const name of tables) this.#tables.push({ where, name, expected, found });
    return true;
  }

  /** Takes steps, with a turn for others between them. */
  async #finish<Step, Result>(
    steps: Generator<Step, Result, undefined>,
    onStep?: (step: Step) => void,
  ): Promise<Result> {
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
      onStep?.(step.value);
      await turn();
      this.#parts.signal.throwIfAborted();
    }
  }

  /** Reads the journal again, where something was found. */
  async #locate(): Promise<void> {
    const { findings, journal, onProgress, signal } = this.#parts;
    const causes = new Causes(findings, this.#tables);
    if (!causes.wanted) return;
    const limits: Limits = { ...Object.fromEntries(this.#compared), journal: this.version };
    const history = new JournalCheck(journal, findings, signal);
    const end = this.version;
    for await (const { point, decoded } of history.commits()) {
      if (point.version > end) break;
      causes.take(decoded(), limits);
      onProgress("locating", point.version / Math.max(1, end));
    }
    causes.end();
  }
}
