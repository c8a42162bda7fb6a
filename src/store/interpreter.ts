import type { StandardSchemaV1 } from "@standard-schema/spec";
import { InvalidArgumentError, SchemaValidationError } from "../errors.ts";
import type { StoredCommit } from "./commit.ts";
import { formatCursor } from "./cursor.ts";
import type { ActorType, AnyEvent, Commit, EventMap, Metadata, RecordedEvent } from "./event.ts";
import type { DecodedEvent } from "./payload.ts";
import type { Actor } from "./subject.ts";

/** A Standard Schema (https://standardschema.dev) for the data of events: by actor type, then by event type. */
export type EventSchemas<Events extends EventMap = EventMap> = {
  readonly [Type in ActorType<Events>]?: {
    readonly [EventType in Events[Type]["type"]]?: StandardSchemaV1;
  };
};

/** An event as it was stored, before it is brought up to date. */
export interface StoredShape {
  readonly type: string;
  readonly data: unknown;
}

/**
 * Functions that bring events of an older shape up to date when they are read: by actor type, then by the event type
 * that was stored. Pure, one event in and one out. A result of another type goes through that type's upcaster in turn;
 * one of the same type is final, so an upcaster must recognise events that are up to date already.
 */
export type Upcasters<Events extends EventMap = EventMap> = {
  readonly [Type in ActorType<Events>]?: {
    readonly [storedType: string]: (event: StoredShape) => StoredShape;
  };
};

interface Rules {
  readonly schemas: ReadonlyMap<string, StandardSchemaV1>;
  readonly upcasters: ReadonlyMap<string, (event: StoredShape) => StoredShape>;
  readonly validateReads: boolean;
}

const MAX_UPCASTS = 32;
/** As they are spelled on the wire. */
const RESERVED = ["Nats-", "Annal-"];
const NO_METADATA: Metadata = Object.freeze({});

/** Turns commits into events: merges metadata, brings old shapes up to date, validates. */
export class Interpreter<Events extends EventMap> {
  readonly #rules: Rules;
  readonly #plain: boolean;

  constructor(
    schemas: EventSchemas<Events> | undefined,
    upcasters: Upcasters<Events> | undefined,
    validateReads: boolean,
  ) {
    this.#rules = { schemas: flatten(schemas), upcasters: flatten(upcasters), validateReads };
    const validates = validateReads && this.#rules.schemas.size > 0;
    this.#plain = !validates && this.#rules.upcasters.size === 0;
  }

  /** The events of a commit; a promise only where a schema answers by one. */
  events(commit: StoredCommit): RecordedEvent<Events>[] | Promise<RecordedEvent<Events>[]> {
    const shapes = this.shapes(commit.actor, commit.payload.events, commit.firstVersion);
    return shapes instanceof Promise
      ? shapes.then((valid) => record(commit, valid))
      : record(commit, shapes);
  }

  /** What was stored as events of an actor, brought up to date and validated; a promise only where a schema answers by one. */
  shapes(
    { type, id }: Actor,
    stored: readonly DecodedEvent[],
    firstVersion: number,
  ): readonly DecodedEvent[] | Promise<readonly DecodedEvent[]> {
    if (this.#plain) return stored;
    const shapes = stored.map((event) => this.#upcast(type, event));
    const { schemas, validateReads } = this.#rules;
    if (!validateReads || schemas.size === 0) return shapes;
    return this.#validate(type, shapes, (at) => `${type}/${id} version ${firstVersion + at}`);
  }

  /** The commit as a whole, as `readCommits` gives it. */
  commit(stored: StoredCommit): Commit<Events> | Promise<Commit<Events>> {
    const events = this.events(stored);
    return events instanceof Promise
      ? events.then((interpreted) => whole(stored, interpreted))
      : whole(stored, events);
  }

  /** The data of new events as their schemas return them. */
  validateNew<Event extends AnyEvent>(
    actorType: string,
    events: readonly Event[],
  ): readonly Event[] | Promise<readonly Event[]> {
    if (this.#rules.schemas.size === 0) return events;
    return this.#validate(actorType, events, (at) => `events[${at}]`);
  }

  #upcast(actorType: string, event: DecodedEvent): DecodedEvent {
    let shape: StoredShape = event;
    for (let count = 0; ; count++) {
      const upcaster = this.#rules.upcasters.get(`${actorType}.${shape.type}`);
      if (upcaster === undefined) break;
      if (count === MAX_UPCASTS) {
        const rule = `upcasters.${actorType}.${event.type}`;
        throw new InvalidArgumentError(rule, `at most ${MAX_UPCASTS} renames`, shape.type);
      }
      const next = upcaster(shape);
      if (typeof next?.type !== "string") {
        const upcasterOf = `upcasters.${actorType}.${shape.type}`;
        throw new InvalidArgumentError(upcasterOf, "a function that returns { type, data }", next);
      }
      const final = next.type === shape.type;
      shape = next;
      if (final) break;
    }
    return { ...event, type: shape.type, data: shape.data };
  }

  #validate<Shape extends AnyEvent>(
    actorType: string,
    events: readonly Shape[],
    where: (at: number) => string,
  ): readonly Shape[] | Promise<readonly Shape[]> {
    const checked: Shape[] = [];
    const later: Promise<void>[] = [];
    for (const [at, event] of events.entries()) {
      checked.push(event);
      const name = `${actorType}.${event.type}`;
      const result = this.#rules.schemas.get(name)?.["~standard"].validate(event.data);
      if (result === undefined) continue;
      const take = (settled: StandardSchemaV1.Result<unknown>): void => {
        checked[at] = accept(event, settled, name, where(at));
      };
      if (result instanceof Promise) {
        const taken = result.then(take);
        // Nobody waits for it where a later event fails at once.
        taken.catch(() => {});
        later.push(taken);
      } else take(result);
    }
    return later.length === 0 ? checked : Promise.all(later).then(() => checked);
  }
}

function accept<Shape extends AnyEvent>(
  event: Shape,
  result: StandardSchemaV1.Result<unknown>,
  name: string,
  where: string,
): Shape {
  if (result.issues === undefined) return { ...event, data: result.value };
  const issues = result.issues.map(({ message, path = [] }) => {
    const keys = path.map((part) => String(typeof part === "object" ? part.key : part));
    return { path: keys.join("."), message };
  });
  throw new SchemaValidationError(name, where, issues);
}

/** Plain objects, made once per event on the read path: nothing lazy, so that they can be copied, logged and compared. */
function record<Events extends EventMap>(
  commit: StoredCommit,
  events: readonly DecodedEvent[],
): RecordedEvent<Events>[] {
  const { actor, commitId, firstVersion, message, payload } = commit;
  const position = message.sequence;
  const recordedAt = new Date(message.timestampMs);
  const shared = payload.metadata ?? NO_METADATA;
  const recorded: unknown[] = [];
  for (let index = 0; index < events.length; index++) {
    const event = events[index];
    if (event === undefined) break;
    recorded.push({
      actor,
      actorType: actor.type,
      type: event.type,
      data: event.data,
      version: firstVersion + index,
      position,
      index,
      id: `${commitId}:${index}`,
      commitId,
      recordedAt,
      metadata: event.metadata === undefined ? shared : { ...shared, ...event.metadata },
      cursor: formatCursor(position, index + 1, commitId),
    });
  }
  return typed<RecordedEvent<Events>[]>(recorded);
}

function whole<Events extends EventMap>(
  stored: StoredCommit,
  events: readonly RecordedEvent<Events>[],
): Commit<Events> {
  const { actor, commitId, firstVersion, version, message, payload } = stored;
  const commit: Commit = {
    actor,
    actorType: actor.type,
    commitId,
    position: message.sequence,
    firstVersion,
    version,
    recordedAt: new Date(message.timestampMs),
    metadata: payload.metadata ?? NO_METADATA,
    headers: ownHeaders(stored),
    events,
    cursor: formatCursor(message.sequence, payload.events.length, commitId),
  };
  return typed<Commit<Events>>(commit);
}

function ownHeaders({ message }: StoredCommit): Record<string, string> {
  const others = message.headers.entries(RESERVED);
  if (others.length === 0) return {};
  const own = others.filter(([name]) => !/^(nats|annal)-/i.test(name));
  // Not by assignment: a header may be called __proto__.
  return Object.fromEntries(own);
}

function flatten<Rule>(
  rules:
    | { readonly [actorType: string]: { readonly [type: string]: Rule | undefined } | undefined }
    | undefined,
): Map<string, Rule> {
  const flat = new Map<string, Rule>();
  for (const [actorType, byType] of Object.entries(rules ?? {})) {
    for (const [type, rule] of Object.entries(byType ?? {})) {
      if (rule !== undefined) flat.set(`${actorType}.${type}`, rule);
    }
  }
  return flat;
}

/** What came from the stream has the type that the store's owner declared: nothing but a schema can check that. */
function typed<T>(value: unknown): T {
  return value as T;
}
