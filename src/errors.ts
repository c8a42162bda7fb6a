/**
 * Every error that Annal throws on purpose. Switch on `code`: codes are stable, messages are for people.
 *
 * Layering: this file knows no other, so that every layer may throw its errors.
 */

/** The actor an error speaks of. */
interface ActorRef {
  readonly type: string;
  readonly id: string;
}

/** How an append states what it expects of its actor. */
type Expectation = number | "any" | "none" | "exists";

/** The base of all errors of this package; `code` is stable and lower-snake. */
export abstract class AnnalError extends Error {
  /** Stable identifier of the kind of error, to switch on. */
  abstract readonly code: string;

  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** An argument or option is not what was expected; nothing was sent. */
export class InvalidArgumentError extends AnnalError {
  readonly code = "invalid_argument";
  /** The argument, as a path: `actor.id`, `events[2].type`. */
  readonly argument: string;
  readonly #expected: string;
  readonly #received: unknown;

  constructor(argument: string, expected: string, received: unknown, options?: ErrorOptions) {
    super(`${argument}: expected ${expected}, received ${describe(received)}`, options);
    this.argument = argument;
    this.#expected = expected;
    this.#received = received;
  }

  /** The same error with the path of what holds the argument before its own. */
  within(place: string): InvalidArgumentError {
    const path = `${place}.${this.argument}`;
    return new InvalidArgumentError(path, this.#expected, this.#received, { cause: this });
  }
}

/** Event data or metadata holds a value that cannot be stored; nothing was sent. */
export class UnserialisableValueError extends AnnalError {
  readonly code = "unserialisable_value";
  /** Where the value stands, such as `events[0].data.items[3].when`. */
  readonly path: string;

  constructor(path: string, reason: string) {
    super(`${path}: ${reason}`);
    this.path = path;
  }
}

/** Event data does not satisfy the schema given for its type. */
export class SchemaValidationError extends AnnalError {
  readonly code = "schema_validation";
  /** `<actor type>.<event type>` the schema stands for. */
  readonly subject: string;
  readonly issues: readonly { readonly path: string; readonly message: string }[];

  constructor(
    subject: string,
    where: string,
    issues: readonly { readonly path: string; readonly message: string }[],
  ) {
    const list = issues.map((issue) => `${issue.path || "data"}: ${issue.message}`).join("; ");
    super(`${where}: data of ${subject} does not satisfy its schema: ${list}`);
    this.subject = subject;
    this.issues = issues;
  }
}

/** An append does not fit into one message (or one atomic batch) of the server; nothing was sent. */
export class AppendTooLargeError extends AnnalError {
  readonly code = "append_too_large";
  /** Bytes (or messages, see `unit`) that the append needs. */
  readonly size: number;
  readonly limit: number;
  readonly unit: "bytes" | "header_bytes" | "actors";

  constructor(
    what: string,
    size: number,
    limit: number,
    unit: "bytes" | "header_bytes" | "actors",
  ) {
    const words = { bytes: "bytes", header_bytes: "bytes of headers", actors: "actors" }[unit];
    super(`${what} needs ${size} ${words}, the limit is ${limit}; append fewer or smaller events`);
    this.size = size;
    this.limit = limit;
    this.unit = unit;
  }
}

/** The actor is not where the append expected it; nothing was stored. */
export class VersionConflictError extends AnnalError {
  readonly code = "version_conflict";
  readonly actor: ActorRef;
  readonly expectedVersion: Expectation;
  /** The actor's version as the server showed it when the append was refused. */
  readonly actualVersion: number;

  constructor(actor: ActorRef, expectedVersion: Expectation, actualVersion: number, note?: string) {
    super(
      `${actorName(actor)}: expected version ${expectedVersion}, it is at version ${actualVersion}` +
        (note === undefined ? "" : ` (${note})`),
    );
    this.actor = { type: actor.type, id: actor.id };
    this.expectedVersion = expectedVersion;
    this.actualVersion = actualVersion;
  }
}

/** A commit id was used before on this actor with other events; nothing was stored. */
export class CommitIdReusedError extends AnnalError {
  readonly code = "commit_id_reused";
  readonly actor: ActorRef;
  readonly commitId: string;
  /** Position of the commit that holds the id. */
  readonly position: number;

  constructor(actor: ActorRef, commitId: string, position: number) {
    super(
      `${actorName(actor)}: commit id "${commitId}" already stands at position ${position} with other events; ` +
        "use a new id for new events",
    );
    this.actor = { type: actor.type, id: actor.id };
    this.commitId = commitId;
    this.position = position;
  }
}

/** Where an append was to be stored: right behind this message of the actor's subject (0 = none). */
export interface AppendPlace {
  readonly actor: ActorRef;
  readonly subject: string;
  /** Stream sequence that the append expects to be the subject's last; 0 for the actor's first commit. */
  readonly expectedSequence: number;
  /** Version of the first event, had it been stored. */
  readonly firstVersion: number;
}

/**
 * The server neither confirmed nor refused the append before the deadline: it may be stored, now or later.
 * Hand the error to `store.resolve(error)` to find out; do not append the events anew under another commit id.
 */
export class AppendOutcomeUnknownError extends AnnalError {
  readonly code = "append_outcome_unknown";
  readonly actor: ActorRef;
  readonly place: AppendPlace;
  readonly commitId: string;
  /** All places of an `appendAll`; one for an `append`. */
  readonly places: readonly AppendPlace[];

  constructor(
    places: readonly [AppendPlace, ...AppendPlace[]],
    commitId: string,
    timeoutMs: number,
    options?: ErrorOptions,
  ) {
    const [place] = places;
    super(
      `${actorName(place.actor)}: no proof within ${timeoutMs} ms whether commit ${commitId} was stored behind ` +
        `sequence ${place.expectedSequence}; call store.resolve(error) to find out`,
      options,
    );
    this.actor = place.actor;
    this.place = place;
    this.places = places;
    this.commitId = commitId;
  }
}

/** Retries of an append with expected version `"any"` found a new external write each time. */
export class TooManyConflictsError extends AnnalError {
  readonly code = "too_many_conflicts";
  readonly actor: ActorRef;
  readonly attempts: number;

  constructor(actor: ActorRef, attempts: number) {
    super(`${actorName(actor)}: lost ${attempts} races in a row against other writers`);
    this.actor = { type: actor.type, id: actor.id };
    this.attempts = attempts;
  }
}

/** A stored message is no commit that this version can read. It is never skipped. */
export class CorruptCommitError extends AnnalError {
  readonly code = "corrupt_commit";
  /** Stream sequence of the message. */
  readonly position: number;
  readonly subject: string;

  constructor(position: number, subject: string, reason: string, options?: ErrorOptions) {
    super(`message at position ${position} (${subject}) is no readable commit: ${reason}`, options);
    this.position = position;
    this.subject = subject;
  }
}

/** A commit is in a format that this version of Annal does not know, or is encrypted. */
export class UnsupportedFormatError extends AnnalError {
  readonly code = "unsupported_format";
  readonly format: number;
  /** Why it cannot be read. */
  readonly note: string;
  /** Stream sequence of the message; undefined where only a payload was looked at. */
  readonly position: number | undefined;

  constructor(format: number, note: string, position?: number, options?: ErrorOptions) {
    const where = position === undefined ? "" : ` at position ${position}`;
    super(`commit format ${format}${where}: ${note}`, options);
    this.format = format;
    this.note = note;
    this.position = position;
  }
}

/** The stream holds other commits than those this reader has seen: it was restored, recreated or rolled back. */
export class StreamRolledBackError extends AnnalError {
  readonly code = "stream_rolled_back";
  readonly stream: string;
  /** The position that was remembered. */
  readonly position: number;
  readonly expectedCommitId: string;
  /** What stands there now; undefined where nothing does. */
  readonly actualCommitId: string | undefined;

  constructor(
    stream: string,
    position: number,
    expectedCommitId: string,
    actualCommitId: string | undefined,
  ) {
    super(
      `stream ${stream}: expected commit ${expectedCommitId} at position ${position}, found ` +
        `${actualCommitId ?? "nothing"}: the stream was restored, recreated or rolled back; ` +
        "drop what was derived from it and read again from the start",
    );
    this.stream = stream;
    this.position = position;
    this.expectedCommitId = expectedCommitId;
    this.actualCommitId = actualCommitId;
  }
}

/** A setting of the stream could lose, hide or change events. */
export class StreamSettingsError extends AnnalError {
  readonly code = "stream_settings";
  readonly stream: string;
  readonly problems: readonly {
    readonly setting: string;
    readonly expected: string;
    readonly found: string;
  }[];

  constructor(
    stream: string,
    problems: readonly {
      readonly setting: string;
      readonly expected: string;
      readonly found: string;
    }[],
  ) {
    const list = problems
      .map((p) => `${p.setting} must be ${p.expected}, is ${p.found}`)
      .join("; ");
    super(`stream ${stream} cannot hold events safely: ${list}`);
    this.stream = stream;
    this.problems = problems;
  }
}

/** The stream does not exist and creating it was not allowed (`create: false`). */
export class StreamNotFoundError extends AnnalError {
  readonly code = "stream_not_found";
  readonly stream: string;

  constructor(stream: string, options?: ErrorOptions) {
    super(
      `stream ${stream} does not exist; open the store with create: true or create it`,
      options,
    );
    this.stream = stream;
  }
}

/** The server is older than what the store needs. */
export class ServerTooOldError extends AnnalError {
  readonly code = "server_too_old";
  readonly version: string;
  readonly required: string;

  constructor(version: string, required: string) {
    super(
      `nats-server ${version} is too old: Annal needs ${required} or newer (atomic batch publish)`,
    );
    this.version = version;
    this.required = required;
  }
}

/** No server could be reached, or the connection is closed for good. */
export class ConnectionFailedError extends AnnalError {
  readonly code = "connection_failed";
}

/** JetStream does not answer: it is disabled, the account has none, or the stream has no leader. */
export class JetStreamUnavailableError extends AnnalError {
  readonly code = "jetstream_unavailable";
}

/** The server did not answer a read in time; reading again is safe. */
export class ReadTimeoutError extends AnnalError {
  readonly code = "read_timeout";
}

/** The server answered with an error that Annal has no better name for. */
export class ServerRefusedError extends AnnalError {
  readonly code = "server_refused";
  /** JetStream's `err_code`, such as 10071; 0 where it gave none. */
  readonly errorCode: number;

  constructor(errorCode: number, description: string, what: string) {
    super(`${what}: the server refused: ${description} (code ${errorCode})`);
    this.errorCode = errorCode;
  }
}

/** The store (or the subscription) was closed. */
export class ClosedError extends AnnalError {
  readonly code = "closed";

  constructor(what: string) {
    super(`${what} is closed`);
  }
}

/** More calls wait than the bound allows; slow down or raise the named option. */
export class OverloadedError extends AnnalError {
  readonly code = "overloaded";
  readonly option: string;
  readonly limit: number;

  constructor(option: string, limit: number) {
    super(
      `more than ${limit} calls are waiting (option ${option}); wait for some before sending more`,
    );
    this.option = option;
    this.limit = limit;
  }
}

/** No usable nats-server was found, or it did not start; the message says what to do. */
export class ServerStartError extends AnnalError {
  readonly code = "server_start";
}

function actorName(actor: ActorRef): string {
  return `actor ${actor.type}/${actor.id.length > 80 ? `${actor.id.slice(0, 77)}...` : actor.id}`;
}

function describe(value: unknown): string {
  if (typeof value === "string") {
    const shown = value.length > 60 ? `${value.slice(0, 57)}...` : value;
    return JSON.stringify(shown);
  }
  if (typeof value === "bigint") return `${value}n`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === "object" && value !== null)
    return `an object (${value.constructor?.name ?? "no prototype"})`;
  if (typeof value === "function") return "a function";
  return String(value);
}
