import type { Actor } from "./subject.ts";

/** What an event looks like to its writer. */
export interface AnyEvent {
  readonly type: string;
  readonly data?: unknown;
}

/** Which events the actors of each type have: `{ account: Deposited | Withdrawn; order: Placed }`. */
export type EventMap = { readonly [actorType: string]: AnyEvent };

/** The actor types of a map. */
export type ActorType<Events extends EventMap> = keyof Events & string;

/** Free-form facts about an event or a commit that are not the event's own. */
export interface Metadata {
  /** What business process or request this belongs to. */
  readonly correlationId?: string;
  /** Id of the event or command that caused this. */
  readonly causationId?: string;
  readonly [key: string]: unknown;
}

/** An event as given to `append`. Its metadata are added to those of the commit, and win over them. */
export type NewEvent<Event extends AnyEvent = AnyEvent> = Event & {
  readonly metadata?: Metadata | undefined;
};

/**
 * How far a reader has come, as an opaque string to store and to hand back as `after`: the position, how many events of
 * the commit there were taken, and that commit's id, by which a recreated stream is noticed.
 */
export type Cursor = string;

/** What the store adds to an event. */
export interface Recorded<Type extends string = string> {
  readonly actor: Actor<Type>;
  /** The same as `actor.type`, beside `type`: TypeScript narrows a union by a property of its own only. */
  readonly actorType: Type;
  /** Dense number of the event within its actor: 1, 2, 3 … */
  readonly version: number;
  /** Place of its commit in the whole stream (JetStream's stream sequence). */
  readonly position: number;
  /** Place of the event in its commit, from 0. */
  readonly index: number;
  /** `<commit id>:<index>`. */
  readonly id: string;
  readonly commitId: string;
  /** The server's time of storing, in milliseconds' precision. */
  readonly recordedAt: Date;
  readonly metadata: Metadata;
  /** Hand it to `readAll` or `subscribe` as `after` to go on behind this event. */
  readonly cursor: Cursor;
}

/** An event that was appended without data comes back with `null`. */
type DataOf<Event> = Event extends { readonly data?: infer Data }
  ? "data" extends keyof Event
    ? Data
    : null
  : null;

type RecordedOf<Event, Type extends string> = Event extends AnyEvent
  ? Readonly<Omit<Event, "data">> & { readonly data: DataOf<Event> } & Recorded<Type>
  : never;

/** A stored event: a union over actor types and event types, narrowed by `actorType` and `type`. */
export type RecordedEvent<
  Events extends EventMap = EventMap,
  Type extends ActorType<Events> = ActorType<Events>,
> = Type extends unknown ? RecordedOf<Events[Type], Type> : never;

/** A stored commit: all the events of one append to one actor. */
export interface Commit<
  Events extends EventMap = EventMap,
  Type extends ActorType<Events> = ActorType<Events>,
> {
  readonly actor: Actor<Type>;
  /** The same as `actor.type`. */
  readonly actorType: Type;
  readonly commitId: string;
  readonly position: number;
  /** Version of its first event. */
  readonly firstVersion: number;
  /** Version of its last event. */
  readonly version: number;
  readonly recordedAt: Date;
  /** Metadata of the commit as a whole; each event's own are merged over it in `event.metadata`. */
  readonly metadata: Metadata;
  /** The caller's own headers and trace context; neither `Nats-*` nor `Annal-*`. */
  readonly headers: Readonly<Record<string, string>>;
  readonly events: readonly RecordedEvent<Events, Type>[];
  /** Goes on behind the whole commit. */
  readonly cursor: Cursor;
}
