import { setTimeout as delay } from "node:timers/promises";
import { type Child, startChild } from "../lib/child.ts";
import { ProgressLine } from "../lib/progress-line.ts";
import { formatCount } from "../lib/table.ts";
import type {
  Finish,
  ModelProgress,
  Permit,
  ProjectorJob,
  ProjectorReport,
  WriterJob,
  WriterReport,
} from "./messages.ts";

const projectorModule = new URL("./projector-process.ts", import.meta.url);
const writerModule = new URL("./writer-process.ts", import.meta.url);
/** Share of the log that is written while the projector is dead, at most; the rest when it is back. */
const WHILE_DEAD_TO = 0.9;
/** The projector is killed when the slowest read model has this share of the log. */
const KILL_AT = 0.25;
/** In how many units the log is projected, at least, and events of one, at most. */
const LEAST_UNITS = 40;
const MAX_UNIT = 200;
const SHOW_EVERY_MS = 50;
const POLL_MS = 2;
/** Without any progress for so long, something waits for what never comes. */
const STALLED_MS = 60_000;

/** What happened to the projector. */
export interface Replay {
  /** What the killed process had told of itself last. */
  readonly killed: readonly ModelProgress[];
  /** What its successor found in the checkpoints. */
  readonly restarted: readonly ModelProgress[];
  /** Where the successor ended. */
  readonly finished: readonly ModelProgress[];
  /** Rows that were appended between kill and restart. */
  readonly appendedMeanwhile: number;
}

/** What a replay works with. */
interface Plan {
  readonly writer: WriterJob;
  /** Rows of the log. */
  readonly rows: number;
  readonly head: () => Promise<number>;
}

/** Builds the read models with a projector that is killed and started again, while another process appends. */
export class Replayer {
  readonly #plan: Plan;
  readonly #progress = new ProgressLine(process.stdout);
  #models: readonly ModelProgress[] = [];
  #rows: number;
  #movedAt = performance.now();

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#rows = plan.writer.fromRow;
  }

  async run(): Promise<Replay> {
    const { writer: job, head, rows } = this.#plan;
    const children: Child[] = [];
    const show = setInterval(() => this.#show(), SHOW_EVERY_MS);
    const start = (reset: boolean): Child => {
      const { servers, stream } = job;
      const maxBatchEvents = Math.min(MAX_UNIT, Math.ceil(rows / LEAST_UNITS));
      const projectorJob: ProjectorJob = { servers, stream, reset, maxBatchEvents };
      const child = startChild<ProjectorReport>(projectorModule, projectorJob, (report) => {
        if (report.kind === "started") started = report.models;
        if (report.kind === "finished") finished = report.models;
        this.#saw(report.models);
      });
      children.push(child);
      return child;
    };
    let started: readonly ModelProgress[] = [];
    let finished: readonly ModelProgress[] = [];
    try {
      const first = start(true);
      const writer = startChild<WriterReport>(writerModule, job, (report) => {
        this.#rows = report.rows;
        this.#saw(this.#models);
      });
      children.push(writer);
      const permit = (upToRow: number): void => {
        const told: Permit = { upToRow };
        writer.tell(told);
      };
      await this.#until(() => least(this.#models) >= rows * KILL_AT, [first, writer]);
      await first.kill();
      const killed = this.#models;
      const rowsAtKill = this.#rows;
      this.#say(`killed with SIGKILL at ${describe(killed, rows)}`);
      permit(Math.ceil(rows * WHILE_DEAD_TO));
      await this.#until(() => this.#rows > rowsAtKill, [writer]);

      started = [];
      const second = start(false);
      await this.#until(() => started.length > 0, [second, writer]);
      const restarted = started;
      const appendedMeanwhile = this.#rows - rowsAtKill;
      this.#say(`started again, from its checkpoints at ${describe(restarted, rows)}`);

      permit(rows);
      await writer.ended;
      const finish: Finish = { position: await head() };
      second.tell(finish);
      await this.#until(() => finished.length > 0, [second]);
      await second.ended;
      this.#show();
      return { killed, restarted, finished, appendedMeanwhile };
    } finally {
      clearInterval(show);
      this.#progress.end();
      await Promise.all(children.map((child) => child.kill()));
    }
  }

  #saw(models: readonly ModelProgress[]): void {
    this.#models = models;
    this.#movedAt = performance.now();
  }

  /** Waits until something is so; throws when one of the processes fails before. */
  async #until(isSo: () => boolean, children: readonly Child[]): Promise<void> {
    const tick = (): Promise<void> => delay(POLL_MS);
    while (!isSo()) {
      if (performance.now() - this.#movedAt > STALLED_MS)
        throw new Error(`nothing moved for ${STALLED_MS / 1_000} s`);
      await Promise.race([tick(), ...children.map((child) => child.ended.then(tick))]);
    }
  }

  #say(text: string): void {
    this.#show();
    this.#progress.end();
    console.log(`  The projector is ${text}.`);
  }

  #show(): void {
    if (this.#models.length === 0) return;
    const { rows } = this.#plan;
    const parts = [
      describe(this.#models, rows),
      `log ${formatCount(this.#rows)}/${formatCount(rows)}`,
    ];
    this.#progress.show(least(this.#models) / rows, parts.join(" · "));
  }
}

function least(models: readonly ModelProgress[]): number {
  return models.length === 0 ? 0 : Math.min(...models.map(({ applied }) => applied));
}

/** How far each is: `case-states 41 % · …`. */
export function describe(models: readonly ModelProgress[], rows: number): string {
  const percent = (applied: number): number => Math.floor((100 * applied) / rows);
  return models.map(({ name, applied }) => `${name} ${percent(applied)} %`).join(" · ");
}
