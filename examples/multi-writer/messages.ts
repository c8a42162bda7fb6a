import type { Claim } from "../lib/proof.ts";
import type { LogSource } from "./event-log.ts";

/** What a process of the demo is started with. */
export interface Job {
  readonly servers: string;
  readonly stream: string;
  readonly source: LogSource;
  /** Number of this writer, from 0. */
  readonly index: number;
  readonly writers: number;
  /** Whether this writer is a plain NATS client that knows the wire format only. */
  readonly foreign: boolean;
  /** Percentage of rows that are handed to two writers. */
  readonly redelivered: number;
}

/** What a writer counts. */
export interface WriterCounts {
  /** Rows handed to it. */
  rows: number;
  /** Rows that it stored itself. */
  appended: number;
  /** Rows that the other process they were handed to had stored first. */
  racesLost: number;
  /** Appends refused with a version conflict: a row of another process had to come first. */
  conflicts: number;
  /** Appends tried again, after a conflict or a refusal. */
  retried: number;
  /** Appends that found the actor's head in the process's own cache. */
  cacheHits: number;
  cacheMisses: number;
}

/** What the fresh process found in the stream. */
export interface Verdict {
  readonly events: number;
  readonly actors: number;
  readonly claims: readonly Claim[];
}

/** What a process tells the one that started it. */
export type Report =
  | { readonly kind: "counts"; readonly counts: WriterCounts }
  | { readonly kind: "verdict"; readonly verdict: Verdict };

export function noCounts(): WriterCounts {
  return {
    rows: 0,
    appended: 0,
    racesLost: 0,
    conflicts: 0,
    retried: 0,
    cacheHits: 0,
    cacheMisses: 0,
  };
}

export function addCounts(all: readonly WriterCounts[]): WriterCounts {
  const sum = noCounts();
  for (const counts of all) {
    sum.rows += counts.rows;
    sum.appended += counts.appended;
    sum.racesLost += counts.racesLost;
    sum.conflicts += counts.conflicts;
    sum.retried += counts.retried;
    sum.cacheHits += counts.cacheHits;
    sum.cacheMisses += counts.cacheMisses;
  }
  return sum;
}
