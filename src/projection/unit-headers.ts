import type { HeaderBlock } from "../nats/header-block.ts";
import { projectionChannels } from "./diagnostics.ts";
import type { PlannedEvent } from "./unit-planner.ts";

/** Commits of a unit whose headers are told. */
const MAX_COMMITS = 128;
/** As they are spelled on the wire. */
const RESERVED = ["Nats-", "Annal-"];

/**
 * The writers' own headers of the commits that events of a unit come from, as `UnitMessage.headers`.
 *
 * @param applied the projection's count of events at the unit's end: what was planned behind it is not of the unit
 */
export function headersOf(
  events: readonly PlannedEvent[],
  applied: number,
): readonly Readonly<Record<string, string>>[] {
  if (!projectionChannels.unit.hasSubscribers) return [];
  const found: Readonly<Record<string, string>>[] = [];
  let last: PlannedEvent["headers"];
  for (const { end, headers } of events) {
    if (end.applied > applied || found.length === MAX_COMMITS) break;
    if (headers === undefined || headers === last) continue;
    last = headers;
    const own = ownHeaders(headers);
    if (Object.keys(own).length > 0) found.push(own);
  }
  return found;
}

/** The headers that are the writer's own: neither `Nats-*` nor `Annal-*`. */
export function ownHeaders(headers: HeaderBlock): Readonly<Record<string, string>> {
  const own = headers.entries(RESERVED).filter(([name]) => !/^(nats|annal)-/i.test(name));
  // Not by assignment: a header may be called __proto__.
  return Object.fromEntries(own);
}
