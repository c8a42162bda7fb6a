import type { Attributes, Counter, Gauge, Histogram, Meter } from "@opentelemetry/api";
import { type ActorSnapshotMessage, actorChannels } from "../actor/diagnostics.ts";
import type { TypedChannel } from "../internal/typed-channel.ts";
import {
  type LedgerCommitMessage,
  ledgerChannels,
  type LedgerSnapshotMessage,
} from "../ledger/diagnostics.ts";
import {
  type PhaseMessage,
  projectionChannels,
  type SnapshotMessage,
  type UnitMessage,
} from "../projection/diagnostics.ts";
import {
  type CacheMessage,
  channels,
  type ConflictMessage,
  type HistoryMessage,
  type ReconnectMessage,
  type RetryMessage,
  type SettingsMessage,
} from "../store/diagnostics.ts";
import { Attribute, Metric } from "./attributes.ts";
import { actorTypeOf, known } from "./describe.ts";
import { durationHistogram } from "./durations.ts";
import { errorTypeOf } from "./error-type.ts";
import { quiet } from "./quietly.ts";

const COMMAND_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];
type AnySnapshot = ActorSnapshotMessage | SnapshotMessage | LedgerSnapshotMessage;

/** Subscribes to a channel with a listener that never throws. */
export function subscribe<Message>(
  channel: TypedChannel<Message>,
  listener: (message: Message) => void,
): () => void {
  const safe = quiet(listener);
  channel.subscribe(safe);
  return () => void channel.unsubscribe(safe);
}

/** Counts what is said on the channels that speak of something that has happened. */
export class Counts {
  readonly #conflicts: Counter;
  readonly #lookups: Counter;
  readonly #corrections: Counter;
  readonly #retries: Counter;
  readonly #connection: Counter;
  readonly #problems: Gauge;
  readonly #fallbacks: Counter;
  readonly #snapshots: Counter;
  readonly #projected: Counter;
  readonly #phases: Counter;
  readonly #commit: Histogram;
  readonly #commands: Histogram;

  constructor(meter: Meter) {
    const counter = (name: string, unit: string, description: string): Counter =>
      meter.createCounter(name, { description, unit });
    this.#conflicts = counter(
      Metric.conflicts,
      "{conflict}",
      "Appends that met another writer, or an actor not at its expected version",
    );
    this.#lookups = counter(
      Metric.cacheLookups,
      "{lookup}",
      "Appends that found, or did not find, the actor's head in the version cache",
    );
    this.#corrections = counter(
      Metric.cacheCorrections,
      "{correction}",
      "Entries of the version cache that were lowered or are not relied on",
    );
    this.#retries = counter(Metric.retries, "{retry}", "Requests that were sent again");
    this.#connection = counter(
      Metric.connectionChanges,
      "{change}",
      "Connections lost and regained, readers set up anew, streams put back",
    );
    this.#problems = meter.createGauge(Metric.settingsProblems, {
      description: "Settings of the stream that could lose, hide or change events",
      unit: "{problem}",
    });
    this.#fallbacks = counter(
      Metric.historyFallbacks,
      "{fallback}",
      "Reads of an actor whose index did not hold",
    );
    this.#snapshots = counter(Metric.snapshots, "{snapshot}", "What became of snapshots");
    this.#projected = counter(Metric.projectionEvents, "{event}", "Events that took effect");
    this.#phases = counter(
      Metric.projectionPhases,
      "{change}",
      "Projectors and reactors that began, wait, or ended",
    );
    this.#commit = durationHistogram(
      meter,
      Metric.ledgerCommitDuration,
      "Commits of ledgers, from sending to the acknowledgement",
    );
    this.#commands = meter.createHistogram(Metric.ledgerCommitCommands, {
      description: "Commands of ledgers that were decided together",
      unit: "{command}",
      advice: { explicitBucketBoundaries: [...COMMAND_BUCKETS] },
    });
  }

  /** @returns what ends it */
  follow(): (() => void)[] {
    return [
      subscribe(channels.conflict, (message) => this.#conflict(message)),
      subscribe(channels.cache, (message) => this.#cache(message)),
      subscribe(channels.retry, (message) => this.#retry(message)),
      subscribe(channels.reconnect, (message) => this.#reconnect(message)),
      subscribe(channels.settings, (message) => this.#settings(message)),
      subscribe(channels.history, (message) => this.#history(message)),
      subscribe(actorChannels.snapshot, (message) => this.#snapshot("actor", message)),
      subscribe(projectionChannels.snapshot, (message) => this.#snapshot("projection", message)),
      subscribe(ledgerChannels.snapshot, (message) => this.#snapshot("ledger", message)),
      subscribe(ledgerChannels.commit, (message) => this.#ledgerCommit(message)),
      subscribe(projectionChannels.phase, (message) => this.#phase(message)),
    ];
  }

  unit({ stream, projection, version, events }: UnitMessage): void {
    if (events > 0) this.#projected.add(events, ofProjection(stream, projection, version));
  }

  #conflict({ stream, subject, retried }: ConflictMessage): void {
    this.#conflicts.add(1, {
      [Attribute.destination]: stream,
      ...actorTypeOf([subject]),
      [Attribute.conflictRetried]: retried,
    });
  }

  #cache({ stream, what }: CacheMessage): void {
    const destination = { [Attribute.destination]: stream };
    if (what === "hit" || what === "miss") {
      this.#lookups.add(1, { ...destination, [Attribute.cacheOutcome]: what });
    } else {
      this.#corrections.add(1, { ...destination, [Attribute.cacheCorrection]: what });
    }
  }

  #retry({ stream, what, outcome }: RetryMessage): void {
    this.#retries.add(1, {
      [Attribute.destination]: stream,
      [Attribute.retryOf]: what,
      ...known(Attribute.retryOutcome, outcome),
    });
  }

  #reconnect({ stream, what }: ReconnectMessage): void {
    const change = { [Attribute.destination]: stream, [Attribute.connectionChange]: what };
    this.#connection.add(1, change);
  }

  #settings({ stream, problems }: SettingsMessage): void {
    this.#problems.record(problems.length, { [Attribute.destination]: stream });
  }

  #history({ stream, subject }: HistoryMessage): void {
    this.#fallbacks.add(1, { [Attribute.destination]: stream, ...actorTypeOf([subject]) });
  }

  #snapshot(of: "actor" | "projection" | "ledger", { what }: AnySnapshot): void {
    this.#snapshots.add(1, { [Attribute.snapshotOf]: of, [Attribute.snapshotOutcome]: what });
  }

  #phase({ stream, projection, version, phase, error }: PhaseMessage): void {
    this.#phases.add(1, {
      ...ofProjection(stream, projection, version),
      [Attribute.projectionPhase]: phase,
      ...known(Attribute.errorType, error === undefined ? undefined : errorTypeOf(error)),
    });
  }

  /** Ledgers have no attribute of their own: a process may have a hundred thousand of them. */
  #ledgerCommit({ commands, entries, durationMs, version }: LedgerCommitMessage): void {
    const stored = entries === 0 ? "nothing" : "stored";
    const outcome = { [Attribute.ledgerOutcome]: version === undefined ? "conflict" : stored };
    this.#commands.record(commands, outcome);
    if (durationMs !== undefined) this.#commit.record(durationMs / 1_000, outcome);
  }
}

/** The attributes of a projection, or of a reactor, which has no version, on metrics. */
export function ofProjection(
  stream: string,
  projection: string,
  version: number | undefined,
): Attributes {
  return {
    [Attribute.destination]: stream,
    [Attribute.consumerGroup]: projection,
    ...known(Attribute.projectionVersion, version),
  };
}
