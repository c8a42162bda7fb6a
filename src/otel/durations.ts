import type { Attributes, Counter, Histogram, Meter } from "@opentelemetry/api";
import type { DecideMessage, LoadMessage, SendMessage } from "../actor/diagnostics.ts";
import type { AppendTrace, ReadMessage } from "../store/diagnostics.ts";
import type { HandleMessage, UnitMessage } from "../projection/diagnostics.ts";
import { Attribute, Metric } from "./attributes.ts";
import { actorTypeOf, known, nameOfAppend, operationOn, unitMs } from "./describe.ts";
import { errorTypeOf } from "./error-type.ts";

/** Seconds: those that the semantic conventions ask for, and three below, because an append takes less than the least. */
const DURATION_BUCKETS = [
  0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5,
  10,
];
const CONFLICT_BUCKETS = [0, 1, 2, 3, 5, 8, 13, 21];

/** A histogram of seconds. */
export function durationHistogram(meter: Meter, name: string, description: string): Histogram {
  const advice = { explicitBucketBoundaries: [...DURATION_BUCKETS] };
  return meter.createHistogram(name, { description, unit: "s", advice });
}

/** Measures the operations that have a beginning and an end. */
export class Durations {
  readonly #operation: Histogram;
  readonly #process: Histogram;
  readonly #send: Histogram;
  readonly #sendConflicts: Histogram;
  readonly #load: Histogram;
  readonly #sent: Counter;
  readonly #events: Counter;
  readonly #decisions: Counter;

  constructor(meter: Meter) {
    this.#operation = durationHistogram(
      meter,
      Metric.operationDuration,
      "Appends, from the call to the acknowledgement; reads, as long as their consumers waited for values",
    );
    this.#process = durationHistogram(
      meter,
      Metric.processDuration,
      "Units of events that projections have applied and stored, events that reactors have handled",
    );
    this.#send = durationHistogram(
      meter,
      Metric.sendDuration,
      "Commands to actors, from their arrival to their outcome",
    );
    this.#load = durationHistogram(meter, Metric.loadDuration, "Readings of actors' states");
    this.#sendConflicts = meter.createHistogram(Metric.sendConflicts, {
      description: "Decisions of a command that met another writer's commit and were taken again",
      unit: "{conflict}",
      advice: { explicitBucketBoundaries: [...CONFLICT_BUCKETS] },
    });
    this.#sent = meter.createCounter(Metric.sentMessages, {
      description: "Commits that were sent and stored; repetitions not counted again",
      unit: "{message}",
    });
    this.#events = meter.createCounter(Metric.eventsAppended, {
      description: "Events that were stored; repetitions not counted again",
      unit: "{event}",
    });
    this.#decisions = meter.createCounter(Metric.decisions, {
      description: "Runs of decide",
      unit: "{decision}",
    });
  }

  readonly append = (
    message: AppendTrace,
    seconds: number,
    errorType: string | undefined,
  ): void => {
    const { stream, subjects, events, replayed } = message;
    const attributes = {
      ...operationOn(stream, nameOfAppend(message), "send"),
      ...actorTypeOf(subjects),
    };
    this.#operation.record(seconds, { ...attributes, ...known(Attribute.errorType, errorType) });
    // Of what failed nobody knows here whether it was sent: what is not stored is not counted.
    if (errorType !== undefined || replayed === true) return;
    this.#sent.add(subjects.length, attributes);
    this.#events.add(events, { [Attribute.destination]: stream, ...actorTypeOf(subjects) });
  };

  readonly send = (message: SendMessage, seconds: number, errorType: string | undefined): void => {
    const attributes = ofActor(message, errorType);
    this.#send.record(seconds, attributes);
    if (message.conflicts !== undefined) this.#sendConflicts.record(message.conflicts, attributes);
  };

  readonly load = (message: LoadMessage, seconds: number, errorType: string | undefined): void => {
    const attributes = { ...ofActor(message, errorType), [Attribute.loadWhy]: message.why };
    this.#load.record(seconds, attributes);
  };

  readonly decide = (message: DecideMessage, _: number, errorType: string | undefined): void => {
    this.#decisions.add(1, ofActor(message, errorType));
  };

  readonly handle = (
    { stream, reactor, event }: HandleMessage,
    seconds: number,
    errorType: string | undefined,
  ): void => {
    this.#process.record(seconds, {
      ...operationOn(stream, "handle", "process"),
      [Attribute.consumerGroup]: reactor,
      [Attribute.actorType]: event.actor.type,
      ...known(Attribute.errorType, errorType),
    });
  };

  readonly read = ({ stream, subject, durationMs, error }: ReadMessage): void => {
    const name = subject === undefined ? "readAll" : "read";
    this.#operation.record(durationMs / 1_000, {
      ...operationOn(stream, name, "receive"),
      ...(subject === undefined ? {} : actorTypeOf([subject])),
      ...known(Attribute.errorType, error === undefined ? undefined : errorTypeOf(error)),
    });
  };

  readonly unit = (message: UnitMessage): void => {
    const { stream, projection, version, events } = message;
    if (events === 0) return;
    this.#process.record(unitMs(message) / 1_000, {
      ...operationOn(stream, "project", "process"),
      [Attribute.consumerGroup]: projection,
      [Attribute.projectionVersion]: version,
    });
  };
}

function ofActor(
  { stream, actor }: Pick<SendMessage, "stream" | "actor">,
  errorType: string | undefined,
): Attributes {
  return {
    [Attribute.destination]: stream,
    [Attribute.actorType]: actor.type,
    ...known(Attribute.errorType, errorType),
  };
}
