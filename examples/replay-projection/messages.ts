import type { LogSource } from "../multi-writer/event-log.ts";

/** What the projector's process is started with. */
export interface ProjectorJob {
  readonly servers: string;
  readonly stream: string;
  /** Begin anew, whatever the buckets hold. */
  readonly reset: boolean;
  /** Events of a unit: few, so that there is a middle to be killed in. */
  readonly maxBatchEvents: number;
}

/** What the writer's process is started with. */
export interface WriterJob {
  readonly servers: string;
  readonly stream: string;
  readonly source: LogSource;
  /** Rows before this one are in the stream already. */
  readonly fromRow: number;
  /** After this row it waits for a {@link Permit}. */
  readonly upToRow: number;
}

/** What the writer is told. */
export interface Permit {
  readonly upToRow: number;
}

/** How far a read model is. */
export interface ModelProgress {
  readonly name: string;
  /** Events that have taken effect since the beginning. */
  readonly applied: number;
  /** Events that the running process has applied itself. */
  readonly appliedHere: number;
  readonly phase: string;
}

/** What the projector's process tells: the first time what its checkpoints say, the last time where it ended. */
export interface ProjectorReport {
  readonly kind: "started" | "progress" | "finished";
  readonly models: readonly ModelProgress[];
}

/** What the projector's process is told: to end when all up to this position has taken effect. */
export interface Finish {
  readonly position: number;
}

/** What the writer tells: how many rows of the log are in the stream. */
export interface WriterReport {
  readonly rows: number;
}
