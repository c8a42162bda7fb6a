import { Tracing } from "../internal/tracing.ts";
import { type TypedChannel, typedChannel } from "../internal/typed-channel.ts";
import type { RecordedEvent } from "../store/event.ts";

/**
 * The channels on which projectors say what they do (`node:diagnostics_channel`). Publishing costs nothing while nobody
 * listens; subscribers must not throw.
 *
 * | channel | message |
 * |---|---|
 * | `annal:projection:unit` | a unit of events was applied and stored: {@link UnitMessage} |
 * | `annal:projection:phase` | a projector or reactor began, waits, or ended: {@link PhaseMessage} |
 * | `annal:projection:snapshot` | a snapshot of state in memory was written or restored, or not: {@link SnapshotMessage} |
 * | `annal:projection:handle` | one attempt of a reactor at an event: {@link HandleMessage}; a tracing channel |
 */
export const projectionChannels: {
  readonly unit: TypedChannel<UnitMessage>;
  readonly phase: TypedChannel<PhaseMessage>;
  readonly snapshot: TypedChannel<SnapshotMessage>;
  readonly handle: Tracing<HandleMessage>;
} = {
  unit: typedChannel("annal:projection:unit"),
  phase: typedChannel("annal:projection:phase"),
  snapshot: typedChannel("annal:projection:snapshot"),
  handle: new Tracing("annal:projection:handle"),
};

/** A unit of events took effect. */
export interface UnitMessage {
  readonly stream: string;
  readonly projection: string;
  /** Of the projection. */
  readonly version: number;
  readonly events: number;
  /** Keys changed. */
  readonly changes: number;
  /** Keys fetched because the cache did not hold them. */
  readonly fetched: number;
  readonly fetchMs: number;
  readonly applyMs: number;
  /** 0 for state in memory, and where nothing changed. */
  readonly storeMs: number;
  /** Position up to which whole commits are applied. */
  readonly position: number;
  /** Commits of interest behind it, as far as the server had told when it was applied. */
  readonly lagCommits: number;
  /**
   * The writers' own headers (trace context) of its commits, of those that have some: the first 128. Commits that were
   * read before anybody listened are not among them.
   */
  readonly headers: readonly Readonly<Record<string, string>>[];
}

/** A reactor handles an event. */
export interface HandleMessage {
  readonly stream: string;
  readonly reactor: string;
  readonly event: RecordedEvent;
  /** 1 for the first attempt. */
  readonly attempt: number;
  /** The writer's own headers (trace context) of the event's commit; none where it is tried again as a dead letter. */
  readonly headers: Readonly<Record<string, string>>;
}

/** A projector or a reactor changed what it does. */
export interface PhaseMessage {
  readonly stream: string;
  /** The projection or the reactor. */
  readonly projection: string;
  /** Of the projection; undefined for a reactor, which has none. */
  readonly version: number | undefined;
  readonly phase: string;
  /** What ended it. */
  readonly error: unknown;
}

/** What became of a snapshot of state in memory. */
export interface SnapshotMessage {
  readonly projection: string;
  /**
   * `written`; `dropped`: not written, because it failed or another process is as far; `restored`: the state begins with
   * it; `ignored`: there is one that cannot be used, so the state is built from the stream.
   */
  readonly what: "written" | "dropped" | "restored" | "ignored";
  /** Keys of the state that were written or restored. */
  readonly entries: number;
  readonly bytes: number;
  readonly durationMs: number;
  /** Why it was dropped or ignored. */
  readonly reason: string | undefined;
}
