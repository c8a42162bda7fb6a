/** Columns of the bar where there is room for it. */
const BAR_WIDTH = 24;
const PLAIN_EVERY_MS = 1_000;

/** Where the progress is shown; `process.stdout` fits. */
export interface Output {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

/**
 * Shows how far something is: one line that is drawn over on a terminal, else a plain line each second.
 *
 * @example
 * const progress = new ProgressLine(process.stdout);
 * progress.show(0.4, "3,431 of 8,577 rows");
 * progress.end();
 */
export class ProgressLine {
  readonly #output: Output;
  #shownAt = Number.NEGATIVE_INFINITY;
  #line = "";

  constructor(output: Output) {
    this.#output = output;
  }

  /** @param fraction how much is done, from 0 to 1 */
  show(fraction: number, text: string): void {
    const done = Math.min(1, Math.max(0, fraction));
    const percent = `${Math.floor(done * 100)}%`.padStart(4);
    if (this.#output.isTTY !== true) {
      this.#line = `  ${percent}  ${text}`;
      const now = performance.now();
      if (now - this.#shownAt < PLAIN_EVERY_MS) return;
      this.#shownAt = now;
      this.#writePlain();
      return;
    }
    const width = (this.#output.columns ?? 100) - 1;
    const barWidth = Math.max(0, Math.min(BAR_WIDTH, width - text.length - 8));
    const filled = Math.round(done * barWidth);
    const bar = "█".repeat(filled) + "░".repeat(barWidth - filled);
    this.#line = `  ${bar}${percent}  ${text}`.slice(0, width);
    this.#output.write(`\r\u001B[2K${this.#line}`);
  }

  /** Leaves the last state standing and begins a new line; safe to call again. */
  end(): void {
    if (this.#output.isTTY !== true) this.#writePlain();
    else if (this.#line !== "") this.#output.write("\n");
    this.#line = "";
  }

  #writePlain(): void {
    if (this.#line !== "") this.#output.write(`${this.#line}\n`);
    this.#line = "";
  }
}
