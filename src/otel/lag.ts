import type { Attributes, Meter, ObservableGauge, ObservableResult } from "@opentelemetry/api";
import {
  type PhaseMessage,
  projectionChannels,
  type UnitMessage,
} from "../projection/diagnostics.ts";
import { Metric } from "./attributes.ts";
import { ofProjection, subscribe } from "./counts.ts";
import { quiet, quietly } from "./quietly.ts";

interface Shown {
  readonly attributes: Attributes;
  readonly commits: number;
}

/**
 * Shows how far the projections that run here are behind, as their last units told. One that failed is as far behind as
 * it was; what was closed or stands by is not behind here.
 */
export class Lag {
  readonly #gauge: ObservableGauge;
  readonly #shown = new Map<string, Shown>();

  constructor(meter: Meter) {
    this.#gauge = meter.createObservableGauge(Metric.projectionLag, {
      description: "Commits of interest that a projection had not applied after its last unit",
      unit: "{commit}",
    });
  }

  /** @returns what ends it */
  follow(): (() => void)[] {
    const observe = quiet((result: ObservableResult) => this.#observe(result));
    quietly(() => this.#gauge.addCallback(observe), undefined);
    return [
      subscribe(projectionChannels.unit, (message) => this.#unit(message)),
      subscribe(projectionChannels.phase, (message) => this.#phase(message)),
      () => quietly(() => this.#gauge.removeCallback(observe), undefined),
    ];
  }

  #unit({ stream, projection, version, lagCommits }: UnitMessage): void {
    const attributes = ofProjection(stream, projection, version);
    this.#shown.set(keyOf(stream, projection, version), { attributes, commits: lagCommits });
  }

  /**
   * What ended well goes on being shown, with 0: of what is no longer observed, readers with cumulative temporality
   * (Prometheus, OTLP by default) go on exporting the last value, and an alarm would never go out.
   */
  #phase({ stream, projection, version, phase }: PhaseMessage): void {
    if (phase !== "stopped" && phase !== "standby") return;
    const key = keyOf(stream, projection, version);
    const shown = this.#shown.get(key);
    if (shown !== undefined) this.#shown.set(key, { ...shown, commits: 0 });
  }

  #observe(result: ObservableResult): void {
    for (const { commits, attributes } of this.#shown.values()) result.observe(commits, attributes);
  }
}

function keyOf(stream: string, projection: string, version: number | undefined): string {
  return JSON.stringify([stream, projection, version ?? null]);
}
