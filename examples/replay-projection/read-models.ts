import { defineProjection, kvState, type KvStateOptions, table } from "annal/projection";
import type { ACTOR_TYPE, LogEvent } from "../multi-writer/event-log.ts";

/** The actors of the log and their events. */
export type Log = { [ACTOR_TYPE]: LogEvent };

/** How many of each, by name. */
export type Counts = Readonly<Record<string, number>>;

/** What a resource has done. */
export interface Work {
  readonly activities: number;
  readonly byType: Counts;
}

/** From the earliest to the latest event of a case, in milliseconds since 1970. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** The spans of all cases together. */
export interface SpanTotal {
  readonly cases: number;
  readonly totalMs: number;
  readonly longestMs: number;
}

/** The only key of a table that holds one value. */
export const ALL = "all";

/**
 * How many cases are in which state: the last thing that happened to them. Which count an event takes a case out of
 * depends on the state, and `keys` sees the event alone: so the counts are one value, not a key each.
 */
export const caseStates = defineProjection<Log>()({
  name: "case-states",
  version: 1,
  events: { case: "all" },
  tables: { state: table<string>(), count: table<Counts>() },
  keys: (event, t) => [t.state.key(event.actor.id), t.count.key(ALL)],
  apply: (event, t) => {
    const { id } = event.actor;
    const counts: Record<string, number> = { ...t.count.get(ALL) };
    const before = t.state.get(id);
    if (before !== undefined) take(counts, before);
    counts[event.type] = (counts[event.type] ?? 0) + 1;
    t.state.put(id, event.type);
    t.count.put(ALL, counts);
  },
});

function take(counts: Record<string, number>, name: string): void {
  const left = (counts[name] ?? 0) - 1;
  if (left > 0) counts[name] = left;
  else delete counts[name];
}

/** What each resource has done. */
export const resourceWork = defineProjection<Log>()({
  name: "resource-work",
  version: 1,
  events: { case: "all" },
  tables: { work: table<Work>() },
  keys: (event, t) => [t.work.key(nameOf(event.data.resource))],
  apply: (event, t) => {
    const name = nameOf(event.data.resource);
    const { activities, byType } = t.work.get(name) ?? { activities: 0, byType: {} };
    const count = (byType[event.type] ?? 0) + 1;
    t.work.put(name, {
      activities: activities + 1,
      byType: { ...byType, [event.type]: count },
    });
  },
});

/** A key is never empty. */
export function nameOf(resource: string): string {
  return resource === "" ? "(nobody)" : resource;
}

/** How long each case took so far, and all of them together. An event without a time changes nothing. */
export const caseDurations = defineProjection<Log>()({
  name: "case-durations",
  version: 1,
  events: { case: "all" },
  tables: { span: table<Span>(), total: table<SpanTotal>() },
  keys: (event, t) => [t.span.key(event.actor.id), t.total.key(ALL)],
  apply: (event, t) => {
    const { id } = event.actor;
    const atMs = timeOf(event.data.time);
    if (atMs === undefined) return;
    const before = t.span.get(id);
    const total = t.total.get(ALL) ?? { cases: 0, totalMs: 0, longestMs: 0 };
    const after = {
      fromMs: Math.min(before?.fromMs ?? atMs, atMs),
      toMs: Math.max(before?.toMs ?? atMs, atMs),
    };
    t.span.put(id, after);
    t.total.put(ALL, {
      cases: total.cases + (before === undefined ? 1 : 0),
      totalMs: total.totalMs + lengthOf(after) - lengthOf(before),
      longestMs: Math.max(total.longestMs, lengthOf(after)),
    });
  },
});

function lengthOf(span: Span | undefined): number {
  return span === undefined ? 0 : span.toMs - span.fromMs;
}

/** A time of the log in milliseconds; one without a zone is UTC, so that every machine reads the same. */
export function timeOf(text: string): number | undefined {
  const iso = text.trim().replace(" ", "T");
  const zoned = /(?:Z|[+-]\d\d:?\d\d)$/.test(iso) ? iso : `${iso}Z`;
  const ms = Date.parse(zoned);
  return Number.isNaN(ms) ? undefined : ms;
}

/** The three projections, in the order in which they are shown. */
export const projections = [caseStates, resourceWork, caseDurations] as const;

/** The bucket of a read model: as JSON, so that `nats kv get` shows it to people. */
export function bucketOf(stream: string, projection: string): KvStateOptions {
  return kvState({ bucket: `${stream}_${projection}`, values: "json" });
}
