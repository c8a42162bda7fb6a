import { type Attributes, SpanKind } from "@opentelemetry/api";
import type { DecideMessage, LoadMessage, SendMessage } from "../actor/diagnostics.ts";
import type { HandleMessage, UnitMessage } from "../projection/diagnostics.ts";
import type { AppendTrace } from "../store/diagnostics.ts";
import { Attribute } from "./attributes.ts";

/** What is known of a span when it starts. Its name has as few values as there are types, streams and projections. */
export interface SpanStart {
  readonly name: string;
  readonly kind: SpanKind;
  readonly attributes: Attributes;
}

/** The attributes of every operation on the stream, on spans as on metrics. */
export function operationOn(stream: string, name: string, type: string): Attributes {
  return {
    [Attribute.system]: "nats",
    [Attribute.operationName]: name,
    [Attribute.operationType]: type,
    [Attribute.destination]: stream,
  };
}

export function nameOfAppend({ subjects }: AppendTrace): "append" | "appendAll" {
  return subjects.length === 1 ? "append" : "appendAll";
}

export function appendStart(message: AppendTrace): SpanStart {
  const { stream, subjects, commitId, events } = message;
  const name = nameOfAppend(message);
  return {
    name: `${name} ${stream}`,
    kind: SpanKind.PRODUCER,
    attributes: {
      ...operationOn(stream, name, "send"),
      [Attribute.messageId]: commitId,
      [Attribute.events]: events,
      ...actorTypeOf(subjects),
      ...(subjects.length === 1
        ? { [Attribute.subject]: subjects[0] ?? "" }
        : { [Attribute.batchCount]: subjects.length }),
    },
  };
}

export function appendEnd({ position, version, replayed }: AppendTrace): Attributes {
  return {
    ...known(Attribute.position, position),
    ...known(Attribute.version, version),
    ...known(Attribute.replayed, replayed),
  };
}

export function sendStart({ stream, actor, command, commandId }: SendMessage): SpanStart {
  return {
    name: `send ${actor.type}`,
    kind: SpanKind.INTERNAL,
    attributes: {
      [Attribute.destination]: stream,
      [Attribute.actorType]: actor.type,
      [Attribute.actorId]: actor.id,
      ...known(Attribute.command, command),
      ...known(Attribute.commandId, commandId),
    },
  };
}

export function sendEnd(message: SendMessage): Attributes {
  const { warm, waitedMs, conflicts, events, version, position, replayed } = message;
  return {
    ...known(Attribute.warm, warm),
    ...known(Attribute.waited, waitedMs === undefined ? undefined : waitedMs / 1_000),
    ...known(Attribute.conflicts, conflicts),
    ...known(Attribute.events, events),
    ...known(Attribute.version, version),
    ...known(Attribute.position, position),
    ...known(Attribute.replayed, replayed),
  };
}

export function loadStart({ stream, actor, why }: LoadMessage): SpanStart {
  return {
    name: `load ${actor.type}`,
    kind: SpanKind.CLIENT,
    attributes: {
      ...operationOn(stream, "load", "receive"),
      [Attribute.actorType]: actor.type,
      [Attribute.actorId]: actor.id,
      [Attribute.loadWhy]: why,
    },
  };
}

export function loadEnd({ snapshotVersion, commits, version }: LoadMessage): Attributes {
  return {
    ...known(Attribute.snapshotVersion, snapshotVersion),
    ...known(Attribute.commits, commits),
    ...known(Attribute.version, version),
  };
}

export function decideStart(message: DecideMessage): SpanStart {
  const { stream, actor, command, version, attempt } = message;
  return {
    name: `decide ${actor.type}`,
    kind: SpanKind.INTERNAL,
    attributes: {
      [Attribute.destination]: stream,
      [Attribute.actorType]: actor.type,
      [Attribute.actorId]: actor.id,
      ...known(Attribute.command, command),
      [Attribute.version]: version,
      [Attribute.attempt]: attempt,
    },
  };
}

export function decideEnd({ events }: DecideMessage): Attributes {
  return known(Attribute.events, events);
}

export function unitSpan(message: UnitMessage): SpanStart {
  const { stream, projection, events, changes, fetched, position, lagCommits } = message;
  return {
    name: `project ${projection}`,
    kind: SpanKind.CONSUMER,
    attributes: {
      ...operationOn(stream, "project", "process"),
      [Attribute.consumerGroup]: projection,
      [Attribute.projectionVersion]: message.version,
      [Attribute.events]: events,
      [Attribute.changes]: changes,
      [Attribute.fetched]: fetched,
      [Attribute.position]: position,
      [Attribute.lag]: lagCommits,
    },
  };
}

export function handleStart({ stream, reactor, event, attempt }: HandleMessage): SpanStart {
  return {
    name: `handle ${reactor}`,
    kind: SpanKind.CONSUMER,
    attributes: {
      ...operationOn(stream, "handle", "process"),
      [Attribute.consumerGroup]: reactor,
      [Attribute.messageId]: event.commitId,
      [Attribute.eventType]: event.type,
      [Attribute.actorType]: event.actor.type,
      [Attribute.actorId]: event.actor.id,
      [Attribute.version]: event.version,
      [Attribute.position]: event.position,
      [Attribute.attempt]: attempt,
    },
  };
}

/** How long a unit took, without its waiting for the one before. */
export function unitMs({ fetchMs, applyMs, storeMs }: UnitMessage): number {
  return fetchMs + applyMs + storeMs;
}

/** The type of the actors, where all are of one: a subject is `<prefix>.<type>.<id>`, and the id has no dots. */
export function actorTypeOf(subjects: readonly string[]): Attributes {
  const types = new Set(subjects.map((subject) => subject.split(".").at(-2)));
  const [type] = types;
  return types.size === 1 ? known(Attribute.actorType, type) : {};
}

/** An attribute whose value may not be known. */
export function known(name: string, value: string | number | boolean | undefined): Attributes {
  return value === undefined ? {} : { [name]: value };
}
