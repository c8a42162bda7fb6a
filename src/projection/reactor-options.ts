import { InvalidArgumentError } from "../errors.ts";
import type { Backoff } from "../internal/backoff.ts";
import type { EventMap, RecordedEvent } from "../store/event.ts";
import { count } from "../store/options.ts";
import {
  checkName,
  type EventSelection,
  type ProjectionDefinition,
  type SelectedEvent,
  type TableMap,
  readSelection,
} from "./definition.ts";
import type { Selection } from "./event-source.ts";
import { checkLeaseMs } from "./lease.ts";

/** What `handle` is told beside the event. */
export interface HandleContext {
  /** 1 for the first attempt of this process at this event, then 2, 3 … */
  readonly attempt: number;
  /**
   * Aborts when this process may no longer be the active one (then another one handles the same event), when
   * `handleTimeoutMs` is over, or when `close` was given up waiting for. Hand it to what the handler waits for.
   */
  readonly signal: AbortSignal;
}

/** What a reactor reacts to, and how. */
export interface ReactorOptions<
  Events extends EventMap = EventMap,
  Selected extends EventSelection<Events> = EventSelection<Events>,
> {
  /**
   * A letter followed by letters, digits, `_` and `-`, at most 64 characters. Reactors of one name on one stream share
   * their checkpoint, and one of them is active.
   */
  readonly name: string;
  /** As for projections: by actor type, the event types, or `"all"`. What is added later applies to later events. */
  readonly events: ProjectionDefinition<Events, Selected, TableMap>["events"];
  /**
   * Does what an event asks for: sends the mail, calls the other service. Called for one event at a time, in the order
   * of the stream, and **at least once** for each: again after a failure, a crash or a hand-over. `event.id` is the same
   * each time and unlike any other's: hand it to the other side as idempotency key, or note it there.
   *
   * The event is done when the promise resolves. The reactor waits for it, however long: heed `context.signal`.
   */
  readonly handle: (
    event: SelectedEvent<Events, Selected>,
    context: HandleContext,
  ) => Promise<void> | void;
  /** NATS KV bucket for checkpoints, leases and dead letters; may be shared by many reactors. @default "reactors" */
  readonly bucket?: string | undefined;
  /** Replicas of a new bucket, and the least that an existing one must have. @default 1 */
  readonly replicas?: number | undefined;
  /** Attempts at one event, by one process; `Infinity` for no end. @default 10 */
  readonly maxAttempts?: number | undefined;
  /** Wait before the second attempt; doubled for each further one, and jittered. @default 100 */
  readonly retryMs?: number | undefined;
  /** The longest wait between two attempts. @default 30000 */
  readonly maxRetryMs?: number | undefined;
  /** How long an attempt may take before its signal aborts. @default as long as it wants */
  readonly handleTimeoutMs?: number | undefined;
  /**
   * What comes of an event that failed `maxAttempts` times. `stop`: the reactor fails with a `ReactorFailedError`, and goes
   * on at this event when it is started again. `park`: event and error are set aside as a dead letter, and the reactor
   * goes on behind it. @default "stop"
   */
  readonly onFailure?: "stop" | "park" | undefined;
  /**
   * Where a reactor begins that has no checkpoint yet: with the first event of the stream, or behind what stands there
   * now. Without meaning once there is a checkpoint. @default "beginning"
   */
  readonly startAt?: "beginning" | "now" | undefined;
  /** Save the checkpoint after this many events; a crash repeats at most so many. @default 100 */
  readonly checkpointEvery?: number | undefined;
  /** Save the checkpoint this long after an event at the latest. @default 1000 */
  readonly checkpointMs?: number | undefined;
  /**
   * How long after the active process died another one takes over, about; from 100 to 3600000. An attempt that holds up the
   * event loop for longer does not count towards `maxAttempts`. @default 3000
   */
  readonly leaseMs?: number | undefined;
  /** Ends the start; a running reactor is ended by `close`. */
  readonly signal?: AbortSignal | undefined;
}

/** Calls the user's `handle`; the source hands over no other events than the selected ones. */
type Handle = (event: RecordedEvent, context: HandleContext) => Promise<void> | void;

/** Checked options with their defaults. */
export interface ReactorSettings {
  readonly name: string;
  readonly selection: Selection;
  readonly handle: Handle;
  readonly bucket: string;
  readonly replicas: number | undefined;
  readonly maxAttempts: number;
  readonly retry: Backoff;
  readonly handleTimeoutMs: number | undefined;
  readonly park: boolean;
  readonly startAtNow: boolean;
  readonly checkpointEvery: number;
  readonly checkpointMs: number;
  readonly leaseMs: number | undefined;
}

/** The longest that a timer of Node.js waits; beyond, it fires at once. */
const MAX_TIMER_MS = 2_147_483_647;

/** @throws {InvalidArgumentError} naming the option */
export function reactorSettings<
  Events extends EventMap,
  const Selected extends EventSelection<Events>,
>(options: ReactorOptions<Events, Selected>): ReactorSettings {
  const { name, events, handle, replicas, maxAttempts = 10, handleTimeoutMs, leaseMs } = options;
  checkName("name", name);
  if (typeof handle !== "function") {
    throw new InvalidArgumentError("handle", "a function", handle);
  }
  const attempts =
    maxAttempts === Number.POSITIVE_INFINITY ? maxAttempts : count("maxAttempts", maxAttempts, 1);
  const firstMs = duration("retryMs", options.retryMs ?? 100);
  return {
    name,
    selection: readSelection(events),
    handle: handle as unknown as Handle,
    bucket: options.bucket ?? "reactors",
    replicas: replicas === undefined ? undefined : count("replicas", replicas, 1),
    maxAttempts: attempts,
    retry: { firstMs, maxMs: duration("maxRetryMs", options.maxRetryMs ?? 30_000) },
    handleTimeoutMs:
      handleTimeoutMs === undefined ? undefined : duration("handleTimeoutMs", handleTimeoutMs),
    park: oneOf("onFailure", options.onFailure ?? "stop", ["stop", "park"]) === "park",
    startAtNow: oneOf("startAt", options.startAt ?? "beginning", ["beginning", "now"]) === "now",
    checkpointEvery: count("checkpointEvery", options.checkpointEvery ?? 100, 1),
    checkpointMs: duration("checkpointMs", options.checkpointMs ?? 1_000),
    leaseMs: leaseMs === undefined ? undefined : checkLeaseMs("leaseMs", leaseMs),
  };
}

function duration(option: string, value: number): number {
  if (count(option, value, 1) <= MAX_TIMER_MS) return value;
  throw new InvalidArgumentError(option, `at most ${MAX_TIMER_MS}`, value);
}

function oneOf<Choice extends string>(
  option: string,
  value: Choice,
  choices: readonly Choice[],
): Choice {
  if (choices.includes(value)) return value;
  throw new InvalidArgumentError(
    option,
    choices.map((choice) => `"${choice}"`).join(" or "),
    value,
  );
}
