/**
 * The names of attributes and metrics that `annal/otel` uses, in one place. Those of `messaging.*` and `error.type` are
 * of OpenTelemetry's semantic conventions (1.45.0, https://opentelemetry.io/docs/specs/semconv/messaging/); what they
 * have no name for stands under `annal.*`.
 */

/** Names of attributes. Ids and subjects stand on spans only, never on metrics: their number has no bound. */
export const Attribute = {
  system: "messaging.system.name",
  operationName: "messaging.operation.name",
  operationType: "messaging.operation.type",
  /** The stream. */
  destination: "messaging.destination.name",
  /** The projection or the reactor. */
  consumerGroup: "messaging.consumer.group.name",
  /** Commits of an appendAll. */
  batchCount: "messaging.batch.message_count",
  /** The commit id. Spans only. */
  messageId: "messaging.message.id",
  errorType: "error.type",
  /** Spans only. */
  subject: "annal.subject",
  /** Spans only. */
  eventType: "annal.event.type",
  actorType: "annal.actor.type",
  /** Spans only. */
  actorId: "annal.actor.id",
  /** Version of an actor. Spans only. */
  version: "annal.version",
  /** Place in the stream. Spans only. */
  position: "annal.position",
  /** Number of events. Spans only. */
  events: "annal.events",
  /** Number of commits read. Spans only. */
  commits: "annal.commits",
  /** Whether the same commit or command id had done it before. */
  replayed: "annal.replayed",
  /** Type of a command: the sender's text, so spans only. */
  command: "annal.command.type",
  /** Spans only. */
  commandId: "annal.command.id",
  /** Whether the actor was in memory. */
  warm: "annal.actor.warm",
  /** Seconds in the mailbox. Spans only. */
  waited: "annal.actor.waited",
  /** Decisions that were taken again. Spans only. */
  conflicts: "annal.actor.conflicts",
  /** Which run of `decide`. Spans only. */
  attempt: "annal.attempt",
  loadWhy: "annal.actor.load.why",
  /** Version of the snapshot that a load began with. Spans only. */
  snapshotVersion: "annal.actor.load.snapshot_version",
  /** Whether the store tries again by itself. */
  conflictRetried: "annal.conflict.retried",
  cacheOutcome: "annal.version_cache.outcome",
  cacheCorrection: "annal.version_cache.correction",
  retryOf: "annal.retry.of",
  retryOutcome: "annal.retry.outcome",
  connectionChange: "annal.connection.change",
  projectionVersion: "annal.projection.version",
  projectionPhase: "annal.projection.phase",
  /** Keys changed by a unit. Spans only. */
  changes: "annal.projection.changes",
  /** Keys fetched for a unit. Spans only. */
  fetched: "annal.projection.fetched",
  lag: "annal.projection.lag",
  snapshotOf: "annal.snapshot.of",
  snapshotOutcome: "annal.snapshot.outcome",
  ledgerOutcome: "annal.ledger.commit.outcome",
} as const;

/** Names of metrics. */
export const Metric = {
  operationDuration: "messaging.client.operation.duration",
  sentMessages: "messaging.client.sent.messages",
  processDuration: "messaging.process.duration",
  eventsAppended: "annal.events.appended",
  conflicts: "annal.conflicts",
  cacheLookups: "annal.version_cache.lookups",
  cacheCorrections: "annal.version_cache.corrections",
  retries: "annal.retries",
  connectionChanges: "annal.connection.changes",
  settingsProblems: "annal.stream.problems",
  historyFallbacks: "annal.history.fallbacks",
  snapshots: "annal.snapshots",
  projectionEvents: "annal.projection.events",
  projectionLag: "annal.projection.lag",
  projectionPhases: "annal.projection.phase_changes",
  sendDuration: "annal.actor.send.duration",
  sendConflicts: "annal.actor.send.conflicts",
  decisions: "annal.actor.decisions",
  loadDuration: "annal.actor.load.duration",
  ledgerCommitDuration: "annal.ledger.commit.duration",
  ledgerCommitCommands: "annal.ledger.commit.commands",
} as const;
