import { type JetStreamManager, jetstreamManager, type StreamInfo } from "@nats-io/jetstream";
import { errors, type NatsConnection } from "@nats-io/nats-core";
import {
  ClosedError,
  InvalidArgumentError,
  JetStreamUnavailableError,
  ServerRefusedError,
  ServerTooOldError,
  StreamNotFoundError,
  StreamSettingsError,
} from "../errors.ts";
import { backoffMs, sleep } from "../internal/backoff.ts";
import {
  type AskedSettings,
  findSettingsProblems,
  type SettingsProblem,
} from "./stream-settings.ts";

/** Where the JetStream API is, and how long it may take to answer. */
export interface JetStreamAccess {
  /** JetStream domain; excludes `apiPrefix`. */
  readonly domain?: string | undefined;
  /** Prefix of the JetStream API, such as `$JS.hub.API`. @default "$JS.API" */
  readonly apiPrefix?: string | undefined;
  readonly timeoutMs: number;
}

/** A request to the server about one stream. */
export interface StreamApiRequest extends JetStreamAccess {
  readonly name: string;
  /** Whether the stream is created where it does not exist. */
  readonly create: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Settings of a stream to be created. */
export type StreamSettings = Parameters<JetStreamManager["streams"]["add"]>[0];

/** The stream that is asked for. */
export interface StreamRequest extends JetStreamAccess {
  readonly name: string;
  /** The stream takes all subjects `<prefix>.>`. */
  readonly prefix: string;
  /** Replicas of a new stream, and the least that an existing one must have. @default 1 */
  readonly replicas?: number | undefined;
  /** Size at which a new stream refuses appends. @default unlimited */
  readonly maxBytes?: number | undefined;
  /** Create the stream where it does not exist. @default true */
  readonly create?: boolean | undefined;
  /** How long a new stream remembers message ids. @default 120000 */
  readonly duplicateWindowMs?: number | undefined;
  /** Where a new stream is to live. */
  readonly placement?: { readonly cluster?: string; readonly tags?: readonly string[] } | undefined;
  readonly description?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A stream that can hold events safely. */
export interface CheckedStream {
  readonly name: string;
  /** When it was created, ISO 8601 with nanoseconds: another value means another stream of the same name. */
  readonly created: string;
  readonly replicas: number;
  /** Patterns of the subjects that it takes. */
  readonly subjects: readonly string[];
  /** Bytes of headers and payload that it takes in one message; undefined = as much as the server. */
  readonly maxMessageBytes: number | undefined;
  readonly duplicateWindowMs: number;
  readonly state: StreamState;
}

/** A stream as it is now, whether or not that is safe. */
export interface ObservedStream extends CheckedStream {
  /** What of its settings could lose, hide or change events; empty where nothing could. */
  readonly problems: readonly SettingsProblem[];
}

/** How far a stream is, as its leader says; of a group without a leader, any member, which may lag. */
export interface StreamState {
  readonly created: string;
  /** 0 for a stream that never held a message. */
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly messages: number;
  /** Name of the leading server; undefined without a cluster. */
  readonly leader: string | undefined;
}

/** The oldest nats-server that detects repeated messages in atomic batches. */
const requiredServerVersion = "2.12.1";

/** Codes of the server's errors.json. */
const noLeader = 10_008;
const notEnabledForAccount = 10_039;
const nameInUse = 10_058;
const notFound = 10_059;
const notEnabled = 10_076;
const unavailable: ReadonlySet<number> = new Set([noLeader, notEnabledForAccount, notEnabled]);
const attemptTimeoutMs = 1_000;
const retries = { firstMs: 25, maxMs: 500 };
const nanosecondsPerMs = 1_000_000;

/**
 * Refuses a server that is older than {@link requiredServerVersion}.
 *
 * @throws ServerTooOldError
 */
export function checkServer(nc: Pick<NatsConnection, "info">): void {
  const version = nc.info?.version ?? "unknown";
  if (!isAtLeast(version, requiredServerVersion)) {
    throw new ServerTooOldError(version, requiredServerVersion);
  }
}

/**
 * Finds the stream, or creates it, and checks the settings that the server returns. Several processes may do so at
 * once: the server creates one stream, and all get it.
 *
 * @throws StreamNotFoundError with `create: false`; StreamSettingsError; JetStreamUnavailableError;
 * ServerRefusedError; the signal's reason
 */
export async function ensureStream(
  nc: NatsConnection,
  request: StreamRequest,
): Promise<CheckedStream> {
  if (!/^[^\s.*>/\\]{1,255}$/.test(request.name)) {
    throw new InvalidArgumentError("stream", "a name without spaces, . * > / or \\", request.name);
  }
  const create = request.create ?? true;
  return callStreamApi(nc, { ...request, create }, async (manager) => {
    const settings = create ? newSettings(request) : undefined;
    return checked(await findOrCreate(manager, request.name, settings), request);
  });
}

/**
 * Asks the server about one stream, again while it cannot answer yet. While a stream is being created in a cluster,
 * requests about it get no answer at all.
 *
 * @throws StreamNotFoundError; JetStreamUnavailableError; ServerRefusedError; what `ask` throws; the signal's reason
 */
export async function callStreamApi<T>(
  nc: NatsConnection,
  request: StreamApiRequest,
  ask: (manager: JetStreamManager) => Promise<T>,
): Promise<T> {
  const timeoutMs = Math.min(request.timeoutMs, attemptTimeoutMs);
  const manager = await openManager(nc, { ...request, timeoutMs });
  const deadline = performance.now() + request.timeoutMs;
  for (let attempt = 1; ; attempt += 1) {
    request.signal?.throwIfAborted();
    try {
      return await ask(manager);
    } catch (error) {
      const again = isTransient(error, request.create) && performance.now() < deadline;
      if (!again) throw mapped(error, request.name, request.timeoutMs);
    }
    await sleep(backoffMs(retries, attempt), request.signal);
  }
}

/**
 * How far the stream is now, as {@link StreamState} says. One round trip.
 *
 * @throws StreamNotFoundError, JetStreamUnavailableError, ServerRefusedError
 */
export async function streamState(
  nc: NatsConnection,
  name: string,
  access: JetStreamAccess,
): Promise<StreamState> {
  const manager = await openManager(nc, access);
  try {
    return stateOf(await manager.streams.info(name));
  } catch (error) {
    throw mapped(error, name, access.timeoutMs);
  }
}

/**
 * How the stream is now, its settings included. One round trip.
 *
 * @throws StreamNotFoundError, JetStreamUnavailableError, ServerRefusedError
 */
export async function observeStream(
  nc: NatsConnection,
  name: string,
  asked: AskedSettings,
  access: JetStreamAccess,
): Promise<ObservedStream> {
  const manager = await openManager(nc, access);
  try {
    return observed(await manager.streams.info(name), name, asked);
  } catch (error) {
    throw mapped(error, name, access.timeoutMs);
  }
}

function openManager(nc: NatsConnection, access: JetStreamAccess): Promise<JetStreamManager> {
  const { domain, apiPrefix, timeoutMs } = access;
  return jetstreamManager(nc, {
    checkAPI: false,
    timeout: timeoutMs,
    ...(domain === undefined ? {} : { domain }),
    ...(apiPrefix === undefined ? {} : { apiPrefix }),
  });
}

/** The stream as it is, or as it was created with `settings`; without these it must be there. */
export async function findOrCreate(
  manager: JetStreamManager,
  name: string,
  settings: StreamSettings | undefined,
): Promise<StreamInfo> {
  try {
    return await manager.streams.info(name);
  } catch (error) {
    if (errorCode(error) !== notFound || settings === undefined) throw error;
  }
  try {
    return await manager.streams.add(settings);
  } catch (error) {
    // Another process was faster, with other settings: they are checked as those of any existing stream.
    if (errorCode(error) !== nameInUse) throw error;
    return manager.streams.info(name);
  }
}

function newSettings(request: StreamRequest): StreamSettings {
  const { placement, description, maxBytes, duplicateWindowMs } = request;
  return {
    name: request.name,
    subjects: [`${request.prefix}.>`],
    storage: "file",
    retention: "limits",
    discard: "new",
    compression: "none",
    num_replicas: request.replicas ?? 1,
    max_age: 0,
    max_msgs: -1,
    max_msgs_per_subject: -1,
    max_bytes: maxBytes ?? -1,
    allow_direct: true,
    allow_atomic: true,
    deny_delete: true,
    ...(duplicateWindowMs === undefined
      ? {}
      : { duplicate_window: duplicateWindowMs * nanosecondsPerMs }),
    ...(placement === undefined
      ? {}
      : { placement: { cluster: placement.cluster ?? "", tags: [...(placement.tags ?? [])] } }),
    ...(description === undefined ? {} : { description }),
  };
}

function checked(info: StreamInfo, request: StreamRequest): CheckedStream {
  const { problems, ...stream } = observed(info, request.name, request);
  if (problems.length > 0) throw new StreamSettingsError(request.name, problems);
  return stream;
}

function observed(info: StreamInfo, name: string, asked: AskedSettings): ObservedStream {
  const { config } = info;
  return {
    name,
    created: info.created,
    replicas: config.num_replicas,
    subjects: config.subjects ?? [],
    maxMessageBytes: config.max_msg_size > 0 ? config.max_msg_size : undefined,
    duplicateWindowMs: config.duplicate_window / nanosecondsPerMs,
    state: stateOf(info),
    problems: findSettingsProblems(Object.fromEntries(Object.entries(config)), asked),
  };
}

function stateOf(info: StreamInfo): StreamState {
  return {
    created: info.created,
    firstSequence: info.state.first_seq,
    lastSequence: info.state.last_seq,
    messages: info.state.messages,
    leader: info.cluster?.leader,
  };
}

/** Turns what the client throws into this package's errors. */
function mapped(error: unknown, stream: string, timeoutMs: number): unknown {
  const code = errorCode(error);
  if (code === notFound) return new StreamNotFoundError(stream, { cause: error });
  const message = error instanceof Error ? error.message : String(error);
  if (unavailable.has(code)) {
    return new JetStreamUnavailableError(`stream ${stream}: ${message}`, { cause: error });
  }
  if (code > 0) return new ServerRefusedError(code, message, `stream ${stream}`);
  if (error instanceof errors.TimeoutError) {
    return new JetStreamUnavailableError(
      `stream ${stream}: no answer within ${timeoutMs} ms; has it a leader, and may this user ask?`,
      { cause: error },
    );
  }
  if (hasName(error, "JetStreamNotEnabled")) {
    return new JetStreamUnavailableError(
      `stream ${stream}: nobody answers the JetStream API: start the server with JetStream enabled, and check the ` +
        "account, domain and apiPrefix",
      { cause: error },
    );
  }
  const { ClosedConnectionError, DrainingConnectionError } = errors;
  if (error instanceof ClosedConnectionError || error instanceof DrainingConnectionError) {
    return new ClosedError("the connection");
  }
  return error;
}

/** With `create`, "not found" is only met where the stream of another creator is not to be seen yet. */
function isTransient(error: unknown, create: boolean): boolean {
  const code = errorCode(error);
  return error instanceof errors.TimeoutError || code === noLeader || (create && code === notFound);
}

/** The server's `err_code`, also of an error that the client wrapped; 0 for none. */
function errorCode(error: unknown): number {
  if (!(error instanceof Error)) return 0;
  if (isApiError(error)) return error.code;
  return error.cause instanceof Error && isApiError(error.cause) ? error.cause.code : 0;
}

function isApiError(error: Error): error is Error & { readonly code: number } {
  return "apiError" in error && "code" in error && typeof error.code === "number";
}

function hasName(error: unknown, name: string): boolean {
  return error instanceof Error && error.name === name;
}

function isAtLeast(version: string, required: string): boolean {
  const found = numbersOf(version);
  for (const [index, wanted] of numbersOf(required).entries()) {
    const number = found[index] ?? -1;
    if (number !== wanted) return number > wanted;
  }
  return true;
}

function numbersOf(version: string): number[] {
  return (/^v?(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1) ?? []).map(Number);
}
