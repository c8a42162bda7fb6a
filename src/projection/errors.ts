import { AnnalError } from "../errors.ts";

/** Which event of the stream an error speaks of. */
export interface EventPlace {
  readonly position: number;
  readonly index: number;
  /** `<commit id>:<index>`. */
  readonly id: string;
  readonly type: string;
  readonly actor: { readonly type: string; readonly id: string };
}

function placeOf(event: EventPlace): EventPlace {
  const { position, index, id, type, actor } = event;
  return { position, index, id, type, actor: { type: actor.type, id: actor.id } };
}

function describe({ position, index, type, actor }: EventPlace): string {
  return `event ${position}/${index} (${type} of ${actor.type}/${actor.id})`;
}

/**
 * `apply` read or deleted a state key that `keys` had not declared for the event. Nothing of the unit of work that the
 * event belongs to was stored: mend the definition, and start again.
 */
export class CoverageError extends AnnalError {
  readonly code = "coverage";
  readonly projection: string;
  readonly event: EventPlace;
  /** `<table>.<id>`. */
  readonly key: string;

  constructor(projection: string, event: EventPlace, key: string, what: "read" | "deleted") {
    super(
      `projection ${projection}: ${describe(event)} ${what} the key "${key}", which keys() had not declared for it`,
    );
    this.projection = projection;
    this.event = placeOf(event);
    this.key = key;
  }
}

/** `apply` deleted a key that is not there; `deleteIfPresent` is for keys that may be missing. */
export class StateKeyMissingError extends AnnalError {
  readonly code = "state_key_missing";
  /** `<table>.<id>`. */
  readonly key: string;

  constructor(key: string) {
    super(
      `the key "${key}" was to be deleted and is not there; use deleteIfPresent where it may be missing`,
    );
    this.key = key;
  }
}

/** `keys` or `apply` threw at an event: the projector stopped before it, everything before it is stored. */
export class ProjectionFailedError extends AnnalError {
  readonly code = "projection_failed";
  readonly projection: string;
  readonly event: EventPlace;

  constructor(projection: string, event: EventPlace, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(`projection ${projection} stopped at ${describe(event)}: ${reason}`, { cause });
    this.projection = projection;
    this.event = placeOf(event);
  }
}

/** The changes of one event do not fit into one atomic batch, or one value into a message. */
export class StateTooLargeError extends AnnalError {
  readonly code = "state_too_large";
  readonly size: number;
  readonly limit: number;
  readonly unit: "bytes" | "keys";

  constructor(what: string, size: number, limit: number, unit: "bytes" | "keys") {
    super(`${what} needs ${size} ${unit}, the limit is ${limit}`);
    this.size = size;
    this.limit = limit;
    this.unit = unit;
  }
}

/** Another projector has taken over the state. This one wrote nothing since, and writes nothing more. */
export class ProjectorFencedError extends AnnalError {
  readonly code = "projector_fenced";
  readonly projection: string;
  /** Writer id of the other projector. */
  readonly writer: string | undefined;

  constructor(projection: string, writer: string | undefined) {
    super(
      `projection ${projection}: projector ${writer ?? "unknown"} has taken over; ` +
        "run one at a time, or start all with standby: true",
    );
    this.projection = projection;
    this.writer = writer;
  }
}

/** An entry of the state cannot be read. The batch that needed it was not applied. */
export class CorruptStateError extends AnnalError {
  readonly code = "corrupt_state";
  readonly bucket: string;
  /** Key of the entry in the bucket. */
  readonly key: string;
  /** What is wrong with it. */
  readonly reason: string;

  constructor(bucket: string, key: string, reason: string, options?: ErrorOptions) {
    super(
      `bucket ${bucket}: the entry "${key}" cannot be read: ${reason}; rebuild the projection`,
      options,
    );
    this.bucket = bucket;
    this.key = key;
    this.reason = reason;
  }
}

/** What the bucket holds was made by another projection, or by another version of it. It cannot be forced. */
export class ProjectionMismatchError extends AnnalError {
  readonly code = "projection_mismatch";
  readonly bucket: string;
  /** What differs: `name`, `version`, `schemaVersion`, `state`, `values`, `stream`, `policies`. */
  readonly what: string;
  readonly expected: unknown;
  readonly found: unknown;

  constructor(bucket: string, what: string, expected: unknown, found: unknown, advice: string) {
    super(
      `bucket ${bucket}: its ${what} is ${JSON.stringify(found)}, this projection's is ${JSON.stringify(expected)}; ${advice}`,
    );
    this.bucket = bucket;
    this.what = what;
    this.expected = expected;
    this.found = found;
  }
}

/** A lease is not held any more: another process may have it, and may do now what this one was doing. */
export class LeaseLostError extends AnnalError {
  readonly code = "lease_lost";
  /** Key of the lease in its bucket. */
  readonly key: string;
  /** Id of the contender that held it. */
  readonly holder: string;

  constructor(key: string, holder: string) {
    super(`lease ${key}: ${holder} does not hold it; another process may`);
    this.key = key;
    this.holder = holder;
  }
}

/** `handle` failed at an event as often as it may: the reactor stopped before it, everything before it is handled. */
export class ReactorFailedError extends AnnalError {
  readonly code = "reactor_failed";
  readonly reactor: string;
  readonly event: EventPlace;
  readonly attempts: number;

  constructor(reactor: string, event: EventPlace, attempts: number, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const times = attempts === 1 ? "once" : `${attempts} times`;
    super(`reactor ${reactor}: ${describe(event)} failed ${times}, at last with: ${reason}`, {
      cause,
    });
    this.reactor = reactor;
    this.event = placeOf(event);
    this.attempts = attempts;
  }
}
