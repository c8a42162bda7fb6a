import type { Attributes, Gauge, Meter } from "@opentelemetry/api";
import type { PhaseMessage, UnitMessage } from "../projection/diagnostics.ts";
import { Metric } from "./attributes.ts";
import { ofProjection } from "./counts.ts";

interface Shown {
  readonly projection: string;
  readonly attributes: Attributes;
}

/** Shows how far the projections that run here are behind. What runs elsewhere, or not at all, is not behind here. */
export class Lag {
  readonly #gauge: Gauge;
  readonly #shown = new Map<string, Shown>();

  constructor(meter: Meter) {
    this.#gauge = meter.createGauge(Metric.projectionLag, {
      description: "Commits of interest that a projection has not applied",
      unit: "{commit}",
    });
  }

  unit({ stream, projection, version, lagCommits }: UnitMessage): void {
    const attributes = ofProjection(stream, projection, version);
    this.#shown.set(JSON.stringify([stream, projection, version]), { projection, attributes });
    this.#gauge.record(lagCommits, attributes);
  }

  /** A gauge goes on showing what it was told last: without a word at the end, an alarm would never go out. */
  phase({ projection, phase }: PhaseMessage): void {
    if (phase !== "stopped" && phase !== "standby") return;
    for (const [key, shown] of this.#shown) {
      if (shown.projection !== projection) continue;
      this.#shown.delete(key);
      this.#gauge.record(0, shown.attributes);
    }
  }
}
