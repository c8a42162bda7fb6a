/** `annal/actor`: hosts deciders: mailboxes, loading, deciding again after conflicts, snapshots. */
export { defineActor } from "./definition.ts";
export { actorChannels } from "./diagnostics.ts";
export { ActorHost } from "./host.ts";
export { CommandTimeoutError, EvolveFailedError, InvalidDecisionError } from "./errors.ts";

export type {
  ActorDefinition,
  ActorKind,
  AnyActorKind,
  CommandOf,
  DecideContext,
  DecidedAppend,
  EventFacts,
  EventOf,
  Evolving,
  SnapshotPolicy,
  StateOf,
} from "./definition.ts";
export type {
  ActorSnapshotMessage,
  DecideMessage,
  LoadMessage,
  SendMessage,
} from "./diagnostics.ts";
export type {
  ActorHostStatus,
  CommandResult,
  StateOptions,
  VersionedState,
} from "./host.ts";
export type { SendOptions } from "./send-options.ts";
export type { ActorHostOptions } from "./options.ts";
