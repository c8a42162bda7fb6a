import { setTimeout as delay } from "node:timers/promises";
import { type Child, startChild } from "../lib/child.ts";
import { ProgressLine } from "../lib/progress-line.ts";
import { formatCount } from "../lib/table.ts";
import type { Answer, Place, WriterJob, WriterOrder, WriterReport } from "./messages.ts";
import type { HammerOptions } from "./options.ts";

const module = new URL("./writer-process.ts", import.meta.url);
const POLL_MS = 20;
const SHOW_EVERY_MS = 200;
/** Without any answer for so long, something waits for what never comes. */
const STALLED_MS = 60_000;

/** What a writer told of itself. */
export interface WriterTale {
  readonly answers: readonly Answer[];
  /** Of those, how many had come when the others were killed; all where nobody was. */
  readonly answersAtKill: number;
  readonly killed: boolean;
  readonly retried: number;
  readonly repeated: number;
}

interface Writer {
  readonly child: Child;
  readonly answers: Answer[];
  isReady: boolean;
  answersAtKill: number;
  killed: boolean;
  retried: number;
  repeated: number;
}

/** Lets processes hammer the ledger, kills some of them in the middle, and lets the others finish. */
export class WriterRun {
  readonly #options: HammerOptions;
  readonly #writers: Writer[];
  readonly #progress = new ProgressLine(process.stdout);
  #answers = 0;
  #movedAt = performance.now();
  #startedAt = performance.now();

  constructor(place: Place, options: HammerOptions) {
    this.#options = options;
    const { accounts, callers } = options;
    this.#writers = Array.from({ length: options.writers }, (_, index) =>
      this.#start({ ...place, index, accounts, callers }),
    );
  }

  /** @throws {Error} where a process fails, or nothing moves any more; then none is left running */
  async run(): Promise<readonly WriterTale[]> {
    const show = setInterval(() => this.#show(), SHOW_EVERY_MS);
    try {
      const { kill, seconds } = this.#options;
      await this.#until(() => this.#writers.every(({ isReady }) => isReady));
      this.#startedAt = performance.now();
      this.#order({ kind: "go" });
      await this.#until(() => this.#elapsed() > seconds / 2 && this.#haveAnswered(0));
      if (kill > 0) await this.#kill(this.#writers.slice(-kill));
      for (const writer of this.#writers) writer.answersAtKill = writer.answers.length;
      await this.#until(() => this.#elapsed() > seconds && this.#haveAnswered(1));
      this.#order({ kind: "finish" });
      await Promise.all(this.#alive.map(({ child }) => this.#unlessStalled(child.ended)));
      this.#show();
      return this.#writers;
    } finally {
      clearInterval(show);
      this.#progress.end();
      await Promise.all(this.#writers.map(({ child }) => child.kill()));
    }
  }

  get #alive(): readonly Writer[] {
    return this.#writers.filter(({ killed }) => !killed);
  }

  #start(job: WriterJob): Writer {
    const child = startChild<WriterReport>(module, job, (report) => {
      this.#movedAt = performance.now();
      if (report.kind === "ready") {
        writer.isReady = true;
        return;
      }
      writer.answers.push(...report.answers);
      this.#answers += report.answers.length;
      writer.retried = report.retried;
      writer.repeated = report.repeated;
    });
    const counts = { answersAtKill: 0, retried: 0, repeated: 0 };
    const writer: Writer = { child, answers: [], isReady: false, killed: false, ...counts };
    return writer;
  }

  #order(order: WriterOrder): void {
    for (const { child } of this.#alive) child.tell(order);
  }

  async #kill(victims: readonly Writer[]): Promise<void> {
    this.#show();
    this.#progress.end();
    await Promise.all(victims.map(({ child }) => child.kill()));
    for (const victim of victims) victim.killed = true;
    const numbers = victims.map((victim) => this.#writers.indexOf(victim) + 1);
    const [first, ...more] = numbers;
    const who = more.length === 0 ? `writer ${first} is` : `writers ${numbers.join(", ")} are`;
    console.log(`  SIGKILL: ${who} gone in the middle of what they were at.`);
  }

  /** Whether each that is alive has had answers, since the others were killed if that has happened. */
  #haveAnswered(least: number): boolean {
    return this.#alive.every(
      ({ answers, answersAtKill }) => answers.length >= Math.max(1, answersAtKill + least),
    );
  }

  #elapsed(): number {
    return (performance.now() - this.#startedAt) / 1_000;
  }

  /** Waits until something is so. @throws {Error} when a process fails before */
  async #until(isSo: () => boolean): Promise<void> {
    const tick = (): Promise<void> => delay(POLL_MS);
    while (!isSo()) {
      this.#assertMoving();
      // one that has not been told to finish does not end well either
      await Promise.race([tick(), ...this.#alive.map(({ child }) => child.ended.then(tick))]);
    }
  }

  /** Waits for an end. @throws {Error} when nothing moves any more */
  async #unlessStalled(ended: Promise<void>): Promise<void> {
    const over = ended.then(() => true);
    const waited = (): Promise<boolean> => delay(POLL_MS, false);
    while (!(await Promise.race([over, waited()]))) this.#assertMoving();
  }

  #assertMoving(): void {
    if (performance.now() - this.#movedAt > STALLED_MS)
      throw new Error(`nothing moved for ${STALLED_MS / 1_000} s`);
  }

  #show(): void {
    const elapsed = this.#elapsed();
    if (this.#answers === 0) return;
    const parts = [
      `${formatCount(this.#answers)} answers`,
      `${formatCount(this.#answers / elapsed)}/s`,
      `${this.#alive.length} processes`,
    ];
    this.#progress.show(elapsed / this.#options.seconds, parts.join(" · "));
  }
}
