import type { EventStore } from "annal";
import { memoryState, openTables, type ReadTables, startProjector } from "annal/projection";
import type { LogRow } from "../multi-writer/event-log.ts";
import {
  ALL,
  bucketOf,
  caseDurations,
  caseStates,
  type Counts,
  type Log,
  nameOf,
  resourceWork,
  type Span,
  type SpanTotal,
  timeOf,
  type Work,
} from "./read-models.ts";

/** All that the three read models say. */
export interface Figures {
  readonly stateOfCase: ReadonlyMap<string, string>;
  readonly casesByState: Counts;
  readonly workOfResource: ReadonlyMap<string, Work>;
  readonly spanOfCase: ReadonlyMap<string, Span>;
  readonly spans: SpanTotal;
}

interface Tables {
  readonly states: ReadTables<typeof caseStates.tables>;
  readonly work: ReadTables<typeof resourceWork.tables>;
  readonly durations: ReadTables<typeof caseDurations.tables>;
}

const NO_SPANS: SpanTotal = { cases: 0, totalMs: 0, longestMs: 0 };

/** What the buckets hold, read as any process can read them. */
export async function storedFigures(store: EventStore<Log>): Promise<Figures> {
  const of = (name: string): { state: ReturnType<typeof bucketOf> } => ({
    state: bucketOf(store.stream, name),
  });
  await using states = await openTables(store, caseStates, of(caseStates.name));
  await using work = await openTables(store, resourceWork, of(resourceWork.name));
  await using durations = await openTables(store, caseDurations, of(caseDurations.name));
  return await read({ states: states.tables, work: work.tables, durations: durations.tables });
}

/** What the same projections make of the stream in this process's memory, undisturbed. */
export async function undisturbedFigures(store: EventStore<Log>): Promise<Figures> {
  const state = memoryState();
  await using states = await startProjector(store, caseStates, { state });
  await using work = await startProjector(store, resourceWork, { state });
  await using durations = await startProjector(store, caseDurations, { state });
  await Promise.all([states.caughtUp(), work.caughtUp(), durations.caughtUp()]);
  return await read({ states: states.tables, work: work.tables, durations: durations.tables });
}

async function read({ states, work, durations }: Tables): Promise<Figures> {
  return {
    stateOfCase: await mapOf(states.state.entries()),
    casesByState: (await states.count.get(ALL)) ?? {},
    workOfResource: await mapOf(work.work.entries()),
    spanOfCase: await mapOf(durations.span.entries()),
    spans: (await durations.total.get(ALL)) ?? NO_SPANS,
  };
}

async function mapOf<Value>(
  entries: AsyncIterable<{ readonly id: string; readonly value: Value }>,
): Promise<Map<string, Value>> {
  const map = new Map<string, Value>();
  for await (const { id, value } of entries) map.set(id, value);
  return map;
}

/** The same, computed from the log without any event, stream or projection. */
export function expectedFigures(rows: readonly LogRow[]): Figures {
  const stateOfCase = new Map(rows.map((row) => [row.actorId, row.eventType]));
  const workOfResource = new Map<string, Work>();
  for (const [resource, done] of groupBy(rows, (row) => nameOf(row.resource))) {
    const byType = countBy(done.map((row) => row.eventType));
    workOfResource.set(resource, { activities: done.length, byType });
  }
  const spanOfCase = new Map<string, Span>();
  for (const [id, history] of groupBy(rows, (row) => row.actorId)) {
    const times = history.map((row) => timeOf(row.time)).filter((time) => time !== undefined);
    if (times.length === 0) continue;
    times.sort((one, other) => one - other);
    spanOfCase.set(id, { fromMs: times[0] ?? 0, toMs: times.at(-1) ?? 0 });
  }
  const lengths = lengthsOf(spanOfCase);
  const totalMs = lengths.reduce((sum, length) => sum + length, 0);
  const spans = { cases: lengths.length, totalMs, longestMs: lengths.at(-1) ?? 0 };
  const casesByState = countBy([...stateOfCase.values()]);
  return { stateOfCase, casesByState, workOfResource, spanOfCase, spans };
}

/** How long each case took, shortest first. */
export function lengthsOf(spans: ReadonlyMap<string, Span>): number[] {
  const lengths = [...spans.values()].map(({ fromMs, toMs }) => toMs - fromMs);
  return lengths.sort((one, other) => one - other);
}

function groupBy<Item>(
  items: readonly Item[],
  nameOf: (item: Item) => string,
): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const group = groups.get(nameOf(item));
    if (group === undefined) groups.set(nameOf(item), [item]);
    else group.push(item);
  }
  return groups;
}

function countBy(names: readonly string[]): Counts {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
