import type { ReadBounds } from "../nats/direct.ts";
import type { HeaderBlock } from "../nats/header-block.ts";
import type { StoredCommit } from "../store/commit.ts";
import type { StreamSelection } from "../store/commit-stream.ts";
import { formatCursor } from "../store/cursor.ts";
import type { RecordedEvent } from "../store/event.ts";
import type { StoreInternals } from "../store/internals.ts";
import { StreamSubscription } from "../store/subscription.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { projectionChannels } from "./diagnostics.ts";

/** Which events, as `Projection.selection`. */
export type Selection = ReadonlyMap<string, ReadonlySet<string> | undefined>;

/** What a commit of the stream has for a projection. */
export interface SourceCommit {
  readonly position: number;
  readonly commitId: string;
  /** Events that the commit holds, selected or not. */
  readonly total: number;
  readonly recordedAtMs: number;
  /** The selected ones behind the checkpoint; may be none. */
  readonly events: readonly RecordedEvent[];
  /** Of its message; kept only for those who listen to what is done with it. */
  readonly headers?: HeaderBlock | undefined;
}

/** Where to read: behind a checkpoint, or else from the stream's start or a time. */
export interface SourceStart {
  readonly checkpoint: Checkpoint;
  readonly startAt?: Date | number | undefined;
  /** Read the whole stream, and pass over what is not selected: see {@link selectsMost}. @default false */
  readonly readAll?: boolean | undefined;
}

/** From this share of the stream's messages on, reading all of them is faster than the server's own filter. */
const MOST = 0.5;
/** Messages below which that does not matter. */
const FEW_MESSAGES = 20_000;

/** The patterns of the subjects that hold selected events. */
export function subjectsOf(selection: Selection, prefix: string): string[] {
  return [...selection.keys()].map((type) => `${prefix}.${type}.*`);
}

/**
 * Whether most of what stands in the stream is selected, so that it is faster to read all of it and to pass over the
 * rest: the server filters at about two thirds of the speed at which it reads.
 */
export async function selectsMost(
  { context }: StoreInternals,
  selection: Selection,
  from: number,
  bounds: ReadBounds,
): Promise<boolean> {
  const { direct, prefix } = context;
  const count = async (filter: string): Promise<number> => {
    const [next] = await direct.nextBySubject(filter, from, 1, bounds);
    return next === undefined ? 0 : 1 + Number(next.headers.getLast("Nats-Num-Pending") ?? 0);
  };
  const all = await count(`${prefix}.>`);
  if (all < FEW_MESSAGES) return false;
  const counts = await Promise.all(subjectsOf(selection, prefix).map(count));
  return counts.reduce((sum, one) => sum + one, 0) >= all * MOST;
}

/**
 * The selected events of the stream, from a checkpoint on and then live, commit by commit in batches.
 *
 * @throws {StreamRolledBackError} from the first `nextBatch`, if another commit stands at the checkpoint
 */
export function openSource(
  { context, interpreter }: StoreInternals,
  selection: Selection,
  { checkpoint, startAt, readAll }: SourceStart,
  signal: AbortSignal,
): StreamSubscription<SourceCommit> {
  const { position, taken, commitId } = checkpoint;
  const selected: StreamSelection = {
    filters: readAll ? [`${context.prefix}.>`] : subjectsOf(selection, context.prefix),
    accepts: readAll ? acceptorOf(selection, context.prefix) : undefined,
    passesCache: true,
    after: position === 0 ? undefined : formatCursor(position, taken, commitId),
    since: position === 0 ? startAt : undefined,
    signal,
  };
  const interpret = (
    commit: StoredCommit,
    alreadyTaken: number,
  ): SourceCommit[] | Promise<SourceCommit[]> => {
    const events = interpreter.events(commit);
    return events instanceof Promise
      ? events.then((all) => [select(commit, all, selection, alreadyTaken)])
      : [select(commit, events, selection, alreadyTaken)];
  };
  return new StreamSubscription(context, selected, interpret);
}

function acceptorOf(selection: Selection, prefix: string): (subject: string) => boolean {
  const starts = [...selection.keys()].map((type) => `${prefix}.${type}.`);
  const [first = ""] = starts;
  return starts.length === 1
    ? (subject) => subject.startsWith(first)
    : (subject) => starts.some((start) => subject.startsWith(start));
}

function select(
  commit: StoredCommit,
  events: readonly RecordedEvent[],
  selection: Selection,
  taken: number,
): SourceCommit {
  const { message, commitId, actor, payload } = commit;
  const wanted = selection.has(actor.type)
    ? selectTypes(events, selection.get(actor.type), taken)
    : [];
  return {
    position: message.sequence,
    commitId,
    total: payload.events.length,
    recordedAtMs: message.timestampMs,
    events: wanted,
    headers: isHeard() ? message.headers : undefined,
  };
}

function isHeard(): boolean {
  const { unit, handle } = projectionChannels;
  return unit.hasSubscribers || handle.hasSubscribers;
}

function selectTypes(
  events: readonly RecordedEvent[],
  types: ReadonlySet<string> | undefined,
  taken: number,
): readonly RecordedEvent[] {
  if (taken > 0) return selectTypes(events.slice(taken), types, 0);
  if (types === undefined || events.every(({ type }) => types.has(type))) return events;
  return events.filter(({ type }) => types.has(type));
}
