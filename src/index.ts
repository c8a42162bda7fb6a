export { EventStore } from "./store/event-store.ts";
export {
  AnnalError,
  AppendOutcomeUnknownError,
  AppendTooLargeError,
  ClosedError,
  CommitIdReusedError,
  ConnectionFailedError,
  CorruptCommitError,
  InvalidArgumentError,
  JetStreamUnavailableError,
  OverloadedError,
  ReadTimeoutError,
  SchemaValidationError,
  ServerRefusedError,
  ServerStartError,
  ServerTooOldError,
  StreamNotFoundError,
  StreamRolledBackError,
  StreamSettingsError,
  TooManyConflictsError,
  UnserialisableValueError,
  UnsupportedFormatError,
  VersionConflictError,
} from "./errors.ts";
export { jsonReplacer, toJson } from "./internal/json.ts";
export { appendTracing, channels } from "./store/diagnostics.ts";
export type { AppendPlace } from "./errors.ts";
export type { SettingsProblem } from "./nats/stream-settings.ts";
export type { ActorPage } from "./store/actor-list.ts";
export type { ReadOptions } from "./store/actor-reader.ts";
export type {
  AppendMessage,
  AppendTrace,
  CacheMessage,
  ConflictMessage,
  HistoryMessage,
  ReadMessage,
  ReconnectMessage,
  RetryMessage,
  SettingsMessage,
} from "./store/diagnostics.ts";
export type {
  ActorType,
  AnyEvent,
  Commit,
  Cursor,
  EventMap,
  Metadata,
  NewEvent,
  Recorded,
  RecordedEvent,
} from "./store/event.ts";
export type { AppendEntry, StoreHealth, WaitOptions } from "./store/event-store.ts";
export type { EventSchemas, StoredShape, Upcasters } from "./store/interpreter.ts";
export type { ConnectOptions, StoreOptions } from "./store/options.ts";
export type { ExpectedVersion } from "./store/outgoing.ts";
export type { StreamReadOptions, SubscribeOptions } from "./store/stream-reader.ts";
export type { Actor } from "./store/subject.ts";
export type { Subscription } from "./store/subscription.ts";
export type { AppendOptions, AppendResult, CommitOptions } from "./store/writer.ts";
