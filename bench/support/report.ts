import { writeFile } from "node:fs/promises";
import type { Machine } from "./machine.ts";
import { median } from "./statistics.ts";

/** What a figure counts. `"x"` is a ratio of two figures of one round. */
export type Unit =
  | "tx/s"
  | "reads/s"
  | "events/s"
  | "appends/s"
  | "ms"
  | "us"
  | "x"
  | "MB"
  | "%"
  | "B";

/** A figure that was taken several times. */
export interface Measure {
  readonly name: string;
  readonly unit: Unit;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly rounds: number;
}

/** What a figure should reach. */
export interface Target {
  readonly name: string;
  readonly unit: Unit;
  readonly value: number;
  readonly limit: number;
  readonly kind: "at least" | "at most";
  readonly met: boolean;
}

/** All that one bench found. */
export interface BenchReport {
  readonly bench: string;
  readonly quick: boolean;
  /** How much was done, by name. */
  readonly sizes: Readonly<Record<string, number>>;
  readonly machine: Machine;
  readonly seconds: number;
  readonly measures: readonly Measure[];
  readonly targets: readonly Target[];
}

/** Collects the figures of one bench and says each as soon as it is known. */
export class Report {
  readonly #bench: string;
  readonly #quick: boolean;
  readonly #sizes: Readonly<Record<string, number>>;
  readonly #startedAt = performance.now();
  readonly #measures: Measure[] = [];
  readonly #targets: Target[] = [];

  constructor(bench: string, quick: boolean, sizes: Readonly<Record<string, number>>) {
    this.#bench = bench;
    this.#quick = quick;
    this.#sizes = sizes;
    const stated = Object.entries(sizes).map(([name, size]) => `${name} ${formatNumber(size)}`);
    console.log(`\n${bench}: ${stated.join(", ")}`);
  }

  /** Adds a figure by its rounds; returns its median. */
  add(name: string, unit: Unit, rounds: readonly number[]): number {
    const middle = median(rounds);
    const measure: Measure = {
      name,
      unit,
      median: middle,
      min: Math.min(...rounds),
      max: Math.max(...rounds),
      rounds: rounds.length,
    };
    this.#measures.push(measure);
    console.log(formatMeasure(measure));
    return middle;
  }

  /** Adds the ratio of two figures, round by round; returns its median. */
  ratio(name: string, over: readonly number[], under: readonly number[]): number {
    const ratios = over.map((value, at) => value / (under[at] ?? Number.NaN));
    return this.add(name, "x", ratios);
  }

  /** Compares a figure with what it should be. */
  target(name: string, unit: Unit, value: number, kind: Target["kind"], limit: number): void {
    const met = kind === "at least" ? value >= limit : value <= limit;
    this.#targets.push({ name, unit, value, limit, kind, met });
  }

  /** Says how the targets were met, writes the JSON where asked. */
  async finish(machine: Machine, jsonFile: string | undefined): Promise<BenchReport> {
    const report: BenchReport = {
      bench: this.#bench,
      quick: this.#quick,
      sizes: this.#sizes,
      machine,
      seconds: Math.round((performance.now() - this.#startedAt) / 100) / 10,
      measures: this.#measures,
      targets: this.#targets,
    };
    if (!report.quick) printTargets(report.targets);
    const { cpu, cores, memoryGb, node, natsServer } = machine;
    console.log(
      `  ${cpu}, ${cores} cores, ${memoryGb} GB; node ${node}, nats-server ${natsServer}; ` +
        `${report.seconds} s${report.quick ? "; quick: the figures mean nothing" : ""}`,
    );
    if (jsonFile !== undefined) await writeFile(jsonFile, `${JSON.stringify(report, null, 2)}\n`);
    return report;
  }
}

/** Prints which targets were met, those that were missed first. */
export function printTargets(targets: readonly Target[]): void {
  const missedFirst = targets.toSorted((a, b) => Number(a.met) - Number(b.met));
  for (const { name, unit, value, limit, kind, met } of missedFirst) {
    const wanted = `${kind} ${formatNumber(limit)} ${unit}`;
    console.log(
      `  ${met ? "met   " : "MISSED"} ${name}: ${formatNumber(value)} ${unit} (${wanted})`,
    );
  }
}

function formatMeasure({ name, unit, median, min, max, rounds }: Measure): string {
  const range = rounds > 1 ? `   ${formatNumber(min)} - ${formatNumber(max)}` : "";
  return `  ${name.padEnd(58)} ${formatNumber(median).padStart(10)} ${unit.padEnd(9)}${range}`;
}

function formatNumber(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString("en-GB", { maximumFractionDigits: digits });
}
