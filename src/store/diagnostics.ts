import { Tracing } from "../internal/tracing.ts";
import { type TypedChannel, typedChannel } from "../internal/typed-channel.ts";
import type { SettingsProblem } from "../nats/stream-settings.ts";

/**
 * The channels on which a store says what it does (`node:diagnostics_channel`). Publishing costs nothing while nobody
 * listens; subscribers must not throw.
 *
 * | channel | message |
 * |---|---|
 * | `annal:append` | an append or appendAll ended: {@link AppendMessage} |
 * | `annal:read` | a read of an actor or of the stream ended: {@link ReadMessage} |
 * | `annal:conflict` | an append met another writer: {@link ConflictMessage} |
 * | `annal:cache` | the version cache was asked or changed: {@link CacheMessage} |
 * | `annal:retry` | a request is sent again: {@link RetryMessage} |
 * | `annal:reconnect` | the connection was lost, came back, or a reader was set up anew: {@link ReconnectMessage} |
 * | `annal:settings` | the stream's settings are no longer as they must be, or are so again: {@link SettingsMessage} |
 * | `annal:history` | an actor's index did not hold and the server's filtered read was used: {@link HistoryMessage} |
 */
export const channels: {
  readonly append: TypedChannel<AppendMessage>;
  readonly read: TypedChannel<ReadMessage>;
  readonly conflict: TypedChannel<ConflictMessage>;
  readonly cache: TypedChannel<CacheMessage>;
  readonly retry: TypedChannel<RetryMessage>;
  readonly reconnect: TypedChannel<ReconnectMessage>;
  readonly settings: TypedChannel<SettingsMessage>;
  readonly history: TypedChannel<HistoryMessage>;
} = {
  append: typedChannel("annal:append"),
  read: typedChannel("annal:read"),
  conflict: typedChannel("annal:conflict"),
  cache: typedChannel("annal:cache"),
  retry: typedChannel("annal:retry"),
  reconnect: typedChannel("annal:reconnect"),
  settings: typedChannel("annal:settings"),
  history: typedChannel("annal:history"),
};

/**
 * The tracing channel of append and appendAll (`tracing:annal:append:start`, `…:asyncEnd`, `…:error`): one message object
 * from the call, its arguments once validated, to its end, waiting for its turn included. Costs nothing while nobody
 * listens; subscribers must not throw.
 */
export const appendTracing: Tracing<AppendTrace> = new Tracing("annal:append");

/** An append or appendAll on its way. What is undefined at the start is known at the end, if it was stored. */
export interface AppendTrace {
  readonly stream: string;
  /** Subjects of the actors appended to. */
  readonly subjects: readonly string[];
  readonly commitId: string;
  readonly events: number;
  /**
   * NATS headers of each message: those of the caller, to which subscribers of the start may add, such as `traceparent`.
   * They count against the size limits of a message, and what no header may be makes the append fail.
   */
  readonly headers: Record<string, string>;
  /** Of the (last) commit. */
  position?: number;
  /** The actor's version after it; undefined for an appendAll. */
  version?: number;
  /** Whether an earlier call with the same commit id had stored it already. */
  replayed?: boolean;
}

/** An append ended, well or not. */
export interface AppendMessage {
  readonly stream: string;
  /** Subjects of the actors appended to. */
  readonly subjects: readonly string[];
  readonly commitId: string;
  readonly events: number;
  readonly durationMs: number;
  /** Position of the (last) commit; undefined where it failed. */
  readonly position: number | undefined;
  readonly error: unknown;
}

/** A read ended: to its end, by its consumer, or by an error. Told of those that began while somebody listened. */
export interface ReadMessage {
  readonly stream: string;
  /** The actor's subject; undefined for a read of the stream. */
  readonly subject: string | undefined;
  /** Those that came from the server. */
  readonly commits: number;
  /** How long the consumer waited for values, from the first on; what it did between them is not part of it. */
  readonly durationMs: number;
  /** What ended it; undefined where it came to its end, or its consumer stopped. */
  readonly error: unknown;
}

/** The server refused an append, or the actor was not where it was expected. */
export interface ConflictMessage {
  readonly stream: string;
  readonly subject: string;
  readonly expectedVersion: number | string;
  readonly actualVersion: number;
  /** Whether the store tries again by itself (`"any"` only). */
  readonly retried: boolean;
}

/** `hit` and `miss` are appends that found, or did not find, the actor's head; the rest are changes. */
export interface CacheMessage {
  readonly stream: string;
  readonly subject: string | undefined;
  readonly what: "hit" | "miss" | "lowered" | "distrusted";
}

/** Something is asked or sent again. */
export interface RetryMessage {
  readonly stream: string;
  readonly what: "append" | "read";
  readonly attempt: number;
  /** Of an append: `refused` by the server, of `unknown` outcome, `no_responders`, or a `race` lost with `"any"`. */
  readonly outcome?: "refused" | "unknown" | "no_responders" | "race" | undefined;
  readonly reason: string;
}

/**
 * The connection, a reader's consumer, or the stream itself: `rolled_back` where it is another one, or was put back;
 * `purged` where it is the same, but somebody has removed the last commit that the store had seen.
 */
export interface ReconnectMessage {
  readonly stream: string;
  readonly what: "disconnected" | "reconnected" | "reader_recreated" | "rolled_back" | "purged";
  readonly reason: string | undefined;
}

/** Somebody has changed the stream's settings. */
export interface SettingsMessage {
  readonly stream: string;
  readonly replicas: number;
  /** What could lose, hide or change events now; empty where nothing could any more. */
  readonly problems: readonly SettingsProblem[];
}

/** An index pointed to what is not there, or not the actor's. */
export interface HistoryMessage {
  readonly stream: string;
  readonly subject: string;
  readonly sequence: number;
  readonly reason: string;
}
